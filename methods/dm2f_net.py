"""DM2F-Net: five ways in which a picture may have lost its contrast, each undone, and what they give fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.norms import Norm, normalisation
from methods.networks.scattering import scattering_of
from methods.recipe import TrainedMethod

LEAST = 1e-3
"""Of a picture's values before a logarithm is taken, and of the transmission before it divides."""


class DM2FNet(TrainedMethod):
    """J = (I − A(1 − t)) / t with learnt t and A, and four layer-separation models; a softmax per colour fuses them.

    It predicts the background alone. The truth of t and A is worked out from the data's background and haze; only on
    data of scattering is it one.

    Args:
        width: channels of each attended map; the backbone's stem has half of it.
        blocks: of the backbone's four stages.
        norm: in the backbone: ``batch`` (paper), ``group``, ``instance`` or ``none``.
        transmission: weight of the loss on t.
        lr: learning rate of Adam; the authors' is twice as large for biases.
        cosine: let the learning rate fall to zero over the run, where the authors' falls as (1 − share)^0.9.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a size that is impossible.

    Source: Deng et al., Deep Multi-Model Fusion for Single-Image Dehazing, ICCV 2019, and the authors' code. Ours: the
        backbone, ResNeXt-101 32×8d, starts at random, where theirs has ImageNet's weights; the sum is with the picture
        itself, where theirs is with the normalised one; and what is divided by, or has its logarithm taken, keeps
        farther from zero.
    """

    card = MethodCard(
        title="DM2F-Net", paper="Deng et al., Deep Multi-Model Fusion, ICCV 2019", year=2019, supervision="paired",
        layers=(2,), channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "haze")
    smallest = 64

    def __init__(
        self,
        width: int = 128,
        blocks: Sequence[int] = (3, 4, 23, 3),
        norm: Norm = "batch",
        transmission: float = 10.0,
        lr: float = 5e-4,
        cosine: bool = True,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        blocks = list(blocks)
        self.save_hyperparameters()
        if width < 4 or width % 4 or len(blocks) != 4 or min(blocks) < 1:
            raise UserError(
                f"width {width}, blocks {blocks}: the width must be a multiple of 4, blocks four numbers above 0."
            )
        self.multiple, self.transmission = 32, transmission
        self.network = MultiModel(width, blocks, norm)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        fused, *_ = self.network(mixture)
        background: Tensor = fused
        return background.unsqueeze(1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        mixture, layers = self.pad(batch.mixture), self.pad(batch.layers)
        passed, airlight = scattering_of(mixture, layers)
        fused, models, t, light = self.network(mixture)
        errors = [(picture - layers[:, 0]).abs().mean() for picture in (fused, *models)]
        of_physics = [self.transmission * (t - passed).abs().mean(), (light - airlight.mean(1, True)).abs().mean()]
        loss = torch.stack([*errors, *of_physics]).sum()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


def separations(image: Tensor, residues: Sequence[Tensor]) -> list[Tensor]:
    """What the four layer-separation models make of a picture: J = I·R, I + R, I^R and log(1 + I·R).

    Args:
        image: I, (B, 3, H, W) in [0, 1].
        residues: four of (B, 3, H, W): R of the sum, and the logarithm of R of the others, where it must be positive.

    Returns:
        Four of (B, 3, H, W) in [0, 1].

    Source: Deng et al., the authors' code.
    """
    product, sum_, power, logarithm = residues
    safe = image.clamp(LEAST, 1 - LEAST)
    log = safe.log()
    exponent = (-log).log() + power
    pictures = ((log + product).exp(), image + sum_, (-exponent.exp()).exp(), F.softplus(log + logarithm))
    return [picture.clamp(0, 1) for picture in pictures]


def selu(before: int, after: int, size: int = 3) -> list[nn.Module]:
    """A convolution and its activation."""
    return [nn.Conv2d(before, after, size, padding=size // 2), nn.SELU()]


class MultiModel(nn.Module):
    """Backbone, attention to its four levels for each model, the models, and their fusion.

    Args:
        width: channels of each attended map.
        blocks: of the backbone.
        norm: in the backbone.
    """

    def __init__(self, width: int, blocks: Sequence[int], norm: Norm) -> None:
        super().__init__()
        half = width // 2
        self.backbone = ResNeXt(half, blocks, norm)
        self.narrow = nn.ModuleList(nn.Sequential(*selu(channels, width, 1)) for channels in self.backbone.channels)
        self.attend = nn.ModuleList(
            nn.Sequential(*selu(4 * width, width), *selu(width, width), nn.Conv2d(width, 4 * width, 1))
            for _ in range(5)
        )
        self.refine = nn.Sequential(*selu(width, width), *selu(width, width), nn.Conv2d(width, width, 1))
        self.light = nn.Sequential(*selu(width, width, 1), *selu(width, width, 1), nn.Conv2d(width, 1, 1))
        self.heads = nn.ModuleList(
            nn.Sequential(*selu(width, half), nn.Conv2d(half, 1 if i == 0 else 3, 1)) for i in range(5)
        )
        self.fuse = nn.Sequential(
            *selu(4 * width, width, 1), *selu(width, half), *selu(half, half), nn.Conv2d(half, 15, 1)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> the fused picture, the five models', t (B, 1, H, W) and A (B, 1, 1, 1)."""

        def enlarged(x: Tensor) -> Tensor:
            return F.interpolate(x, size=image.shape[-2:], mode="bilinear").float()

        maps = [narrow(level) for narrow, level in zip(self.narrow, self.backbone(image), strict=True)]
        levels = torch.stack(
            [maps[0], *(F.interpolate(x, size=maps[0].shape[-2:], mode="bilinear") for x in maps[1:])], 1
        )
        joined = levels.flatten(1, 2)
        attended = []
        for attend in self.attend:
            weights = attend(joined).view(levels.shape).softmax(1)
            x = (weights * levels).sum(1)
            attended.append(self.refine(x) + x)
        first, *rest = [head(x) for head, x in zip(self.heads, attended, strict=True)]
        t = enlarged(first).sigmoid()
        light = self.light(attended[0].mean((2, 3), keepdim=True)).float().sigmoid()
        physics = (image - light * (1 - t)) / t.clamp_min(LEAST)
        models = [physics.clamp(0, 1), *separations(image, [enlarged(x) for x in rest])]
        weights = torch.stack(enlarged(self.fuse(joined)).chunk(5, 1), 1).softmax(1)
        return (weights * torch.stack(models, 1)).sum(1), models, t, light


class ResNeXt(nn.Module):
    """ResNeXt's stem and four stages of bottlenecks with grouped convolutions.

    Args:
        width: channels of the stem; at 64 there are 32 groups, of 8 channels in the first stage (32×8d).
        blocks: of the stages.
        norm: after each convolution.

    Source: Xie et al., CVPR 2017; as torchvision's ``resnext101_32x8d``.
    """

    def __init__(self, width: int, blocks: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.channels = [4 * width * 2**level for level in range(4)]
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), *normalisation(norm, width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        before, stages = width, []
        for level, (after, count) in enumerate(zip(self.channels, blocks, strict=True)):
            parts = []
            for i in range(count):
                parts.append(Bottleneck(before, after, width // 2, 2 if level and not i else 1, norm))
                before = after
            stages.append(nn.Sequential(*parts))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> (B, channels[l], H / 2^(l + 2), W / 2^(l + 2)) for each level l."""
        x = self.stem(image)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels


class Bottleneck(nn.Module):
    """1×1, grouped 3×3 and 1×1 convolutions around which the input is added; inside as many channels as outside.

    Args:
        before: channels of the input.
        after: channels of the output.
        groups: of the 3×3 convolution.
        stride: of it.
        norm: after each convolution.
    """

    def __init__(self, before: int, after: int, groups: int, stride: int, norm: Norm) -> None:
        super().__init__()
        bias = norm == "none"
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 1, bias=bias), *normalisation(norm, after), nn.ReLU(),
            nn.Conv2d(after, after, 3, stride, 1, groups=groups, bias=bias), *normalisation(norm, after), nn.ReLU(),
            nn.Conv2d(after, after, 1, bias=bias), *normalisation(norm, after),
        )  # fmt: skip
        self.skip: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=bias), *normalisation(norm, after))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / stride, W / stride)."""
        result: Tensor = (self.body(x) + self.skip(x)).relu()
        return result
