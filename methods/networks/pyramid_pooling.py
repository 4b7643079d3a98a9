"""Pyramid pooling: what lies around a pixel, in squares of several sizes, beside what is at it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PyramidPooling(nn.Module):
    """Means over squares, a 1×1 convolution on each size's, enlarged by repetition and put beside the input.

    Args:
        channels: of the input.
        given: channels that each size gives.
        sides: of the squares; sides of the input must be multiples of each, or a square that is larger is the input.
        bias: whether the convolutions have one.

    Source: Zhao et al., PSPNet, CVPR 2017; as in DCPDN and ERRNet, by squares of fixed sides.
    """

    def __init__(self, channels: int, given: int, sides: Sequence[int], *, bias: bool = True) -> None:
        super().__init__()
        self.sides = list(sides)
        self.look = nn.ModuleList(nn.Conv2d(channels, given, 1, bias=bias) for _ in sides)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + given · number of sides, H, W)."""
        size = x.shape[-2:]
        found = []
        for side, look in zip(self.sides, self.look, strict=True):
            pooled = F.avg_pool2d(x, (min(side, size[0]), min(side, size[1])))
            found.append(F.interpolate(F.leaky_relu(look(pooled), 0.2), size=size, mode="nearest"))
        return torch.cat([x, *found], 1)
