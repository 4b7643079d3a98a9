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


def fuse(layers: Tensor, spec: LayerSpec) -> Tensor:
    """The mixture that layers make, without noise and without what the spec does not say.

    Args:
        layers: (B, K, C, H, W).
        spec: of the data.

    Returns:
        (B, C, H, W).

    Source: SILS, Eq. 1 and Eq. 8.
    """
    gamma, blend = spec["gamma"], FUSIONS[spec["fusion"]].blend
    if gamma == 1:
        return blend(layers, spec["gain"])
    return blend(layers.clamp_min(DARKEST) ** gamma, spec["gain"]) ** (1 / gamma)


def single_layers(layers: Tensor, spec: LayerSpec) -> tuple[Tensor, Tensor]:
    """Mixtures of one layer alone, with their truths.

    Args:
        layers: (B, K, C, H, W); one image's layers need not belong together.
        spec: of the data.

    Returns:
        (K, B, C, H, W) mixtures, the k-th of layer k and neutral others, and their (K, B, K, C, H, W) layers.
    """
    count = layers.shape[1]
    truths = torch.full_like(layers, FUSIONS[spec["fusion"]].neutral).expand(count, *layers.shape).clone()
    for k in range(count):
        truths[k, :, k] = layers[:, k]
    return fuse(truths.flatten(0, 1), spec).view(count, *layers[:, 0].shape), truths
