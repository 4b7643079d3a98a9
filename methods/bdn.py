"""BDN: background, reflection and background again, each estimated with the help of the one before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.networks.norms import Norm
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.pix2pix import Pix2PixUNet
from methods.recipe import TrainedMethod

SHALLOWER = 2
"""Levels that the second and the third network have less than the first."""


class BDN(TrainedMethod):
    """A cascade of three U-Nets: I → B₀; B₀ and I → R; R and I → B.

    Args:
        width: channels of the first convolution of all networks.
        depth: convolutions of the first network on its way down; sides are padded to multiples of 2^depth.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        residual: draw both backgrounds as corrections of the mixture that are zero at the start.
        pixel: weight of the mean squared error of each network's picture.
        adversarial: weight of the adversarial loss of the last background; 0 for no discriminator.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width or depth that is impossible.

    Source: Yang et al., Seeing Deeply and Bidirectionally, ECCV 2018; the networks as in the authors' code, which has
        no training. Reconstructed, beside what the card names: all networks train together from the start, and the
        discriminator sees the mixture beside the last background. ``residual`` is ours, for small budgets.
    """

    card = MethodCard(
        title="BDN", paper="Yang et al., Seeing Deeply and Bidirectionally, ECCV 2018", year=2018,
        supervision="paired", layers=(2,), scales=(1,), ordered_only=True,
        reconstructed="the weights of the losses and Adam's rate, both after pix2pix",
    )  # fmt: skip
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        depth: int = 7,
        norm: Norm = "batch",
        residual: bool = False,
        pixel: float = 100.0,
        adversarial: float = 1.0,
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or depth <= SHALLOWER:
            raise UserError(
                f"width {width}, depth {depth}: the width must be at least 1, and the depth more than {SHALLOWER}, "
                "as two of the networks have so many levels less."
            )
        channels = spec["channels"] if spec else 3
        self.multiple, self.pixel, self.adversarial = 2**depth, pixel, adversarial
        self.first = Pix2PixUNet(channels, channels, width, depth, norm, 0, residual=residual)
        self.reflect = Pix2PixUNet(2 * channels, channels, width, depth - SHALLOWER, norm, 0)
        self.again = Pix2PixUNet(2 * channels, channels, width, depth - SHALLOWER, norm, 0, residual=residual)
        self.critic = PatchDiscriminator(2 * channels, width, norm=norm) if adversarial else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        _, reflection, background = self.cascade(2 * mixture - 1)
        return (torch.stack([background, reflection], 1) + 1) / 2

    def cascade(self, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """B₀, R and B.

        Args:
            mixture: I, (B, C, H, W) in [−1, 1].

        Returns:
            Three of (B, C, H, W) in [−1, 1].
        """
        coarse = self.first(mixture)
        reflection = self.reflect(torch.cat([mixture, coarse], 1))
        return coarse, reflection, self.again(torch.cat([mixture, reflection], 1))

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, layers = (2 * self.pad(images) - 1 for images in (batch.mixture, batch.layers))
        truth, other = layers.unbind(1)
        coarse, reflection, background = (picture.float() for picture in self.cascade(mixture))
        pairs = ((coarse, truth), (reflection, other), (background, truth))
        loss = self.pixel * torch.stack([(found - true).square().mean() for found, true in pairs]).sum()
        losses = {"generators": loss}
        if self.critic is not None:
            told, losses["discriminator"] = adversarial_losses(self.critic, background, truth, mixture, "cross-entropy")
            losses["generators"] = loss + self.adversarial * told
        return self.minimise(losses)
