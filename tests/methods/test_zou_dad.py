"""ZouDAD: the authors' sizes, a loss without an order, and what each critic is shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods import zou_dad
from methods.zou_dad import ZouDAD, remix


def spec_of(layers: int = 2, ordered: bool = True) -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=3, scale=1, mixing="sum",
        gain=1.0, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def small(layers: int = 2, ordered: bool = True, **options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = ZouDAD(width=4, depth=4, spec=spec_of(layers, ordered), **options)
    method.log_dict = lambda *_, **__: None  # there is no trainer here
    return method


def batch(layers: int = 2) -> LayerBatch:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(4, layers, 3, 32, 32, generator=generator) / layers
    return LayerBatch(truth.sum(1), truth, torch.ones(4, 1, 32, 32, dtype=torch.bool), list("abcd"))


@pytest.mark.parametrize(("depth", "millions"), [(6, 29.24), (7, 41.83), (8, 54.41), (9, 66.99)])
def test_it_has_the_authors_parameters(depth: int, millions: float) -> None:
    with torch.device("meta"):
        method = ZouDAD(depth=depth)
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in (method.generator, *method.critics)]
    assert sizes[0] / 1e6 == pytest.approx(millions, rel=5e-4)
    assert sizes[1:] == [666_433, 666_433, 2_768_705]
    assert not any(isinstance(part, nn.BatchNorm2d | nn.Tanh) for part in method.generator.modules())


def test_the_loss_takes_the_best_order_of_each_image_and_the_sum_of_both_layers() -> None:
    data = batch()
    for ordered in (True, False):
        method = small(ordered=ordered, adversarial=0)
        found = method(data.mixture).detach()
        cost = (found.unsqueeze(2) - data.layers.unsqueeze(1)).abs().mean((3, 4, 5))
        straight, crossed = cost[:, 0, 0] + cost[:, 1, 1], cost[:, 0, 1] + cost[:, 1, 0]
        expected = straight if ordered else torch.minimum(straight, crossed)
        assert torch.allclose(method.training_step(data, 0)["loss"], expected.mean(), rtol=1e-5)


def shown(monkeypatch: pytest.MonkeyPatch, method: Any, data: LayerBatch) -> list[tuple[Tensor, Tensor]]:
    """What the critics see in a step: counterfeits and real ones, of each."""
    seen: list[tuple[Tensor, Tensor]] = []
    known = zou_dad.adversarial_losses

    def watched(critic: nn.Module, fake: Tensor, real: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        seen.append((fake.detach(), real))
        return known(critic, fake, real, *rest)

    monkeypatch.setattr(zou_dad, "adversarial_losses", watched)
    method.training_step(data, 0)
    return seen


def test_critics_see_layers_in_the_order_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    method, data = small(ordered=False), batch()
    crossed = data.layers.clone()
    crossed[1:3] = crossed[1:3].flip(1)
    method.separate = lambda mixture, seeds: crossed  # right, in another order for two of the images
    seen = shown(monkeypatch, method, data)
    for fake, real in seen[:2]:
        assert torch.equal(fake, real)
        assert torch.equal(fake[:, :3], data.mixture)


def test_half_of_the_counterfeits_of_separation_are_truths_blended_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = batch()
    fake, real = shown(monkeypatch, small(), data)[2]
    assert fake.shape == real.shape == (4, 6, 64, 64)
    assert torch.equal(real[:, :3, ::2, ::2], data.layers[:, 0])
    total = fake[:, :3] + fake[:, 3:]
    truth = real[:, :3] + real[:, 3:]
    assert torch.allclose(total[:2], truth[:2], atol=1e-6)
    share = (fake[:2, :3] - real[:2, 3:]) / (real[:2, :3] - real[:2, 3:])
    one = share.flatten(1).median(1).values
    assert torch.allclose(share, one.view(2, 1, 1, 1), atol=1e-2)
    assert ((one >= 0.4) & (one < 0.6)).all()
    assert not torch.allclose(total[2:], truth[2:], atol=1e-2)
    assert torch.allclose(remix(data.layers).sum(1), data.mixture, atol=1e-6)


def test_the_judgement_counts_from_its_share_of_the_run_on() -> None:
    method, data = small(adversarial=1.0), batch()
    method.critics.eval()  # or each look would move their statistics
    told = {}
    for method.judged in (False, True):
        told[method.judged] = method.training_step(data, 0)["generator"]
    assert told[True] != told[False]
    plain = small(adversarial=0)
    assert told[False] == plain.training_step(data, 0)["generator"]
    for step, judged in ((0, False), (4, False), (5, True)):
        method._trainer = type("Trainer", (), {"global_step": step, "estimated_stepping_batches": 100})()
        method.on_train_batch_start(data, 0)
        assert method.judged == judged


def test_a_single_true_layer_has_one_critic() -> None:
    method = small(layers=1)
    assert len(method.critics) == 1
    method.training_step(batch(1), 0)["loss"].backward()
    assert all(weight.grad is not None for weight in method.parameters())


def test_a_correction_begins_with_the_trivial_answer() -> None:
    mixture = batch().mixture
    ordered, alike = (small(ordered=ordered, residual=True)(mixture) for ordered in (True, False))
    assert torch.equal(ordered[:, 0], mixture)
    assert torch.equal(alike[:, 0], mixture / 2)


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"depth": 1}, {"adversarial": -1}, {"adversarial_from": 1.0}, {"replay": -1}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="width must be at least 1, depth at least 2"):
        ZouDAD(**({"width": 4, "depth": 4} | options))
