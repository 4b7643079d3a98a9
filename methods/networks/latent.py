"""Encoders and decoders whose features are the latent space that SILS compares, and their discriminators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.networks.unet import group_norm

NormName = Literal["batch", "instance", "group"]

NORMS: dict[NormName, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "group": group_norm,
}

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
            nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), NORMS[norm](after), nn.LeakyReLU(0.2))
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
                nn.ConvTranspose2d(before * (2 if level else 1), after, 4, 2, 1), NORMS[norm](after), nn.LeakyReLU(0.2)
            )
            for level, (before, after) in enumerate(zip(deep, [*deep[1:], width], strict=True))
        )
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features -> (B, outputs, H, W), unbounded."""
        *skips, x = features
        for level, stage in enumerate(self.stages):
            x = stage(torch.cat([x, skips[-level]], 1) if level else x)
        image: Tensor = self.head(x)
        return image


class MultiScaleDiscriminator(nn.Module):
    """Branches of 4×4 convolutions of stride 2 on ever smaller copies of the image; large is real.

    Branch i sees the image averaged over 2^i × 2^i pixels. Takes (B, inputs, H, W); gives (B, 1, H / 16, W / 16)
    unbounded, the mean of the branches, the coarse ones brought to the finest's size.

    Args:
        inputs: channels of the image.
        width: channels after a branch's first convolution; they double three times.
        scales: number of branches.

    Source: SILS, Sec. 4; the last 1×1 convolution from the authors' code. Reconstructed: no normalisation, which a
        gradient penalty does not go with.
    """

    def __init__(self, inputs: int, width: int = 32, scales: int = 1) -> None:
        super().__init__()
        channels = [inputs, *(width * 2**level for level in range(4))]
        self.branches = nn.ModuleList()
        for _ in range(scales):
            parts: list[nn.Module] = []
            for before, after in pairwise(channels):
                parts += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
            self.branches.append(nn.Sequential(*parts, nn.Conv2d(channels[-1], 1, 1)))

    def forward(self, image: Tensor) -> Tensor:
        """How real each part of an image is."""
        total = self.branches[0](image)
        for i, branch in enumerate(self.branches[1:], start=1):
            judged = branch(F.avg_pool2d(image, 2**i))
            total = total + F.interpolate(judged, size=total.shape[-2:])
        verdict: Tensor = total / len(self.branches)
        return verdict


@contextmanager
def frozen_statistics(*networks: nn.Module) -> Iterator[None]:
    """Batch normalisation inside normalises by the batch, but what it will use in testing does not learn from it.

    An encoder sees mixtures, layers and what it fused itself; only mixtures come in testing.
    """
    norms = [part for network in networks for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    held = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, held, strict=True):
            norm.momentum = momentum
