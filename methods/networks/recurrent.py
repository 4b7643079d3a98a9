"""Recurrent cells whose matrices are convolutions: the plain one, the gated one (GRU) and the one with memory (LSTM).

Each cell takes what comes in and its state, and gives its output and its next state. A state is a tuple of tensors,
the output first; None stands for the state before the first step, of which all tensors are zero.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]

CellName = Literal["gru", "lstm", "rnn"]


class ConvCell(nn.Module):
    """What the cells share: one convolution of what comes in for all gates.

    Args:
        inputs: channels of what comes in.
        channels: of output and state.
        gates: how many maps of so many channels are made of what comes in.
        dilation: of the convolution of what comes in; that of the state has none.
    """

    def __init__(self, inputs: int, channels: int, gates: int, dilation: int = 1) -> None:
        super().__init__()
        self.gates = gates
        self.incoming = nn.Conv2d(inputs, gates * channels, 3, padding=dilation, dilation=dilation)


class ConvRNN(ConvCell):
    """h = tanh(W*x + U*h).

    Args:
        inputs: channels of x.
        channels: of h.
        dilation: of W.
        bias: whether U has a bias, too.
    """

    def __init__(self, inputs: int, channels: int, dilation: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, channels, 1, dilation)
        self.recurrent = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, inputs, H, W) and the state -> (B, channels, H, W) and the next state."""
        given = self.incoming(x)
        h = (given if state is None else given + self.recurrent(state[0])).tanh()
        return h, (h,)


class ConvGRU(ConvCell):
    """h = (1 − z)·h + z·n, with update z and reset r of x and h, and the candidate n = tanh(W*x + U*(r·h)).

    Args:
        inputs: channels of x.
        channels: of h.
        dilation: of the convolutions of x.
        bias: whether the convolutions of h have biases, too.

    Source: Cho et al., EMNLP 2014; Ballas et al., ICLR 2016 (with convolutions).
    """

    def __init__(self, inputs: int, channels: int, dilation: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, channels, 3, dilation)
        self.recurrent = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=bias)
        self.candidate = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, inputs, H, W) and the state -> (B, channels, H, W) and the next state."""
        update, reset, new = self.incoming(x).chunk(3, 1)
        if state is None:
            h = update.sigmoid() * new.tanh()
            return h, (h,)
        (h,) = state
        of_update, of_reset = self.recurrent(h).chunk(2, 1)
        z = (update + of_update).sigmoid()
        n = (new + self.candidate((reset + of_reset).sigmoid() * h)).tanh()
        h = (1 - z) * h + z * n
        return h, (h,)


class ConvLSTM(ConvCell):
    """c = f·c + i·g and h = o·tanh(c), with the gates i, f, o and the candidate g of x and h.

    Args:
        inputs: channels of x.
        channels: of h and of the memory c.
        dilation: of the convolution of x.
        bias: whether the convolution of h has a bias, too.

    Source: Shi et al., NeurIPS 2015, without its peepholes.
    """

    def __init__(self, inputs: int, channels: int, dilation: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, channels, 4, dilation)
        self.recurrent = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(B, inputs, H, W) and the state -> (B, channels, H, W) and the next state."""
        given = self.incoming(x)
        if state is not None:
            given = given + self.recurrent(state[0])
        i, f, o, g = given.chunk(4, 1)
        c = i.sigmoid() * g.tanh()
        if state is not None:
            c = c + f.sigmoid() * state[1]
        h = o.sigmoid() * torch.tanh(c)
        return h, (h, c)


CELLS: dict[CellName, type[ConvRNN] | type[ConvGRU] | type[ConvLSTM]] = {
    "gru": ConvGRU, "lstm": ConvLSTM, "rnn": ConvRNN,
}  # fmt: skip
"""By their names in options."""
