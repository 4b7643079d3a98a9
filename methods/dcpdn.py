"""DCPDN: transmission and airlight by two networks, the model of scattering between them, and a refinement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.gradients import slope_loss
from methods.losses.perceptual import perceptual
from methods.networks.norms import Norm, normalisation
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.pix2pix import Pix2PixUNet
from methods.networks.pyramid_pooling import PyramidPooling
from methods.networks.scattering import scattering_of
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

SIDES = (32, 16, 8, 4)
"""Of the squares of both pyramids, in pixels of the picture."""

LEAST = 0.05
"""Smallest transmission that a picture is divided by."""


class Scattering(NamedTuple):
    """What DCPDN finds, all in units of [0, 1].

    Attributes:
        background: J, (B, 3, H, W).
        transmission: t, (B, 3, H, W), one for each colour.
        airlight: A, (B, 3, 1, 1).
    """

    background: Tensor
    transmission: Tensor
    airlight: Tensor


class DCPDN(TrainedMethod):
    """J = (I − A) / t + A with learnt t and A, and then a network that refines J; the haze is A·(1 − t).

    The truth of t and A is worked out from the data's background and haze. Only on data of scattering is it one.

    Args:
        width: channels of the first convolution of the dense network; a block's layers add half of it each.
        layers: dense layers of the encoder's three blocks.
        airlight: channels of the first convolution of the airlight's U-Net.
        depth: its convolutions on the way down; sides are padded to multiples of 2^depth.
        norm: ``group``, ``instance``, ``none``, or ``batch`` as the authors.
        residual: refine by a correction of J that is zero at the start.
        perceptual: weight of the loss on VGG's features of the transmission.
        adversarial: weight of the adversarial loss on transmission and background; 0 for no discriminator.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run, where the authors' falls linearly.
        weight_decay: of the weights.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a size that is impossible, or weights that cannot be had.

    Source: Zhang & Patel, Densely Connected Pyramid Dehazing Network, CVPR 2018, and the authors' code, which has the
        weights of the losses. They test in training mode, where batch normalisation uses the tested picture's own
        statistics; here groups of channels are normalised, in training and in testing. DenseNet's encoder starts at
        random, where theirs has ImageNet's weights. Ours: VGG19 for VGG16; no dropout in the airlight's U-Net; t is at
        least 0.05; decoupled decay, where theirs is added to the gradients; ``residual``.
    """

    card = MethodCard(
        title="DCPDN", paper="Zhang & Patel, Densely Connected Pyramid Dehazing Network, CVPR 2018", year=2018,
        supervision="paired", layers=(2,), channels=(3,), scales=(1,), ordered_only=True,
        reconstructed="all parts learn together from the start, where theirs first learn one after the other",
    )  # fmt: skip
    layer_names = ("background", "haze")
    smallest = 64
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        layers: Sequence[int] = (6, 12, 24),
        airlight: int = 8,
        depth: int = 8,
        norm: Norm = "group",
        residual: bool = False,
        perceptual: float = 0.8,
        adversarial: float = 0.35,
        features: str = "timm",
        lr: float = 2e-4,
        cosine: bool = True,
        weight_decay: float = 5e-5,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, weight_decay=weight_decay, **recipe)
        layers = list(layers)
        self.save_hyperparameters()
        if width < 4 or width % 4 or len(layers) != 3 or min(layers) < 1 or airlight < 1 or depth < 2:
            raise UserError(
                f"width {width}, layers {layers}, airlight {airlight}, depth {depth}: the width must be a multiple of "
                "4, layers three numbers above 0, airlight at least 1, and depth at least 2."
            )
        self.multiple = max(32, 2**depth)
        self.residual, self.perceptual, self.adversarial = residual, perceptual, adversarial
        self.transmit = DenseTransmission(width, layers, norm)
        self.light = Pix2PixUNet(3, 3, airlight, depth, norm, 0)
        self.refine = Refinement()
        if residual:
            nn.init.zeros_(self.refine.last.weight)
            nn.init.zeros_(self.refine.last.bias)  # type: ignore[arg-type]
        self.vgg = VGG19Features(features, 2, tap=2) if perceptual else None
        if self.vgg is not None:
            self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        self.critic = PatchDiscriminator(6, width, norm=norm) if adversarial else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        found = self.scatter(mixture)
        haze = found.airlight * (1 - found.transmission)
        return torch.stack([found.background, haze], 1)

    def scatter(self, mixture: Tensor) -> Scattering:
        """J, t and A.

        Args:
            mixture: I, (B, 3, H, W) in [0, 1], sides multiples of ``multiple``.
        """
        transmission = (self.transmit(mixture).float() + 1) / 2
        airlight = (self.light(mixture).float().mean((2, 3), keepdim=True) + 1) / 2
        cleared = (mixture - airlight) / transmission.clamp_min(LEAST) + airlight
        drawn = self.refine(torch.cat([cleared, mixture], 1)).float()
        background = cleared + drawn if self.residual else (drawn.tanh() + 1) / 2
        return Scattering(background, transmission, airlight)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, layers = self.pad(batch.mixture), self.pad(batch.layers)
        truth = layers[:, 0]
        passed, airlight = scattering_of(mixture, layers)
        passed = passed.expand_as(truth)
        found = self.scatter(mixture)
        loss = (found.background - truth).abs().mean() + (found.airlight - airlight).abs().mean()
        loss = loss + (found.transmission - passed).abs().mean() + 2 * slope_loss(found.transmission, passed)
        if self.vgg is not None:
            loss = loss + self.perceptual * perceptual(self.vgg(found.transmission), self.vgg(passed))
        losses = {"generators": loss}
        if self.critic is not None:  # the joint discriminator
            ours, theirs = (torch.cat(pair, 1) for pair in ((found.transmission, found.background), (passed, truth)))
            told, losses["discriminator"] = adversarial_losses(self.critic, ours, theirs, kind="cross-entropy")
            losses["generators"] = loss + self.adversarial * told
        return self.minimise(losses)


class DenseTransmission(nn.Module):
    """DenseNet-121's first three blocks, five blocks that grow again, and a pyramid.

    Args:
        width: channels of the first convolution; a dense layer adds half of it.
        layers: of the encoder's blocks.
        norm: before each activation.
    """

    def __init__(self, width: int, layers: Sequence[int], norm: Norm) -> None:
        super().__init__()
        growth = width // 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), *normalisation(norm, width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        down, widths = [], [width]
        for count in layers:
            inside = widths[-1] + count * growth
            dense = (DenseLayer(widths[-1] + i * growth, growth, norm) for i in range(count))
            down.append(nn.Sequential(*dense, transition(inside, inside // 2, norm), nn.AvgPool2d(2)))
            widths.append(inside // 2)
        self.down = nn.ModuleList(down)
        up, given = [], widths[-1]
        ends = (2 * width, 2 * width, width, width // 2, width // 4)
        for skip, after in zip((0, widths[2], widths[1], 0, 0), ends, strict=True):
            inputs = given + skip
            added = 2 * after
            up.append(nn.Sequential(DenseLayer(inputs, added, norm), transition(inputs + added, after, norm)))
            given = after
        self.up = nn.ModuleList(up)
        self.join = nn.Sequential(nn.Conv2d(given + 3, 20, 3, padding=1), nn.LeakyReLU(0.2))
        self.around = PyramidPooling(20, 1, SIDES)
        self.last = nn.Conv2d(20 + len(SIDES), 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W), sides multiples of 32 -> (B, 3, H, W) in [−1, 1]."""
        x = self.stem(image)
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        for i, block in enumerate(self.up):
            seen = torch.cat([x, skips[2 - i]], 1) if i in (1, 2) else x
            x = F.interpolate(block(seen), scale_factor=2.0, mode="nearest")
        found: Tensor = self.last(self.around(self.join(torch.cat([x, image], 1))))
        return found.tanh()


class DenseLayer(nn.Module):
    """What two convolutions make of the input, put beside it.

    Args:
        inputs: channels.
        added: channels.
        norm: before each activation.
    """

    def __init__(self, inputs: int, added: int, norm: Norm) -> None:
        super().__init__()
        inner = 4 * added
        self.body = nn.Sequential(
            *normalisation(norm, inputs), nn.ReLU(), nn.Conv2d(inputs, inner, 1, bias=False),
            *normalisation(norm, inner), nn.ReLU(), nn.Conv2d(inner, added, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, inputs + added, H, W)."""
        return torch.cat([x, self.body(x)], 1)


def transition(before: int, after: int, norm: Norm) -> nn.Sequential:
    """Fewer channels."""
    return nn.Sequential(*normalisation(norm, before), nn.ReLU(), nn.Conv2d(before, after, 1, bias=False))


class Refinement(nn.Module):
    """Two convolutions, a pyramid and a last convolution, on the cleared picture and the mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(6, 20, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(20, 20, 3, padding=1), nn.LeakyReLU(0.2)
        )
        self.around = PyramidPooling(20, 1, SIDES)
        self.last = nn.Conv2d(20 + len(SIDES), 3, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """(B, 6, H, W) -> (B, 3, H, W), unbounded."""
        found: Tensor = self.last(self.around(self.body(seen)))
        return found
