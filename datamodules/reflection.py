"""A scene behind glass that reflects another."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from datamodules.derived import remainder
from datamodules.mixing import GlassReflection, Mixing
from datamodules.picture_task import PictureTask
from datamodules.pictures.kinds import Pictures
from datamodules.types import Role

TRIES = 8
"""Pairs that are drawn before two photographs exchange their places."""


class Reflection(PictureTask):
    """A scene behind glass, and what the glass reflects.

    Real sets: ``real20`` (no truth for the reflection), ``ceilnet_synthetic``, ``sir2_solid``,
    ``sir2_postcard``, ``sir2_wild``. Trained on synthesis from two photographs. A pair whose reflection is too
    dark to be seen is drawn again, and exchanged where that does not help.

    Source: DMGN, Sec. IV.B; Zhang et al., CVPR 2018 (synthesis); scores as ERRNet and DMGN.
    """

    version: ClassVar[int] = 2
    layer_names = ("background", "reflection")
    target_names = ("background",)
    derive = staticmethod(remainder)
    pictures_in_a_mixture = 2
    protocol = "rgb-uniform"
    citation = "reflections after Zhang et al., CVPR 2018"

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return GlassReflection()

    def synthesise(
        self, role: Role, pictures: Pictures, generator: torch.Generator, scenes: slice
    ) -> tuple[Tensor, str]:
        mixing = self.mixing_of(role)
        pair = self.crops(role, pictures, generator, scenes)
        if not isinstance(mixing, GlassReflection):
            return self.stack(pair)
        for _ in range(TRIES):
            if not mixing.too_dark(pair[0].pixels, pair[1].pixels):
                return self.stack(pair)
            pair = self.crops(role, pictures, generator, scenes)
        if mixing.too_dark(pair[0].pixels, pair[1].pixels):
            pair.reverse()
        return self.stack(pair)
