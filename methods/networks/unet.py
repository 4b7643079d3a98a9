"""A plain U-Net."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 8 groups, or as many as divide the channels; independent of the batch."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


class _Block(nn.Sequential):
    """Two 3×3 convolutions, each with normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        parts: list[nn.Module] = []
        for channels in (inputs, outputs):
            parts += [
                nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                norm(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*parts)


class UNetBackbone(nn.Module):
    """Encoder and decoder with concatenated skips; sides must be multiples of ``2 ** depth``.

    Source: Ronneberger et al., MICCAI 2015, Fig. 1, with padded convolutions and normalisation.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels at full resolution; they double at each of the levels below.
        depth: number of times the resolution is halved.
        norm: from a number of channels to a normalisation.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 32, depth: int = 2, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _Block(before, after, norm) for before, after in zip([inputs, *widths[:-2]], widths[:-1], strict=True)
        )
        self.bottom = _Block(widths[-2] if depth else inputs, widths[-1], norm)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2) for above, below in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(_Block(2 * level, level, norm) for level in widths[:-1])
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), unbounded."""
        skips = []
        for block in self.down:
            skips.append(image := block(image))
            image = torch.nn.functional.max_pool2d(image, 2)
        image = self.bottom(image)
        for grow, block, skip in zip(reversed(self.grow), reversed(self.up), reversed(skips), strict=True):
            image = block(torch.cat([grow(image), skip], dim=1))
        found: Tensor = self.head(image)
        return found
