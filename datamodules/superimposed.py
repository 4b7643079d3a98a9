"""Photographs superimposed on one another."""

from __future__ import annotations

from typing import Any

from datamodules.mixing import Mean, Mixing
from datamodules.picture_task import PictureTask
from datamodules.pictures import Pictures
from datamodules.types import Role, UserError

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

    def open_pictures(self, source: str, role: Role) -> Pictures:
        pictures = self.pictures_of(source, role)
        if pictures.paths and len(pictures.paths) < len(self.layer_names):
            raise UserError(
                f"{len(pictures.paths)} photographs of {source} for the {role} role, a mixture of "
                f"{len(self.layer_names)} needs as many: add photographs, or train on another set with train_source."
            )
        return pictures
