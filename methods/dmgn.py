"""DMGN: the deep-masking generative network, which refines a coarse background by what it is not."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.perceptual import perceptual
from methods.networks.deep_masking import (
    AdaptedChannelAttention,
    AttentionMask,
    Cell,
    CoarseGenerator,
    RefiningGenerator,
    convolution,
)
from methods.networks.hypercolumn import Hypercolumn
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod


class DMGN(TrainedMethod):
    """A coarse background and the noise layer, generated side by side; then a background refined by contrast.

    Images are taken to [−1, 1] inside. Table I's rows are options: *base* ``cell: plain, noise_branch: false``;
    *RDMC* ``noise_branch: false``; *R-RDMC* ``regularize_source: false``; *coarse* ``output: coarse``; *w/o L_adv*
    ``adversarial: 0``; *w/o L_p* ``perceptual: 0``; and DMGN itself.

    Args:
        width: channels at full resolution.
        cell: ``masked`` (residual deep-masking cells) or ``plain``.
        noise_branch: whether the noise layer is generated, too; without it nothing regularises the refinement.
        regularize_mask: whether the noise regularises the refining cells' masks (Eq. 9 and 10).
        regularize_source: whether noise and separated background are source information of the refinement (Eq. 6).
        output: ``refined``, or ``coarse`` for the first phase alone.
        l1: weight of the L1 loss in the refining phase; the coarse phase has half of each weight.
        perceptual: weight of the perceptual loss, likewise.
        adversarial: weight of the adversarial loss, of the refining phase only.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        levels: of its features in the hypercolumn and the perceptual loss, from the finest on; fewer are cheaper.
        checkpointing: compute cells anew in the backward pass; less memory, a third more time.
        lr: learning rate of Adam, for generators and discriminator.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: options that contradict each other, or weights that cannot be had.

    Source: Feng et al., DMGN. Details from the authors' code. Reconstructed: the critic of Eq. 14 is made Lipschitz
        by spectral normalisation, where the text gives no stabiliser.
    """

    card = MethodCard(
        title="DMGN", paper="Feng et al., Deep-Masking Generative Network", year=2021, supervision="paired",
        layers=(2,), channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    multiple = 4
    smallest = 32

    def __init__(
        self,
        width: int = 64,
        cell: Cell = "masked",
        noise_branch: bool = True,
        regularize_mask: bool = True,
        regularize_source: bool = True,
        output: Literal["refined", "coarse"] = "refined",
        l1: float = 1.0,
        perceptual: float = 0.1,
        adversarial: float = 0.01,
        features: str = "timm",
        levels: int = 5,
        checkpointing: bool = False,
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or (regularize_mask and cell == "plain" and noise_branch):
            raise UserError(
                f"width {width}, cell {cell}: the width must be at least 1; plain cells have no mask to regularise "
                "(regularize_mask: false)."
            )
        self.noise_branch, self.output = noise_branch, output
        self.weights = (l1, perceptual, adversarial if output == "refined" else 0.0)
        self.vgg = VGG19Features(features, levels)
        # Frozen and the same everywhere: DDP need not send them before each step.
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        self.head = Hypercolumn(self.vgg.channels, width)
        self.separator = Separator(width)
        self.background = CoarseGenerator(width, cell, checkpointing)
        self.noise = CoarseGenerator(width, cell, checkpointing) if noise_branch else None
        refined = output == "refined"
        by_source, by_mask = (refined and noise_branch and given for given in (regularize_source, regularize_mask))
        self.attend_background = AdaptedChannelAttention(width) if by_source else None
        self.attend_noise = AdaptedChannelAttention(width) if by_source else None
        self.distribution = NoiseDistribution(width) if by_mask else None
        sources = 3 * width if by_source else width
        self.refine = RefiningGenerator(sources, width, cell, checkpointing=checkpointing) if refined else None
        self.critic = PatchDiscriminator(6, width, spectral=True) if self.weights[2] else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        coarse, noise, refined = self.generate(2 * mixture - 1)
        layers = [coarse if refined is None else refined, *([] if noise is None else [noise])]
        return (torch.stack(layers, 1) + 1) / 2

    def generate(self, mixture: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Both phases.

        Args:
            mixture: I, (B, 3, H, W) in [−1, 1].

        Returns:
            B_coarse, R and B_refined, each like I; None for what the options leave out.
        """
        if mixture.device.type == "cpu":  # a quarter faster there, the same numbers; convolutions keep the order
            mixture = mixture.contiguous(memory_format=torch.channels_last)
        features = self._features(mixture)  # Eq. 1
        background, rest = self.separator(features)  # Eq. 2
        coarse = self.background(background) + mixture
        noise = self.noise(rest) + mixture if self.noise is not None else None
        if self.refine is None:
            return coarse, noise, None
        parts, where = [self._features(coarse)], None
        if noise is not None and (self.distribution is not None or self.attend_noise is not None):
            seen = self._features(noise)
            if self.attend_background is not None and self.attend_noise is not None:  # Eq. 6
                parts = [self.attend_background(background), -self.attend_noise(seen), *parts]
            if self.distribution is not None:  # Eq. 9
                where = 1 - self.distribution(features, seen)
        return coarse, noise, self.refine(torch.cat(parts, 1), where)  # Eq. 3

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, truth = (2 * image - 1 for image in (batch.mixture, batch.layers))
        coarse, noise, refined = self.generate(mixture)
        background = truth[:, 0]
        # Eq. 16: the coarse phase, with half of the weights.
        loss = 0.5 * self._likeness(coarse, background)
        if noise is not None:
            loss = loss + 0.5 * self._likeness(noise, truth[:, 1])
        losses = {"generators": loss}
        if refined is not None:  # Eq. 15
            losses["generators"] = loss + self._likeness(refined, background)
            if self.critic is not None:
                generator, losses["critic"] = adversarial_losses(self.critic, refined, background, mixture)
                losses["generators"] = losses["generators"] + self.weights[2] * generator  # Eq. 13 and 14
        return self.minimise(losses)

    def _likeness(self, estimate: Tensor, truth: Tensor) -> Tensor:
        """α_L1·L1 (Eq. 11) + α_p·L_p (Eq. 12)."""
        l1, weight, _ = self.weights
        loss = l1 * (estimate - truth).abs().mean()
        if weight:
            loss = loss + weight * perceptual(self.vgg, (estimate + 1) / 2, (truth + 1) / 2)
        return loss

    def _features(self, image: Tensor) -> Tensor:
        """F: hypercolumn of the image and its VGG features, then two convolutions."""
        levels = self.vgg((image + 1) / 2)
        features: Tensor = self.head(image, levels)
        return features


class Separator(nn.Module):
    """S: how much of each pixel is background (Eq. 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = _attention(width, width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """F (B, width, H, W) -> F_b, F_r, whose sum it is."""
        background = features * self.attention(features)
        return background, features - background


class NoiseDistribution(nn.Module):
    """A_r: where the noise is (Eq. 9)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = _attention(2 * width, width)

    def forward(self, mixture: Tensor, noise: Tensor) -> Tensor:
        """F(I) and F(R) -> (B, 1, H, W) in (0, 1)."""
        where: Tensor = self.attention(torch.cat([mixture, noise], 1))
        return where


def _attention(inputs: int, width: int) -> nn.Sequential:
    relu = nn.ReLU(inplace=True)
    return nn.Sequential(convolution(inputs, width), relu, convolution(width, width), relu, AttentionMask(width))
