"""UNIT's generators: two autoencoders that share the middle, and with it their codes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

HALVINGS = 2
"""Of the resolution between an image and its code."""

RESIDUAL = 3
"""Blocks of each encoder, and of each decoder, beside the shared one."""


class ResidualBlock(nn.Module):
    """x + two 3×3 convolutions, each with instance normalisation, ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        inner = F.relu(F.instance_norm(self.first(x)))
        return x + F.instance_norm(self.second(inner))


class CodeEncoder(nn.Module):
    """A 7×7 convolution, two 3×3 convolutions of stride 2, three residual blocks of its own and one that is shared.

    Takes (B, inputs, H, W), sides multiples of 4; gives (B, 4·width, H / 4, W / 4), a code's mean.

    Args:
        inputs: channels of the image.
        width: channels after the first convolution.
        shared: the last block.

    Source: Liu et al., NeurIPS 2017; leaky ReLU without normalisation in the convolutions and instance normalisation in
        the blocks from the authors' code.
    """

    def __init__(self, inputs: int, width: int, shared: ResidualBlock) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Conv2d(inputs, width, 7, padding=3), nn.LeakyReLU()]
        for level in range(HALVINGS):
            before = width * 2**level
            parts += [nn.Conv2d(before, 2 * before, 3, 2, 1), nn.LeakyReLU()]
        self.own = nn.Sequential(*parts, *(ResidualBlock(width * 2**HALVINGS) for _ in range(RESIDUAL)))
        self.shared = shared

    def forward(self, image: Tensor) -> Tensor:
        """The mean of the code."""
        mean: Tensor = self.shared(self.own(image))
        return mean


class CodeDecoder(nn.Module):
    """The encoder mirrored: a residual block that is shared, three of its own, two enlargements, a 1×1 convolution.

    Args:
        outputs: channels of the image.
        width: of the encoder.
        shared: the first block.

    Source: as of ``CodeEncoder``. The last layer is linear, for images in [0, 1], where the authors' ends in tanh, for
        images in [−1, 1].
    """

    def __init__(self, outputs: int, width: int, shared: ResidualBlock) -> None:
        super().__init__()
        self.shared = shared
        parts: list[nn.Module] = [ResidualBlock(width * 2**HALVINGS) for _ in range(RESIDUAL)]
        for level in reversed(range(HALVINGS)):
            after = width * 2**level
            parts += [nn.ConvTranspose2d(2 * after, after, 3, 2, 1, output_padding=1), nn.LeakyReLU()]
        self.own = nn.Sequential(*parts, nn.Conv2d(width, outputs, 1))

    def forward(self, code: Tensor) -> Tensor:
        """(B, 4·width, h, w) -> (B, outputs, 4h, 4w), unbounded."""
        image: Tensor = self.own(self.shared(code))
        return image


class Coupled(nn.Module):
    """An encoder and a decoder for mixtures, and for one kind of layer, with one latent space.

    Args:
        channels: of the images.
        width: channels after the first convolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        deep = width * 2**HALVINGS
        last, first = ResidualBlock(deep), ResidualBlock(deep)
        self.encode_mixture, self.encode_layer = (CodeEncoder(channels, width, last) for _ in range(2))
        self.decode_mixture, self.decode_layer = (CodeDecoder(channels, width, first) for _ in range(2))
