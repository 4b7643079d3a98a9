"""Photographs superimposed on one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.mixing import Mean, Mixing
from datamodules.picture_task import PictureTask
from datamodules.pictures.kinds import GENERATED, Pictures, photograph_paths
from datamodules.types import Role, UserError

_NAMES = ("first", "second", "third", "fourth")


class Superimposed(PictureTask):
    """Crops of different photographs blended into one.

    Source: BITS-Net's experiments (two photographs, averaged).

    Args:
        layers: photographs in a mixture, 2 to 4.
        other_source: where all but the first photograph of a test mixture come from; default ``source``.
        **kwargs: of every task with pictures (``source``, ``train_source``, ``size``, ``mixing``, …).

    Raises:
        UserError: a missing folder, too few photographs for a role, a file that cannot be decoded.
    """

    citation = "mixed here"

    def __init__(self, layers: int = 2, other_source: str | None = None, **kwargs: Any) -> None:
        if not 2 <= layers <= len(_NAMES):
            raise UserError(f"{layers} layers: a mixture has 2 to {len(_NAMES)}.")
        self.layer_names = _NAMES[:layers]
        self.pictures_in_a_mixture = layers
        self.other_source = other_source
        super().__init__(**kwargs)

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return Mean()

    def test_truths(self) -> list[Path]:
        other = self.other_source
        known = other is None or other == GENERATED
        return super().test_truths() + ([] if known else photograph_paths(str(other), "test", self.root, shared=False))

    def open_pictures(self, source: str, role: Role) -> list[Pictures]:
        other = self.other_source if role == "test" else None
        return [self.pictures_of(name, role) for name in (source, other) if name]

    def synthesise(
        self, role: Role, pictures: list[Pictures], generator: torch.Generator, scenes: slice
    ) -> tuple[Tensor, str]:
        crops = [crop for each in pictures for crop in self.crops(role, each, generator, scenes)]
        # Where there are two sources: the first photograph of the one, the others of the other.
        return self.stack(crops if len(pictures) == 1 else [crops[0], *crops[-self.pictures_in_a_mixture + 1 :]])
