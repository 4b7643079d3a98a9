"""Layers without an order: one assignment per image.

Source: permutation-invariant training, Yu et al., ICASSP 2017; here per image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Literal

import torch
from torch import Tensor


def squared(estimate: Tensor, truth: Tensor) -> Tensor:
    """(x̂ − x)², elementwise; the shapes broadcast."""
    return (estimate - truth) ** 2


def absolute(estimate: Tensor, truth: Tensor) -> Tensor:
    """|x̂ − x|, elementwise; the shapes broadcast."""
    return (estimate - truth).abs()


def huber(estimate: Tensor, truth: Tensor, delta: float = 1.0) -> Tensor:
    """½ d² where d = |x̂ − x| < δ, else δ (d − ½ δ), elementwise; the shapes broadcast."""
    distance = (estimate - truth).abs()
    return torch.where(distance < delta, 0.5 * distance**2, delta * (distance - 0.5 * delta))


PixelLoss = Literal["huber", "l1"]


def pixel_loss(name: PixelLoss, delta: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The elementwise distance of a name; ``delta`` is Huber's."""
    return absolute if name == "l1" else partial(huber, delta=delta)


def pairwise(estimates: Tensor, layers: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Mean distance of every estimate to every layer.

    Args:
        estimates: (B, K, C, H, W).
        layers: (B, K, C, H, W).
        distance: elementwise, of two broadcastable tensors.

    Returns:
        (B, K, K); entry [b, i, j] compares estimate i with layer j.
    """
    return distance(estimates.unsqueeze(2), layers.unsqueeze(1)).mean(dim=(3, 4, 5))


def best_assignment(cost: Tensor) -> tuple[Tensor, Tensor]:
    """The permutation of the estimates with the least mean cost, one for each image.

    Args:
        cost: (B, K, K), entry [b, i, j] the cost of taking estimate i for layer j.

    Returns:
        order: (B, K) long; layer j of image b is estimate ``order[b, j]``. The first permutation
            in lexicographic order wins a tie, so equal estimates keep their places.
        mean_cost: (B,), the mean over the layers under that order; differentiable.
    """
    layers = cost.shape[-1]
    orders = torch.tensor(list(permutations(range(layers))), device=cost.device)
    columns = torch.arange(layers, device=cost.device)
    totals = cost[:, orders, columns].mean(dim=-1)
    best = totals.argmin(dim=1)
    return orders[best], totals.gather(1, best.unsqueeze(1)).squeeze(1)


def separation_loss(
    estimates: Tensor, layers: Tensor, distance: Callable[[Tensor, Tensor], Tensor], *, permutation_invariant: bool
) -> Tensor:
    """Mean over images of the distance between estimates and layers.

    Args:
        estimates: (B, K, C, H, W).
        layers: (B, K, C, H, W).
        distance: elementwise, for example ``squared`` or ``huber``.
        permutation_invariant: take for each image the assignment with the least distance.

    Returns:
        Scalar.
    """
    if not permutation_invariant:
        return distance(estimates, layers).mean()
    return best_assignment(pairwise(estimates, layers, distance))[1].mean()
