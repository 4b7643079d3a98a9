"""RmNet: one network learns how reflections look, so that another has pairs to learn removal from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.gradients import slope_loss
from methods.losses.replay import ReplayBuffer
from methods.networks.norms import Norm, normalisation
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.recipe import TrainedMethod


class RmNet(TrainedMethod):
    """Mixtures are W·R + (1 − W)·T, with a weight W for each pixel and channel; removal finds T, R and W.

    With ``synthesis: learnt`` a network draws W for a transmission and a reflection that were never seen together, and
    a discriminator compares what it mixes with real mixtures (``pairing: unpaired``); removal learns from those
    mixtures alone. With ``synthesis: given`` it learns from the data's own pairs, whose W nobody knows: then W is only
    asked to explain the mixture.

    Synthesis begins with weights of about one half, which no glass has. Until its discriminator has taught it better,
    removal takes too much off real mixtures: at a quarter of the width, it was 1.7 dB below the mixture itself after
    3,600 images.

    Args:
        synthesis: ``learnt`` or ``given``.
        width: channels of the first convolution of all networks.
        depth: convolutions of the encoder; sides are padded to multiples of 2^depth.
        blocks: residual blocks of the synthesis network.
        norm: ``instance`` (authors), ``group``, ``batch`` or ``none``.
        residual: draw the transmission as a correction of the mixture that is zero at the start.
        smoothness: weight of W's likeness to its neighbours, in synthesis.
        pool: mixtures that the discriminator remembers.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run, where the authors' falls in its second half.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a size that is impossible.

    Source: Wen et al., Single Image Reflection Removal Beyond Linearity, CVPR 2019, and the authors' code, which has
        the weights of the losses and, by default, nine residual blocks. ``synthesis: given`` and ``residual`` are ours.
    """

    card = MethodCard(
        title="RmNet", paper="Wen et al., Reflection Removal Beyond Linearity, CVPR 2019", year=2019,
        supervision="unpaired", layers=(2,), scales=(1,), ordered_only=True,
        reconstructed=(
            "both networks learn side by side, where the authors train synthesis first; removal's losses do not reach "
            "synthesis; the data's mixtures are the real photographs"
        ),
    )  # fmt: skip
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        synthesis: Literal["learnt", "given"] = "learnt",
        width: int = 64,
        depth: int = 6,
        blocks: int = 9,
        norm: Norm = "instance",
        residual: bool = False,
        smoothness: float = 10.0,
        pool: int = 50,
        lr: float = 2e-4,
        cosine: bool = True,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or depth < 2 or min(blocks, pool) < 0:
            raise UserError(
                f"width {width}, depth {depth}, blocks {blocks}, pool {pool}: the width must be at least 1, the depth "
                "at least 2, and the others not negative."
            )
        channels = spec["channels"] if spec else 3
        self.multiple, self.residual, self.smoothness = 2**depth, residual, smoothness
        self.removal = RemovalNetwork(channels, width, depth, norm)
        if residual:
            self.removal.start_at_zero()
        self.synthesis = None
        if synthesis == "learnt":
            self.synthesis = SynthesisNetwork(channels, width, blocks, norm)
            self.critic = PatchDiscriminator(channels, width, norm=norm)
            self.pool = ReplayBuffer(pool)
        else:
            self.card = replace(self.card, title="RmNet, removal", supervision="paired")

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        transmission, reflection, _ = self.remove(2 * mixture - 1)
        return (torch.stack([transmission, reflection], 1) + 1) / 2

    def remove(self, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """T and R in [−1, 1] and W in (0, 1).

        Args:
            mixture: I, (B, C, H, W) in [−1, 1].
        """
        transmission, reflection, weight = self.removal(mixture)
        transmission = mixture + transmission if self.residual else transmission.tanh()
        return transmission, reflection.tanh(), weight.sigmoid()

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, layers = (2 * self.pad(images) - 1 for images in (batch.mixture, batch.layers))
        (transmission, reflection), losses, known = layers.unbind(1), {}, None
        if self.synthesis is not None:
            drawn = self.synthesis(layers.flatten(1, 2)).float()
            made = drawn * reflection + (1 - drawn) * transmission
            replayed = self.pool(made)
            told, losses["discriminator"] = adversarial_losses(
                self.critic, made, mixture, kind="least-squares", replayed=replayed
            )
            losses["synthesis"] = told + self.smoothness * roughness(drawn)
            mixture, known = made.detach(), drawn.detach()
        found, other, weight = (one.float() for one in self.remove(mixture))
        explained = found * (1 - weight) + other * weight
        loss = 100 * (found - transmission).abs().mean() + 50 * (other - reflection).abs().mean()
        loss = loss + 50 * slope_loss(found, transmission) + 50 * (explained - mixture).abs().mean()
        losses["removal"] = loss if known is None else loss + 100 * (weight - known).abs().mean()
        return self.minimise(losses)


def roughness(weight: Tensor) -> Tensor:
    """Mean squared difference of each pixel from its neighbours, which stay as they are; summed over both axes.

    Args:
        weight: W, (B, C, H, W).
    """
    fixed = weight.detach()
    return torch.stack(
        [
            (weight.narrow(axis, a, weight.shape[axis] - 1) - fixed.narrow(axis, 1 - a, weight.shape[axis] - 1))
            .square()
            .mean()
            for axis in (-2, -1)
            for a in (0, 1)
        ]
    ).sum()


class RemovalNetwork(nn.Module):
    """One encoder and three decoders, each with skips from it: transmission, reflection and weight, before activation.

    Args:
        channels: of the picture, and of each result.
        width: of the first convolution; widths double three times.
        depth: convolutions of stride 2.
        norm: not after the first and the innermost convolution.
    """

    def __init__(self, channels: int, width: int, depth: int, norm: Norm) -> None:
        super().__init__()
        widths = [width * 2 ** min(i, 3) for i in range(depth)]

        def encode() -> Iterator[nn.Module]:
            yield nn.Conv2d(channels, width, 4, 2, 1)
            for i, (before, after) in enumerate(pairwise(widths)):
                normed = normalisation(norm, after) if i < depth - 2 else []
                yield nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, 2, 1), *normed)

        def decode() -> Iterator[nn.Module]:
            for i in reversed(range(depth)):
                given, after = widths[i] * (1 if i == depth - 1 else 2), widths[i - 1] if i else channels
                normed = normalisation(norm, after) if i else []
                yield nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(given, after, 4, 2, 1), *normed)

        self.encoder = nn.ModuleList(encode())
        self.decoders = nn.ModuleList(nn.ModuleList(decode()) for _ in range(3))

    def start_at_zero(self) -> None:
        """The transmission's decoder gives 0 until it has learnt."""
        last: Any = self.decoders[0]
        for parameter in last[-1][1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> three of the same, unbounded."""
        skips = []
        for layer in self.encoder:
            image = layer(image)
            skips.append(image)
        found = []
        for decoder in self.decoders:
            first, *rest = list(decoder.children())
            x: Tensor = first(skips[-1])
            for layer, skip in zip(rest, reversed(skips[:-1]), strict=True):
                x = layer(torch.cat([x, skip], 1))
            found.append(x)
        return found


class SynthesisNetwork(nn.Sequential):
    """A transmission and a reflection -> the weight W of the reflection, in (0, 1).

    Args:
        channels: of each of the two pictures.
        width: of the first convolution.
        blocks: residual blocks at a quarter of the size.
        norm: after each convolution but the last.
    """

    def __init__(self, channels: int, width: int, blocks: int, norm: Norm) -> None:
        def normed(layer: nn.Module, after: int) -> nn.Sequential:
            return nn.Sequential(layer, *normalisation(norm, after), nn.ReLU())

        double, deep = 2 * width, 4 * width
        super().__init__(
            normed(nn.Conv2d(2 * channels, width, 7, padding=3, padding_mode="reflect"), width),
            normed(nn.Conv2d(width, double, 3, 2, 1), double),
            normed(nn.Conv2d(double, deep, 3, 2, 1), deep),
            *(_Residual(deep, norm) for _ in range(blocks)),
            normed(nn.ConvTranspose2d(deep, double, 3, 2, 1, 1), double),
            normed(nn.ConvTranspose2d(double, width, 3, 2, 1, 1), width),
            nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"),
            nn.Sigmoid(),
        )


class _Residual(nn.Module):
    """x + two normalised 3×3 convolutions."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.body = nn.Sequential(
            first, *normalisation(norm, channels), nn.ReLU(), second, *normalisation(norm, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        result: Tensor = x + self.body(x)
        return result
