"""JORDER: rain is detected and measured while it is removed; the network is that of JORDER-E."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.recipe import TrainedMethod

GREY = 0.5 / 255
"""Half a grey level: by how much a mixture must differ from its background for the pixel to be rain."""


class Look(NamedTuple):
    """What one copy of the network gives.

    Attributes:
        background: (B, C, H, W).
        mask: (B, 2, H, W), scores of no rain and of rain.
        level: (B, C, H, W), the rain layer.
        blocks: (B, width, H, W) for each block, its output.
    """

    background: Tensor
    mask: Tensor
    level: Tensor
    blocks: list[Tensor]


class JORDER(TrainedMethod):
    """Features of three dilations tell where rain is, how strong it is, and, modulated by both, what lies behind.

    Two copies of the network look one after the other; the second sees the first one's background, features and maps.

    It predicts the background alone, of any ordered layers.

    Args:
        width: channels of the features.
        blocks: in each copy.
        copies: of the network.
        mask: weight of the detection's cross-entropy, the mean over pixels.
        level: weight of the rain layer's L1 loss.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Yang et al., Deep Joint Rain Detection and Removal from a Single Image, CVPR 2017, of which no code was
        found; so the network and the losses are those of JORDER-E, Yang et al., Joint Rain Detection and Removal from
        a Single Image with Contextualized Deep Networks, TPAMI 2019, and its authors' code. Their cross-entropy is
        summed over 8 patches of 64×64 pixels of values up to 255, with weight 0.001, which the default is as a mean.
        Ours: the last convolution starts at zero, so that the first answer is the mixture.
    """

    card = MethodCard(
        title="JORDER-E", paper="Yang et al., Joint Rain Detection and Removal, CVPR 2017 and TPAMI 2019", year=2019,
        supervision="paired", scales=(1,), ordered_only=True, residual=True,
        reconstructed="a pixel is rain where any channel differs by half a grey level",
    )  # fmt: skip
    layer_names = ("background",)

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        copies: int = 2,
        mask: float = 1e-3 * 8 * 64 * 64 / 255,
        level: float = 1e-2,
        lr: float = 1e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if min(width, blocks, copies) < 1 or mask < 0 or level < 0:
            raise UserError(
                f"width {width}, blocks {blocks}, copies {copies}, mask {mask:g}, level {level:g}: the first three "
                "must be at least 1, the weights not negative."
            )
        self.mask, self.level = mask, level
        channels = spec["channels"] if spec else 3
        self.copies = nn.ModuleList(ContextualNetwork(channels, width, blocks) for _ in range(copies))

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.looks(mixture)[-1].background.unsqueeze(1)

    def looks(self, mixture: Tensor) -> list[Look]:
        """What each copy makes of the mixture, (B, C, H, W)."""
        looks: list[Look] = []
        for network in self.copies:
            looks.append(network(mixture, looks[-1] if looks else None))
        return looks

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        background = batch.layers[:, 0]
        rain = batch.mixture - background
        where = (rain.abs() > GREY).any(1).long()
        loss = torch.zeros((), device=rain.device)
        for look in self.looks(batch.mixture):
            loss = loss + (look.background - background).abs().mean()
            loss = loss + self.mask * F.cross_entropy(look.mask, where) + self.level * (look.level - rain).abs().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class ContextualNetwork(nn.Module):
    """One copy: encoder, blocks, heads for mask and level, modulation and decoder.

    Args:
        channels: of the image.
        width: of the features.
        blocks: how many.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.encode = _convolution(2 * channels, width)
        self.blocks = nn.ModuleList(ContextualBlock(width) for _ in range(blocks))
        self.mask = nn.Sequential(_convolution(width, 8), _convolution(8, 2))
        self.level = nn.Sequential(_convolution(width, 8), _convolution(8, channels))
        self.by_mask, self.by_level = Modulation(2, width), Modulation(channels, width)
        self.decode = nn.Sequential(_convolution(width, width), _convolution(width, channels))
        _constant(self.decode[1], 0.0)

    def forward(self, image: Tensor, before: Look | None = None) -> Look:
        """(B, C, H, W), and what the copy before gives."""
        x = self.encode(torch.cat([image, image if before is None else before.background], 1))
        outputs = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if before is not None:
                x = x + before.blocks[number]
            outputs.append(x)
        mask, level = self.mask(x), self.level(x)
        if before is not None:
            mask, level = mask + before.mask, level + before.level
        (scale, shift), (also, more) = self.by_mask(mask), self.by_level(level)
        x = x * (scale * also) + x + shift + more
        return Look(image + self.decode(x), mask, level, outputs)


class ContextualBlock(nn.Module):
    """x plus what three paths see, each of two convolutions: near, farther (dilation 2), farthest (4, then 2).

    Args:
        width: channels of input and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near, self.far, self.farthest = (
            nn.Sequential(_convolution(width, width, one), nn.ReLU(), _convolution(width, width, other), nn.ReLU())
            for one, other in ((1, 1), (2, 2), (4, 2))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same."""
        result: Tensor = x + self.near(x) + 0.1 * self.far(x) + 0.1 * self.farthest(x)
        return result


class Modulation(nn.Module):
    """A scale, 1 at the start, and a shift for features, made of maps.

    Args:
        channels: of the maps.
        width: of the features.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.scale, self.shift = (
            nn.Sequential(_convolution(channels, 16), nn.ReLU(), _convolution(16, width)) for _ in range(2)
        )
        _constant(self.scale[2], 1.0)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, H, W) -> scale and shift, each (B, width, H, W)."""
        return self.scale(maps), self.shift(maps)


def _convolution(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)


def _constant(last: nn.Module, value: float) -> None:
    nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    nn.init.constant_(last.bias, value)  # type: ignore[arg-type]
