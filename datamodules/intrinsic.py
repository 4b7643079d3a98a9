"""Albedo and shading: what a surface reflects, and the light that falls on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from datamodules.dead_leaves import dead_leaves
from datamodules.fields import shading
from datamodules.mixing import Mixing, Product
from datamodules.picture_task import PictureTask
from datamodules.pictures import GENERATED, DeadLeaves, Pictures
from datamodules.types import Role


class Intrinsic(PictureTask):
    """Albedo times shading.

    Real set: ``mit_intrinsic`` (16-bit, masked, Barron and Malik's split). Generated otherwise: albedo of
    flat dead leaves (or the photographs of a source, taken for albedo), shading of a smooth random surface.
    The mixture of a real object is its diffuse image, as in Grosse et al.; scores are of the object's mask,
    up to a scale.

    Source: SILS, Sec. 5.1 and 5.3; Grosse et al., ICCV 2009.
    """

    layer_names = ("albedo", "shading")
    protocol = "intrinsic"
    citation = "generated shading, or Grosse et al., ICCV 2009"

    def __init__(self, source: str = GENERATED, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return Product()

    def synthesise(
        self, role: Role, pictures: Pictures, generator: torch.Generator, scenes: slice
    ) -> tuple[Tensor, str]:
        if isinstance(pictures, DeadLeaves):
            albedo, name = dead_leaves(generator, self.size, textured=False), "leaves"
        else:
            (picture,) = self.crops(role, pictures, generator, scenes)
            albedo, name = picture.pixels, picture.name
        light = shading(generator, self.size, self.size)
        return torch.stack([albedo, light.expand(3, -1, -1)]), name
