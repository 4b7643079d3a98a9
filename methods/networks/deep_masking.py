"""The parts of DMGN: cells that learn how much of what they compute to let through, and generators made of them."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Cell = Literal["masked", "plain"]

START = 0.1
"""Of He's start, in the second convolution of a cell. What cells add is never negative: at full strength it grows from
cell to cell, and ReLUs behind them die within some hundred steps."""


def convolution(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution that keeps the size, mirrored at the border, with He's start for the ReLU that follows."""
    made = nn.Conv2d(
        inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=bias, padding_mode="reflect"
    )
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made


def correction(inputs: int) -> nn.Conv2d:
    """The 1×1 convolution that ends a generator: zero at the start, so that training begins with the mixture."""
    made = nn.Conv2d(inputs, 3, 1)
    for parameter in made.parameters():
        nn.init.zeros_(parameter)
    return made


class AttentionMask(nn.Sequential):
    """One value in (0, 1) for each pixel: 1×1 convolution, tanh, 1×1 convolution, sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 1), nn.Tanh(), nn.Conv2d(channels, 1, 1), nn.Sigmoid())


class MaskingCell(nn.Module):
    """Y = X + M(H(X)) ⊙ H(X): residual deep-masking cell; ``plain``: Y = X + H(X).

    Source: DMGN, Sec. III.B, Eq. 4 and 5. Reconstructed: the plain cell keeps the residual connection, without
        which so deep a stack does not train; each cell starts near the identity.

    Args:
        channels: of X and Y.
        cell: with or without a mask.
        dilation: of H's convolutions.
    """

    def __init__(self, channels: int, cell: Cell = "masked", dilation: int = 1) -> None:
        super().__init__()
        relu, second = nn.ReLU(inplace=True), convolution(channels, channels, dilation=dilation, bias=False)
        with torch.no_grad():
            second.weight *= START
        self.transform = nn.Sequential(
            convolution(channels, channels, dilation=dilation, bias=False), relu, second, relu
        )
        self.mask = AttentionMask(channels) if cell == "masked" else None

    def forward(self, x: Tensor, background: Tensor | None = None, weight: float = 0.0) -> Tensor:
        """One step of the generative process.

        Args:
            x: (B, C, H, W).
            background: (B, 1, H, W), where the background is (A_b); regularises the mask.
            weight: α·q^(n − 1) of Eq. 10.
        """
        found: Tensor = self.transform(x)
        if self.mask is None:
            return x + found
        mask: Tensor = self.mask(found)
        if background is not None:  # Eq. 10
            mask = (mask + weight * background) / (1 + weight)
        return x + mask * found


class CoarseGenerator(nn.Module):
    """G_b and G_r: cells at full, half and quarter resolution and back, with long skips; an image in the end.

    Source: DMGN, Sec. III.A and Fig. 2. Widths: 1, 2 and 4 times ``width``; eight cells at the lowest resolution.

    Args:
        width: channels of the input and at full resolution.
        cell: of which kind.
        checkpointing: compute cells anew in the backward pass instead of keeping them.
    """

    def __init__(self, width: int = 64, cell: Cell = "masked", checkpointing: bool = False) -> None:
        super().__init__()
        self.checkpointing = checkpointing
        self.at_full = MaskingCell(width, cell)
        self.to_half = nn.Sequential(convolution(width, 2 * width, stride=2), nn.ReLU(inplace=True))
        self.at_half = MaskingCell(2 * width, cell)
        self.to_quarter = nn.Sequential(convolution(2 * width, 4 * width, stride=2), nn.ReLU(inplace=True))
        self.deep = nn.ModuleList(MaskingCell(4 * width, cell) for _ in range(8))
        self.grow_half = Grow(4 * width, 2 * width)
        self.back_half = MaskingCell(2 * width, cell)
        self.grow_full = Grow(2 * width, width)
        self.back_full = MaskingCell(width, cell)
        self.last = nn.Sequential(convolution(width, width), nn.ReLU(inplace=True), correction(width))

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, 3, H, W), to be added to the mixture."""
        full = self._run(self.at_full, features)
        half = self._run(self.at_half, self.to_half(full))
        deep = self.to_quarter(half)
        for cell in self.deep:
            deep = self._run(cell, deep)
        half = self._run(self.back_half, self.grow_half(deep, half))
        full = self._run(self.back_full, self.grow_full(half, full))
        image: Tensor = self.last(full)
        return image

    def _run(self, cell: nn.Module, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(cell, x, use_reentrant=False) if self.checkpointing else cell(x)
        return result


class Grow(nn.Module):
    """Twice the resolution: bilinear enlargement beside the skip, then two 3×3 convolutions with ReLU.

    Args:
        inputs: channels of the small map.
        outputs: channels of the skip and of the result.

    Source: DMGN's authors' code; corners aligned.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.mix = nn.Sequential(convolution(inputs + outputs, outputs), relu, convolution(outputs, outputs), relu)

    def forward(self, small: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, H / 2, W / 2) and (B, outputs, H, W) -> (B, outputs, H, W)."""
        large = F.interpolate(small, size=skip.shape[-2:], mode="bilinear", align_corners=True)
        result: Tensor = self.mix(torch.cat([large, skip], 1))
        return result


class AdaptedChannelAttention(nn.Module):
    """ACA: channels weighted by what is left of them after a learnt sharpening.

    Source: DMGN, Sec. III.C, Eq. 7 and 8; squeeze-and-excitation as Hu et al., CVPR 2018, reduction 16. No biases, as
        in the authors' code; the first linear layer's weights start positive, since a few hidden ReLUs of features that
        are never negative would otherwise often be dead, all of them.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(channels, channels, 5, 4, 1, groups=channels, bias=False, padding_mode="reflect")
        self.sharpness = nn.Parameter(torch.ones(channels, 1, 1))
        hidden = max(4, channels // 16)
        squeeze, excite = nn.Linear(channels, hidden, bias=False), nn.Linear(hidden, channels, bias=False)
        with torch.no_grad():
            squeeze.weight.abs_()
        self.excite = nn.Sequential(squeeze, nn.ReLU(inplace=True), excite, nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same, each channel scaled."""
        small = F.relu(self.shrink(features))
        sharp = torch.sigmoid(self.sharpness * small) * small  # Eq. 7
        weights: Tensor = self.excite(sharp.mean((2, 3)))
        return weights[..., None, None] * features


class RefiningGenerator(nn.Module):
    """G_refine: cells of constant size and growing dilation, whose masks the background's map regularises.

    Source: DMGN, Sec. III.C, Eq. 6 and 10; α = 0.4, q = 0.5; the hyperbolic tangent in the authors' code.

    Args:
        inputs: channels of the source information E.
        width: channels of the cells.
        cell: of which kind.
        bounded: whether the correction goes through a hyperbolic tangent.
        alpha: α of Eq. 10.
        decay: q of Eq. 10.
        checkpointing: compute cells anew in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 64,
        cell: Cell = "masked",
        bounded: bool = True,
        alpha: float = 0.4,
        decay: float = 0.5,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.decay, self.checkpointing = alpha, decay, checkpointing
        self.first = nn.Sequential(convolution(inputs, width), nn.ReLU(inplace=True))
        self.cells = nn.ModuleList(MaskingCell(width, cell, dilation) for dilation in (1, 2, 4, 8, 16, 1))
        self.last = nn.Sequential(
            nn.Conv2d(width, width, 1), nn.ReLU(inplace=True), correction(width), *([nn.Tanh()] if bounded else [])
        )

    def forward(self, source: Tensor, background: Tensor | None = None) -> Tensor:
        """E (B, inputs, H, W), with regularised masks A_b (B, 1, H, W) -> (B, 3, H, W), to be added to the mixture."""
        x = self.first(source)
        for n, cell in enumerate(self.cells):
            weight = self.alpha * self.decay**n
            if self.checkpointing:
                x = checkpoint(cell, x, background, weight, use_reentrant=False)
            else:
                x = cell(x, background, weight)
        image: Tensor = self.last(x)
        return image
