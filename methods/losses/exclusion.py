"""The exclusion loss: edges of two layers should not lie in the same places."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_LEAST = 1e-12
"""Product of edges below which the loss is flat: the fourth root has no slope at 0."""


def exclusion(first: Tensor, second: Tensor, levels: int = 3) -> Tensor:
    """Correlation of two images' gradients, over scales and all pairs of channels.

    At each of the levels, each half as large as the one before, with s(x) = 2·sigmoid(x) − 1:
    mean(s(∇first_i)²·s(∇second_j)²)^¼, averaged over channels i and j, levels, and the two directions.

    Args:
        first: (B, C, H, W).
        second: (B, C, H, W).
        levels: how many scales; fewer where the image is too small for them.

    Returns:
        (B,), one value for each image; float32, or float64 where the images are.

    Source: Zhang et al., CVPR 2018; BITS-Net, Eq. 3, with the weights of the gradients fixed at 1.
    """
    images = torch.stack([first, second])
    with torch.autocast(images.device.type, enabled=False):
        values: Tensor = _Exclusion.apply(images.to(torch.promote_types(images.dtype, torch.float32)), levels)
    return values


class _Exclusion(torch.autograd.Function):
    """The loss of both images (2, B, C, H, W), with its slope by hand: autograd's takes three times as long."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, levels: int) -> Tensor:
        sizes, halves, products = [images.shape], [], []
        for level in range(levels):
            if level:
                images = _halved(images)
                sizes.append(images.shape)
            for axis in (-2, -1):
                half = torch.sigmoid(images.diff(dim=axis)).sub_(0.5)  # s / 2
                one, other = half.square().flatten(3)
                # (B, C, P) × (B, P, C): each pair of channels at once.
                products.append(one @ other.mT * (16 / one.shape[-1]))
                halves.append(half)
            if min(images.shape[-2:]) < 4:
                break
        product = torch.stack(products)
        root = product.clamp_min(_LEAST).pow(0.25)
        ctx.sizes = sizes
        ctx.save_for_backward(product, root, *halves)
        return root.mean((0, 2, 3))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        product, root, *halves = ctx.saved_tensors
        # Slope of the products: (levels · 2, B, C, C).
        weights = (root / product.clamp_min(_LEAST) / 4).where(product > _LEAST, 0.0)
        weights = weights * (slopes[0].view(1, -1, 1, 1) / weights[:, 0].numel())
        total = weights.new_zeros(ctx.sizes[-1])
        for level in reversed(range(len(ctx.sizes))):
            if total.shape != ctx.sizes[level]:
                total = _doubled(total, ctx.sizes[level])
            for i, axis in ((2 * level, -2), (2 * level + 1, -1)):
                half, weight = halves[i], weights[i]
                square = half.square()
                one, other = square.flatten(3)
                scale = 16 / one.shape[-1]
                above = torch.stack([(scale * weight) @ other, (scale * weight).mT @ one]).view_as(half)
                # Of (s / 2)²: the sigmoid's own slope is ¼ − (s / 2)².
                slope = torch.addcmul(half / 2, half, square, value=-2).mul_(above)
                total.narrow(axis, 1, half.shape[axis]).add_(slope)
                total.narrow(axis, 0, half.shape[axis]).sub_(slope)
        return total, None


def _halved(images: Tensor) -> Tensor:
    """Means of 2×2 pixels of (..., H, W); an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in images.shape[-2:])
    rows = images[..., :height:2, :width] + images[..., 1:height:2, :width]
    return (rows[..., ::2] + rows[..., 1::2]).div_(4)


def _doubled(slope: Tensor, size: torch.Size) -> Tensor:
    """What ``_halved`` hands back to images of a size."""
    wide = slope.div(4).repeat_interleave(2, -1).repeat_interleave(2, -2)
    return F.pad(wide, (0, size[-1] - wide.shape[-1], 0, size[-2] - wide.shape[-2]))
