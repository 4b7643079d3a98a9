"""What a network that corrects its input begins with."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.types import LayerSpec


def starting_layers(mixture: Tensor, spec: LayerSpec | None) -> Tensor:
    """The trivial answer, to which a residual network adds what it has learnt.

    Where one layer is the scene and the others lie over it (they have an order, and their sum is the mixture), the
    first is the mixture and the others are nothing. Layers of one kind, or of unknown data, are equal shares.

    Args:
        mixture: (B, C, H, W), at the layers' size.
        spec: of the data; None for two layers of one kind.

    Returns:
        (B, K, C, H, W).
    """
    count = len(spec["layers"]) if spec else 2
    if spec and spec["ordered"] and spec["gain"] == 1:
        nothing = torch.zeros_like(mixture)
        return torch.stack([mixture, *[nothing] * (count - 1)], 1)
    share = (spec["gain"] if spec else 1.0) / count * mixture
    return torch.stack([share] * count, 1)
