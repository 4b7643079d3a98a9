"""The relativistic average GAN: a picture is judged against what others of the other kind are like."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


def relativistic_losses(discriminator: nn.Module, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """What the generator and what the discriminator should minimise: cross-entropy of judgements' differences.

    With the mean taken over the batch, a judgement less the mean of the other kind's should be large for real pictures
    and small for the generator's; the generator wants the opposite. As in ``losses.adversarial.judge``, the first has
    no gradient for the discriminator, the second none for the generator.

    Args:
        discriminator: (B, C, H, W) -> anything; large is real.
        fake: (B, C, H, W) of the generator.
        real: (B, C, H, W).

    Returns:
        Two of ().

    Source: Jolicoeur-Martineau, ICLR 2019 (RaSGAN); half of each sum, as in ERRNet's code.
    """
    fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    judged = functional_call(discriminator, fixed, (fake,)).float()
    on_fake, on_real = (discriminator(image).float() for image in (fake.detach(), real))
    with torch.no_grad():
        known = on_real.detach()
    generator = F.softplus(known - judged.mean()).mean() + F.softplus(known.mean() - judged).mean()
    told = F.softplus(on_fake.mean() - on_real).mean() + F.softplus(on_fake - on_real.mean()).mean()
    return generator / 2, told / 2
