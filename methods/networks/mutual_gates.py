"""DSRNet's network: two streams with the same weights, each of which is the other's gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.nafnet import ChannelAttention, LayerNorm2d, NAFBlock

IMAGE_CHANNELS = 32
"""Of each stream where the picture itself joins VGG19's features."""


class MutualGate(nn.Module):
    """The first half of each stream's channels times the second half of the other stream's."""

    def forward(self, streams: Tensor) -> Tensor:
        """Both streams one after the other, (2·B, 2C, H, W) -> (2·B, C, H, W)."""
        kept, gate = streams.chunk(2, dim=1)
        one, other = gate.chunk(2)
        return kept * torch.cat([other, one])


class MuGIBlock(nn.Module):
    """NAFNet's block for two streams: the weights are the same for both, the first half's scales are not.

    Takes both streams one after the other, (2·B, C, H, W), and gives the same. A block starts as the identity.

    Source: Hu & Guo, DSRNet, ICCV 2023 (mutually gated interactive block), and the authors' code.

    Args:
        channels: of each stream.
        own: whether the second half has a scale of its own for each stream, too.
    """

    def __init__(self, channels: int, own: bool = False) -> None:
        super().__init__()
        double = 2 * channels
        self.around = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, double, 1),
            nn.Conv2d(double, double, 3, padding=1, groups=double),
            MutualGate(),
            ChannelAttention(channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.within = nn.Sequential(
            LayerNorm2d(channels), nn.Conv2d(channels, double, 1), MutualGate(), nn.Conv2d(channels, channels, 1)
        )
        self.beta = nn.Parameter(torch.zeros(2, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(2 if own else 1, channels, 1, 1))

    def forward(self, streams: Tensor) -> Tensor:
        """(2·B, C, H, W) -> the same."""
        streams = streams + scaled(self.around(streams), self.beta)
        return streams + scaled(self.within(streams), self.gamma)


def scaled(streams: Tensor, scales: Tensor) -> Tensor:
    """Each stream of (2·B, C, H, W) times its own of the (2, C, 1, 1) scales, or times the same (1, C, 1, 1)."""
    return (streams.view(2, -1, *streams.shape[1:]) * scales.to(streams.dtype).unsqueeze(1)).flatten(0, 1)


class Pyramid(nn.Module):
    """What both streams begin with: VGG19's features, from the deepest to the finest, and then the picture itself.

    Source: DSRNet, the authors' code, which takes all five levels.

    Args:
        inputs: channels of the picture.
        features: channels of VGG19's levels, from the finest on.
        width: of each stream.
    """

    def __init__(self, inputs: int, features: Sequence[int], width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MuGIBlock(channels) for channels in features)
        # The deepest features are enlarged; at each level above, what comes from below is joined to its own.
        levels, below = (list(features[:-1]), features[-1]) if len(features) > 1 else (list(features), 0)
        narrow = []
        for level in reversed(range(len(levels))):
            given = levels[level] + below
            if level:
                below = levels[level - 1]
                parts = [nn.Conv2d(given, 4 * below, 1), nn.PixelShuffle(2), MuGIBlock(below)]
            else:
                parts = [nn.Conv2d(given, given, 1), MuGIBlock(given)]
                parts += [nn.Conv2d(given, IMAGE_CHANNELS, 1), MuGIBlock(IMAGE_CHANNELS)]
            narrow.append(nn.Sequential(*parts))
        self.narrow = nn.ModuleList(narrow)  # from the deepest on
        self.image = nn.Sequential(nn.Conv2d(inputs, IMAGE_CHANNELS, 3, padding=1), MuGIBlock(IMAGE_CHANNELS))
        self.last = nn.Conv2d(2 * IMAGE_CHANNELS, width, 1)

    def forward(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """The picture (B, inputs, H, W) and its features -> both streams (2·B, width, H, W)."""
        streams = [block(torch.cat([level, level])) for block, level in zip(self.blocks, levels, strict=True)]
        x: Tensor = streams.pop()
        if streams:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        for narrow in self.narrow:
            x = narrow(torch.cat([x, streams.pop()], 1) if streams else x)
        found: Tensor = self.last(torch.cat([x, self.image(torch.cat([image, image]))], 1))
        return found


class DualStreamBackbone(nn.Module):
    """The pyramid, NAFNet's U of blocks for two streams, a layer from each stream, and what both do not explain.

    Sides must be multiples of 2 to the number of levels, and of half as much as VGG19's.

    The streams share their last convolution, too: before training both layers are the same, and it is the blocks'
    scales that part them.

    Source: DSRNet, the authors' code.

    Args:
        channels: of the picture and of each layer.
        features: channels of VGG19's levels.
        width: of each stream at full resolution; it doubles at each level below.
        encoder: blocks at each level on the way down.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first.
        residue: blocks of two streams, and then of one, that find the rest.
    """

    def __init__(
        self,
        channels: int,
        features: Sequence[int],
        width: int,
        encoder: Sequence[int],
        middle: int,
        decoder: Sequence[int],
        residue: tuple[int, int],
    ) -> None:
        super().__init__()

        def stack(wide: int, blocks: int, own: bool = False) -> nn.Sequential:
            return nn.Sequential(*(MuGIBlock(wide, own) for _ in range(blocks)))

        widths = [width * 2**level for level in range(len(encoder))]
        self.begin = Pyramid(channels, features, width)
        self.down = nn.ModuleList(stack(wide, blocks) for wide, blocks in zip(widths, encoder, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(wide, 2 * wide, 2, stride=2) for wide in widths)
        self.bottom = stack(width * 2 ** len(encoder), middle)
        self.grow = nn.ModuleList(nn.Conv2d(2 * wide, 4 * wide, 1, bias=False) for wide in widths[::-1])
        self.up = nn.ModuleList(stack(wide, blocks) for wide, blocks in zip(widths[::-1], decoder, strict=True))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        dual, single = residue
        self.residue_both = nn.Sequential(nn.Conv2d(width, 2 * width, 1), stack(2 * width, dual, own=True))
        self.residue = nn.Sequential(
            *(NAFBlock(4 * width) for _ in range(single)), nn.Conv2d(4 * width, channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, image: Tensor, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The picture (B, C, H, W) and its VGG19 features -> two layers (B, 2, C, H, W), and the rest (B, C, H, W)."""
        streams = self.begin(image, levels)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            streams = blocks(streams)
            skips.append(streams)
            streams = shrink(streams)
        streams = self.bottom(streams)
        for grow, blocks, skip in zip(self.grow, self.up, reversed(skips), strict=True):
            streams = blocks(F.pixel_shuffle(grow(streams), 2) + skip)
        layers = torch.stack(self.last(streams).chunk(2), 1)
        return layers, self.residue(torch.cat(self.residue_both(streams).chunk(2), 1))
