"""The two losses of a generator and its discriminator, for one backward pass through both; and when to give up."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from datamodules.types import UserError

Kind = Literal["wasserstein", "least-squares", "cross-entropy"]


def adversarial_losses(
    discriminator: nn.Module,
    fake: Tensor,
    real: Tensor,
    condition: Tensor | None = None,
    kind: Kind = "wasserstein",
    replayed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the generator and what the discriminator should minimise.

    The first has no gradient for the discriminator, the second none for the generator. Their sum can thus be
    minimised by one backward pass and one optimiser step: with one gradient scaler and every parameter used in
    each pass, that is as right under mixed precision and under DDP as any other loss. Both networks step at
    once, where the papers alternate.

    Args:
        discriminator: (B, C, H, W) -> anything; large is real.
        fake: (B, C, H, W) of the generator.
        real: (B, C, H, W).
        condition: (B, C', H, W), shown to the discriminator beside the image.
        kind: ``wasserstein`` (the discriminator should be Lipschitz), ``least-squares``, ``cross-entropy``.
        replayed: (B, C, H, W), older work of the generator that the discriminator learns from instead of ``fake``.

    Returns:
        (generator's, discriminator's), each ().

    Source: Arjovsky et al., ICML 2017; Mao et al., ICCV 2017; Goodfellow et al., NeurIPS 2014; DMGN, Eq. 13 and 14.
    """

    def shown(image: Tensor) -> Tensor:
        return image if condition is None else torch.cat([image, condition], 1)

    fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    judged = functional_call(discriminator, fixed, (shown(fake),)).float()  # small differences of means
    forged = fake if replayed is None else replayed
    on_fake, on_real = (discriminator(shown(image)).float() for image in (forged.detach(), real))
    if kind == "wasserstein":
        return -judged.mean(), on_fake.mean() - on_real.mean()
    if kind == "least-squares":
        return ((judged - 1) ** 2).mean(), ((on_fake**2).mean() + ((on_real - 1) ** 2).mean()) / 2
    return F.softplus(-judged).mean(), (F.softplus(on_fake).mean() + F.softplus(-on_real).mean()) / 2


class CollapseGuard:
    """Ends a run whose discriminator, trained by cross-entropy, teaches its generator nothing any more.

    It has collapsed where for ``patience`` steps in a row its loss is below ``won`` (it tells all images apart, its
    generator can do as it likes) or within ``blind`` of ln 2 (it says the same of every image). The device is asked
    only now and then, so that it need not wait for the host at each step.

    Args:
        patience: in steps.
        every: steps between two looks.
        won: loss of a discriminator that has won.
        blind: distance from ln 2 of one that has given up.
    """

    def __init__(self, patience: int = 500, every: int = 25, won: float = 1e-5, blind: float = 1e-7) -> None:
        self.patience, self.every, self.won, self.blind = patience, every, won, blind
        self.counts: dict[str, Tensor] = {}

    def watch(self, step: int, losses: dict[str, Tensor]) -> None:
        """Look at the discriminators' losses of one step.

        Args:
            step: number of the step.
            losses: () for each discriminator, by its name.

        Raises:
            UserError: one of them has collapsed; the message names it and the step.
        """
        for name, loss in losses.items():
            value = loss.detach().float()
            idle = (value < self.won) | ((value - math.log(2)).abs() < self.blind)
            self.counts[name] = torch.where(idle, self.counts.get(name, torch.zeros_like(value)) + 1, 0.0)
            if step % self.every == 0 and float(self.counts[name]) >= self.patience:
                how = "it tells every image apart" if float(value) < self.won else "it says the same of every image"
                raise UserError(
                    f"the {name} has collapsed at step {step}: {how} ({self.patience} steps with a loss of "
                    f"{float(value):.2g}), so its generator learns nothing; lower the learning rate or the width, "
                    "or use another norm."
                )


def gradient_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """½·E‖∇_x D(x)‖² at real images, of the mean that D gives each image; in float32.

    It needs no random numbers: neither ranks nor an interruption change it.

    Args:
        discriminator: (B, C, H, W) -> (B, …).
        real: (B, C, H, W).

    Returns:
        (), with a gradient for the discriminator alone.

    Source: Mescheder et al., ICML 2018, Eq. 9 (R1).
    """
    with torch.autocast(real.device.type, enabled=False):
        image = real.detach().float().requires_grad_()
        judged = discriminator(image).flatten(1).mean(1).sum()
        (slope,) = torch.autograd.grad(judged, image, create_graph=True)
    return (slope**2).sum((1, 2, 3)).mean() / 2
