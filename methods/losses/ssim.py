"""Structural similarity as a loss."""

from __future__ import annotations

import torch
from torch import Tensor

SIDE, SIGMA = 11, 1.5
STEADY = (0.01**2, 0.03**2)
"""C1 and C2, for values in a range of 1."""


def ssim_loss(estimate: Tensor, truth: Tensor) -> Tensor:
    """Minus the structural similarity, the mean over pixels, channels and images; −1 is best.

    Windows are Gaussian, 11×11, σ 1.5; beyond the border lie zeros, so that images of any size can be compared and
    each pixel counts. It is computed in float32 at least.

    Args:
        estimate: (B, C, H, W), nominally in [0, 1].
        truth: (B, C, H, W) in [0, 1].

    Returns:
        ().

    Source: Wang et al., IEEE TIP 2004, Eq. 13.
    """
    with torch.autocast(estimate.device.type, enabled=False):
        kind = torch.promote_types(estimate.dtype, torch.float32)
        x, y = estimate.to(kind), truth.to(kind)
        down, across = (_windows(x.shape[side], x) for side in (2, 3))
        mx, my, xx, yy, xy = down @ torch.stack([x, y, x * x, y * y, x * y]) @ across
        c1, c2 = STEADY
        likeness = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        structure = (2 * (xy - mx * my) + c2) / ((xx - mx**2) + (yy - my**2) + c2)
        loss: Tensor = -(likeness * structure).mean()
        return loss


def _windows(pixels: int, like: Tensor) -> Tensor:
    """(pixels, pixels), symmetric: each pixel's weights of its line.

    Convolutions of one channel are slow on processors; at the sizes of crops a product of matrices is far quicker.
    """
    at = torch.arange(pixels, device=like.device, dtype=like.dtype)
    apart = at - at.view(-1, 1)
    away = torch.arange(SIDE, device=like.device, dtype=like.dtype) - SIDE // 2
    return _bell(apart) * (apart.abs() <= SIDE // 2) / _bell(away).sum()


def _bell(away: Tensor) -> Tensor:
    return torch.exp(-(away**2) / (2 * SIGMA**2))
