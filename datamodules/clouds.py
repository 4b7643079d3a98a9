"""Thin clouds, and their shadows, over ground seen from above."""

from __future__ import annotations

from typing import ClassVar

from datamodules.derived import veil
from datamodules.mixing import Mixing, ScatteredClouds, ThinClouds
from datamodules.picture_task import PictureTask


class Clouds(PictureTask):
    """Ground under thin clouds, seen from above.

    Real sets: ``rice1`` and ``rice2``, whose clear images are their only truth. Trained on synthesis: thin, nearly even
    clouds, or for ``rice2`` scattered ones.

    Source: Cascaded GANs, Sec. 3.2 and 3.4; Lin et al. 2019 (RICE).
    """

    version: ClassVar[int] = 2
    layer_names = ("background", "cloud")
    target_names = ("background",)
    derive = staticmethod(veil)
    citation = "clouds of multi-octave noise"

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return ScatteredClouds() if source == "rice2" else ThinClouds()
