"""Rows that need no training."""

import pytest
import torch

from datamodules.types import LayerSpec
from methods.fast_ica import FastICA
from methods.half_mixture import HalfMixture
from methods.identity import Identity
from methods.networks.patches import extract, group, overlap_mean
from methods.nmf import NMF


def spec_of(
    layers: int = 2, channels: int = 1, scale: int = 1, mixing: str = "sum", ordered: bool = False
) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=channels, scale=scale,
        mixing=mixing, gain=1.0 if mixing == "sum" else layers, protocol="rgb", citation="", licence="",
    )  # fmt: skip


@pytest.fixture
def mixture() -> torch.Tensor:
    return torch.rand(2, 3, 15, 18, generator=torch.Generator().manual_seed(0))


def test_trivial_rows_answer_with_the_mixture(mixture: torch.Tensor) -> None:
    assert torch.equal(Identity()(mixture), torch.stack([mixture, mixture], 1))
    assert torch.equal(HalfMixture(spec_of(layers=3, channels=3))(mixture), torch.stack([mixture / 3] * 3, 1))


def test_trivial_rows_enlarge() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    enlarged = Identity(spec_of(scale=2))(ramp)
    assert enlarged.shape == (1, 2, 1, 16, 16)
    inner = torch.arange(16.0) / 2 - 0.25
    assert torch.allclose(enlarged[0, 0, 0, 5, 1:-1], inner[1:-1])


@pytest.mark.parametrize("method", [NMF, FastICA])
@pytest.mark.parametrize(("mixing", "total"), [("sum", 1), ("mean", 2)])
def test_layers_sum_to_the_mixture(
    method: type[NMF] | type[FastICA], mixing: str, total: int, mixture: torch.Tensor
) -> None:
    layers = method(spec=spec_of(channels=3, mixing=mixing))(mixture, [1, 2])
    assert torch.allclose(layers.sum(1), total * mixture, atol=1e-4)
    assert float((layers[:, 0] - layers[:, 1]).abs().mean()) > 0.01, "it must take the image apart"


def test_nmf_layers_are_not_negative(mixture: torch.Tensor) -> None:
    assert float(NMF(spec=spec_of(channels=3))(mixture, [1, 2]).min()) >= 0


def test_nmf_finds_two_sources_that_never_overlap() -> None:
    image = torch.zeros(1, 1, 24, 24)
    image[..., :12, ::2] = 1  # vertical stripes above
    image[..., 12::3, :] = 0.7  # horizontal stripes below
    layers = NMF(spec=spec_of())(image, [0])
    upper = layers[0, :, 0, :10].sum((1, 2))
    lower = layers[0, :, 0, 14:].sum((1, 2))
    assert float(upper.max() / upper.sum()) > 0.9
    assert float(lower.max() / lower.sum()) > 0.9
    assert int(upper.argmax()) != int(lower.argmax())


@pytest.mark.parametrize("method", [NMF, FastICA])
def test_where_layers_have_an_order_the_stronger_comes_first(method: type[NMF] | type[FastICA]) -> None:
    image = torch.zeros(1, 1, 24, 24)
    image[..., :12, ::2] = 1  # the weak one above: half of the contrast below
    image[..., 12::3, :] = 0.5
    for seed in range(4):
        free = method(spec=spec_of())(image, [seed])[0]
        found = method(spec=spec_of(ordered=True))(image, [seed])[0]
        assert torch.equal(found, free) or torch.equal(found, free.flip(0)), "order is all that differs"
        energy = (found - found.mean((1, 2, 3), keepdim=True)).square().sum((1, 2, 3))
        assert float(energy[0]) > float(energy[1])


def test_patches_come_back(mixture: torch.Tensor) -> None:
    image = mixture[0]
    assert torch.allclose(overlap_mean(extract(image, 5), image, 5), image, atol=1e-6)


def test_groups_follow_directions() -> None:
    features = torch.tensor([[1.0, 0.01], [3, 0], [0, 1], [0.02, 5]]).double().numpy()
    found = group(features, 2, 0)
    assert found[0] == found[1] != found[2] == found[3]
