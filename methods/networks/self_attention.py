"""Self-attention over all positions of a feature map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x + γ·attention(x), each position attending to all others.

    γ starts at 0, so that the network learns from its neighbourhood first.

    Args:
        channels: of the features; at least 8 are wanted, as queries and keys have an eighth of them.

    Source: Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019, Sec. 3: an eighth of the channels
        for queries and keys, half for values, scores without a scale.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        keys, values = max(1, channels // 8), max(1, channels // 2)
        self.parts = [keys, keys, values]
        self.project = nn.Conv2d(channels, sum(self.parts), 1)
        self.out = nn.Conv2d(values, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        query, key, value = (part.flatten(2).mT for part in self.project(x).split(self.parts, 1))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        attended: Tensor = self.out(seen.mT.reshape(len(x), -1, *x.shape[-2:]))
        return x + self.gamma * attended
