"""DMGN: the deep-masking generative network, which refines a coarse background by what it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.chance import uniform
from methods.losses.adversarial import adversarial_losses, gradient_penalty
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

VEILS = ("rain", "haze", "cloud")
"""Noise layers that the authors' models treat apart from reflections."""

PENALTY = 10.0
"""Weight of the penalty on the critic's slope, as Gulrajani et al. (NeurIPS 2017) have it."""


class Generated(NamedTuple):
    """What both phases give, images in [−1, 1] and (B, 3, H, W); None for what the options leave out.

    Attributes:
        coarse: B_coarse.
        noise: R.
        refined: B_refined.
        coarse_levels: VGG19's features of B_coarse, where the refinement has looked at them; else empty.
        noise_levels: of R, likewise.
    """

    coarse: Tensor
    noise: Tensor | None
    refined: Tensor | None
    coarse_levels: list[Tensor]
    noise_levels: list[Tensor]


class DMGN(TrainedMethod):
    """A coarse background and the noise layer, generated side by side; then a background refined by contrast.

    Images are taken to [−1, 1] inside. Both backgrounds are corrections of the mixture that are zero at the start.
    Table I's rows are options: *base* ``cell: plain, noise_branch: false``; *RDMC* ``noise_branch: false``; *R-RDMC*
    ``regularize_source: false``; *coarse* ``output: coarse``; *w/o L_adv* ``adversarial: 0``; *w/o L_p*
    ``perceptual: 0``; and DMGN itself. Without its noise branch it learns from pairs that have the background alone.

    Args:
        width: channels at full resolution.
        cell: ``masked`` (residual deep-masking cells) or ``plain``.
        noise_branch: whether the noise layer is generated, too; without it nothing regularises the refinement.
        regularize_mask: whether the noise regularises the refining cells' masks (Eq. 9 and 10); by default as the
            authors' three models do: not for rain, haze and clouds, nor where plain cells have no mask.
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

    Source: Feng et al., DMGN. From the authors' code, which has one model for reflections and another for rain and
        haze: the corrections; that no gradient passes through the hypercolumn's VGG19; and for rain and haze that Eq. 9
        and 10 are left out, the refined correction is not bounded, and R is no correction of the mixture. Ours: there
        the coarse background stays a correction, and R starts from black. Left out: the rescaling of A_r by its batch's
        mean and maximum, for which an image would depend on its batch.
    """

    card = MethodCard(
        title="DMGN", paper="Feng et al., Deep-Masking Generative Network", year=2021, supervision="paired",
        layers=(2,), channels=(3,), scales=(1,), ordered_only=True, residual=True,
        reconstructed=(
            "He's start for 3×3 convolutions, zero for the last of each generator; the critic of Eq. 14 has a penalty "
            "on its slope and no normalisation, where the text gives no stabiliser"
        ),
    )  # fmt: skip
    version: ClassVar[int] = 2
    multiple = 4
    smallest = 32

    def __init__(
        self,
        width: int = 64,
        cell: Cell = "masked",
        noise_branch: bool = True,
        regularize_mask: bool | None = None,
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
        if not noise_branch:
            self.card = replace(self.card, layers=())
        self.veil = spec is not None and spec["layers"][1:2] != [] and spec["layers"][1] in VEILS
        if regularize_mask is None:
            regularize_mask = cell == "masked" and not self.veil
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
        self.attend = AdaptedChannelAttention(width) if by_source else None
        self.distribution = NoiseDistribution(width) if by_mask else None
        self.refine = None
        if refined:
            sources = 3 * width if by_source else width
            self.refine = RefiningGenerator(sources, width, cell, not self.veil, checkpointing=checkpointing)
        self.critic = PatchDiscriminator(6, width, norm="none", bias=False) if self.weights[2] else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        coarse, noise, refined, *_ = self.generate(2 * mixture - 1)
        layers = [coarse if refined is None else refined, *([] if noise is None else [noise])]
        return (torch.stack(layers, 1) + 1) / 2

    def generate(self, mixture: Tensor) -> Generated:
        """Both phases.

        Args:
            mixture: I, (B, 3, H, W) in [−1, 1].
        """
        if mixture.device.type == "cpu":  # a quarter faster there, the same numbers; convolutions keep the order
            mixture = mixture.contiguous(memory_format=torch.channels_last)
        features = self._features(mixture, self._look(mixture))  # Eq. 1
        background, rest = self.separator(features)  # Eq. 2
        coarse = mixture + self.background(background)
        noise = None
        if self.noise is not None:
            noise = self.noise(rest) + (-1 if self.veil else mixture)
        if self.refine is None:
            return Generated(coarse, noise, None, [], [])
        coarse_levels, noise_levels, where = self._look(coarse), list[Tensor](), None
        parts = [self._features(coarse, coarse_levels)]
        if noise is not None and (self.distribution is not None or self.attend is not None):
            noise_levels = self._look(noise)
            seen = self._features(noise, noise_levels)
            if self.attend is not None:  # Eq. 6
                parts = [self.attend(background), -self.attend(seen), *parts]
            if self.distribution is not None:  # Eq. 9
                where = 1 - self.distribution(features, seen)
        refined = mixture + self.refine(torch.cat(parts, 1), where)  # Eq. 3
        return Generated(coarse, noise, refined, coarse_levels, noise_levels)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        count = 1 if self.noise is None else 2
        mixture, truth = 2 * batch.mixture - 1, 2 * batch.layers[:, :count] - 1
        found = self.generate(mixture)
        background, known = truth[:, 0], list[list[Tensor]]()
        if self.weights[1]:  # of both layers at once, and once for both phases
            by_layer = [level.chunk(count) for level in self._look(truth.transpose(0, 1).flatten(0, 1))]
            known = [[level[k] for level in by_layer] for k in range(count)]
        # Eq. 16: the coarse phase, with half of the weights.
        loss = 0.5 * self._likeness(found.coarse, found.coarse_levels, background, known[:1])
        if found.noise is not None:
            loss = loss + 0.5 * self._likeness(found.noise, found.noise_levels, truth[:, 1], known[1:])
        losses = {"generators": loss}
        if found.refined is not None:  # Eq. 15
            losses["generators"] = loss + self._likeness(found.refined, [], background, known[:1])
            if self.critic is not None:
                generator, critic = adversarial_losses(self.critic, found.refined, background, mixture)
                losses["generators"] = losses["generators"] + self.weights[2] * generator  # Eq. 13 and 14
                between = background.lerp(found.refined.detach(), uniform(background, batch.ids, "penalty"))
                pairs = torch.cat([between, mixture], 1)
                losses["critic"] = critic + PENALTY * gradient_penalty(self.critic, pairs, pairs, "one-centred")
        return self.minimise(losses)

    def _likeness(self, estimate: Tensor, seen: list[Tensor], truth: Tensor, known: Sequence[list[Tensor]]) -> Tensor:
        """α_L1·L1 (Eq. 11) + α_p·L_p (Eq. 12); ``known`` has the truth's features, or is empty without L_p."""
        l1, weight, _ = self.weights
        loss = l1 * (estimate - truth).abs().mean()
        for levels in known:
            loss = loss + weight * perceptual(seen or self._look(estimate), levels)
        return loss

    def _look(self, image: Tensor) -> list[Tensor]:
        """VGG19's features of an image in [−1, 1]; with a gradient, where the perceptual loss needs it."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.weights[1] > 0):
            levels: list[Tensor] = self.vgg((image + 1) / 2)
            return levels

    def _features(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """F: the head on an image and its VGG19 features, which pass no gradient on."""
        features: Tensor = self.head(image, [level.detach() for level in levels])
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
