"""What the priors without training take for one image: ``python -m benchmark.speed.networks.priors [SIDE]``."""

from __future__ import annotations

import sys
from functools import partial

import torch
import torch.nn.functional as F

from benchmark.speed.rows import Row, by_turns, row, show
from methods.base import SeparationMethod
from methods.color_attenuation import ColorAttenuation
from methods.convex_reflection_suppression import ConvexReflectionSuppression
from methods.dark_channel import DarkChannel
from methods.generalized_dark_channel import GeneralizedDarkChannel
from methods.relative_smoothness import RelativeSmoothness

ROUNDS = 5
METHODS: tuple[type[SeparationMethod], ...] = (
    DarkChannel,
    ColorAttenuation,
    GeneralizedDarkChannel,
    ConvexReflectionSuppression,
    RelativeSmoothness,
)


def main(side: int = 512) -> list[Row]:
    """Each method's milliseconds."""
    torch.set_num_threads(1)
    coarse = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    mixture = F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    methods = [found() for found in METHODS]
    with torch.no_grad():
        times = by_turns({method.card.title: partial(method, mixture) for method in methods}, ROUNDS)
    return [row(f"{side}×{side}, {name}", values, "ms") for name, values in times.items()]


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:2])))
