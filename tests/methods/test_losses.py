"""Shared losses and denoisers against direct evaluations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.restoration import denoise_nl_means

from benchmark.speed.networks.bits_net import plain_exclusion
from methods.losses.exclusion import exclusion
from methods.losses.red import RED
from methods.networks.denoisers import DENOISERS, SIGMA, non_local_means


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [(16, 16), (21, 34)])
@pytest.mark.parametrize("channels", [(3, 3), (1, 1)])
def test_exclusion_is_its_formula(size: tuple[int, int], channels: tuple[int, int]) -> None:
    first, second = seeded(2, channels[0], *size), seeded(2, channels[1], *size, seed=1)
    values = exclusion(first, second)
    for i in range(2):
        assert float(values[i]) == pytest.approx(float(plain_exclusion(first[i : i + 1], second[i : i + 1])), rel=1e-9)


def test_exclusion_has_the_formulas_gradient() -> None:
    first, second = (seeded(1, 3, 16, 16, seed=seed).requires_grad_() for seed in range(2))
    ours = torch.autograd.grad(exclusion(first, second).sum(), (first, second))
    plain = torch.autograd.grad(plain_exclusion(first, second), (first, second))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, plain, strict=True))


def test_exclusion_of_a_flat_layer_has_a_finite_gradient() -> None:
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    value = exclusion(flat, seeded(1, 3, 16, 16).float())
    value.sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    assert value.item() < 0.01


def test_exclusion_tells_shared_edges_from_others() -> None:
    image = torch.zeros(1, 1, 32, 32)
    image[..., 16:] = 1
    assert float(exclusion(image, image)) > 2 * float(exclusion(image, image.transpose(-1, -2)))


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
@pytest.mark.parametrize("size", [(64, 64), (33, 51)])
@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
def test_non_local_means_equals_scikit_image(name: str, size: tuple[int, int], noise: float) -> None:
    pixels = np.atleast_3d(getattr(data, name)())[80 : 80 + size[0], 90 : 90 + size[1]] / 255
    pixels = (pixels + noise * SIGMA * np.random.default_rng(0).standard_normal(pixels.shape)).clip(0, 1)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    options = {"patch_size": 5, "patch_distance": 6, "h": 0.6 * SIGMA, "sigma": SIGMA, "fast_mode": True}
    expected = np.stack([denoise_nl_means(plane.numpy(), **options) for plane in image[0]])
    assert np.abs(non_local_means(image)[0].numpy() - expected).max() < 1e-3
    if noise:
        assert float((non_local_means(image) - image).abs().max()) > 5e-3


def test_other_patches_equal_scikit_image_too() -> None:
    image = torch.from_numpy(data.camera()[100:140, 100:140] / 255).float()
    options = {"patch_size": 7, "patch_distance": 3, "h": 0.05, "sigma": 0.02, "fast_mode": True}
    expected = denoise_nl_means(image.numpy(), **options)
    found = non_local_means(image[None, None], patch=7, reach=3, h=0.05, sigma=0.02)[0, 0]
    assert np.abs(found.numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_work_on_batches_and_leave_their_input_alone(name: str) -> None:
    denoise = DENOISERS[name]
    clean = torch.linspace(0.2, 0.8, 24).expand(5, 3, 20, 24)
    noisy = (clean + SIGMA * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    before = noisy.clone()
    result = denoise(noisy)
    assert torch.equal(noisy, before)
    assert float((result - clean).square().mean()) < 0.75 * float((noisy - clean).square().mean())
    assert torch.allclose(denoise(noisy[2:3])[0], result[2], atol=1e-6)
    constant = torch.full((1, 1, 20, 20), 0.25)
    assert torch.allclose(denoise(constant), constant)


def test_admm_finds_the_known_solution() -> None:
    """min ½‖y − b‖² + λ·ρ(y) with f(x) = s·x has the solution b / (1 + λ·(1 − s))."""
    b, s, weight, coupling = seeded(1, 1, 4, 4), 0.6, 0.7, 0.9
    red = RED(lambda x: s * x, weight=weight, coupling=coupling, period=1)
    y = b.clone()
    for i in range(300):
        red.update(y, i)
        split = red._of(y, 0)
        y = (b + coupling * (split.x - split.u)) / (1 + coupling)
    assert torch.allclose(y, b / (1 + weight * (1 - s)), atol=1e-8)
    assert torch.allclose(split.x, y, atol=1e-8)


def test_the_penalty_is_the_distance_to_where_red_draws() -> None:
    red, image = RED(lambda x: x, coupling=0.4), seeded(2, 3, 4, 4)
    assert torch.allclose(red.penalty(image, 0), 0.4 * (image**2).mean((1, 2, 3)))
    red.update(image, 0)
    x = (0.4 * image / 0.9).clamp(0, 1)
    assert torch.allclose(red.penalty(image, 1), 0.4 * ((image - (x - (image - x))) ** 2).mean((1, 2, 3)))
