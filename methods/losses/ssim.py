"""Structural similarity as a loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
        away = torch.arange(SIDE, device=x.device, dtype=kind) - SIDE // 2
        line = torch.exp(-(away**2) / (2 * SIGMA**2))
        line = line / line.sum()

        def mean(image: Tensor) -> Tensor:
            rows = F.conv2d(image, line.view(1, 1, SIDE, 1), padding=(SIDE // 2, 0))
            return F.conv2d(rows, line.view(1, 1, 1, SIDE), padding=(0, SIDE // 2))

        # Channels and products take part as images of their own: one convolution for all five means.
        planes = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 2).unsqueeze(1)
        mx, my, xx, yy, xy = mean(planes).view(5, *x.shape)
        c1, c2 = STEADY
        likeness = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        structure = (2 * (xy - mx * my) + c2) / ((xx - mx**2) + (yy - my**2) + c2)
        loss: Tensor = -(likeness * structure).mean()
        return loss
