"""Bringing a mixture to the size of its layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def enlarge(image: Tensor, scale: int) -> Tensor:
    """Bilinear enlargement, pixel centres aligned.

    Args:
        image: (B, C, h, w).
        scale: factor along each side; 1 returns the image.

    Returns:
        (B, C, scale·h, scale·w).
    """
    if scale == 1:
        return image
    return F.interpolate(image, scale_factor=float(scale), mode="bilinear", align_corners=False)
