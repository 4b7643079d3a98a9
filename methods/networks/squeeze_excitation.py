"""Squeeze and excitation: each channel is weighed by what all channels are on average."""

from __future__ import annotations

from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """Each channel times a number in (0, 1), which two layers make of the means of all channels.

    Args:
        channels: of the input.
        hidden: numbers between the two layers.
        start: last biases before training: 0 halves each channel, more lets more of it through.

    Source: Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, Eq. 2 to 4. Ours: the hidden biases start at one, so
        that no hidden unit is dead where there are few of them.
    """

    def __init__(self, channels: int, hidden: int, start: float = 0.0) -> None:
        super().__init__()
        first, last = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        nn.init.ones_(first.bias)
        nn.init.constant_(last.bias, start)
        self.weigh = nn.Sequential(first, nn.ReLU(inplace=True), last, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        weights: Tensor = self.weigh(x.mean((2, 3)))
        return x * weights[:, :, None, None]
