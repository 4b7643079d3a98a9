"""pix2pix: a U-Net that draws one image from another, and the patch discriminator that judges it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.losses.adversarial import adversarial_losses
from methods.networks.norms import Norm, normalisation
from methods.networks.patch_discriminator import PatchDiscriminator
from methods.networks.self_attention import SelfAttention

ATTENTION_AFTER = 4
"""The convolution that self-attention follows, in generator and discriminator."""


class Pix2PixUNet(nn.Module):
    """Convolutions 4×4 of stride 2 down to one 256th, and back with skips.

    Takes (B, inputs, H, W) with sides that are multiples of 2^depth; gives (B, outputs, H, W) in (−1, 1), or with
    ``residual`` a correction added to its input, which may leave that range.

    Args:
        inputs: channels.
        outputs: channels.
        width: channels of the first convolution; they double three times.
        depth: convolutions on the way down.
        norm: ``batch``, ``instance``, ``group`` or ``none``; not after the first and the innermost convolution.
        dropout: probability in the three innermost decoders, in training.
        attention: self-attention after the fourth convolution.
        residual: add the image, the first ``outputs`` channels of the input, to what is drawn, without the hyperbolic
            tangent and from zero on.

    Source: Isola et al., CVPR 2017, Sec. 6.1.1 (U-Net-256 has depth 8). ``residual`` is ours.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        attention: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        widths = [width * 2 ** min(i, 3) for i in range(depth)]
        down = [nn.Sequential(nn.Conv2d(inputs, width, 4, 2, 1))]
        for i in range(1, depth):
            normed = normalisation(norm, widths[i]) if i < depth - 1 else []
            convolution = nn.Conv2d(widths[i - 1], widths[i], 4, 2, 1, bias=not normed)
            attend = [SelfAttention(widths[i])] if attention and i == ATTENTION_AFTER - 1 else []
            down.append(nn.Sequential(nn.LeakyReLU(0.2), convolution, *normed, *attend))
        up = []
        for i in range(depth):
            given = widths[i] if i == depth - 1 else 2 * widths[i]
            normed = normalisation(norm, widths[i - 1]) if i else []
            grow = nn.ConvTranspose2d(given, widths[i - 1] if i else outputs, 4, 2, 1, bias=not normed)
            dropped = [nn.Dropout(dropout)] if dropout and i >= max(1, depth - 3) else []
            ends = [nn.Tanh()] if i == 0 and not residual else []
            up.append(nn.Sequential(nn.ReLU(), grow, *normed, *dropped, *ends))
            for parameter in grow.parameters() if i == 0 and residual else ():
                nn.init.zeros_(parameter)
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)

    def forward(self, image: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        skips = []
        x: Tensor = image
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.up[-1](skips.pop())
        for layer in reversed(self.up[:-1]):
            x = layer(torch.cat([x, skips.pop()], 1))
        return image[:, : x.shape[1]] + x if self.residual else x


class Pix2PixGAN(nn.Module):
    """A generator with its discriminator; images in [−1, 1].

    Args:
        inputs: channels of what is given.
        outputs: channels of what is drawn.
        width: channels of both networks' first convolution.
        depth: of the generator.
        norm: in both networks.
        dropout: in the generator.
        attention: self-attention in both networks.
        conditional: whether the discriminator sees what was given, too.
        residual: whether the generator draws a correction of what is given.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 64,
        depth: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        *,
        attention: bool = False,
        conditional: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.generator = Pix2PixUNet(inputs, outputs, width, depth, norm, dropout, attention, residual)
        seen = outputs + inputs if conditional else outputs
        self.discriminator = PatchDiscriminator(seen, width, norm=norm, attention=attention)

    def forward(self, given: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        image: Tensor = self.generator(given)
        return image

    def losses(self, given: Tensor, drawn: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """What generator and discriminator should minimise: cross-entropy, the generator's non-saturating.

        Args:
            given: (B, inputs, H, W).
            drawn: (B, outputs, H, W) by the generator.
            real: (B, outputs, H, W).

        Source: Cascaded GANs, Eq. 1 and 2; Isola et al., Sec. 3.3 (half of the discriminator's loss).
        """
        condition = given if self.conditional else None
        return adversarial_losses(self.discriminator, drawn, real, condition, kind="cross-entropy")
