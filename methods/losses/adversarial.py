"""The two losses of a generator and its discriminator, for one backward pass through both; and when to give up."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.func import functional_call

from datamodules.types import UserError

Kind = Literal["wasserstein", "least-squares", "cross-entropy"]


class Verdict(NamedTuple):
    """What a discriminator's judgement comes to.

    Attributes:
        generator: (), what the generator should minimise.
        discriminator: (), what the discriminator should.
        margin: () without a gradient: by how much it finds real images more real than the generator's, 0 where it is
            blind.
    """

    generator: Tensor
    discriminator: Tensor
    margin: Tensor


def adversarial_losses(
    discriminator: nn.Module,
    fake: Tensor,
    real: Tensor,
    condition: Tensor | None = None,
    kind: Kind = "wasserstein",
    replayed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The first two of ``judge``: what the generator and what the discriminator should minimise."""
    verdict = judge(discriminator, fake, real, condition, kind, replayed)
    return verdict.generator, verdict.discriminator


def judge(
    discriminator: nn.Module,
    fake: Tensor,
    real: Tensor,
    condition: Tensor | None = None,
    kind: Kind = "wasserstein",
    replayed: Tensor | None = None,
) -> Verdict:
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

    Source: Arjovsky et al., ICML 2017; Mao et al., ICCV 2017; Goodfellow et al., NeurIPS 2014; DMGN, Eq. 13 and 14.
    """

    def shown(image: Tensor) -> Tensor:
        return image if condition is None else torch.cat([image, condition], 1)

    fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    judged = functional_call(discriminator, fixed, (shown(fake),)).float()  # small differences of means
    forged = fake if replayed is None else replayed
    on_fake, on_real = (discriminator(shown(image)).float() for image in (forged.detach(), real))
    margin = on_real.detach().mean() - on_fake.detach().mean()
    if kind == "wasserstein":
        return Verdict(-judged.mean(), on_fake.mean() - on_real.mean(), margin)
    if kind == "least-squares":
        told = ((on_fake**2).mean() + ((on_real - 1) ** 2).mean()) / 2
        return Verdict(((judged - 1) ** 2).mean(), told, margin)
    told = (F.softplus(on_fake).mean() + F.softplus(-on_real).mean()) / 2
    return Verdict(F.softplus(-judged).mean(), told, margin)


class CollapseGuard:
    """Notices a discriminator, trained by cross-entropy, that teaches its generator nothing any more.

    It has collapsed where for ``patience`` steps in a row its loss is below ``won`` (it tells all images apart, its
    generator can do as it likes) or within ``blind`` of ln 2 = 0.693 (it says nearly the same of every image).

    What is counted stays on the device; a value is read from it once in ``every`` steps, the last of them, and never
    in between.

    Args:
        patience: in steps.
        every: steps from one look to the next.
        won: loss of a discriminator that has won.
        blind: distance from ln 2 of one that has given up.
        fatal: end the run with an error; else warn, once for each discriminator, where other losses teach as well.
    """

    def __init__(
        self, patience: int = 500, every: int = 25, won: float = 1e-5, blind: float = 0.01, fatal: bool = True
    ) -> None:
        self.patience, self.every, self.won, self.blind, self.fatal = patience, every, won, blind, fatal
        self.counts: dict[str, Tensor] = {}
        self.warned: set[str] = set()

    def watch(self, step: int, losses: dict[str, Tensor]) -> None:
        """Look at the discriminators' losses of one step.

        Args:
            step: number of the step.
            losses: () for each discriminator, by its name.

        Raises:
            UserError: one of them has collapsed; the message names it and the step.
        """
        values = {name: loss.detach().float() for name, loss in losses.items()}
        for name, value in values.items():
            idle = (value < self.won) | ((value - math.log(2)).abs() < self.blind)
            self.counts[name] = torch.where(idle, self.counts.get(name, torch.zeros_like(value)) + 1, 0.0)
        if (step + 1) % self.every:
            return
        read = torch.stack([torch.stack([self.counts[name], value]) for name, value in values.items()]).tolist()
        for name, (count, value) in zip(values, read, strict=True):
            if count < self.patience or name in self.warned:
                continue
            how = "it tells every image apart" if value < self.won else "it says the same of every image"
            message = (
                f"the {name} has collapsed at step {step}: {how} ({self.patience} steps with a loss of "
                f"{value:.2g}), so its generator learns nothing of it; lower the learning rate or the width, or use "
                "another norm or penalty."
            )
            if self.fatal:
                raise UserError(message)
            self.warned.add(name)
            rank_zero_warn(message)


Penalty = Literal["one-centred", "r1", "none"]


def gradient_penalty(
    discriminator: nn.Module, real: Tensor, between: Tensor | None = None, kind: Penalty = "r1"
) -> Tensor:
    """How far a discriminator's slope is from what it should be; in float32.

    The slope is that of one place's judgement, ‖∇_x D_p(x)‖, as a root mean square over the places p of an image: of
    the places' sum over the root of their number. (Exact where no pixel is seen by two places; there it is as strong
    for a large image as for a small one, where a mean's slope falls with the root of the number.)

    Args:
        discriminator: (B, C, H, W) -> (B, …), one or many judgements for each image.
        real: (B, C, H, W).
        between: (B, C, H, W), images on the way from real ones to the generator's.
        kind: ``r1``: ½·E‖∇D‖² at real images, zero-centred; ``one-centred``: E(‖∇D‖ − 1)² at ``between``.

    Returns:
        (), with a gradient for the discriminator alone.

    Source: Mescheder et al., ICML 2018, Eq. 9 (R1); Gulrajani et al., NeurIPS 2017, Eq. 3 (one-centred).
    """
    where = real if between is None else between
    if kind == "none":
        return torch.zeros((), device=where.device)
    with torch.autocast(where.device.type, enabled=False):
        image = where.detach().float().requires_grad_()
        judged = discriminator(image).flatten(1)
        (slope,) = torch.autograd.grad(judged.sum(), image, create_graph=True)
        energy: Tensor = (slope**2).sum((1, 2, 3)) / judged.shape[1]
    if kind == "r1":
        return energy.mean() / 2
    return ((energy + 1e-12).sqrt() - 1).square().mean()  # a root has no slope at 0
