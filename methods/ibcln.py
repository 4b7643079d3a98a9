"""IBCLN: two recurrent networks boost each other's estimate of transmission and reflection, three times over."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.perceptual import BALANCED, perceptual
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

BLACK = 0.1
"""The reflection to begin with."""

SCALES = ((1, 1.0), (2, 0.8), (4, 0.6))
"""By what the estimates of the perceptual loss are reduced, and their weights."""

State = tuple[Tensor, Tensor] | None


class Estimate(NamedTuple):
    """What one network gives.

    Attributes:
        image: (B, 3, H, W), not negative.
        sides: (B, 3, H / 2, W / 2) and (B, 3, H / 4, W / 4), if it has side outputs.
        state: of its LSTM.
    """

    image: Tensor
    sides: list[Tensor]
    state: tuple[Tensor, Tensor]


class IBCLN(TrainedMethod):
    """Transmission and reflection in turn, each from the mixture and the newest estimates, with memory.

    It needs the background alone, so the data may have any number of layers.

    Args:
        width: channels of the first convolution of both networks and of the discriminator.
        turns: how often both networks estimate their layer.
        residual: draw corrections that are zero at the start: of the mixture, and of the first reflection.
        residue: weight of the loss that both layers should explain the mixture.
        perceptual: weight of the loss on VGG19's features; the authors' sum has 1.
        adversarial: weight of the adversarial loss; 0 for no discriminator.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam, for all networks.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a size that is impossible, or weights that cannot be had.

    Source: Li et al., Single Image Reflection Removal through Cascaded Refinement, CVPR 2020, and the authors' code.
        The reflection has no loss but that it has to explain the mixture, beside the estimated background and beside
        the true one. Ours: that is so in the data's own gamma and without the synthesis' attenuation, which a network
        is not told; ``residual``, for small budgets; pictures that start as grey, as a last ReLU may be silent for
        ever; no side outputs of the reflection, which no loss looks at.
    """

    card = MethodCard(
        title="IBCLN", paper="Li et al., Cascaded Refinement, CVPR 2020", year=2020, supervision="paired",
        channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    multiple = 4
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        turns: int = 3,
        residual: bool = False,
        residue: float = 10.0,
        perceptual: float = 1.0,
        adversarial: float = 0.01,
        features: str = "timm",
        lr: float = 2e-4,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, **recipe)
        self.save_hyperparameters()
        if width < 2 or turns < 1:
            raise UserError(f"width {width}, turns {turns}: the width must be at least 2, and turns at least 1.")
        self.layers = min(2, len(spec["layers"])) if spec else 2
        self.turns, self.residual, self.gamma = turns, residual, spec["gamma"] if spec else 1.0
        self.residue, self.perceptual, self.adversarial = residue, perceptual, adversarial
        self.transmit = RecurrentNetwork(width, residual, 0.5, sides=perceptual > 0)
        self.reflect = RecurrentNetwork(width, residual, BLACK, sides=False)
        self.vgg = VGG19Features(features, 2) if perceptual else None
        if self.vgg is not None:
            self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        self.critic = PatchDiscriminator(3, width) if adversarial else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        found, reflection = self.refine(mixture)[-1]
        return torch.stack([found.image, reflection.image][: self.layers], 1)

    def refine(self, mixture: Tensor) -> list[tuple[Estimate, Estimate]]:
        """Both estimates after each turn.

        Args:
            mixture: (B, 3, H, W), sides multiples of 4.
        """
        background, reflection = mixture, torch.full_like(mixture, BLACK)
        states: list[State] = [None, None]
        turns = []
        for _ in range(self.turns):
            one = self.transmit(torch.cat([mixture, background, reflection], 1), mixture, states[0])
            other = self.reflect(torch.cat([mixture, one.image, reflection], 1), reflection, states[1])
            background, reflection, states = one.image, other.image, [one.state, other.state]
            turns.append((one, other))
        return turns

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, truth = self.pad(batch.mixture), self.pad(batch.layers[:, 0])
        turns = self.refine(mixture)
        light = self._light(mixture)
        loss = torch.zeros((), device=mixture.device)
        for one, other in turns:
            found, reflection = one.image.float(), self._light(other.image.float())
            loss = loss + (found - truth).square().mean()
            errors = (self._light(found) + reflection - light, self._light(truth) + reflection - light)
            loss = loss + self.residue * torch.stack([error.square().mean() for error in errors]).sum()
        last = turns[-1][0]
        if self.vgg is not None:
            for estimate, (scale, weight) in zip((last.image, *last.sides), SCALES, strict=True):
                target = F.avg_pool2d(truth, scale)
                seen = perceptual(self.vgg(estimate.float()), self.vgg(target), BALANCED)
                loss = loss + self.perceptual * weight * seen
        losses = {"generators": loss}
        if self.critic is not None:
            told, losses["discriminator"] = adversarial_losses(
                self.critic, last.image.float(), truth, kind="least-squares"
            )
            losses["generators"] = loss + self.adversarial * told
        return self.minimise(losses)

    def _light(self, image: Tensor) -> Tensor:
        """What of an image adds up."""
        return image.clamp_min(1e-4) ** self.gamma


class RecurrentNetwork(nn.Module):
    """An autoencoder with two skips, dilated convolutions and a convolutional LSTM in the middle, and side outputs.

    Args:
        width: channels of the first convolution; they double twice.
        residual: whether what is drawn is added to what is given, from zero on.
        grey: else, the value that its pictures have at the start.
        sides: whether there are side outputs.
    """

    def __init__(self, width: int, residual: bool, grey: float, *, sides: bool) -> None:
        super().__init__()
        self.residual = residual
        double, deep, relu = 2 * width, 4 * width, nn.ReLU()

        def convolution(before: int, after: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(before, after, 3, stride, dilation, dilation), relu]

        def grow(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, 2, 1), nn.ReflectionPad2d((1, 0, 1, 0)), nn.AvgPool2d(2, 1), relu
            )

        dilated = [convolution(deep, deep, 1, dilation) for dilation in (2, 4, 8, 16)]
        self.to_full = nn.Sequential(nn.Conv2d(9, width, 5, padding=2), relu)
        self.to_half = nn.Sequential(*convolution(width, double, 2), *convolution(double, double))
        self.to_quarter = nn.Sequential(
            *convolution(double, deep, 2), *convolution(deep, deep), *convolution(deep, deep),
            *(layer for pair in dilated for layer in pair), *convolution(deep, deep),
        )  # fmt: skip
        self.memory = nn.Conv2d(2 * deep, 4 * deep, 3, padding=1)
        self.after = nn.Sequential(*convolution(deep, deep))
        self.grow_to_half, self.grow_to_full = grow(deep, double), grow(double, width)
        self.at_half = nn.Sequential(*convolution(double, double), nn.Dropout(0.3))
        self.at_full = nn.Sequential(*convolution(width, width // 2))
        self.last = nn.Conv2d(width // 2, 3, 3, padding=1)
        self.sides = nn.ModuleList(nn.Conv2d(inputs, 3, 3, padding=1) for inputs in (double, deep) if sides)
        for layer in (self.last, *self.sides.children()):
            nn.init.normal_(layer.weight, std=0.0 if residual and layer is self.last else 1e-3)  # type: ignore[arg-type]
            nn.init.constant_(layer.bias, 0.0 if residual and layer is self.last else grey)  # type: ignore[arg-type]

    def forward(self, seen: Tensor, start: Tensor, state: State) -> Estimate:
        """One turn.

        Args:
            seen: (B, 9, H, W), the mixture and the newest estimates.
            start: (B, 3, H, W), to which a correction is added.
            state: of the last turn.
        """
        full = self.to_full(seen)
        half = self.to_half(full)
        x = self.to_quarter(half)
        hidden, cell = (torch.zeros_like(x), torch.zeros_like(x)) if state is None else state
        into, forget, out, new = self.memory(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        deep = self.after(hidden)
        middle = self.at_half(self.grow_to_half(deep) + half)
        drawn = self.last(self.at_full(self.grow_to_full(middle) + full))
        image = start + drawn if self.residual else drawn.relu()
        looked = [side(x).relu() for side, x in zip(self.sides, (middle, deep), strict=False)]
        return Estimate(image, looked, (hidden, cell))
