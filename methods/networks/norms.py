"""Normalisations by their names in options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn

NormName = Literal["batch", "instance", "group"]


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 8 groups, or as many as divide the channels; independent of the batch."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


NORMS: dict[NormName, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "group": group_norm,
}

Norm = NormName | Literal["none"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """The layer that normalises so many channels, or none."""
    return [] if norm == "none" else [NORMS[norm](channels)]


@contextmanager
def frozen_statistics(*networks: nn.Module) -> Iterator[None]:
    """Batch normalisation inside normalises by the batch, but what it will use in testing does not learn from it.

    An encoder sees mixtures, layers and what it made itself; only mixtures come in testing.
    """
    norms = [part for network in networks for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    held = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, held, strict=True):
            norm.momentum = momentum
