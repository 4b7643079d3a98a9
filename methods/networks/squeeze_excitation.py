"""Squeeze and excitation: each channel is weighed by what all channels are on average."""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Each channel times a number in (0, 1), which two layers make of the means of all channels.

    Args:
        channels: of the input.
        hidden: numbers between the two layers.

    Source: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, Eq. 2 to 4.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        weights: Tensor = self.weigh(x.mean((2, 3)))
        return x * weights[:, :, None, None]
