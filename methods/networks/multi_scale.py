"""Discriminators that look at an image in several sizes."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class MultiScaleDiscriminator(nn.Module):
    """Branches of 4×4 convolutions of stride 2 on ever smaller copies of the image; large is real.

    Branch i sees the image halved i times, by averaging 3×3 pixels. Takes (B, inputs, H, W); gives
    (B, 1, H / 16 / 2^(scales − 1), W / 16 / 2^(scales − 1)) unbounded, the mean of the branches, the fine ones brought
    to the coarsest's size.

    Args:
        inputs: channels of the image.
        width: channels after a branch's first convolution; they double three times.
        scales: number of branches.

    Source: SILS, Sec. 4; the pooling, the size and the last 1×1 convolution from the authors' code, which ends in a
        sigmoid besides. Reconstructed: no normalisation, which a gradient penalty does not go with.
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
        for branch in self.branches[1:]:
            image = F.avg_pool2d(image, 3, 2, 1, count_include_pad=False)
            judged = branch(image)
            total = F.interpolate(total, size=judged.shape[-2:], mode="bilinear", align_corners=False) + judged
        verdict: Tensor = total / len(self.branches)
        return verdict
