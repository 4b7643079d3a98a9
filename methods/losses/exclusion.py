"""The exclusion loss: edges of two layers should not lie in the same places."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def exclusion(first: Tensor, second: Tensor, levels: int = 3) -> Tensor:
    """Correlation of two images' gradients, over scales and all pairs of channels.

    At each of the levels, each half as large as the one before, with s(x) = 2·sigmoid(x) − 1:
    mean(s(∇first_i)²·s(∇second_j)²)^¼, averaged over channels i and j, levels, and the two directions.

    Args:
        first: (B, C, H, W).
        second: (B, C, H, W).
        levels: how many scales; fewer where the image is too small for them.

    Returns:
        (B,), one value for each image.

    Source: Zhang et al., CVPR 2018, Eq. 7; BITS-Net, Eq. 3, with the weights of the gradients fixed at 1.
    """
    both = torch.stack([first, second]) / 2
    products = []
    for level in range(levels):
        for axis in (-2, -1):
            edges = _Edges.apply(both, axis).flatten(3)
            # (B, C, P) × (B, P, C): each pair of channels at once.
            products.append(edges[0] @ edges[1].transpose(1, 2) / edges.shape[-1])
        if min(both.shape[-2:]) < 4 or level + 1 == levels:
            break
        both = F.avg_pool2d(both.flatten(0, 1), 2)
        both = both.view(2, -1, *both.shape[1:])
    # The fourth root has no slope at 0, where a layer is flat.
    return torch.stack(products).clamp_min(1e-12).pow(0.25).mean((0, 2, 3))


class _Edges(torch.autograd.Function):
    """tanh(∇)², which is s(∇)² of an image halved; its gradient in a third of the operations that autograd needs."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, axis: int) -> Tensor:
        bent = image.diff(dim=axis).tanh_()
        ctx.save_for_backward(bent)
        ctx.axis, ctx.length = axis, image.shape[axis]
        return bent * bent

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (bent,) = ctx.saved_tensors
        # d tanh² = 2·tanh·(1 − tanh²)
        slope = (bent - bent * bent * bent).mul_(gradients[0]).mul_(2)
        shape = list(bent.shape)
        shape[ctx.axis] = ctx.length
        result = slope.new_zeros(shape)
        result.narrow(ctx.axis, 1, ctx.length - 1).add_(slope)
        result.narrow(ctx.axis, 0, ctx.length - 1).sub_(slope)
        return result, None
