"""Thin clouds, and their shadows, over ground seen from above."""

from __future__ import annotations

from datamodules.derived import veil
from datamodules.mixing import Mixing, ThinClouds
from datamodules.picture_task import PictureTask


class Clouds(PictureTask):
    """Ground under thin clouds, seen from above.

    Real sets: ``rice1`` and ``rice2``, whose clear images are their only truth.

    Source: Cascaded GANs, Sec. 3.2 and 3.4; Lin et al. 2019 (RICE).
    """

    layer_names = ("background", "cloud")
    target_names = ("background",)
    derive = staticmethod(veil)
    citation = "clouds of multi-octave noise"

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return ThinClouds()
