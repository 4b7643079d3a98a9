"""The exclusion loss: edges of two layers should not lie in the same places."""

from __future__ import annotations

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
            edges = both.diff(dim=axis).tanh().square().flatten(3)  # s(∇)²: the images are halved
            # (B, C, P) × (B, P, C): each pair of channels at once.
            products.append(edges[0] @ edges[1].transpose(1, 2) / edges.shape[-1])
        if min(both.shape[-2:]) < 4 or level + 1 == levels:
            break
        both = F.avg_pool2d(both.flatten(0, 1), 2)
        both = both.view(2, -1, *both.shape[1:])
    # The fourth root has no slope at 0, where a layer is flat.
    return torch.stack(products).clamp_min(1e-12).pow(0.25).mean((0, 2, 3))
