"""Recurrent cells against torch's own, which have matrices where these have convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from methods.networks.recurrent import CELLS, CellName, State

# Torch's order of the gates, as numbers of ours.
ORDER = {"gru": [1, 0, 2], "lstm": [0, 1, 3, 2], "rnn": [0]}


@pytest.mark.parametrize("name", ["gru", "lstm", "rnn"])
def test_on_a_single_pixel_a_cell_is_torchs_own(name: CellName) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = CELLS[name](3, 4)
    theirs: nn.Module = {"gru": nn.GRUCell, "lstm": nn.LSTMCell, "rnn": nn.RNNCell}[name](3, 4)
    for weight in ours.parameters():
        weight.data.normal_(generator=generator)
    recurrent = [ours.recurrent, *([ours.candidate] if name == "gru" else [])]
    if name == "gru":  # torch resets the candidate after its matrix, the papers before: so there is no reset here
        nn.init.zeros_(ours.candidate.weight)
        nn.init.zeros_(ours.candidate.bias)

    def centre(weights: list[Tensor]) -> Tensor:
        rows = torch.cat(weights).split(4)
        return torch.cat([rows[gate] for gate in ORDER[name]])

    with torch.no_grad():
        theirs.weight_ih.copy_(centre([ours.incoming.weight[..., 1, 1]]))
        theirs.bias_ih.copy_(centre([ours.incoming.bias]))
        theirs.weight_hh.copy_(centre([part.weight[..., 1, 1] for part in recurrent]))
        theirs.bias_hh.copy_(centre([part.bias for part in recurrent]))
        if name == "gru":  # torch's update says how much stays, the papers' how much is new
            for weight in theirs.parameters():
                weight[4:8].neg_()
        state: State = tuple(torch.randn(5, 4, 1, 1, generator=generator) for _ in range(2 if name == "lstm" else 1))
        flat = [part.flatten(1) for part in state]
        x = torch.randn(5, 3, generator=generator)
        expected = theirs(x, tuple(flat) if name == "lstm" else flat[0])
        h, after = ours(x[..., None, None], state)
    expected = expected if name == "lstm" else (expected,)
    assert len(after) == len(expected)
    assert torch.equal(h, after[0])
    assert all(torch.allclose(one.flatten(1), other, atol=1e-6) for one, other in zip(after, expected, strict=True))


@pytest.mark.parametrize("name", ["gru", "lstm", "rnn"])
def test_no_state_is_a_state_of_zeros(name: CellName) -> None:
    cell, x = CELLS[name](3, 4, dilation=2, bias=False), torch.rand(2, 3, 7, 9)
    zeros = tuple(torch.zeros(2, 4, 7, 9) for _ in range(2 if name == "lstm" else 1))
    assert torch.allclose(cell(x)[0], cell(x, zeros)[0], atol=1e-7)


def test_the_reset_comes_before_the_candidates_convolution() -> None:
    cell = CELLS["gru"](3, 4)
    for weight in cell.parameters():
        nn.init.normal_(weight)
    x, h = torch.rand(1, 3, 5, 5), torch.randn(1, 4, 5, 5)
    given = cell.incoming(x)
    gates = torch.sigmoid(given[:, :8] + cell.recurrent(h))
    candidate = torch.tanh(given[:, 8:] + cell.candidate(gates[:, 4:] * h))
    assert torch.allclose(cell(x, (h,))[0], torch.lerp(h, candidate, gates[:, :4]), atol=1e-5)
