"""NAFNet's network: a U-Net whose blocks have products of channels where others have activations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Normalises the channels of each pixel, then scales and shifts them.

    torch's own layer normalisation works on the last axis. Where the channels lie last in memory, moving the axes
    copies nothing, and one kernel does the work, forward and backward.

    Args:
        channels: of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        last = x.permute(0, 2, 3, 1)
        return F.layer_norm(last, self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """The product of the two halves of the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2C, H, W) -> (B, C, H, W)."""
        one, other = x.chunk(2, dim=1)
        return one * other


class ChannelAttention(nn.Module):
    """Each channel times a linear function of all channels' means ("simplified channel attention").

    Args:
        channels: of the input.
        window: side of the squares whose means stand for the map's when testing; 0 for the whole map. A network that
            learnt from crops meets the statistics of crops in a large picture, too.

    Source: NAFNet, the authors' code; windows: Chu et al., ECCV 2022 (TLC), with a border that is repeated.
    """

    def __init__(self, channels: int, window: int = 0) -> None:
        super().__init__()
        self.window = window
        self.weigh = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        whole = self.training or not self.window or self.window >= max(x.shape[-2:])
        weighed: Tensor = self.weigh(x.mean((2, 3), keepdim=True) if whole else local_mean(x, self.window))
        return x * weighed


def local_mean(x: Tensor, side: int) -> Tensor:
    """Means over the squares around each pixel; those near the border are of the nearest square that fits.

    Args:
        x: (B, C, H, W).
        side: of the squares; along an axis that is shorter, all of it.

    Returns:
        (B, C, H, W), of x's type; the sums are float32 or better.
    """
    height, width = (min(side, length) for length in x.shape[-2:])
    # Differences of running sums: the work does not depend on the side. The mean is taken off, so that sums stay small.
    centre = x.mean((2, 3), keepdim=True)
    sums = F.pad((x - centre).to(torch.promote_types(x.dtype, torch.float32)).cumsum(2).cumsum(3), (1, 0, 1, 0))
    sums = sums[:, :, height:] - sums[:, :, :-height]
    means = (sums[..., width:] - sums[..., :-width]) / (height * width)
    above, left = (height - 1) // 2, (width - 1) // 2
    below, right = (length - inner for length, inner in zip(x.shape[-2:], means.shape[-2:], strict=True))
    full = F.pad(means, (left, right - left, above, below - above), mode="replicate")
    return full.to(x.dtype) + centre


class NAFBlock(nn.Module):
    """Two residual halves: one looks at neighbours and at all channels, the other at each pixel alone.

    Each half is scaled by a vector that starts at zero, so that a block starts as the identity.

    Source: NAFNet, the authors' code.

    Args:
        channels: of input and output.
        window: of ``ChannelAttention``.
    """

    def __init__(self, channels: int, window: int = 0) -> None:
        super().__init__()
        double = 2 * channels
        self.around = nn.Sequential(
            LayerNorm2d(channels),
            nn.Conv2d(channels, double, 1),
            nn.Conv2d(double, double, 3, padding=1, groups=double),
            SimpleGate(),
            ChannelAttention(channels, window),
            nn.Conv2d(channels, channels, 1),
        )
        self.within = nn.Sequential(
            LayerNorm2d(channels), nn.Conv2d(channels, double, 1), SimpleGate(), nn.Conv2d(channels, channels, 1)
        )
        self.beta, self.gamma = (nn.Parameter(torch.zeros(channels, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        x = x + self.beta.to(x.dtype) * self.around(x)
        result: Tensor = x + self.gamma.to(x.dtype) * self.within(x)
        return result


class NAFNetBackbone(nn.Module):
    """Encoder and decoder of such blocks, skips that are added; sides must be multiples of 2 to the number of levels.

    Its last layer starts at zero, and so does what it gives.

    Source: Chen et al., ECCV 2022, and the authors' code. Reconstructed: the last layer's start at zero.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        width: channels at full resolution; they double at each level below.
        encoder: blocks at each level on the way down.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first.
        window: side of ``ChannelAttention``'s squares when testing, in pixels of the picture; 0 for the whole.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        encoder: Sequence[int],
        middle: int,
        decoder: Sequence[int],
        window: int = 0,
    ) -> None:
        super().__init__()
        levels = len(encoder)

        def stack(level: int, blocks: int) -> nn.Sequential:
            side = max(1, window // 2**level) if window else 0
            return nn.Sequential(*(NAFBlock(width * 2**level, side) for _ in range(blocks)))

        widths = [width * 2**level for level in range(levels)]
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.down = nn.ModuleList(stack(level, blocks) for level, blocks in enumerate(encoder))
        self.shrink = nn.ModuleList(nn.Conv2d(channels, 2 * channels, 2, stride=2) for channels in widths)
        self.bottom = stack(levels, middle)
        self.grow = nn.ModuleList(nn.Conv2d(2 * channels, 4 * channels, 1, bias=False) for channels in widths[::-1])
        self.up = nn.ModuleList(stack(levels - 1 - place, blocks) for place, blocks in enumerate(decoder))
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
        for grow, blocks, skip in zip(self.grow, self.up, reversed(skips), strict=True):
            features = blocks(F.pixel_shuffle(grow(features), 2) + skip)
        found: Tensor = self.last(features)
        return found
