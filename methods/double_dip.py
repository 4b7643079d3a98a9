"""DoubleDIP: two coupled deep image priors and the exclusion loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from datamodules.types import LayerSpec
from methods.base import MethodCard
from methods.bits_net import BITSNet


class DoubleDIP(BITSNet):
    """BITS-Net without its regulariser and its feature loss, at a smaller learning rate.

    At that learning rate it needs its 8,000 iterations: with fewer it is no fair rival of BITS-Net.

    Args:
        iterations: gradient steps for each image.
        lr: learning rate of Adam.
        exclusion: weight of the exclusion loss between the layers.
        stop_psnr: an image is finished early, once its remix reaches so many dB; default never.
        images_at_once: how many images are optimised together.
        widths: of the networks' levels.
        skips: of the networks' levels.
        spec: of the data.

    Raises:
        UserError: a number that is too small, or a mixture that is not finite.

    Source: Gandelsman, Shocher & Irani, CVPR 2019, with the settings of the authors' code for one mixed image.
    """

    version: ClassVar[int] = 2
    card = MethodCard(
        title="DoubleDIP", paper="Gandelsman et al., CVPR 2019", year=2019, supervision="single-image",
        layers=(2,), scales=(1,),
    )  # fmt: skip

    def __init__(
        self,
        iterations: int = 8000,
        lr: float = 5e-4,
        exclusion: float = 0.01,
        stop_psnr: float | None = None,
        images_at_once: int = 8,
        widths: Sequence[int] = (8, 16, 32, 64, 128),
        skips: Sequence[int] = (0, 0, 0, 4, 4),
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__(
            iterations=iterations,
            lr=lr,
            exclusion=exclusion,
            deep_feature_loss=False,
            natural_prior=False,
            stop_psnr=stop_psnr,
            images_at_once=images_at_once,
            widths=widths,
            skips=skips,
            spec=spec,
        )
