"""The loss in decibels: each layer's mean squared error counts by its ratio, not by its size."""

from __future__ import annotations

import math
from functools import partial
from typing import Literal, Protocol

from torch import Tensor

from methods.losses.permutation import absolute, best_assignment, pairwise, separation_loss, squared


def decibel_loss(estimates: Tensor, layers: Tensor, *, permutation_invariant: bool, epsilon: float = 1e-8) -> Tensor:
    """Minus the PSNR in dB, the mean over layers and images.

    A sparse layer, such as rain, is learnt from the first step on, where the absolute error would be content with
    leaving the picture as it is for hundreds of steps.

    Args:
        estimates: (B, K, C, H, W).
        layers: (B, K, C, H, W).
        permutation_invariant: take for each image the assignment with the least loss.
        epsilon: added to each mean squared error: 1e-8 is 80 dB.

    Returns:
        Scalar.

    Source: Chen et al., ECCV 2022, the authors' code.
    """
    cost = 10 / math.log(10) * (pairwise(estimates, layers, squared) + epsilon).log()
    chosen = best_assignment(cost)[1] if permutation_invariant else cost.diagonal(dim1=1, dim2=2).mean(1)
    return chosen.mean()


class Loss(Protocol):
    """What estimates cost: (B, K, C, H, W) of them and of the layers -> ()."""

    def __call__(self, estimates: Tensor, layers: Tensor, *, permutation_invariant: bool) -> Tensor: ...


LossName = Literal["psnr", "l1", "mse"]

LOSSES: dict[LossName, Loss] = {
    "psnr": decibel_loss,
    "l1": partial(separation_loss, distance=absolute),
    "mse": partial(separation_loss, distance=squared),
}
"""By their names in options."""
