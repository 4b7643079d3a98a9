"""PatchGAN: says of each patch of an image whether it is real."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from methods.networks.norms import Norm, normalisation
from methods.networks.self_attention import SelfAttention


class PatchDiscriminator(nn.Sequential):
    """Five 4×4 convolutions, the first three of stride 2; each output sees 70×70 pixels, large is real.

    Takes (B, inputs, H, W), sides of at least 32; gives (B, 1, h, w), unbounded.

    Args:
        inputs: channels of the image, and of what it is conditioned on.
        width: channels of the first convolution; they double three times.
        norm: ``batch``, ``instance``, ``group`` or ``none``, after the second to fourth.
        attention: self-attention after the fourth convolution.
        bias: of the last convolution; a Wasserstein critic, whose differences alone count, cannot learn it.

    Source: Isola et al., CVPR 2017, Sec. 6.1.2.
    """

    def __init__(
        self, inputs: int, width: int = 64, *, norm: Norm = "instance", attention: bool = False, bias: bool = True
    ) -> None:
        channels = [inputs, width, 2 * width, 4 * width, 8 * width, 1]
        parts: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            parts.append(nn.Conv2d(before, after, 4, 2 if i < 3 else 1, 1, bias=i < 4 or bias))
            if i and i < 4:
                parts += normalisation(norm, after)
            if attention and i == 3:
                parts.append(SelfAttention(after))
            if i < 4:
                parts.append(nn.LeakyReLU(0.2, inplace=True))
        super().__init__(*parts)
