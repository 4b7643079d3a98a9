"""Two handwritten digits on one low-resolution, noisy detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.base import EVALUATION_SEED, EVERY_SCENE, LayerDataModule, sample_generator
from datamodules.mixing import Camera, Mixing, Sum
from datamodules.pictures import sources
from datamodules.types import LayerSpec, Role, Sample


class Digits(LayerDataModule):
    """Two digits on one low-resolution, noisy detector.

    Summed, downsampled by 2, with Gaussian noise. ``embedded``: scikit-learn's 1,797 digits brought to 28×28,
    split by image, in their order: 1,297 for training, 200 to select (100 pairs), 300 to test (150 pairs).
    ``mnist``: the official files under ``<root>/mnist``; of the 60,000 training images the last 1,000 select
    (500 pairs), the 10,000 test images are scored as 5,000 pairs. Evaluation pairs are disjoint.

    Source: ConvSep and LiGT, Sec. II and IV (data), Eq. 1. Reconstructed: see ``Camera``.

    Args:
        source: where the digits come from.
        mixing: image-formation model; default sum, ÷2, σ = 0.1.
        **kwargs: of every data set.

    Raises:
        UserError: MNIST files that are missing or corrupt.
    """

    def __init__(
        self, source: Literal["embedded", "mnist"] = "embedded", mixing: Mixing | None = None, **kwargs: Any
    ) -> None:
        super().__init__(mixing or Camera(Sum()), **kwargs)
        self.source = source
        self._digits: dict[Role, Tensor] = {}
        self._pairs: dict[Role, Tensor] = {}

    @property
    def spec(self) -> LayerSpec:
        citations = {
            "embedded": "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, 1998 (scikit-learn)",
            "mnist": "LeCun, Cortes & Burges, The MNIST database of handwritten digits",
        }
        return self.describe(
            ["digit_1", "digit_2"],
            channels=1,
            citation=citations[self.source],
            licence={"embedded": "CC BY 4.0", "mnist": "CC BY-SA 3.0"}[self.source],
        )

    def files(self) -> list[Path]:
        if self.source == "mnist":
            return list(sources.mnist_files(self.root / "mnist").values())
        return [sources.embedded_digits_file()]

    def open(self) -> None:
        if self._digits:
            return
        if self.source == "mnist":
            train, test = sources.mnist(self.root / "mnist")
            self._digits = {"train": train[:-1000], "select": train[-1000:], "test": test}
        else:
            digits = sources.embedded_digits()
            self._digits = {"train": digits[:1297], "select": digits[1297:1497], "test": digits[1497:]}
        evaluated: tuple[Role, ...] = ("select", "test")
        for role in evaluated:
            order = torch.randperm(len(self._digits[role]), generator=sample_generator(EVALUATION_SEED, role, -1))
            self._pairs[role] = order[: len(order) // 2 * 2].view(-1, 2)

    def count(self, role: Role) -> int:
        return len(self._pairs[role])

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        digits = self._digits[role]
        if role == "train":
            allowed = torch.arange(len(digits))[scenes]
            pair = allowed[torch.randint(len(allowed), (2,), generator=generator)]
        else:
            pair = self._pairs[role][k]
        return Sample(digits[pair], f"{k:06d}-" + "+".join(str(i) for i in pair.tolist()))
