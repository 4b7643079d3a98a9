"""A U-Net of residual blocks, for what is to be added to a picture."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.norms import Norm, normalisation


class ResidualBlock(nn.Module):
    """x + c(ReLU(c(x))) with 3×3 convolutions c; before training it is nearly the identity.

    The second convolution starts at a tenth of its usual size: without normalisation, a deep stack of blocks would
    otherwise begin with variances that grow from block to block.

    Source: Lim et al., CVPRW 2017, Sec. 3.1 (no normalisation in restoration, small residuals).

    Args:
        channels: of input and output.
        norm: after each convolution.
    """

    def __init__(self, channels: int, norm: Norm = "none") -> None:
        super().__init__()
        bias = norm == "none"  # a normalisation has its own
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=bias) for _ in range(2))
        if bias:
            nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
            nn.init.kaiming_normal_(second.weight, nonlinearity="linear")
            second.weight.data *= 0.1
        self.body = nn.Sequential(
            first, *normalisation(norm, channels), nn.ReLU(inplace=True), second, *normalisation(norm, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        result: Tensor = x + self.body(x)
        return result


class UNetBackbone(nn.Module):
    """Encoder and decoder of residual blocks with skips that are added; sides must be multiples of ``2 ** depth``.

    Its last layer starts at zero, and so does what it gives: a network that adds to a picture begins with that picture.

    Source: Ronneberger et al., MICCAI 2015, Fig. 1, for the form; He et al., CVPR 2016, for the blocks; Shi et al.,
        CVPR 2016, for enlarging by moved channels, which leaves no checkerboard at the start.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels at full resolution; they double at each of the levels below.
        depth: number of times the resolution is halved.
        blocks: at each level, on the way down and on the way up.
        norm: ``none``, ``batch``, ``instance`` or ``group``.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int = 32, depth: int = 3, blocks: int = 1, norm: Norm = "none"
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]

        def stack(channels: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(channels, norm) for _ in range(blocks)))

        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.down = nn.ModuleList(stack(channels) for channels in widths[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(channels, 2 * channels, 2, stride=2) for channels in widths[:-1])
        self.bottom = stack(widths[-1])
        self.grow = nn.ModuleList(nn.Conv2d(2 * channels, 4 * channels, 1) for channels in widths[:-1])
        self.up = nn.ModuleList(stack(channels) for channels in widths[:-1])
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), unbounded."""
        features: Tensor = self.first(image)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            features = blocks(features)
            skips.append(features)
            features = shrink(features)
        features = self.bottom(features)
        for grow, blocks, skip in zip(reversed(self.grow), reversed(self.up), reversed(skips), strict=True):
            features = blocks(F.pixel_shuffle(grow(features), 2) + skip)
        found: Tensor = self.last(features)
        return found
