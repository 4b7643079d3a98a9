"""Albedo and shading: what a surface reflects, and the light that falls on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from datamodules.base import EVERY_SCENE, LAYER_SCENES
from datamodules.dead_leaves import dead_leaves
from datamodules.fields import shading
from datamodules.mixing import Mixing, Product
from datamodules.picture_task import PictureTask
from datamodules.pictures import GENERATED, DeadLeaves, Pictures
from datamodules.real_pairs import RealPairs
from datamodules.types import Role, Sample, UserError


class Intrinsic(PictureTask):
    """Albedo times shading.

    Real set: ``mit_intrinsic`` (16-bit, masked, Barron and Malik's split). Generated otherwise: albedo of
    flat dead leaves (or the photographs of a source, taken for albedo), shading of a smooth random surface.
    The mixture of a real object is its diffuse image, as in Grosse et al.; scores are of the object's mask,
    up to a scale.

    Unpaired training on ``mit_intrinsic``: five of the ten official training objects give mixtures and select, the
    other five give layers, and the ten test objects are never seen. SILS's own protocol is looser: all ten training
    objects give mixtures, and the layers are those of the test objects.

    Source: SILS, Sec. 5.1 and 5.3; Grosse et al., ICCV 2009.

    Args:
        source: see ``PictureTask``; ``mit_intrinsic`` is the real set.
        layers_of_test_scenes: train on the layers of the test objects and the mixtures of all others, as SILS does;
            for unpaired data and ``mit_intrinsic`` alone.
        **kwargs: of every task.

    Raises:
        UserError: ``layers_of_test_scenes`` with other data.
    """

    layer_names = ("albedo", "shading")
    protocol = "intrinsic"
    citation = "generated shading, or Grosse et al., ICCV 2009"

    def __init__(self, source: str = GENERATED, layers_of_test_scenes: bool = False, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        alone = self.real is not None and list(self.training) == [self.source]
        if layers_of_test_scenes and (self.pairing == "paired" or not alone):
            raise UserError(
                f"layers_of_test_scenes with pairing {self.pairing}, source {source}, train_source "
                f"{self.train_source}: it needs --data.pairing=unpaired and mit_intrinsic as both sources."
            )
        self.layers_of_test_scenes = layers_of_test_scenes

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        if self.layers_of_test_scenes and role == "train":
            pairs: RealPairs = self.opened("test" if scenes == LAYER_SCENES else "train")
            return pairs.crop(k, self.size, generator)
        return super().draw(role, k, generator, scenes)

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
