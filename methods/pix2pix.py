"""Pix2Pix: an image drawn from the mixture by a conditional GAN, without attention and without synthesis."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec
from methods.base import MethodCard
from methods.networks.norms import Norm
from methods.networks.pix2pix import Pix2PixGAN
from methods.recipe import TrainedMethod


class Pix2Pix(TrainedMethod):
    """A U-Net that draws the first layer, taught by L1 and by a discriminator that sees mixture and layer.

    The baseline for what attention (``CascadeGAN`` with ``synthesis: given``) and learnt synthesis add.

    Args:
        width: channels of the first convolution of both networks.
        depth: convolutions of the U-Net on its way down; sides are padded to multiples of 2^depth.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout: in the three innermost decoders, in training only.
        l1: weight λ of the L1 loss.
        residual: draw a correction of the mixture that is zero at the start, in place of the layer itself.
        lr: learning rate of Adam, for both networks.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Source: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017. Both networks
        step at once, where the paper alternates; dropout is off when testing, where the paper leaves it on.
        ``residual`` is ours, for small budgets: the paper's generator has to learn to copy first.
    """

    card = MethodCard(
        title="pix2pix", paper="Isola et al., Image-to-Image Translation with Conditional Adversarial Networks",
        year=2017, supervision="paired", scales=(1,), ordered_only=True,
    )  # fmt: skip
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        l1: float = 100.0,
        residual: bool = False,
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        channels = spec["channels"] if spec else 3
        self.multiple, self.l1 = 2**depth, l1
        self.gan = Pix2PixGAN(channels, channels, width, depth, norm, dropout, residual=residual)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        layer: Tensor = self.gan(2 * mixture - 1)
        return (layer.unsqueeze(1) + 1) / 2

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, truth = (2 * self.pad(images) - 1 for images in (batch.mixture, batch.layers[:, 0]))
        estimate = self.gan(mixture)
        generator, discriminator = self.gan.losses(mixture, estimate, truth)
        l1 = (estimate - truth).abs().mean()
        return self.minimise({"generator": generator + self.l1 * l1, "discriminator": discriminator})
