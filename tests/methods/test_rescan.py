"""RESCAN: its sizes, what a layer remembers and weighs, and its two frameworks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, UserError
from methods.networks.recurrent import CellName
from methods.networks.squeeze_excitation import SqueezeExcitation
from methods.rescan import RESCAN


@pytest.mark.parametrize(("unit", "parameters"), [("gru", 149_823), ("lstm", 197_367), ("rnn", 54_735)])
def test_it_has_the_authors_parameters(unit: CellName, parameters: int) -> None:
    with torch.device("meta"):
        method = RESCAN(unit=unit)
    assert sum(weight.numel() for weight in method.parameters()) == parameters
    assert [cell.incoming.dilation[0] for cell in method.network.cells] == [1, 1, 2, 4, 8]


def small(**options: Any) -> RESCAN:
    method = RESCAN(**{"width": 8, "cells": 3, "stages": 3, **options}).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in method.parameters():
        weight.data.normal_(std=0.2, generator=generator)
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def test_channels_are_weighed_by_means_of_all() -> None:
    weigh, x = SqueezeExcitation(4, 2), torch.rand(2, 4, 5, 6)
    first, last = weigh.weigh[0], weigh.weigh[2]
    hidden = (x.mean((2, 3)) @ first.weight.T + first.bias).relu()
    factors = 1 / (1 + torch.exp(-(hidden @ last.weight.T + last.bias)))
    assert torch.allclose(weigh(x), torch.einsum("bchw,bc->bchw", x, factors), atol=1e-6)


@pytest.mark.parametrize("unit", ["gru", "lstm", "rnn"])
def test_at_the_start_what_is_seen_reaches_the_last_layer(unit: CellName) -> None:
    torch.manual_seed(0)
    network, seen = RESCAN(unit=unit).network, list[float]()
    network.decode[1].register_forward_hook(
        lambda _, given, __: seen.append(given[0][..., 20:44, 20:44].std((0, 2, 3)).mean().item())
    )
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network(image)
    for cell in network.cells:
        cell.incoming.reset_parameters()
    network(image)
    assert seen[0] > 10 * seen[1], "torch's own start"


def test_what_a_layer_remembers_is_weighed_but_not_the_memory() -> None:
    image = torch.rand(1, 3, 16, 16)
    for unit in ("gru", "lstm"):
        network = small(unit=unit, cells=1).network
        (state,) = network(image)[1]
        h, plain = network.cells[0](image)
        assert torch.allclose(state[0], network.weigh[0](h))
        assert not torch.allclose(state[0], plain[0])
        assert all(torch.equal(one, other) for one, other in zip(state[1:], plain[1:], strict=True))


def test_stages_remember() -> None:
    method, mixture = small(), torch.rand(1, 3, 16, 16)
    first, second, _ = method.rains(mixture)
    assert torch.allclose(first, method.network(mixture)[0])
    assert not torch.allclose(second, method.network(mixture - first)[0], atol=1e-4), "it knows of the first"
    states = method.network(mixture)[1]
    assert torch.allclose(second, method.network(mixture - first, states)[0], atol=1e-5)


def test_rain_is_given_whole_or_in_parts() -> None:
    mixture = torch.rand(1, 3, 16, 16)
    full, parts = small(stages=2), small(stages=2, framework="additive")
    one, two = full.rains(mixture)
    same, sum_of_both = parts.rains(mixture)
    assert torch.equal(one, same)
    assert torch.allclose(sum_of_both, one + two, atol=1e-6)


def test_each_stage_is_taught_all_of_the_rain() -> None:
    layers = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    method = small()
    mask = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    for count in (1, 2):
        batch = LayerBatch(layers.sum(1), layers[:, :count], mask, ["a", "b"])
        expected = sum((rain - layers[:, 1]).square().mean() for rain in method.rains(batch.mixture))
        assert torch.allclose(method.training_step(batch, 0), torch.as_tensor(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "all must be at least 1"),
        ({"unit": "mlp"}, "units are gru, lstm, rnn"),
        ({"framework": "half"}, "frameworks are full and additive"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RESCAN(**options)
