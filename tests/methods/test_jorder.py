"""JORDER: its size, what the second look is told by the first, and each term of the loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, UserError
from methods.jorder import JORDER, Look


def small(**options: Any) -> JORDER:
    method = JORDER(**{"width": 4, "blocks": 2, **options}).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in method.parameters():
        weight.data.normal_(std=0.2, generator=generator)
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def test_it_has_the_parameters_of_jorder_e() -> None:
    with torch.device("meta"):
        method = JORDER()
    assert sum(weight.numel() for weight in method.parameters()) == 4_169_024
    assert method.mask == pytest.approx(0.1285, abs=1e-4)


def test_a_pixel_sees_as_far_as_its_dilations() -> None:
    block = small(blocks=1).copies[0].blocks[0]
    x = torch.zeros(1, 4, 25, 25)
    changed = x.clone()
    changed[..., 12, 12] = 1
    seen = (block(changed) - block(x)).abs().sum((0, 1)) > 1e-7
    rows = seen.any(1).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (12 - 6, 12 + 6)


def test_the_second_look_adds_to_the_first() -> None:
    method, mixture = small(), torch.rand(1, 3, 12, 13)
    first, second = method.looks(mixture)
    assert torch.equal(method(mixture)[:, 0], second.background)
    for field, place in (("mask", 1), ("level", 2), ("blocks", 3), ("background", 0)):
        blank = torch.zeros_like(first[place]) if field != "blocks" else list(map(torch.zeros_like, first.blocks))
        other = method.copies[1](mixture, Look(**{**first._asdict(), field: blank}))
        assert not torch.allclose(other.background, second.background, atol=1e-5), f"the first one's {field} counts"
    told = method.copies[1](mixture, Look(**{**first._asdict(), "mask": first.mask + 1}))
    assert torch.allclose(told.mask, second.mask + 1, atol=1e-5)


def test_maps_double_the_features_before_training() -> None:
    network = JORDER(width=4, blocks=1).copies[0]
    (scale, _), (also, _) = network.by_mask(torch.rand(1, 2, 6, 6)), network.by_level(torch.rand(1, 3, 6, 6))
    assert torch.equal(scale * also, torch.ones_like(scale)), "so that x·1 + x is what is left of x"


def test_each_look_is_taught_background_mask_and_level() -> None:
    generator = torch.Generator().manual_seed(0)
    background = 0.5 * torch.rand(2, 3, 12, 12, generator=generator)
    drops = torch.rand(2, 1, 12, 12, generator=generator) > 0.7
    rain = 0.3 * drops.float().expand_as(background)
    mixture = background + rain + 1e-4  # less than half a grey level is no rain
    batch = LayerBatch(mixture, background[:, None], torch.ones(2, 1, 12, 12, dtype=torch.bool), ["a", "b"])
    method = small(mask=0.7, level=0.3)
    expected = torch.zeros(())
    for look in method.looks(mixture):
        likely = look.mask.softmax(1)
        expected = expected + (look.background - background).abs().mean()
        expected = expected - 0.7 * torch.where(drops[:, 0], likely[:, 1], likely[:, 0]).log().mean()
        expected = expected + 0.3 * (look.level - (mixture - background)).abs().mean()
    assert torch.allclose(method.training_step(batch, 0), expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{"width": 0}, {"copies": 0}, {"mask": -1.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="the first three must be at least 1"):
        JORDER(**options)
