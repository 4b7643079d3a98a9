"""Layer separation by relative smoothness: one layer has few, strong edges, the other is out of focus."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod

_HALVINGS = 30
"""Bisections of the search for a channel's level: finer than float32 tells values apart."""


class RelativeSmoothness(SeparationMethod):
    """Gradients of the background have a long tail, those of the reflection a short one; I = L1 + L2.

    The cost is λ·‖ΔL2‖² + ρ(∇L1), where ρ counts a gradient once, however strong it is. Half-quadratic splitting: new
    variables g stand for ∇L1, at the cost β·‖g − ∇L1‖², and β grows. Given L1, g is ∇L1 where its colours together
    pass 1/β, and 0 elsewhere; given g, L1 is the solution of a linear system that the Fourier transform makes a
    division. What both leave open, a constant for each channel, is chosen so that 0 ≤ L1 ≤ I holds as well as it
    can; then L1 is clipped.

    It predicts the background L1 and, of reflections, L2; of other data the background alone.

    Args:
        smoothness: λ, how smooth the reflection is meant to be.
        beta: the first β.
        steps: how many; β doubles after each.
        spec: of the data.

    Raises:
        UserError: a number that is not positive.

    Source: Li & Brown, CVPR 2014, and the authors' code: λ = 50 in its demonstration of reflections, the first β, and
        the threshold on the sum over colours. That code takes three steps, here there are five. They look for the
        constant by gradient descent; here the point where that comes to rest is found by bisection. The image is
        continued periodically, as theirs.
    """

    card = MethodCard(
        title="Relative smoothness", paper="Li & Brown, CVPR 2014", year=2014, supervision="none",
        scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "reflection")

    def __init__(
        self, smoothness: float = 50.0, beta: float = 20.0, steps: int = 5, spec: LayerSpec | None = None
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if smoothness <= 0 or beta <= 0 or steps < 1:
            raise UserError(f"smoothness {smoothness:g}, beta {beta:g}, steps {steps}: all must be positive.")
        self.smoothness, self.beta, self.steps = smoothness, beta, steps
        self.layers = 2 if spec is None or spec["layers"][1:2] == ["reflection"] else 1

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        background, most = mixture, mixture.clamp_min(0)
        for step in range(self.steps):
            beta = self.beta * 2**step
            edges = strong(*gradient(background), 1 / beta)
            background = level(solve(mixture, *edges, self.smoothness, beta), most).clamp_min(0).minimum(most)
        return torch.stack([background, mixture - background][: self.layers], 1)


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the next pixel below and to the right; the last row and column go on with the first.

    Args:
        image: (B, C, H, W).

    Returns:
        Two (B, C, H, W).
    """
    return image.roll(-1, -2) - image, image.roll(-1, -1) - image


def strong(down: Tensor, right: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Differences whose absolute values, summed over the channels, reach the threshold; 0 for others."""
    down, right = (part * (part.abs().sum(1, keepdim=True) >= threshold) for part in (down, right))
    return down, right


def solve(mixture: Tensor, down: Tensor, right: Tensor, smoothness: float, beta: float) -> Tensor:
    """L that minimises λ·‖Δ(I − L)‖² + β·‖∇L − g‖², of a periodic image, with mean 0.

    Args:
        mixture: (B, C, H, W), I.
        down: (B, C, H, W), g along columns.
        right: (B, C, H, W), g along rows.
        smoothness: λ.
        beta: β.

    Returns:
        (B, C, H, W).
    """
    height, width = mixture.shape[-2:]
    rows = 2 * math.pi * torch.fft.fftfreq(height, dtype=mixture.dtype, device=mixture.device)[:, None]
    columns = 2 * math.pi * torch.fft.rfftfreq(width, dtype=mixture.dtype, device=mixture.device)
    # Transforms of the differences; their squared absolute values sum to that of minus the Laplacian.
    by_row, by_column = (torch.polar(torch.ones_like(angle), angle) - 1 for angle in (rows, columns))
    laplacian = 2 * (1 - rows.cos()) + 2 * (1 - columns.cos())
    edges = by_row.conj() * torch.fft.rfft2(down) + by_column.conj() * torch.fft.rfft2(right)
    wanted = smoothness * laplacian.square() * torch.fft.rfft2(mixture) + beta * edges
    held = smoothness * laplacian.square() + beta * laplacian
    held[0, 0] = torch.inf  # the mean is left open
    solved: Tensor = torch.fft.irfft2(wanted / held, s=(height, width))
    return solved


def level(image: Tensor, most: Tensor) -> Tensor:
    """Add to each channel the constant for which what falls below 0 is balanced by what passes ``most``.

    Args:
        image: (B, C, H, W).
        most: (B, C, H, W), not negative.

    Returns:
        (B, C, H, W).
    """
    low, high = -image.amax((2, 3), keepdim=True), (most - image).amax((2, 3), keepdim=True)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        moved = image + middle
        # Rises with the constant: the values outside, summed.
        outside = (moved * ((moved < 0) | (moved > most))).sum((2, 3), keepdim=True)
        low, high = torch.where(outside < 0, middle, low), torch.where(outside < 0, high, middle)
    return image + (low + high) / 2
