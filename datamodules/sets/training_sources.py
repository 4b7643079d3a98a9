"""What a task trains on: one source, or several with weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from datamodules.errors import UserError


class TrainingSources:
    """Names of the sources of a training stream, and the share of its samples that each gives.

    Args:
        given: the name of one source, or the weights of several; only their ratios matter, and a source of weight 0 is
            left out.

    Raises:
        UserError: no source, a weight that is no number or negative, or weights whose sum is zero.
    """

    def __init__(self, given: str | Mapping[str, float]) -> None:
        weights = {given: 1.0} if isinstance(given, str) else dict(given)
        for name, weight in weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
                raise UserError(f"train_source: the weight of {name} is {weight!r}: it must be a number, such as 0.3.")
            if weight < 0:
                raise UserError(f"train_source: the weight of {name} is {weight:g}: it must not be negative.")
        total = sum(weights.values())
        if total <= 0:
            raise UserError(
                f"train_source {weights}: the weights' sum is {total:g}: give at least one source a weight above 0, "
                "for example {real88: 0.3, bsds500: 0.7}."
            )
        self.shares = {name: weight / total for name, weight in weights.items() if weight}

    def __iter__(self) -> Iterator[str]:
        return iter(self.shares)

    def __len__(self) -> int:
        return len(self.shares)

    def __contains__(self, name: str) -> bool:
        return name in self.shares

    def __str__(self) -> str:
        if len(self) == 1:
            return next(iter(self.shares))
        return " + ".join(f"{share:.3g} {name}" for name, share in self.shares.items())

    def draw(self, generator: torch.Generator) -> str:
        """The source of one sample; one source alone draws no number."""
        names = list(self.shares)
        if len(names) == 1:
            return names[0]
        place = float(torch.rand((), generator=generator))
        for name, share in self.shares.items():
            place -= share
            if place < 0:
                return name
        return names[-1]

    def portions(self, count: int) -> dict[str, int]:
        """So many images, shared as nearly as whole numbers can; a source has at least one if there are enough."""
        exact = {name: share * count for name, share in self.shares.items()}
        whole = {name: max(int(value), 1) for name, value in exact.items()}
        by_need = sorted(exact, key=lambda name: whole[name] - exact[name])
        for i in range(max(0, count - sum(whole.values()))):
            whole[by_need[i % len(by_need)]] += 1
        return whole
