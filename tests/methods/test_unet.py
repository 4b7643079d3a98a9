"""The U-Net: where it starts, why no batch normalises it, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.networks.norms import Norm
from methods.networks.start import starting_layers
from methods.networks.unet import UNetBackbone
from methods.unet import UNet


def spec_of(ordered: bool, gain: float, layers: int = 2, scale: int = 1) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, ordered=ordered, channels=3, scale=scale, mixing="sum", gain=gain, fusion="sum",
        gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_restoration_starts_from_the_mixture_and_layers_alike_from_their_shares(layers: int) -> None:
    mixture = torch.rand(2, 3, 13, 18, generator=torch.Generator().manual_seed(0))
    found = UNet(width=8, spec=spec_of(True, 1.0, layers)).eval()(mixture)
    assert torch.equal(found[:, 0], mixture)
    assert not found[:, 1:].any()
    for gain in (1.0, 2.0):
        found = UNet(width=8, spec=spec_of(False, gain, layers)).eval()(mixture)
        assert torch.allclose(found, (gain / layers * mixture)[:, None].expand_as(found))
    # An order alone does not make the first layer the scene: an average of two gives back half of each.
    found = UNet(width=8, spec=spec_of(True, 2.0, layers)).eval()(mixture)
    assert torch.allclose(found, (2 / layers * mixture)[:, None].expand_as(found))
    assert starting_layers(mixture, None).shape == (2, 2, 3, 13, 18)


def colours(norm: Norm, green: Tensor) -> tuple[Tensor, Tensor]:
    """Mean colour that a network gives to crops of one picture as a batch in training, and when testing."""
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    network = UNetBackbone(3, 3, width=8, depth=1, norm=norm)
    torch.nn.init.normal_(network.last.weight, std=0.05)  # as if it had learnt something
    for _ in range(100):  # four crops of different pictures: of every colour
        crops = torch.rand(4, 3, 1, 1, generator=generator) + 0.1 * torch.rand(4, 3, 16, 16, generator=generator)
        network(crops)
    with torch.no_grad():
        return network(green).mean((0, 2, 3)), network.eval()(green).mean((0, 2, 3))


def test_statistics_of_four_crops_turn_the_colours_of_a_picture_round() -> None:
    """What batch normalisation learnt in training is of the company that a crop was in, and changes without it."""
    generator = torch.Generator().manual_seed(2)
    green = torch.tensor([0.2, 0.9, 0.3]).view(3, 1, 1) + 0.1 * torch.rand(4, 3, 16, 16, generator=generator)
    learnt, tested = colours("batch", green)
    assert float((learnt - tested).abs().max()) > 0.1, "a shift that everyone sees"
    assert float((learnt - tested).sign().unique().numel()) > 1, "not the same for all colours"
    for norm in ("none", "group", "instance"):
        learnt, tested = colours(norm, green)  # type: ignore[arg-type]
        assert torch.equal(learnt, tested)


@pytest.mark.parametrize("norm", ["none", "group", "instance", "batch"])
@pytest.mark.parametrize(("depth", "blocks"), [(0, 1), (1, 2), (3, 1)])
def test_sizes_and_norms_are_options(norm: Any, depth: int, blocks: int) -> None:
    method = UNet(width=8, depth=depth, blocks=blocks, norm=norm, spec=spec_of(True, 1.0, scale=2))
    with torch.no_grad():
        torch.nn.init.normal_(method.network.last.weight)
        found = method.eval()(torch.rand(2, 3, 9, 14))
    assert found.shape == (2, 2, 3, 18, 28)
    assert torch.isfinite(found).all()
    convolutions = [module for module in method.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 2 + 2 * depth + 2 * blocks * (2 * depth + 1)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": -1}, {"blocks": 0}, {"average": 1.0}])
def test_impossible_sizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(options))):
        UNet(**options)
