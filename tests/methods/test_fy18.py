"""FY18: the authors' sizes, the filter against its recursion, and the terms of the loss."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.types import LayerBatch, UserError
from methods.fy18 import FY18, edges
from methods.networks.domain_transform import domain_transform, recursion


def small(**options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = FY18(**({"width": 4, "blocks": 1, "norm": "group"} | options))
    method.log = lambda *_, **__: None  # there is no trainer here
    return method


def batch() -> LayerBatch:
    layers = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return LayerBatch(layers.prod(1), layers, torch.ones(2, 1, 16, 16, dtype=torch.bool), list("ab"))


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = FY18()
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(2.907, rel=5e-4)


@pytest.mark.parametrize("axis", [-1, -2])
def test_the_recursion_goes_pixel_by_pixel(axis: int) -> None:
    generator = torch.Generator().manual_seed(0)
    image, feedback = (torch.rand(2, c, 5, 13, generator=generator, dtype=torch.float64) for c in (3, 1))
    found = recursion(image, feedback, axis).movedim(axis, 0)
    rows, shares = image.movedim(axis, 0), feedback.movedim(axis, 0)
    past = rows[0]
    assert torch.allclose(found[0], past)
    for n in range(1, len(rows)):
        past = (1 - shares[n]) * rows[n] + shares[n] * past
        assert torch.allclose(found[n], past, atol=1e-12)


def by_pixels(image: Tensor, steps: Tensor, spatial: float, range_: float, iterations: int) -> Tensor:
    """The oracle along one row: steps[n] is the step from pixel n − 1 to n."""
    row = image.clone()
    for i in range(iterations):
        reach = spatial * math.sqrt(3) * 2 ** (iterations - i - 1) / math.sqrt(4**iterations - 1)
        shares = torch.exp(-math.sqrt(2) / reach * (1 + spatial / range_ * steps))
        for n in range(1, len(row)):
            row[n] = row[n] + shares[n] * (row[n - 1] - row[n])
        for n in range(len(row) - 2, -1, -1):
            row[n] = row[n] + shares[n + 1] * (row[n + 1] - row[n])
    return row


def test_the_filter_is_the_domain_transforms_and_stops_at_edges() -> None:
    generator = torch.Generator().manual_seed(0)
    row, steps = torch.rand(2, 17, generator=generator, dtype=torch.float64).unbind()
    found = domain_transform(row.view(1, 1, 1, 17), steps.view(1, 1, 1, 17), 6.0, 2.0, 3)
    assert torch.allclose(found.flatten(), by_pixels(row, steps, 6.0, 2.0, 3), atol=1e-10)
    noise = torch.rand(1, 1, 16, 16, generator=generator)
    wall = torch.zeros(1, 1, 16, 16)
    wall[..., 8] = 5.0
    raw = noise + (torch.arange(16) >= 8)
    for edge, jump in ((wall, 1.0), (0 * wall, 0.0)):
        flat = domain_transform(raw, edge)
        assert flat[..., :8].std() < noise.std() / 10
        assert abs(flat[..., 8:].mean() - flat[..., :8].mean() - jump) < 0.2


def test_edges_are_steps_from_the_pixels_before() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[:, :, 2:, :] = 50.0
    image[:, 0, :, 3] = 100.0
    expected = torch.zeros(4, 4)
    expected[2] += 1.5
    expected[2, 3] = 1.0
    expected[:, 3] += torch.tensor([1.0, 1.0, 0.5, 0.5])
    assert torch.allclose(edges(image)[0, 0], expected)


def test_the_loss_is_the_papers() -> None:
    method, data = small(), batch()
    layers, guide, albedo = (found.detach() for found in method.draw(255 * data.mixture))
    truth = 255 * data.layers
    expected = 0.2 * ((albedo - truth[:, 0]) ** 2).mean() + 0.35 * ((guide - edges(truth[:, 0])) ** 2).mean()
    for k in range(2):
        found, true = layers[:, k], truth[:, k]
        expected = expected + 0.2 * ((found - true) ** 2).mean()
        for axis in (2, 3):
            expected = expected + 0.35 * ((found.diff(dim=axis) - true.diff(dim=axis)) ** 2).mean()
    assert torch.allclose(method.training_step(data, 0), expected, rtol=1e-4)
    assert torch.allclose(method(data.mixture)[:, 0], albedo / 255, atol=1e-5)


def test_the_filtered_albedo_teaches_the_guidance() -> None:
    method, data = small(), batch()
    _, _, albedo = method.draw(255 * data.mixture)
    albedo.square().mean().backward()
    assert all(weight.grad is not None for weight in method.guidance.parameters())


@pytest.mark.parametrize("options", [{"width": 0}, {"blocks": -1}, {"spatial": 0.0}, {"range_": 0}, {"iterations": 0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="width and iterations must be at least 1"):
        small(**options)
