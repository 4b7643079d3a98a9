"""Haze between a scene and the camera."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from datamodules.derived import veil
from datamodules.mixing import AtmosphericScattering, Mixing, YellowHaze
from datamodules.picture_task import PictureTask
from datamodules.pictures.fields import octave_noise, relief
from datamodules.pictures.kinds import GENERATED, Pictures, Products
from datamodules.types import Role

_SHOES = "shoes_handbags"


class Haze(PictureTask):
    """A scene in haze; yellow haze on shoes.

    Real sets: ``sots_indoor``, ``sots_outdoor``, ``o_haze``, ``dcpdn_testa``. Trained on synthesis: depth is
    that of a photograph's own depth map, where ``depth/NAME.png`` lies beside it (larger is farther), in units of the
    map's largest value; else random relief whose edges follow the photograph's. With ``source: shoes_handbags`` it
    is the yellow haze of the cascade-GAN paper on photographs of shoes, whose thickness is multi-octave noise; so it
    is with ``mixing: YellowHaze`` on any source.

    Source: DMGN, Sec. IV.D; Cascaded GANs, Sec. 3.3 (yellow haze).
    """

    version: ClassVar[int] = 2
    layer_names = ("background", "haze")
    target_names = ("background",)
    derive = staticmethod(veil)
    citation = "haze by atmospheric scattering"

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return YellowHaze() if source == _SHOES else AtmosphericScattering()

    def open_pictures(self, source: str, role: Role) -> Pictures:
        if isinstance(self.mixing_of(role), YellowHaze) and source == GENERATED:
            return Products("shoe")
        return self.pictures_of(source, role, kind="shoes" if source == _SHOES else None)

    def synthesise(
        self, role: Role, pictures: Pictures, generator: torch.Generator, scenes: slice
    ) -> tuple[Tensor, str]:
        (picture,) = self.crops(role, pictures, generator, scenes)
        if isinstance(self.mixing_of(role), YellowHaze):
            depth = octave_noise(generator, self.size, self.size)
        elif picture.depth is not None:
            depth = picture.depth
        else:
            depth = relief(generator, self.size, self.size, picture.pixels)
        return torch.stack([picture.pixels, depth.expand(3, -1, -1)]), picture.name
