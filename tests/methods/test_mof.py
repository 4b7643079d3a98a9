"""MOF: haze that is known is taken away, edges stay sharp, and each piece against an independent computation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from datamodules.types import UserError
from methods.dark_channel import DarkChannel
from methods.mof import MOF, box_mean, fuse, gradient_guided_filter


def test_box_means_end_with_the_image() -> None:
    image = torch.rand(1, 2, 6, 9, generator=torch.Generator().manual_seed(0))
    found = box_mean(image, 2)
    for i in range(6):
        for j in range(9):
            square = image[..., max(0, i - 2) : i + 3, max(0, j - 2) : j + 3]
            assert torch.allclose(found[..., i, j], square.mean((2, 3)), atol=1e-6)
    assert torch.allclose(box_mean(image, 20), image.mean((2, 3), keepdim=True).expand_as(image), atol=1e-6)


def test_fusion_takes_patches_where_flat_and_pixels_where_they_differ() -> None:
    patches, pixel = torch.full((1, 1, 12, 12), 0.8), torch.full((1, 1, 12, 12), 0.8)
    pixel[..., 6:] = 0.3
    found = fuse(patches, pixel)
    assert torch.allclose(found[..., :5], torch.tensor(0.8), atol=1e-3)
    assert torch.allclose(found[..., 7:], torch.tensor(0.3), atol=1e-3)


def test_the_filter_keeps_an_edge_that_the_guide_has_and_smooths_what_it_has_not() -> None:
    generator = torch.Generator().manual_seed(0)
    guide = torch.zeros(1, 1, 24, 24)
    guide[..., 12:] = 0.8
    noise = 0.05 * torch.randn(1, 1, 24, 24, generator=generator)
    filtered = gradient_guided_filter(0.2 + guide + noise, guide, 6, 1e-3)
    assert (filtered - 0.2 - guide).std() < 0.4 * noise.std()
    jump = filtered[..., 12] - filtered[..., 11]
    assert (jump > 0.72).all()
    # A raw map that is the guide is left alone where the guide varies: a is 1 wherever γ is.
    ramp = torch.linspace(0, 1, 24).expand(1, 1, 24, 24)
    assert torch.allclose(gradient_guided_filter(ramp, ramp, 4, 1e-6), ramp, atol=2e-2)


def hazy() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A scene of saturated tiles, a far corner of pure airlight, and what haze of one thickness makes of it."""
    generator = torch.Generator().manual_seed(0)
    tiles = torch.rand(1, 3, 8, 8, generator=generator)
    tiles = tiles - tiles.amin(1, keepdim=True)  # each has a colour that is dark
    scene = tiles.repeat_interleave(8, 2).repeat_interleave(8, 3)
    airlight = torch.tensor([0.9, 0.85, 0.8]).view(1, 3, 1, 1)
    transmission = torch.full((1, 1, 64, 64), 0.5)
    transmission[..., :30, :30] = 0.0
    return scene, scene * transmission + airlight * (1 - transmission), airlight


def test_known_haze_is_found_and_taken_away() -> None:
    scene, mixture, airlight = hazy()
    method = MOF()
    assert torch.allclose(method.airlight(mixture), airlight, atol=1e-4)
    layers = method(mixture)
    assert layers.shape == (1, 2, 3, 64, 64)
    near = (slice(None), slice(None), slice(34, None))
    before = (mixture[near] - scene[near]).square().mean()
    after = (layers[:, 0][near] - scene[near]).square().mean()
    assert after < before / 10


def test_edges_are_sharper_than_the_dark_channels() -> None:
    """A near, thin object before a bright far wall: patches spread its transmission over the wall."""
    depth = torch.full((1, 1, 64, 64), 0.2)
    depth[..., 28:36, :] = 0.9
    airlight = torch.ones(1, 3, 1, 1)
    mixture = (airlight * (1 - depth) + 0.05 * depth).expand(1, 3, 64, 64)
    beside = (slice(None), slice(None), slice(38, 42))
    ours, dark = MOF(radius=8), DarkChannel(radius=8)
    errors = [(found.transmission(mixture, airlight) - depth)[beside].abs().mean().item() for found in (ours, dark)]
    assert errors[0] < errors[1]


def test_a_background_that_exceeds_one_is_divided_by_its_maximum() -> None:
    mixture = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    raw, divided = MOF(normalise=False)(mixture)[:, 0], MOF()(mixture)[:, 0]
    most = raw.amax((1, 2, 3), keepdim=True)
    assert torch.allclose(divided, raw / most.clamp_min(1), atol=1e-6)
    assert (divided.amax((1, 2, 3)) <= 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patch": 4}, "patch must be odd"), ({"radius": 0}, "radius at least 1"), ({"omega": 1.1}, "in \\[0, 1\\]")],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MOF(**options)
