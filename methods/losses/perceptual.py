"""The perceptual loss: images are compared by what a trained network sees in them."""

from __future__ import annotations

from torch import Tensor

from methods.networks.vgg import VGG19Features


def perceptual(features: VGG19Features, estimate: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of features, summed over the levels.

    Args:
        features: of which weights, the user chooses.
        estimate: (B, 3, H, W) in [0, 1].
        truth: (B, 3, H, W) in [0, 1]; no gradient.

    Returns:
        (), the mean over the batch.

    Source: Johnson et al., ECCV 2016; DMGN, Eq. 12.
    """
    pairs = zip(features(estimate), features(truth.detach()), strict=True)
    total: Tensor = sum((ours - theirs).abs().mean() for ours, theirs in pairs)
    return total
