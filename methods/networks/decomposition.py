"""BIDeN's networks: an encoder of three scales, a head for each source, and a discriminator that names sources."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Blur(nn.Module):
    """Halves or doubles the sides with a [1, 2, 1] filter, so that nothing is aliased; the border is mirrored.

    Takes (B, C, H, W).

    Args:
        up: double, in place of halving.

    Source: Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019.
    """

    kernel: Tensor

    def __init__(self, up: bool = False) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.up = up
        self.register_buffer("kernel", torch.outer(line, line)[None, None] / (4 if up else 16), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / 2, W / 2), rounded up, or (B, C, 2·H, 2·W)."""
        channels, height, width = x.shape[1:]
        kernel = self.kernel.to(x.dtype).expand(channels, 1, 3, 3)
        if not self.up:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=channels)
        wide = F.conv_transpose2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), kernel, stride=2, groups=channels)
        return wide[..., 1 : 1 + 2 * height, 1 : 1 + 2 * width]


def convolution(before: int, after: int, side: int, stride: int = 1, mirrored: bool = False) -> list[nn.Module]:
    """A convolution that keeps the size, instance normalisation without weights, and ReLU."""
    layer = nn.Conv2d(before, after, side, stride, side // 2, padding_mode="reflect" if mirrored else "zeros")
    return [layer, nn.InstanceNorm2d(after), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """x + two mirrored 3×3 convolutions, instance-normalised, with ReLU between them.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, channels, 3, mirrored=True), *convolution(channels, channels, 3, mirrored=True)[:2]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        result: Tensor = x + self.body(x)
        return result


class MultiScaleEncoder(nn.Module):
    """Three branches that begin with 7×7, 15×15 and 3×3 convolutions, joined at a quarter of the resolution.

    Source: Han et al., BIDeN, ECCV 2022, with the sizes of the authors' code.

    Args:
        channels: of the picture.
        width: of the first convolution; 8·width channels come out.
        blocks: residual blocks of each branch.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        double, most = 2 * width, 4 * width

        def residuals() -> list[nn.Module]:
            return [ResidualBlock(most) for _ in range(blocks)]

        def shrinking(side: int) -> list[nn.Module]:
            large = nn.Conv2d(channels, width, side, padding=side // 2, padding_mode="reflect")
            if side > 7:  # all of a wide border cannot be mirrored
                large = nn.Conv2d(channels, width, side, padding=side // 2 - 3)
            begin: list[nn.Module] = [*([nn.ReflectionPad2d(3)] if side > 7 else []), large]
            begin += [nn.InstanceNorm2d(width), nn.ReLU(inplace=True)]
            return [*begin, *convolution(width, double, 3), Blur(), *convolution(double, most, 3), Blur()]

        further = [*convolution(most, most, 3), *convolution(most, most, 3)]
        small = [*convolution(channels, most, 3, stride=2), Blur()]
        self.branches = nn.ModuleList(
            [
                nn.Sequential(*shrinking(7), *residuals()),
                nn.Sequential(*shrinking(15), *further, *residuals(), nn.Conv2d(most, double, 1)),
                nn.Sequential(*small, *residuals(), nn.Conv2d(most, double, 1)),
            ]
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 8·width, H / 4, W / 4)."""
        return torch.cat([branch(image) for branch in self.branches], 1)


class SourceHead(nn.Sequential):
    """Draws one source: (B, 8·width, H / 4, W / 4) -> (B, C, H, W), unbounded.

    Args:
        channels: of the picture.
        width: as of the encoder.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            *convolution(8 * width, 4 * width, 1),
            *convolution(4 * width, 4 * width, 1),
            Blur(up=True),
            *convolution(4 * width, 2 * width, 3),
            Blur(up=True),
            *convolution(2 * width, width, 3),
            nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect"),
        )


class NamingDiscriminator(nn.Module):
    """Says of each patch whether it is real, large where it is, and of a mixture which sources are in it.

    Takes sides of at least 32.

    Args:
        channels: of the picture.
        width: of the first convolution.
        sources: how many there are.

    Source: BIDeN, with the sizes of the authors' code.
    """

    def __init__(self, channels: int, width: int, sources: int) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, padding=1), nn.LeakyReLU(0.2, inplace=True), Blur()]
        for i in range(3):
            after = width * 2 ** (i + 1)
            parts += [nn.Conv2d(after // 2, after, 4, padding=1), nn.InstanceNorm2d(after)]
            parts += [nn.LeakyReLU(0.2, inplace=True), *([Blur()] if i < 2 else [])]
        self.trunk = nn.Sequential(*parts)
        self.patches = nn.Conv2d(8 * width, 1, 4, padding=1)
        self.named = nn.Sequential(
            nn.Conv2d(8 * width, 8 * width, 1), nn.InstanceNorm2d(8 * width), nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveMaxPool2d(1), nn.Conv2d(8 * width, sources, 1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> (B, 1, h, w), unbounded, and (B, sources), logits."""
        features = self.trunk(image)
        return self.patches(features), self.named(features)
