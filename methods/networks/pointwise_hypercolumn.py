"""A hypercolumn whose first convolution is 1×1: features are mixed where they are small, and enlarged afterwards."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseHypercolumn(nn.Module):
    """The picture and a network's features of it at full size, through one 1×1 convolution.

    A 1×1 convolution commutes with bilinear enlargement. So each level goes through it at its own size, and ``width``
    results are enlarged in place of hundreds of features. The values are those of the plain order, up to rounding.

    Args:
        channels: of each level of features.
        width: channels of the result.
        bias: whether the convolution has one.

    Source: Hariharan et al., CVPR 2015; Zhang et al., CVPR 2018. The order of computation is ours.
    """

    def __init__(self, channels: list[int], width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.mix = nn.Conv2d(3 + sum(channels), width, 1, bias=bias)

    def forward(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """(B, 3, H, W) and (B, channels[l], h_l, w_l) for each level l -> (B, width, H, W)."""
        first, *rest = torch.split(self.mix.weight, [3, *self.channels], 1)
        x = F.conv2d(image, first, self.mix.bias)
        for level, weight in zip(levels, rest, strict=True):
            mixed = F.conv2d(level, weight)
            if mixed.shape[-2:] != image.shape[-2:]:
                mixed = F.interpolate(mixed, size=image.shape[-2:], mode="bilinear")
            x = x + mixed
        return x
