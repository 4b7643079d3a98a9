"""Losses on the slopes of pictures: edges should be where they are."""

from __future__ import annotations

from torch import Tensor


def slope_loss(estimate: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the slopes along rows and along columns, the two summed.

    Args:
        estimate: (B, C, H, W), sides of at least 2.
        truth: (B, C, H, W).

    Returns:
        (), the mean over the batch.

    Source: used by ERRNet (Wei et al., CVPR 2019), RmNet (Wen et al., CVPR 2019) and DCPDN (Zhang & Patel, CVPR 2018).
    """
    error = estimate - truth
    total: Tensor = error.diff(dim=-2).abs().mean() + error.diff(dim=-1).abs().mean()
    return total
