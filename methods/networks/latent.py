"""Pairs of encoder and decoder; the encoder's features are the latent space that SILS compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from methods.networks.latent_vgg import VGGDecoder, VGGEncoder
from methods.networks.norms import NORMS, NormName

LEVELS = 5
"""Halvings of the resolution in an encoder for toy data."""


def simple_widths(width: int) -> list[int]:
    """Channels of the encoder's features, from the finest level on: they double four times."""
    return [width * 2**level for level in range(LEVELS)]


class SimpleEncoder(nn.Module):
    """Five 4×4 convolutions of stride 2, each with normalisation and leaky ReLU, and the features after each.

    Takes (B, inputs, H, W), sides multiples of 32; gives (B, width·2^l, H / 2^(l + 1), W / 2^(l + 1)) for l = 0 … 4.

    Args:
        inputs: channels of the image.
        width: channels after the first convolution; they double up to 16 times as many.
        norm: kind of normalisation.

    Source: SILS, Sec. 4, generator for synthetic data; widths from the authors' code.
    """

    def __init__(self, inputs: int, width: int = 32, norm: NormName = "batch") -> None:
        super().__init__()
        self.channels = simple_widths(width)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=False), NORMS[norm](after), nn.LeakyReLU(0.2))
            for before, after in pairwise([inputs, *self.channels])
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features, from the finest level to the deepest."""
        features = []
        for stage in self.stages:
            features.append(image := stage(image))
        return features


class SimpleDecoder(nn.Module):
    """The encoder mirrored, with its features concatenated level by level, and a last layer to the image.

    Args:
        outputs: channels of the image.
        width: of the encoder.
        norm: kind of normalisation.

    Source: SILS, Sec. 4. Reconstructed: the last layer is a 3×3 convolution, and linear.
    """

    def __init__(self, outputs: int, width: int = 32, norm: NormName = "batch") -> None:
        super().__init__()
        deep = simple_widths(width)[::-1]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before * (2 if level else 1), after, 4, 2, 1, bias=False),
                NORMS[norm](after),
                nn.LeakyReLU(0.2),
            )
            for level, (before, after) in enumerate(zip(deep, [*deep[1:], width], strict=True))
        )
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Features -> (B, outputs, H, W), unbounded; the picture that they are of is not looked at."""
        *skips, x = features
        for level, stage in enumerate(self.stages):
            x = stage(torch.cat([x, skips[-level]], 1) if level else x)
        made: Tensor = self.head(x)
        return made


GeneratorKind = Literal["simple", "vgg"]
Encoder = SimpleEncoder | VGGEncoder
Decoder = SimpleDecoder | VGGDecoder

MULTIPLE, SMALLEST = 32, 64
"""Of an image's sides that any generator takes; instance normalisation needs more than one place at the deepest."""


class Generator(nn.Module):
    """An encoder and its decoder, from image to image.

    Takes and gives (B, channels, H, W), the result unbounded.

    Args:
        kind: ``simple`` for toy data, ``vgg`` for photographs.
        channels: of the images.
        width: channels after the first convolution (``simple``), or at full resolution in the decoder (``vgg``).
        norm: kind of normalisation.
        features: VGG19's weights to begin with.

    Raises:
        UserError: a grey image, or weights that cannot be had, for ``vgg``.
    """

    def __init__(self, kind: GeneratorKind, channels: int, width: int, norm: NormName, features: str) -> None:
        super().__init__()
        makers: dict[GeneratorKind, Callable[[], tuple[Encoder, Decoder]]] = {
            "simple": lambda: (SimpleEncoder(channels, width, norm), SimpleDecoder(channels, width, norm)),
            "vgg": lambda: (VGGEncoder(channels, features), VGGDecoder(channels, width, norm)),
        }
        self.encode, self.decode = makers[kind]()

    def forward(self, image: Tensor) -> Tensor:
        """Through both."""
        made: Tensor = self.decode(self.encode(image), image)
        return made


class Generators(nn.ModuleList):
    """Several of one kind, each with weights of its own.

    Args:
        count: how many.
        kind: see ``Generator``, as for the others.
        channels: of the images.
        width: of each.
        norm: of each.
        features: of each.
    """

    def __init__(self, count: int, kind: GeneratorKind, channels: int, width: int, norm: NormName, features: str):
        super().__init__(Generator(kind, channels, width, norm, features) for _ in range(count))

    def __iter__(self) -> Iterator[Generator]:
        return super().__iter__()  # type: ignore[return-value]
