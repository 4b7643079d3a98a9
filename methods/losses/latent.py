"""Distances between the codes of SILS's encoders."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def code_distance(one: Tensor, other: Tensor) -> Tensor:
    """|f1 − f2|₁ as a mean over features, image by image.

    Args:
        one: (B, F, h, w).
        other: like ``one``.

    Returns:
        (B,) float32.

    Source: SILS, Eq. 5; a mean in place of the sum, from the authors' code.
    """
    return (one.float() - other.float()).abs().mean((1, 2, 3))


def psi(distance: Tensor, alpha: float = 1.4) -> Tensor:
    """ψ(d) = 1 / (1 + exp(−(d − α·e^α) / α²)), from near 0 for equal codes to 1 for codes far apart.

    Args:
        distance: d ≥ 0, any shape.
        alpha: α > 0; ψ is ½ at α·e^α, and the steeper in d the smaller α is.

    Source: SILS, Eq. 6.
    """
    return torch.sigmoid((distance - alpha * math.exp(alpha)) / alpha**2)


def self_supervision(
    mixture: list[list[Tensor]], real: list[list[Tensor]], within: float, between: float, alpha: float
) -> Tensor:
    """L_SS: the codes of a layer's encoder agree, those of different encoders do not.

    Args:
        mixture: E_k(x), for each of K layers its levels of features, each (B, F, h, w).
        real: E_k(y_k) likewise, of layers that are not the mixture's.
        within: λ1 = λ2, weight of |E_k(x) − E_k(y_k)|₁, summed over k.
        between: λ3, weight of 1 − ψ(10·|E_j(x) − E_k(x)|₁), a mean over pairs j < k.
        alpha: of ψ.

    Returns:
        (), a mean over levels and images.

    Source: SILS, Eq. 5; d = 10·mean|f1 − f2|, α = 1.4 and the mean over levels from the authors' code.
    """
    levels, count = range(len(mixture[0])), len(mixture)
    pairs = [(j, k) for j in range(count) for k in range(j + 1, count)]
    alike = torch.stack([code_distance(mixture[k][i], real[k][i]) for i in levels for k in range(count)])
    apart = torch.stack([10 * code_distance(mixture[j][i], mixture[k][i]) for i in levels for j, k in pairs])
    return within * count * alike.mean() + between * (1 - psi(apart, alpha)).mean()
