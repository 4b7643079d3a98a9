"""Photographs superimposed on one another."""

from __future__ import annotations

from typing import Any

from datamodules.mixing import Mean, Mixing
from datamodules.picture_task import PictureTask
from datamodules.types import UserError

_NAMES = ("first", "second", "third", "fourth")


class Superimposed(PictureTask):
    """Crops of different photographs blended into one.

    Source: BITS-Net's experiments (two photographs, averaged).

    Args:
        layers: photographs in a mixture, 2 to 4.
        **kwargs: of every task with pictures (``source``, ``train_source``, ``size``, ``mixing``, …).

    Raises:
        UserError: a missing folder, too few photographs for a role, a file that cannot be decoded.
    """

    citation = "mixed here"

    def __init__(self, layers: int = 2, **kwargs: Any) -> None:
        if not 2 <= layers <= len(_NAMES):
            raise UserError(f"{layers} layers: a mixture has 2 to {len(_NAMES)}.")
        super().__init__(**kwargs)
        self.layer_names = _NAMES[:layers]
        self.pictures_in_a_mixture = layers

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return Mean()
