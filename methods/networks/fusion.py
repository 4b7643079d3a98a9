"""Layers back to their mixture, as the data's image-formation model has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.types import LayerSpec

DARKEST = 1e-3
"""Value below which the slope of a gamma curve is cut off."""


class Fusion(NamedTuple):
    """How layers blend.

    Attributes:
        neutral: value of a layer that changes nothing.
        blend: from (B, K, C, H, W) and the spec's gain to (B, C, H, W).
    """

    neutral: float
    blend: Callable[[Tensor, float], Tensor]


FUSIONS = {
    "sum": Fusion(0.0, lambda layers, gain: layers.sum(1) / gain),
    "product": Fusion(1.0, lambda layers, gain: layers.prod(1)),
}


def fuse(layers: Tensor, spec: LayerSpec | None) -> Tensor:
    """The mixture that layers make, without noise and without what the spec does not say.

    Args:
        layers: (B, K, C, H, W).
        spec: of the data; None for a plain sum.

    Returns:
        (B, C, H, W).

    Source: SILS, Eq. 1 and Eq. 8.
    """
    name, gain, gamma = (spec["fusion"], spec["gain"], spec["gamma"]) if spec else ("sum", 1.0, 1.0)
    blend = FUSIONS[name].blend
    if gamma == 1:
        return blend(layers, gain)
    return blend(layers.clamp_min(DARKEST) ** gamma, gain) ** (1 / gamma)


def single_layers(layers: Tensor, spec: LayerSpec | None) -> tuple[Tensor, Tensor]:
    """Mixtures of one layer alone, with their truths.

    Args:
        layers: (B, K, C, H, W); one image's layers need not belong together.
        spec: of the data; None for a plain sum.

    Returns:
        (K, B, C, H, W) mixtures, the k-th of layer k and neutral others, and their (K, B, K, C, H, W) layers.
    """
    count = layers.shape[1]
    neutral = FUSIONS[spec["fusion"] if spec else "sum"].neutral
    truths = torch.full_like(layers, neutral).expand(count, *layers.shape).clone()
    for k in range(count):
        truths[k, :, k] = layers[:, k]
    return fuse(truths.flatten(0, 1), spec).view(count, *layers[:, 0].shape), truths
