"""Restormer's network: attention between channels, whose cost grows with the pixels and not with their square."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.nafnet import LayerNorm2d


class TransposedAttention(nn.Module):
    """Each channel becomes a mean of its head's channels, weighed by how alike they are over the whole picture.

    Args:
        channels: of input and output.
        heads: groups of channels that attend to each other; they divide the channels.

    Source: Zamir et al., Restormer, CVPR 2022, Sec. 3.1 (multi-Dconv head transposed attention).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Sequential(
            nn.Conv2d(channels, 3 * channels, 1, bias=False),
            nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False),
        )
        self.join = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        query, key, value = self.project(x).flatten(2).unflatten(1, (3, self.heads, -1)).unbind(1)
        likeness = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT  # of c × c channels, in each head
        attended = (likeness * self.temperature.to(likeness.dtype)).softmax(-1).to(value.dtype) @ value
        joined: Tensor = self.join(attended.flatten(1, 2).view_as(x))
        return joined


class GatedFeedForward(nn.Sequential):
    """Two projections that see their neighbours; one of them, activated, is the other's gate.

    Takes (B, C, H, W) and gives the same.

    Args:
        channels: of input and output.
        expansion: channels of each projection, in units of ``channels``.

    Source: Restormer, its gated-Dconv feed-forward network.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        inner = int(channels * expansion)
        super().__init__(
            nn.Conv2d(channels, 2 * inner, 1, bias=False),
            nn.Conv2d(2 * inner, 2 * inner, 3, padding=1, groups=2 * inner, bias=False),
            GELUGate(),
            nn.Conv2d(inner, channels, 1, bias=False),
        )


class GELUGate(nn.Module):
    """GELU of the first half of the channels times the second half."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2C, H, W) -> (B, C, H, W)."""
        gate, passed = x.chunk(2, dim=1)
        return F.gelu(gate) * passed


class TransformerBlock(nn.Module):
    """Attention between channels, then the gated projections; each normalises its input and adds to it.

    Args:
        channels: of input and output.
        heads: of the attention.
        expansion: of the projections.
    """

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.attend = nn.Sequential(LayerNorm2d(channels), TransposedAttention(channels, heads))
        self.feed = nn.Sequential(LayerNorm2d(channels), GatedFeedForward(channels, expansion))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        x = x + self.attend(x)
        result: Tensor = x + self.feed(x)
        return result


class RestormerBackbone(nn.Module):
    """Encoder and decoder of such blocks, skips that are joined; sides must be multiples of 2 to the number of levels.

    The skip at full resolution is joined and not narrowed: its level has twice the width on the way up. The last layer
    starts at zero, and so does what it gives.

    Source: Restormer, with the authors' sizes. Reconstructed: the last layer's start at zero.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels at full resolution; they double at each level below, and so do the heads.
        encoder: blocks at each level on the way down.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first.
        refinement: further blocks at full resolution.
        expansion: of the gated projections.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        encoder: Sequence[int],
        middle: int,
        decoder: Sequence[int],
        refinement: int,
        expansion: float = 2.66,
    ) -> None:
        super().__init__()

        def stack(level: int, blocks: int, channels: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(channels, 2**level, expansion) for _ in range(blocks)))

        def convolution(before: int, after: int, side: int = 3) -> nn.Conv2d:
            return nn.Conv2d(before, after, side, padding=side // 2, bias=False)

        widths = [width * 2**level for level in range(len(encoder))]
        up = widths[::-1]
        self.first = convolution(inputs, width)
        self.down = nn.ModuleList(stack(i, blocks, widths[i]) for i, blocks in enumerate(encoder))
        self.shrink = nn.ModuleList(
            nn.Sequential(convolution(channels, channels // 2), nn.PixelUnshuffle(2)) for channels in widths
        )
        self.bottom = stack(len(encoder), middle, 2 * up[0])
        self.grow = nn.ModuleList(
            nn.Sequential(convolution(2 * channels, 4 * channels), nn.PixelShuffle(2)) for channels in up
        )
        self.narrow = nn.ModuleList(convolution(2 * channels, channels, 1) for channels in up[:-1])
        self.narrow.append(nn.Identity())
        self.up = nn.ModuleList(
            stack(level, blocks, channels if level else 2 * channels)
            for level, channels, blocks in zip(reversed(range(len(up))), up, decoder, strict=True)
        )
        self.refine = stack(0, refinement, 2 * width)
        self.last = convolution(2 * width, outputs)
        nn.init.zeros_(self.last.weight)

    def forward(self, image: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), unbounded."""
        features: Tensor = self.first(image)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            features = blocks(features)
            skips.append(features)
            features = shrink(features)
        features = self.bottom(features)
        for grow, narrow, blocks, skip in zip(self.grow, self.narrow, self.up, reversed(skips), strict=True):
            features = blocks(narrow(torch.cat([grow(features), skip], 1)))
        found: Tensor = self.last(self.refine(features))
        return found
