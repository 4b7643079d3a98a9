"""Albedo and shading: what a surface reflects, and the light that falls on it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules.base import EVERY_SCENE, LAYER_SCENES
from datamodules.mixing import Mixing, Product
from datamodules.picture_task import PictureTask
from datamodules.pictures.dead_leaves import dead_leaves
from datamodules.pictures.fields import shading
from datamodules.pictures.kinds import GENERATED, DeadLeaves, Pictures
from datamodules.real_pairs import RealPairs
from datamodules.types import Role, Sample, UserError


class Intrinsic(PictureTask):
    """Albedo times shading.

    Real set: ``mit_intrinsic`` (16-bit, masked, Barron and Malik's split). Generated otherwise: albedo of
    flat dead leaves (or the photographs of a source, taken for albedo), shading of a smooth random surface.
    The mixture of a real object is its diffuse image, as in Grosse et al.; scores are of the object's mask,
    up to a scale.

    A real object's truths are known up to a scale each: its image is c times their product, c from 0.48 (apple) to 1.53
    (cup1) among the training objects, from 0.53 to 2.04 among the test objects. A method that learns that the layers'
    product is the mixture (SILS, Eq. 8) would learn it of images half or twice as bright. So mixtures that train are
    divided by their object's c, the least-squares fit in its mask; those that select and test are as they are.

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

    version: ClassVar[int] = 2
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
        self._exposures: dict[str, float] = {}

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        if self.layers_of_test_scenes and role == "train":
            pairs: RealPairs = self.opened("test" if scenes == LAYER_SCENES else "train")
            return self._exposed(pairs, pairs.crop(k, self.size, generator))
        sample = super().draw(role, k, generator, scenes)
        if role != "train" or sample.mixture is None:
            return sample
        (real,) = (one for one in self._opened[role].values() if isinstance(one, RealPairs))
        return self._exposed(real, sample)

    def _exposed(self, pairs: RealPairs, sample: Sample) -> Sample:
        """A training sample of a real object, its mixture brought to the brightness of its layers' product."""
        assert sample.mixture is not None
        name = sample.name.partition("-")[2]
        if name not in self._exposures:
            whole = pairs.whole([pair.name for pair in pairs.pairs].index(name))
            assert whole.mixture is not None
            self._exposures[name] = exposure(whole.mixture, whole.sources, whole.mask)
        return sample._replace(mixture=sample.mixture / self._exposures[name])

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


def exposure(mixture: Tensor, layers: Tensor, mask: Tensor | None = None) -> float:
    """The c for which c times the layers' product is nearest to the mixture; 1 where the product is black.

    Args:
        mixture: (C, H, W).
        layers: (2, C, H, W), albedo and shading.
        mask: (1, H, W) bool, where it counts; default everywhere.
    """
    product = layers.prod(0).double()
    if mask is not None:
        product = product * mask
    energy = float((product**2).sum())
    return float((product * mixture).sum()) / energy if energy > 0 else 1.0
