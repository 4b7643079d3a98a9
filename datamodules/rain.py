"""Rain streaks in front of a scene."""

from __future__ import annotations

from typing import ClassVar

from datamodules.derived import remainder
from datamodules.mixing import HeavyRain, LightRain, Mixing
from datamodules.picture_task import PictureTask


class Rain(PictureTask):
    """A scene and the rain streaks before it.

    Real sets: ``rain100l`` (light rain) and ``rain100h`` (heavy). Trained on synthesis: light streaks, or for
    ``rain100h`` heavy ones. Scores are of luma, as in the deraining literature.

    Source: DMGN, Sec. IV.C, after Yang et al., CVPR 2017.
    """

    version: ClassVar[int] = 2
    layer_names = ("background", "rain")
    target_names = ("background",)
    derive = staticmethod(remainder)
    protocol = "y"
    citation = "streaks after Yang et al., CVPR 2017"

    @staticmethod
    def default_mixing(source: str) -> Mixing:
        return HeavyRain() if source == "rain100h" else LightRain()
