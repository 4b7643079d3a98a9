"""The perceptual loss: images are compared by what a trained network sees in them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BALANCED = (1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5)
"""Weights of VGG19's five levels that make their differences about equally large (Chen & Koltun, ICCV 2017)."""


def perceptual(estimate: list[Tensor], truth: list[Tensor], weights: Sequence[float] = ()) -> Tensor:
    """Mean absolute difference of features, summed over the levels.

    Args:
        estimate: (B, C_l, H_l, W_l) for each level l, what a frozen network sees in the estimate.
        truth: the same of the truth.
        weights: of the levels, from the finest on, at least as many as there are; empty for 1 each.

    Returns:
        (), the mean over the batch.

    Source: Johnson et al., ECCV 2016; DMGN, Eq. 12.
    """
    pairs = zip(estimate, truth, strict=True)
    distances = [(ours - theirs).abs().mean() for ours, theirs in pairs]
    if weights:
        distances = [weight * one for weight, one in zip(weights, distances, strict=False)]
    return torch.stack(distances).sum()
