"""Restormer: sizes as counted from the authors' layers, its attention, where it starts and what it minimises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.networks.restormer import GatedFeedForward, RestormerBackbone, TransformerBlock, TransposedAttention
from methods.restormer import Restormer


def spec_of(ordered: bool = True, layers: int = 2) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=3, scale=1, mixing="sum",
        gain=1.0, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("width", "encoder", "middle", "decoder", "refinement", "millions"),
    [
        (48, (4, 6, 6), 8, (6, 6, 4), 4, 26.13),
        (16, (1, 2, 2), 4, (2, 2, 1), 1, 1.56),
        (24, (2, 2, 2), 4, (2, 2, 2), 1, 3.48),
    ],
)
def test_it_has_the_authors_parameters(
    width: int, encoder: tuple[int, ...], middle: int, decoder: tuple[int, ...], refinement: int, millions: float
) -> None:
    with torch.device("meta"):
        network = RestormerBackbone(3, 3, width, encoder, middle, decoder, refinement)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, rel=3e-3)


def test_the_defaults_are_the_papers() -> None:
    with torch.device("meta"):
        method = Restormer(spec=spec_of(layers=1))
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(26.13, rel=5e-4)
    assert (method.lr, method.betas, method.weight_decay, method.clip) == (3e-4, (0.9, 0.999), 1e-4, 0.01)


def test_attention_is_between_the_channels_of_a_head() -> None:
    torch.manual_seed(0)
    attention = TransposedAttention(6, heads=2).double()
    attention.temperature.data.uniform_(0.5, 3)
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    query, key, value = (part.flatten(2) for part in attention.project(x).chunk(3, 1))
    expected = torch.zeros(2, 6, 35, dtype=torch.float64)
    for b in range(2):
        for head in range(2):
            group = range(3 * head, 3 * head + 3)
            for i in group:
                cosines = torch.stack(
                    [query[b, i] @ key[b, j] / (query[b, i].norm() * key[b, j].norm()) for j in group]
                )
                weights = (cosines * attention.temperature[head, 0, 0]).softmax(0)
                expected[b, i] = sum(weight * value[b, j] for weight, j in zip(weights, group, strict=True))
    found = attention(x)
    assert torch.allclose(found, attention.join(expected.view(2, 6, 5, 7)), atol=1e-10)


def test_the_gate_is_gelu_and_a_block_reaches_every_weight() -> None:
    torch.manual_seed(0)
    feed = GatedFeedForward(6, 2.66)
    x = torch.randn(1, 6, 4, 4)
    inner = feed[1](feed[0](x))
    assert inner.shape[1] == 2 * int(6 * 2.66)
    gate, passed = inner.chunk(2, 1)
    gelu = gate * (1 + torch.erf(gate / 2**0.5)) / 2
    assert torch.allclose(feed(x), feed[3](gelu * passed), atol=1e-6)
    block = TransformerBlock(6, 2, 2.66)
    (block(x) ** 2).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in block.parameters())


def test_the_loss_is_l1_in_the_best_order() -> None:
    layers = torch.rand(3, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = LayerBatch(layers.sum(1), layers, torch.ones(3, 1, 16, 16, dtype=torch.bool), list("abc"))
    for ordered in (True, False):
        torch.manual_seed(0)
        method: Any = Restormer(width=8, encoder=[1], middle=1, decoder=[1], refinement=1, spec=spec_of(ordered)).eval()
        method.log = lambda *_, **__: None  # there is no trainer here
        start = method(batch.mixture)
        trivial = (batch.mixture, torch.zeros_like(batch.mixture)) if ordered else (batch.mixture / 2,) * 2
        assert torch.allclose(start, torch.stack(trivial, 1))
        torch.nn.init.normal_(method.network.last.weight)
        estimates = method(batch.mixture).detach()

        def apart(truth: Tensor, estimates: Tensor = estimates) -> Tensor:
            return (estimates - truth).abs().mean((1, 2, 3, 4))

        expected = apart(layers) if ordered else torch.minimum(apart(layers), apart(layers.flip(1)))
        assert torch.allclose(method.training_step(batch, 0), expected.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 7}, {"width": 0}, {"encoder": [1, 1], "decoder": [1]}, {"middle": -1}, {"encoder": [], "decoder": []},
        {"expansion": 0.5},
    ],
)  # fmt: skip
def test_impossible_sizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="width must be even and at least 2"):
        Restormer(**options)
