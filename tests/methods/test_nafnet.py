"""NAFNet: sizes as counted from the authors' layers, its own pieces, where it starts and what it minimises."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.nafnet import NAFNet
from methods.networks.nafnet import ChannelAttention, LayerNorm2d, NAFBlock, NAFNetBackbone, local_mean


def spec_of(ordered: bool = True, layers: int = 2) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, ordered=ordered, channels=3, scale=1, mixing="sum", gain=1.0, fusion="sum",
        gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("width", "encoder", "middle", "decoder", "millions"),
    [
        (32, (1, 1, 1, 28), 1, (1, 1, 1, 1), 17.11),
        (32, (2, 2, 4, 8), 12, (2, 2, 2, 2), 29.16),
        (64, (2, 2, 4, 8), 12, (2, 2, 2, 2), 115.98),
        (8, (1, 1, 1), 2, (1, 1, 1), 0.106),
        (16, (2, 2, 2), 2, (2, 2, 2), 0.490),
        (16, (1, 1, 2), 4, (1, 1, 1), 0.676),
        (24, (1, 1, 2, 2), 2, (1, 1, 1, 1), 3.92),
    ],
)
def test_it_has_the_authors_parameters(
    width: int, encoder: tuple[int, ...], middle: int, decoder: tuple[int, ...], millions: float
) -> None:
    with torch.device("meta"):
        network = NAFNetBackbone(3, 3, width, encoder, middle, decoder)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, rel=5e-3)


def test_the_defaults_are_the_papers() -> None:
    with torch.device("meta"):
        method = NAFNet(spec=spec_of(layers=1))
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(17.11, rel=5e-4)
    assert (method.lr, method.betas, method.weight_decay, method.cosine) == (1e-3, (0.9, 0.9), 0.0, True)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layer_normalisation_is_of_each_pixels_channels(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (5 + 3 * torch.randn(2, 6, 5, 7, generator=generator)).to(memory_format=layout).requires_grad_()
    norm = LayerNorm2d(6)
    norm.weight.data.uniform_(generator=generator)
    norm.bias.data.uniform_(generator=generator)
    centred = x - x.mean(1, keepdim=True)
    spread = (centred**2).mean(1, keepdim=True)
    expected = centred / (spread + 1e-6).sqrt() * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    found = norm(x)
    assert torch.allclose(found, expected, atol=1e-5)
    towards = torch.randn(x.shape, generator=generator)
    slopes = [torch.autograd.grad((y * towards).sum(), [x, norm.weight, norm.bias]) for y in (found, expected)]
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(*slopes, strict=True))
    if layout == torch.channels_last:
        assert found.is_contiguous(memory_format=torch.channels_last), "nothing was copied into another layout"


def test_a_block_starts_as_the_identity_and_reaches_every_weight() -> None:
    block, x = NAFBlock(8), torch.rand(2, 8, 6, 6)
    assert torch.equal(block(x), x)
    torch.nn.init.ones_(block.beta)
    torch.nn.init.ones_(block.gamma)
    (block(x) ** 2).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in block.parameters())


def by_windows(x: Tensor, side: int) -> Tensor:
    """The oracle: each pixel's square, moved into the picture where it stands out, averaged."""
    height, width = x.shape[-2:]
    tall, wide = min(side, height), min(side, width)
    found = torch.empty_like(x)
    for i in range(height):
        for j in range(width):
            top = min(max(i - (tall - 1) // 2, 0), height - tall)
            left = min(max(j - (wide - 1) // 2, 0), width - wide)
            found[..., i, j] = x[..., top : top + tall, left : left + wide].mean((-2, -1))
    return found


@pytest.mark.parametrize("side", [1, 4, 5, 9, 30])
def test_local_means_are_those_of_the_squares(side: int) -> None:
    x = 10 + torch.rand(2, 3, 9, 14, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(local_mean(x, side), by_windows(x, side), atol=1e-5)


def test_windows_stand_for_the_whole_map_when_testing_alone() -> None:
    attention, x = ChannelAttention(4, window=4), torch.rand(1, 4, 12, 12)
    whole = attention.train()(x)
    assert torch.allclose(whole, x * attention.weigh(x.mean((2, 3), keepdim=True)))
    assert not torch.allclose(attention.eval()(x), whole)
    small = x[..., :4, :4]
    assert torch.allclose(attention(small), attention.train()(small)), "a crop is its own window"
    with torch.no_grad():
        method = NAFNet(width=8, encoder=[1, 1], middle=1, decoder=[1, 1], window=16, spec=spec_of()).eval().double()
        for weight in method.parameters():
            torch.nn.init.normal_(weight, std=0.3)
        picture = torch.rand(1, 3, 24, 160).double()
        near = method.separate(picture, [0])
        picture[..., 150:] = 1 - picture[..., 150:]
        far = method.separate(picture, [0])
    assert torch.allclose(near[..., :4], far[..., :4], atol=1e-8), "what lies far away does not matter"


def test_the_loss_is_each_layers_error_in_decibels() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = torch.rand(3, 2, 3, 16, 16, generator=generator)
    batch = LayerBatch(layers.sum(1), layers, torch.ones(3, 1, 16, 16, dtype=torch.bool), list("abc"))
    for ordered in (True, False):
        method = NAFNet(width=8, encoder=[1], middle=1, decoder=[1], spec=spec_of(ordered)).eval()
        method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
        torch.nn.init.normal_(method.network.last.weight)
        estimates = method(batch.mixture)

        def decibels(truth: Tensor, estimates: Tensor = estimates) -> Tensor:
            error = ((estimates - truth) ** 2).mean((2, 3, 4)) + 1e-8
            return (10 / math.log(10) * error.log()).mean(1)

        straight, crossed = decibels(layers), decibels(layers.flip(1))
        expected = straight if ordered else torch.minimum(straight, crossed)
        assert torch.allclose(method.training_step(batch, 0), expected.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"encoder": [1, 1], "decoder": [1]}, {"middle": -1}, {"window": -1}, {"decoder": [1]}]
)
def test_impossible_sizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="encoder and decoder of the same length"):
        NAFNet(**options)
