"""Shoes and handbags, blended 7 : 3."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from datamodules.mixing import Mixing, Ratio
from datamodules.picture_task import PictureTask
from datamodules.pictures.kinds import GENERATED, Pictures, Products
from datamodules.types import Role

_SOURCE = "shoes_handbags"


class ShoesHandbags(PictureTask):
    """0.7 of a shoe and 0.3 of a handbag.

    The photographs of ``shoes_handbags``, or generated products. Of the photographs, the last tenth of
    ``train`` selects and ``val`` tests, each as pairs of one shoe and one handbag. Test pairs are the same in
    every run.

    Source: Cascaded GANs, Sec. 3.2 and Table 1 ("synthesized images"). Reconstructed: the paper does not
        say which of the two is the strong one; the shoe is assumed.
    """

    layer_names = ("shoe", "handbag")
    target_names = ("shoe",)
    citation = "mixed 7 : 3 as in the cascaded-GAN paper"

    def __init__(self, source: str = GENERATED, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return Ratio(0.7)

    def open_pictures(self, source: str, role: Role) -> tuple[Pictures, Pictures]:
        if source == GENERATED:
            return Products("shoe"), Products("handbag")
        kinds = ("shoes", "handbags") if source == _SOURCE else (None, None)
        shoes, handbags = (self.pictures_of(source, role, kind) for kind in kinds)
        return shoes, handbags

    def synthesise(
        self, role: Role, pictures: tuple[Pictures, Pictures], generator: torch.Generator, scenes: slice
    ) -> tuple[Tensor, str]:
        return self.stack([self.crops(role, each, generator, scenes)[0] for each in pictures])
