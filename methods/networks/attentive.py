"""The parts of AttentiveGAN: where to look, what lies behind, and a critic that is shown where it should look."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.recurrent import ConvLSTM, State


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, or divides it by its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, dilation * (size // 2), dilation)


class AttentiveNetwork(nn.Module):
    """Attention: in each step, a map of where the image is disturbed, made of the image and the map before.

    Args:
        channels: of the image.
        width: of the features.
        steps: how often the same weights are applied.
        blocks: residual blocks in each step.

    Source: Qian et al., CVPR 2018 (attentive-recurrent network), and the authors' code: the first map is ½ everywhere.
    """

    def __init__(self, channels: int, width: int = 32, steps: int = 4, blocks: int = 5) -> None:
        super().__init__()
        self.steps = steps
        self.first = nn.Sequential(convolution(channels + 1, width), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(width, width), nn.ReLU(), convolution(width, width), nn.ReLU())
            for _ in range(blocks)
        )
        self.cell = ConvLSTM(width, width, bias=False)
        self.show = convolution(width, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> the map of each step, (B, 1, H, W), near 0 where the image is clear and 1 where it is not."""
        where = torch.full_like(image[:, :1], 0.5)
        maps: list[Tensor] = []
        state: State | None = None
        for _ in range(self.steps):
            x = self.first(torch.cat([image, where], 1))
            for block in self.blocks:
                x = (x + block(x)).relu()
            x, state = self.cell(x, state)
            where = self.show(x)
            maps.append(where)
        return maps


class ContextualAutoencoder(nn.Module):
    """Down to a quarter of the sides, through windows that grow, and up again; an image at each of three scales.

    Args:
        inputs: channels of what it is given.
        channels: of the images.
        width: channels at full resolution.

    Source: Qian et al., CVPR 2018 (contextual auto-encoder), and the authors' code: each enlargement is followed by a
        mean of 2×2 pixels. Ours: images at the smaller scales are not cut off at zero, where they could die.
    """

    def __init__(self, inputs: int, channels: int, width: int = 64) -> None:
        super().__init__()
        middle, wide = 2 * width, 4 * width

        def row(*layers: nn.Module) -> nn.Sequential:
            return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))

        self.first = row(convolution(inputs, width, 5))
        self.second = row(convolution(width, middle, stride=2), convolution(middle, middle))
        self.third = row(
            convolution(middle, wide, stride=2),
            *(convolution(wide, wide, dilation=dilation) for dilation in (1, 1, 2, 4, 8, 16, 1, 1)),
        )
        self.enlarge = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, 2, 1),
                nn.ReflectionPad2d((1, 0, 1, 0)),
                nn.AvgPool2d(2, stride=1),
                nn.ReLU(),
            )
            for before, after in ((wide, middle), (middle, width))
        )
        self.between = row(convolution(middle, middle))
        self.last = nn.Sequential(convolution(width, width // 2), nn.ReLU(), convolution(width // 2, channels))
        self.sides = nn.ModuleList((convolution(wide, channels), convolution(middle, channels)))

    def forward(self, given: Tensor) -> list[Tensor]:
        """(B, inputs, H, W), sides multiples of 4 -> images of a quarter, half and all of the sides, unbounded."""
        full = self.first(given)
        half = self.second(full)
        low = self.third(half)
        x = self.between(self.enlarge[0](low) + half)
        return [self.sides[0](low), self.sides[1](x), self.last(self.enlarge[1](x) + full)]


class AttentiveDiscriminator(nn.Module):
    """Says whether an image is real, and where it looks: features are multiplied by a map that is taught, too.

    At the authors' size, 224×224 pixels with a grid of 14, there is one judgement, of all features at once; of a larger
    image there is one for each place where such a grid fits, and what a smaller one lacks is zero.

    Args:
        channels: of the image.
        width: of the third convolution; others follow.
        grid: side of what one judgement is of, in sixteenths of the image's sides.

    Source: Qian et al., CVPR 2018 (attentive discriminator), and the authors' code, in which one layer is called a
        second time on channels that do not fit it: here, once. Ours: the biases of the strided convolutions start
        above zero.
    """

    def __init__(self, channels: int, width: int = 64, grid: int = 14) -> None:
        super().__init__()
        self.grid = grid
        widths = [channels, max(1, width // 8), max(1, width // 4), width, 2 * width, 2 * width, 2 * width]
        self.features = nn.Sequential(
            *(
                part
                for before, after in itertools.pairwise(widths)
                for part in (convolution(before, after, 5), nn.ReLU())
            )
        )
        self.where = convolution(2 * width, 1, 5)
        self.shrink = nn.Sequential(
            convolution(2 * width, width, 5, stride=4), nn.ReLU(),
            convolution(width, max(1, width // 2), 5, stride=4), nn.ReLU(),
        )  # fmt: skip
        for strided in (self.shrink[0], self.shrink[2]):  # a narrow critic must not begin with dead units alone
            nn.init.constant_(strided.bias, 0.1)  # type: ignore[arg-type]
        self.judge = nn.Sequential(
            nn.Conv2d(max(1, width // 2), 16 * width, grid), nn.ReLU(), nn.Conv2d(16 * width, 1, 1)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> judgements (B, 1, h, w), large is real, and the map (B, 1, H, W)."""
        seen = self.features(image)
        where = self.where(seen)
        low = self.shrink(seen * where)
        height, width = low.shape[-2:]
        judged: Tensor = self.judge(F.pad(low, (0, max(0, self.grid - width), 0, max(0, self.grid - height))))
        return judged, where
