"""DSRNet: the authors' sizes, gates between the streams, and the terms of its loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.dsrnet import DSRNet
from methods.losses.exclusion import exclusion
from methods.networks.mutual_gates import DualStreamBackbone, MuGIBlock, MutualGate

FEATURES = (64, 128, 256, 512, 512)
SMALL: dict[str, Any] = {"width": 4, "encoder": [1], "middle": 1, "decoder": [1], "residue": [1, 1], "levels": 1}


def spec_of(layers: int = 2, ordered: bool = True, gain: float = 1.0) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=3, scale=1, mixing="sum",
        gain=gain, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def small(layers: int = 2, ordered: bool = True, gain: float = 1.0, **options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = DSRNet(features="random", spec=spec_of(layers, ordered, gain), **(SMALL | options))
    method.log = lambda *_, **__: None  # there is no trainer here
    return method


def batch(layers: int = 2) -> LayerBatch:
    truth = torch.rand(2, layers, 3, 16, 16, generator=torch.Generator().manual_seed(0)) / 2
    mixture = truth.sum(1) if layers == 2 else truth[:, 0] + 0.3
    return LayerBatch(mixture, truth, torch.ones(2, 1, 16, 16, dtype=torch.bool), list("ab"))


@pytest.mark.parametrize(
    ("sizes", "millions"),
    [
        ((64, (2, 2, 4, 8), 12, (2, 2, 2, 2), (2, 4)), 124.60),
        ((32, (2, 2, 2), 4, (2, 2, 2), (0, 0)), 9.33),
    ],
)
def test_it_has_the_authors_parameters(sizes: Any, millions: float) -> None:
    with torch.device("meta"):
        network = DualStreamBackbone(3, FEATURES, *sizes)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, rel=5e-4)


def test_each_stream_is_the_others_gate() -> None:
    x, y = torch.randn(2, 3, 8, 4, 4).unbind()
    one, other = MutualGate()(torch.cat([x, y])).chunk(2)
    assert torch.equal(one, x[:, :4] * y[:, 4:])
    assert torch.equal(other, y[:, :4] * x[:, 4:])


def test_a_block_starts_as_the_identity_treats_streams_alike_and_tells_them_by_its_scales() -> None:
    torch.manual_seed(0)
    block, x, y = MuGIBlock(6, own=True), *torch.randn(2, 2, 6, 5, 5)
    assert torch.equal(block(torch.cat([x, y])), torch.cat([x, y]))
    for scales in (block.beta, block.gamma):
        scales.data[:] = torch.rand(6, 1, 1)
    straight, crossed = block(torch.cat([x, y])), block(torch.cat([y, x]))
    assert torch.allclose(straight, torch.cat(crossed.chunk(2)[::-1]), atol=1e-6)
    assert not torch.allclose(straight, block(torch.cat([x, x]))), "the other stream counts"
    block.gamma.data[1] = 0
    assert not torch.allclose(block(torch.cat([y, x])).chunk(2)[1], straight.chunk(2)[0])
    assert MuGIBlock(6).gamma.shape == (1, 6, 1, 1)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_fewer_levels_of_features_will_do(levels: int) -> None:
    with torch.device("meta"):
        network = DualStreamBackbone(3, FEATURES[:levels], 4, [1], 1, [1], (1, 1))
        seen = [torch.rand(2, c, 32 >> i, 32 >> i) for i, c in enumerate(FEATURES[:levels])]
        layers, rest = network(torch.rand(2, 3, 32, 32), seen)
    assert layers.shape == (2, 2, 3, 32, 32)
    assert rest.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("ordered", [True, False])
def test_the_loss_is_the_papers(ordered: bool) -> None:
    method, data = small(ordered=ordered), batch()
    for weight in method.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    layers, rest = (found.detach() for found in method.explain(data.mixture))
    if not ordered:
        data = data._replace(layers=layers.flip(1) + 0.05)  # nearest in the reversed order
        layers = layers.flip(1)
    expected = 0.2 * (layers.sum(1) + rest - data.mixture).abs().mean()
    for k in range(2):
        found, truth = layers[:, k], data.layers[:, k]
        expected = expected + 0.3 * ((found - truth) ** 2).mean()
        for axis in (2, 3):
            expected = expected + 0.6 * (found.diff(dim=axis) - truth.diff(dim=axis)).abs().mean()
    expected = expected + exclusion(layers[:, 0], layers[:, 1]).mean()
    ours, theirs = method.vgg(layers[:, 0])[0], method.vgg(data.layers[:, 0])[0]
    expected = expected + 0.01 / 2.6 * (ours - theirs).abs().mean()
    assert torch.allclose(method.training_step(data, 0), expected, rtol=1e-4)


def test_what_one_true_layer_leaves_of_the_mixture_teaches_the_second() -> None:
    one, two, data = small(layers=1), small(layers=2), batch(1)
    both = torch.cat([data.layers, torch.full_like(data.layers, 0.3)], 1)
    told = two.training_step(data._replace(layers=both), 0)
    assert torch.allclose(one.training_step(data, 0), told, rtol=1e-5)
    assert one(data.mixture).shape == (2, 1, 3, 16, 16)


def test_the_sum_of_layers_that_are_averaged_is_twice_the_mixture() -> None:
    options = {"mse": 0.0, "gradient": 0.0, "perceptual": 0.0, "exclusion": 0.0}
    method, data = small(gain=2.0, **options), batch()
    layers, rest = method.explain(data.mixture)
    expected = 0.2 * (layers.sum(1) + rest - 2 * data.mixture).abs().mean()
    assert torch.allclose(method.training_step(data, 0), expected)


def test_a_correction_begins_with_the_trivial_answer() -> None:
    mixture = batch().mixture
    assert torch.equal(small(residual=True)(mixture)[:, 0], mixture)
    assert torch.equal(small(residual=True, ordered=False)(mixture)[:, 1], mixture / 2)
    assert torch.equal(small(residual=True, layers=1)(mixture)[:, 0], mixture)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"encoder": [1, 1]}, {"middle": -1}, {"residue": [1]}, {"encoder": [], "decoder": []}]
)
def test_impossible_sizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="encoder and decoder of the same length"):
        small(**options)
