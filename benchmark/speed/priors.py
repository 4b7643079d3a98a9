"""What the priors without training take for one image: ``python -m benchmark.speed.priors [SIDE]``."""

from __future__ import annotations

import sys
import time
from statistics import median

import torch
import torch.nn.functional as F

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


def main(side: int = 512) -> None:
    """Print each method's median."""
    coarse = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    mixture = F.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    methods = [found() for found in METHODS]
    times: dict[str, list[float]] = {method.card.title: [] for method in methods}
    with torch.no_grad():
        for method in methods:
            method(mixture)  # warms up
        for _ in range(ROUNDS):  # by turns, so that a busy machine slows all
            for method in methods:
                begin = time.perf_counter()
                method(mixture)
                times[method.card.title].append(time.perf_counter() - begin)
    print(f"one {side}×{side} image in colour, {torch.get_num_threads()} threads, median of {ROUNDS}")
    for name, values in times.items():
        print(f"{name:30} {1000 * median(values):8.1f} ms")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(*map(int, sys.argv[1:2]))
