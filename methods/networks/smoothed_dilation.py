"""Dilated convolutions without gridding artefacts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.norms import Norm, normalisation


class SharedFilter(nn.Module):
    """One filter for every channel; it starts as the identity.

    Before a dilated convolution it lets the places that the dilation tears apart see each other.

    Args:
        size: side of the filter, odd; 2d − 1 before a dilation of d.

    Source: Wang & Ji, Smoothed Dilated Convolutions, KDD 2018 (separable and shared convolutions); GCANet's code.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, size, size))
        with torch.no_grad():
            self.weight[..., size // 2, size // 2] = 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        channels, size = x.shape[1], self.weight.shape[-1]
        weight = self.weight.expand(channels, -1, -1, -1)
        return F.conv2d(x, weight, padding=size // 2, groups=channels)


class SmoothedDilatedBlock(nn.Module):
    """Two dilated 3×3 convolutions, each after a shared filter, around which the input is added.

    Args:
        channels: of input and output.
        dilation: of both convolutions; 1 is a plain residual block, without shared filters.
        norm: after each convolution.

    Source: Chen et al., GCANet, WACV 2019, the authors' code.
    """

    def __init__(self, channels: int, dilation: int, norm: Norm = "instance") -> None:
        super().__init__()

        def half() -> list[nn.Module]:
            smooth = [SharedFilter(2 * dilation - 1)] if dilation > 1 else []
            convolution = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=norm == "none")
            return [*smooth, convolution, *normalisation(norm, channels)]

        self.body = nn.Sequential(*half(), nn.ReLU(), *half())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, not negative."""
        result: Tensor = (x + self.body(x)).relu()
        return result
