"""Hypercolumn: what a network sees at all its levels, joined at full size without ever being made so large."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.deep_masking import convolution


class Hypercolumn(nn.Module):
    """Features of all levels brought to full size beside the image, then two 3×3 convolutions with ReLU.

    The first convolution is computed where the features are. It is a sum over nine places of 1×1 convolutions, and a
    1×1 convolution commutes with bilinear enlargement. So each coarse level goes through all nine at its own size, and
    nine results per output channel are enlarged in place of hundreds of features. Rows come before columns, and the
    three places of a column are summed between them. The values are those of the plain order, up to rounding.

    Args:
        channels: of each level of features; the first has the image's size.
        width: channels of the result.

    Source: Hariharan et al., CVPR 2015; DMGN, Sec. III.A, its head F. The order of computation is ours.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.channels, self.width = channels, width
        self.first, self.second = convolution(3 + sum(channels), width), convolution(width, width)

    def forward(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """(B, 3, H, W) and (B, channels[l], h_l, w_l) for each level l -> (B, width, H, W).

        Args:
            image: sides of at least 2.
            levels: the first as large as the image, the others smaller.
        """
        fine, *coarse = torch.split(self.first.weight, [3 + self.channels[0], *self.channels[1:]], 1)
        x = F.conv2d(_mirrored(torch.cat([image, levels[0]], 1), 1, 1), fine, self.first.bias)
        if coarse:
            columns = (self._columns(level, weight, image) for level, weight in zip(levels[1:], coarse, strict=True))
            x = x + neighbours(reduce(torch.add, columns), -1)
        result: Tensor = F.relu(self.second(x.relu_()))
        return result

    def _columns(self, level: Tensor, weight: Tensor, image: Tensor) -> Tensor:
        """What a coarse level gives to the columns left of each pixel, at it and right of it, (B, 3 · width, H, W)."""
        outputs, inputs = weight.shape[:2]
        places = weight.permute(2, 3, 0, 1).reshape(9 * outputs, inputs, 1, 1)
        rows = F.interpolate(F.conv2d(level, places), size=(image.shape[-2], level.shape[-1]), mode="bilinear")
        return F.interpolate(neighbours(rows, -2), size=image.shape[-2:], mode="bilinear")


def neighbours(maps: Tensor, dim: int) -> Tensor:
    """Sum of three maps, of which a pixel takes the first one's value before it and the last one's behind it.

    Args:
        maps: (B, 3 · C, H, W), mirrored at the border.
        dim: -2 for rows, -1 for columns.

    Returns:
        (B, C, H, W).
    """
    size = maps.shape[dim]
    before, here, behind = _mirrored(maps, *((1, 0) if dim == -2 else (0, 1))).chunk(3, 1)
    return before.narrow(dim, 0, size) + here.narrow(dim, 1, size) + behind.narrow(dim, 2, size)


def _mirrored(maps: Tensor, rows: int, columns: int) -> Tensor:
    return F.pad(maps, (columns, columns, rows, rows), mode="reflect")
