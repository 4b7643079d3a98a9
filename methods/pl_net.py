"""PLNet: dilated convolutions at full resolution on a hypercolumn, taught by perceptual, exclusion and GAN losses."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.exclusion import exclusion
from methods.losses.perceptual import BALANCED, perceptual
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.pointwise_hypercolumn import PointwiseHypercolumn
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1)

GREY_LEVELS, DEVIATION = 255.0, 0.225
"""The authors' VGG19 sees grey levels, less their mean; ours what is normalised to a deviation of 1."""


class PLNet(TrainedMethod):
    """A small network that never down-samples sees the mixture and all of VGG19's levels at each pixel.

    It starts as the identity, and its background as the mixture.

    Args:
        width: channels of every convolution.
        norm: ``instance``: by the picture's own statistics; or ``batch``, as the authors, by those of the batch, also
            when testing. With their batch of one picture both are the same.
        perceptual: share of the features in the perceptual loss; 0 leaves its pixels alone.
        exclusion: weight of the loss on edges in the same places.
        adversarial: weight of the adversarial loss; 0 for no discriminator.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        levels: of its features, from the finest on; fewer are cheaper.
        lr: learning rate of Adam, for both networks; the authors' discriminator has half of it.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width that is impossible, or weights that cannot be had.

    Source: Zhang, Ng & Chen, CVPR 2018, and the authors' code. Ours: the picture comes first in the
        hypercolumn, where the identity finds it, and the reflection starts from black; both networks step at once; the
        exclusion loss is ``losses.exclusion``, whose two layers' slopes count alike; the discriminator normalises each
        picture. Reflections are derived from the pair where the data have none, and taught all the same.
    """

    card = MethodCard(
        title="PLNet", paper="Zhang, Ng & Chen, Perceptual Losses, CVPR 2018", year=2018, supervision="paired",
        layers=(2,), channels=(3,), scales=(1,), ordered_only=True, residual=True,
    )  # fmt: skip
    smallest = 32

    def __init__(
        self,
        width: int = 64,
        norm: Literal["instance", "batch"] = "instance",
        perceptual: float = 1.0,
        exclusion: float = 1.0,
        adversarial: float = 0.01,
        features: str = "timm",
        levels: int = 5,
        lr: float = 2e-4,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, **recipe)
        self.save_hyperparameters()
        if width < 3:
            raise UserError(f"width {width}: it must be at least 3, for a colour to pass; the paper has 64.")
        self.perceptual, self.exclusion, self.adversarial = perceptual, exclusion, adversarial
        self.vgg = VGG19Features(features, levels, tap=2, pooling="mean")
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        self.network = DilatedNetwork(self.vgg.channels, width, per_picture=norm == "instance")
        self.critic = PatchDiscriminator(6, width) if adversarial else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        with torch.no_grad():
            levels = [DEVIATION * level for level in self.vgg(mixture)]
        background, reflection = self.network(mixture, levels).chunk(2, 1)
        return torch.stack([background, reflection], 1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, layers = self.pad(batch.mixture), self.pad(batch.layers)
        found = self.separate(mixture, []).float()
        loss = (found[:, 1] - layers[:, 1]).abs().mean() + 0.2 * self._likeness(found, layers)
        if self.exclusion:
            loss = loss + self.exclusion * exclusion(found[:, 0], found[:, 1]).mean()
        losses = {"generator": loss}
        if self.critic is not None:
            told, losses["discriminator"] = adversarial_losses(
                self.critic, found[:, 0], layers[:, 0], mixture, "cross-entropy"
            )
            losses["generator"] = loss + self.adversarial * told
        return self.minimise(losses)

    def _likeness(self, found: Tensor, layers: Tensor) -> Tensor:
        """Of both layers, their pixels and VGG19's features, in the authors' units."""
        pixels = 2 * (found - layers).abs().mean()
        if not self.perceptual:
            return GREY_LEVELS * pixels
        ours, theirs = (self.vgg(images.flatten(0, 1)) for images in (found, layers))
        seen = 2 * perceptual(ours, theirs, BALANCED)
        return GREY_LEVELS * (pixels + self.perceptual * DEVIATION * seen)


class DilatedNetwork(nn.Module):
    """A 1×1 convolution on the hypercolumn, eight dilated 3×3 convolutions, and a last one without activation.

    Args:
        channels: of the levels of features.
        width: of every convolution.
        per_picture: whether statistics are of each picture, or of the batch.
    """

    def __init__(self, channels: list[int], width: int, *, per_picture: bool) -> None:
        super().__init__()
        self.first = PointwiseHypercolumn(channels, width, bias=False)
        self.rest = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False) for dilation in DILATIONS
        )
        self.adapt = nn.ModuleList(AdaptiveNorm(width, per_picture=per_picture) for _ in range(1 + len(DILATIONS)))
        self.last = nn.Conv2d(width, 6, 1)
        for layer in (self.first.mix, *self.rest.children(), self.last):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            weight: Any = layer.weight.data
            for i in range(3 if layer is self.last else width):
                weight[i, i, weight.shape[2] // 2, weight.shape[3] // 2] = 1
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """(B, 3, H, W) and their features -> (B, 6, H, W), both layers, unbounded."""
        first, *rest = self.adapt
        x = F.leaky_relu(first(self.first(image, levels)), 0.2)
        for layer, adapt in zip(self.rest, rest, strict=True):
            x = F.leaky_relu(adapt(layer(x)), 0.2)
        found: Tensor = self.last(x)
        return found


class AdaptiveNorm(nn.Module):
    """w0·x + w1·(x normalised, shifted by β), with learnt numbers; it starts as the identity.

    Args:
        channels: of the input.
        per_picture: whether statistics are of each picture, or of the batch.

    Source: Chen, Xu & Koltun, ICCV 2017 (adaptive normalisation), as in PLNet's code.
    """

    def __init__(self, channels: int, *, per_picture: bool) -> None:
        super().__init__()
        self.per_picture = per_picture
        self.keep, self.normed = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        over = (2, 3) if self.per_picture else (0, 2, 3)
        wide = x.float()
        variance, mean = torch.var_mean(wide, over, correction=0, keepdim=True)
        normed = (wide - mean) * (variance + 1e-3).rsqrt() + self.shift
        return (self.keep * wide + self.normed * normed).to(x.dtype)
