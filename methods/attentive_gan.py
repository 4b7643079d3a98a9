"""AttentiveGAN: a generator that first learns where an image is disturbed, and a critic that is told the same."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import CollapseGuard
from methods.losses.perceptual import perceptual
from methods.networks.attentive import AttentiveDiscriminator, AttentiveNetwork, ContextualAutoencoder
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

FADING = 0.8
"""Of the attention loss, from each step to the one before."""

SCALES = (0.6, 0.8, 1.0)
"""Weights of the images of a quarter, half and all of the sides."""


class AttentiveGAN(TrainedMethod):
    """Attention in four steps, an auto-encoder that is shown its last map, and an attentive discriminator.

    The method was made for raindrops on glass. Of streaks, the map is the rain mask: where the mixture differs from its
    background.

    It predicts the background alone, of any ordered layers.

    Args:
        width: channels of auto-encoder and discriminator at full resolution; attention has half of them.
        steps: of attention.
        blocks: residual blocks in each step.
        grid: of the discriminator, in sixteenths of the image's sides; the authors' 14 is of 224×224 pixels.
        threshold: by how much a pixel must differ, on average over its channels, to be disturbed.
        residual: the auto-encoder draws a correction of the mixture that is zero at the start.
        perceptual: weight of the perceptual loss.
        adversarial: weight of the adversarial loss; 0 for no discriminator.
        where: weight of the loss of the discriminator's map.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible, or weights that cannot be had.

    Source: Qian et al., Attentive Generative Adversarial Network for Raindrop Removal from a Single Image, CVPR 2018,
        Eq. 4 to 9, and the authors' code, which has the networks alone. Generator and discriminator step at once. Ours:
        ``residual``, for small budgets.
    """

    card = MethodCard(
        title="AttentiveGAN", paper="Qian et al., Attentive Generative Adversarial Network, CVPR 2018", year=2018,
        supervision="paired", channels=(3,), scales=(1,), ordered_only=True,
        reconstructed=(
            "learning rate and Adam, after pix2pix; a non-saturating loss of the generator; the first two levels of "
            "VGG19 for the perceptual loss, as mean absolute differences"
        ),
    )  # fmt: skip
    layer_names = ("background",)
    multiple = 4
    smallest = 16
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        steps: int = 4,
        blocks: int = 5,
        grid: int = 14,
        threshold: float = 30 / 255,
        residual: bool = False,
        perceptual: float = 1.0,
        adversarial: float = 0.01,
        where: float = 0.05,
        features: str = "timm",
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 2 or min(steps, blocks, grid) < 1 or min(threshold, perceptual, adversarial, where) < 0:
            raise UserError(
                f"width {width}, steps {steps}, blocks {blocks}, grid {grid}, threshold {threshold:g}: the width must "
                "be at least 2, steps, blocks and grid at least 1, and neither the threshold nor a weight negative."
            )
        self.threshold, self.residual, self.weights = threshold, residual, (perceptual, adversarial, where)
        self.attention = AttentiveNetwork(3, width // 2, steps, blocks)
        self.autoencoder = ContextualAutoencoder(4, 3, width)
        if residual:
            nn.init.zeros_(self.autoencoder.last[2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.autoencoder.last[2].bias)  # type: ignore[arg-type]
        self.discriminator = AttentiveDiscriminator(3, width, grid) if adversarial else None
        self.vgg = VGG19Features(features, 2) if perceptual else None
        # Frozen and the same everywhere: DDP need not send them before each step.
        named = [] if self.vgg is None else self.vgg.named_buffers()
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in named]
        self.guard = CollapseGuard(fatal=False)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.generate(mixture)[1][-1].unsqueeze(1)

    def generate(self, mixture: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, H, W), sides multiples of 4 -> the map of each step, and backgrounds of a quarter, half, all sides."""
        maps = self.attention(mixture)
        images = self.autoencoder(torch.cat([mixture, maps[-1]], 1))
        return maps, [*images[:-1], images[-1] + mixture] if self.residual else images

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, clear = self.pad(batch.mixture), self.pad(batch.layers[:, 0])
        disturbed = ((mixture - clear).abs().mean(1, keepdim=True) > self.threshold).float()
        maps, images = self.generate(mixture)
        drawn, loss = images[-1], torch.zeros((), device=mixture.device)
        for step, found in enumerate(reversed(maps)):  # Eq. 4
            loss = loss + FADING**step * (found - disturbed).square().mean()
        for weight, image in zip(SCALES, images, strict=True):  # Eq. 5
            small = F.avg_pool2d(clear, clear.shape[-1] // image.shape[-1])
            loss = loss + weight * (image - small).square().mean()
        likeness, adversarial, where = self.weights
        if self.vgg is not None:  # Eq. 6
            with torch.no_grad():
                known = self.vgg(clear)
            loss = loss + likeness * perceptual(self.vgg(drawn), known)
        losses = {"generator": loss}
        if self.discriminator is not None:
            fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
            judged, _ = functional_call(self.discriminator, fixed, (drawn,))
            losses["generator"] = loss + adversarial * F.softplus(-judged.float()).mean()  # Eq. 7
            (on_drawn, seen), (on_clear, nothing) = self.discriminator(drawn.detach()), self.discriminator(clear)
            told = F.softplus(on_drawn.float()).mean() + F.softplus(-on_clear.float()).mean()  # Eq. 8
            shown = (seen - maps[-1].detach()).square().mean() + nothing.square().mean()  # Eq. 9
            losses["discriminator"] = told + where * shown
            self.guard.watch(batch_idx, {"discriminator": told / 2})
        return self.minimise(losses)
