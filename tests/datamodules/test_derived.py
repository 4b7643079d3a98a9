"""The layer that a real pair lacks: mixtures made here give back what they were made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datamodules.derived import remainder, veil
from datamodules.pictures.dead_leaves import dead_leaves
from datamodules.pictures.fields import relief


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, size: int = 64) -> Tensor:
    return torch.stack([dead_leaves(seeded(seed), size) for seed in range(count)])


def psnr(estimate: Tensor, truth: Tensor) -> float:
    return float(-10 * (estimate - truth).square().mean((1, 2, 3)).log10().mean())


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_the_remainder_is_what_was_added(gamma: float) -> None:
    background, other = 0.5 * pictures(4), 0.5 * pictures(8)[4:]
    mixture = (background**gamma + other**gamma) ** (1 / gamma)
    assert torch.allclose(remainder(mixture, background, gamma), other, atol=1e-3)
    darker = remainder(0.5 * background, background, gamma)
    assert torch.equal(darker, torch.zeros_like(darker))


@pytest.mark.parametrize("airlight", [0.7, 0.85, 1.0])
def test_the_veil_is_what_scattering_added(airlight: float) -> None:
    background = pictures(6)
    depth = torch.stack([relief(seeded(seed), 64, 64) for seed in range(6)])
    transmission = torch.exp(-1.2 * depth)
    truth = (airlight * (1 - transmission)).expand_as(background)
    mixture = background * transmission + truth
    estimate = veil((mixture * 255).round() / 255, background)
    assert psnr(estimate, truth) > 30 > psnr(mixture - background, truth)
    assert torch.equal(estimate[:, 0], estimate[:, 2])


def test_a_shadow_under_the_cloud_does_not_pass_for_less_cloud() -> None:
    background, cloud = pictures(4), torch.full((4, 3, 64, 64), 0.3)
    shaded = background * (1 - 0.3) * 0.6 + cloud
    assert psnr(veil(shaded, background), cloud) > 25


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
def test_without_texture_the_veil_is_finite_and_plausible(flat: float) -> None:
    background = torch.full((3, 32, 32), flat)
    mixture = background * 0.5 + 0.425
    found = veil(mixture, background)
    assert found.shape == mixture.shape
    assert torch.isfinite(found).all()
    assert torch.allclose(found, torch.full_like(found, 0.425), atol=0.02)


def test_one_image_is_as_good_as_a_batch() -> None:
    background, mixture = pictures(3), pictures(6)[3:]
    for derive in (remainder, veil):
        batch = derive(mixture, background, 1.0)
        assert torch.allclose(batch[1], derive(mixture[1], background[1], 1.0), atol=1e-6)
        assert 0 <= float(batch.min()) <= float(batch.max()) <= 1
