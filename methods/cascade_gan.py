"""CascadeGAN: one GAN learns to mix as the world does, a second one to undo what the first has mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import CollapseGuard
from methods.networks.norms import Norm
from methods.networks.pix2pix import ATTENTION_AFTER, Pix2PixGAN
from methods.recipe import TrainedMethod


class CascadeGAN(TrainedMethod):
    """UGAN mixes clear images with interference so that they look like real mixtures; PAGAN separates its mixtures.

    No mixture has its clear image in training: mixtures, clear images and interference are of different scenes
    (``pairing: unpaired``). PAGAN alone separates. With ``synthesis: given`` there is no UGAN, and PAGAN learns
    from the data's own pairs (``pairing: paired``), as in the paper's experiment with 7 : 3 mixtures. Of a pair PAGAN
    needs the first layer alone, so the data may have any number of them; UGAN joins the first to the second.

    At a quarter of the width and a few thousand images, scores are those of a generator that has not yet learnt to
    copy: trained to give its input back, it reached 25.2 dB and an SSIM of 0.832. Up to there a row tells of its
    budget, not of what UGAN teaches.

    Args:
        synthesis: ``ugan`` or ``given``.
        width: channels of the first convolution of all networks.
        depth: convolutions of the U-Nets on their way down; sides are padded to multiples of 2^depth.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        dropout: in the U-Nets' three innermost decoders, in training only.
        l1: weight λ of PAGAN's L1 loss.
        residual: PAGAN draws a correction of the mixture that is zero at the start, in place of the layer itself.
        content: weight of UGAN's L1 loss, between its mixture and the clear image.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a depth that leaves no fourth convolution for attention to follow.

    Source: Jia et al., Sec. 2; Fig. 1 to 3. Eq. 4 is misprinted there: it maximises over G, which it minimises over; it
        is Eq. 2 that is meant, with λ·L1. UGAN's discriminator sees mixtures alone, as a real mixture has no known
        clear image. Nor has UGAN's output a ground truth to be near to: its L1 loss is taken to the clear image, so
        that it keeps the scene. PAGAN's losses do not reach UGAN, which would learn to make its task easy. The layer
        that joins the clear image is the data's second one. All networks step at once, where GANs usually alternate.
        ``residual`` is ours, for small budgets.
    """

    card = MethodCard(
        title="UGAN + PAGAN", paper="Jia et al., Blind Image Separation Method Based on Cascade GANs", year=2021,
        supervision="unpaired", layers=(2,), scales=(1,), ordered_only=True,
        reconstructed="all sizes, λ = 100 and Adam, after pix2pix, which the text follows",
    )  # fmt: skip
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        synthesis: Literal["ugan", "given"] = "ugan",
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        l1: float = 100.0,
        content: float = 1.0,
        residual: bool = False,
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if depth < ATTENTION_AFTER:
            raise UserError(f"depth {depth}: self-attention follows convolution {ATTENTION_AFTER}; use more.")
        channels = spec["channels"] if spec else 3
        self.multiple, self.l1, self.content = 2**depth, l1, content
        self.pagan = Pix2PixGAN(channels, channels, width, depth, norm, dropout, attention=True, residual=residual)
        self.ugan = None
        if synthesis == "ugan":
            self.ugan = Pix2PixGAN(2 * channels, channels, width, depth, norm, dropout, conditional=False)
        else:
            self.card = replace(self.card, title="PAGAN", supervision="paired", layers=())
        self.guard = CollapseGuard()
        self.seen: list[Tensor] = []

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        background: Tensor = self.pagan(2 * mixture - 1)
        return (background.unsqueeze(1) + 1) / 2

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        needed = batch.layers[:, : 1 if self.ugan is None else 2]
        mixture, layers = (2 * self.pad(images) - 1 for images in (batch.mixture, needed))
        clear, losses = layers[:, 0], {}
        if self.ugan is not None:
            joined = layers.flatten(1, 2)
            synthesised = self.ugan(joined)
            generator, discriminator = self.ugan.losses(joined, synthesised, mixture)
            content = (synthesised - clear).abs().mean()  # Eq. 3
            losses["UGAN generator"] = generator + self.content * content
            losses["UGAN discriminator"] = discriminator
            self.seen = [mixture.detach()[:8], synthesised.detach()[:8]]
            mixture = synthesised.detach()
        estimate = self.pagan(mixture)
        generator, discriminator = self.pagan.losses(mixture, estimate, clear)
        losses["PAGAN generator"] = generator + self.l1 * (estimate - clear).abs().mean()  # Eq. 4
        losses["PAGAN discriminator"] = discriminator
        self.guard.watch(batch_idx, {name: loss for name, loss in losses.items() if "discriminator" in name})
        return self.minimise(losses)

    def on_validation_epoch_end(self) -> None:
        """Show real mixtures in the first row and UGAN's in the second, each time the select role is consulted."""
        if self.seen:
            self.log_sheet("mixtures", torch.stack(self.seen) / 2 + 0.5)
