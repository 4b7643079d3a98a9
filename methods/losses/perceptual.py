"""The perceptual loss: images are compared by what a trained network sees in them."""

from __future__ import annotations

import torch
from torch import Tensor


def perceptual(estimate: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Mean absolute difference of features, summed over the levels.

    Args:
        estimate: (B, C_l, H_l, W_l) for each level l, what a frozen network sees in the estimate.
        truth: the same of the truth.

    Returns:
        (), the mean over the batch.

    Source: Johnson et al., ECCV 2016; DMGN, Eq. 12.
    """
    pairs = zip(estimate, truth, strict=True)
    return torch.stack([(ours - theirs).abs().mean() for ours, theirs in pairs]).sum()
