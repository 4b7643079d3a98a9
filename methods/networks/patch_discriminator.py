"""PatchGAN: says of each patch of an image whether it is real."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from methods.networks.norms import Norm, normalisation
from methods.networks.self_attention import SelfAttention


class PatchDiscriminator(nn.Sequential):
    """Five 4×4 convolutions, the first three of stride 2; each output sees 70×70 pixels, large is real.

    Takes (B, inputs, H, W), sides of at least 32; gives (B, 1, h, w), unbounded.

    Args:
        inputs: channels of the image, and of what it is conditioned on.
        width: channels of the first convolution; they double three times.
        spectral: divide each convolution's weight by its spectral norm, so that the network is Lipschitz; then there
            is no normalisation of activations, and no last bias, which a Wasserstein critic cannot learn.
            Otherwise ``norm`` after the second to fourth.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
        attention: self-attention after the fourth convolution.

    Source: Isola et al., CVPR 2017, Sec. 6.1.2; spectral normalisation: Miyato et al., ICLR 2018.
    """

    def __init__(
        self, inputs: int, width: int = 64, *, spectral: bool = False, norm: Norm = "instance", attention: bool = False
    ) -> None:
        channels = [inputs, width, 2 * width, 4 * width, 8 * width, 1]
        parts: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            layer: nn.Module = nn.Conv2d(before, after, 4, 2 if i < 3 else 1, 1, bias=i < 4 or not spectral)
            parts.append(spectral_norm(layer) if spectral else layer)
            if i and i < 4 and not spectral:
                parts += normalisation(norm, after)
            if attention and i == 3:
                parts.append(SelfAttention(after))
            if i < 4:
                parts.append(nn.LeakyReLU(0.2, inplace=True))
        super().__init__(*parts)
