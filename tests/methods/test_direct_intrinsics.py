"""Direct Intrinsics: its size, what it forgives, where it looks and how fast its networks learn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, UserError
from methods.direct_intrinsics import DirectIntrinsics, forgiving_loss


def small(**options: Any) -> DirectIntrinsics:
    method = DirectIntrinsics(**{"width": 8, **options}).eval()
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    method.trainer = SimpleNamespace(estimated_stepping_batches=100)  # type: ignore[assignment]
    return method


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = DirectIntrinsics()
    assert sum(weight.numel() for weight in method.parameters()) == 3_064_934


@pytest.mark.parametrize("side", [64, 96])
def test_the_coarse_network_sees_the_scene_at_a_32nd(side: int) -> None:
    method, image = small(), torch.rand(1, 3, side, 64)
    assert method.coarse(image).shape == (1, 32, side // 32, 2)
    assert method.logarithms(image).shape == (1, 2, 3, side, 64)


def test_layers_are_those_of_the_logarithms() -> None:
    method, image = small(), torch.rand(1, 3, 64, 64)
    assert torch.allclose((method(image) + 0.5).log(), method.logarithms(image), atol=1e-4)


def test_brightness_is_forgiven_by_its_share_and_only_the_mask_counts() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 2, 3, 8, 8, generator=generator)
    mask = torch.rand(2, 1, 1, 8, 8, generator=generator) > 0.4
    brighter = truth + 0.3
    for forgiven in (0.0, 0.5, 1.0):
        loss = forgiving_loss(brighter, truth, mask, forgiven)
        assert torch.allclose(loss, torch.tensor(2 * 0.09 * (1 - forgiven)), atol=1e-6)
    found = truth + torch.randn(truth.shape, generator=generator)
    expected = torch.zeros(())
    for image in range(2):
        for layer in range(2):
            error = (found - truth)[image, layer][:, mask[image, 0, 0]]
            expected = expected + (error.square().mean() - 0.5 * error.mean() ** 2) / 2
    assert torch.allclose(forgiving_loss(found, truth, mask, 0.5), expected, rtol=1e-5)
    outside = torch.where(mask, found, torch.nan)
    assert torch.allclose(forgiving_loss(outside, truth, mask, 0.5), expected, rtol=1e-5)
    assert forgiving_loss(found, truth, torch.zeros_like(mask), 0.5) == 0


def test_a_step_compares_the_layers_where_the_mask_is() -> None:
    method = small()
    layers = torch.rand(2, 2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 40, 40, dtype=torch.bool)
    mask[..., 5:30, 7:20] = True
    batch = LayerBatch(layers.prod(1), layers, mask, ["a", "b"])
    found = (method(batch.mixture) + 0.5).log()
    expected = forgiving_loss(found, (layers + 0.5).log(), mask[:, None], 0.5)
    assert torch.allclose(method.training_step(batch, 0), expected, rtol=1e-4)


def test_the_fine_network_learns_ten_times_faster_and_both_stop_at_the_end() -> None:
    method = small()
    configured = method.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    coarse, fine = optimizer.param_groups
    assert (coarse["lr"], fine["lr"]) == pytest.approx((2e-3, 2e-2))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(method.parameters()))
    for _ in range(75):
        optimizer.step()
        schedule.step()
    assert coarse["lr"] == pytest.approx(1e-3), "the root of a quarter"
    assert isinstance(small(momentum=None).configure_optimizers()["optimizer"], torch.optim.AdamW)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 6}, "a multiple of 4"), ({"dropout": 1.0}, "below 1"), ({"momentum": -1.0}, "momentum -1: it must")],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DirectIntrinsics(**options)
