"""Convex reflection suppression: small gradients are the reflection's; one solve by cosines leaves them out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod
from methods.networks.cosine import dct, idct


class ConvexReflectionSuppression(SeparationMethod):
    """Drop gradients shorter than h, and find the image whose Laplacian is what the others call for.

    The background T minimises ½‖ΔT − div δ_h(∇Y)‖² + ε/2·‖T − Y‖² of the mixture Y, channel by channel, where δ_h keeps
    a gradient that is longer than h and makes 0 of others. It solves (Δ² + εI)·T = Δ div δ_h(∇Y) + εY, which the
    cosine transform makes a division, since nothing flows through the border.

    It predicts the background alone: what is suppressed is no reflection that could be looked at.

    Args:
        threshold: h, for values in [0, 1]; a user is meant to choose it by eye: the authors' program has a slider.
        fidelity: ε, how far the background holds on to the mixture.
        spec: of the data.

    Raises:
        UserError: a negative threshold, or a fidelity that is not positive.

    Source: Yang, Ma, Zheng, Cai & Xu, CVPR 2019, Eq. 3 (the model) and Theorem 1 (its solution by cosines), and the
        authors' code, whose example has these h and ε.
    """

    card = MethodCard(
        title="Convex reflection suppression", paper="Yang et al., CVPR 2019", year=2019, supervision="none",
        scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background",)

    def __init__(self, threshold: float = 0.033, fidelity: float = 1e-8, spec: LayerSpec | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        if threshold < 0 or fidelity <= 0:
            raise UserError(
                f"threshold {threshold:g}, fidelity {fidelity:g}: the first must not be negative, the second positive."
            )
        self.threshold, self.fidelity = threshold, fidelity

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        sources = divergence(*long(*gradient(mixture), self.threshold))
        return solve(sources, mixture, self.fidelity).unsqueeze(1)


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the next pixel below and to the right, 0 at the last row and column.

    Args:
        image: (B, C, H, W).

    Returns:
        Two (B, C, H, W).
    """
    return F.pad(image.diff(dim=-2), (0, 0, 0, 1)), F.pad(image.diff(dim=-1), (0, 1))


def long(down: Tensor, right: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Gradients longer than the threshold, 0 for others."""
    kept = (down.square() + right.square()).sqrt() > threshold
    return down * kept, right * kept


def divergence(down: Tensor, right: Tensor) -> Tensor:
    """What flows out of each pixel; minus the transpose of ``gradient``.

    Args:
        down: (B, C, H, W), 0 in the last row.
        right: (B, C, H, W), 0 in the last column.

    Returns:
        (B, C, H, W).
    """
    above, before = F.pad(down[..., :-1, :], (0, 0, 1, 0)), F.pad(right[..., :-1], (1, 0))
    return down - above + right - before


def solve(sources: Tensor, mixture: Tensor, fidelity: float) -> Tensor:
    """T of (Δ² + εI)·T = Δ·sources + ε·mixture, with no flow through the border.

    Args:
        sources: (B, C, H, W), what ΔT should be.
        mixture: (B, C, H, W), what T should be near.
        fidelity: ε.

    Returns:
        (B, C, H, W).
    """
    rows, columns = (
        2 * torch.cos(torch.arange(side, device=mixture.device, dtype=mixture.dtype) * (math.pi / side)) - 2
        for side in mixture.shape[-2:]
    )
    # Both are transformed, not their sum: Δ applied in the cosine domain keeps coarse shapes that
    # Δ applied to pixels would lose to rounding in float32, as ε is so small.
    laplacian = rows[:, None] + columns
    return idct((laplacian * dct(sources) + fidelity * dct(mixture)) / (laplacian.square() + fidelity))
