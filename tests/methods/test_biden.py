"""BIDeN: the authors' sizes, filters without aliasing, sources that are left out, and which ones there are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.biden import BIDeN
from methods.networks.decomposition import Blur, MultiScaleEncoder


def spec_of(layers: int = 3, gain: float = 1.0, fusion: str = "sum") -> LayerSpec:
    names = [f"layer_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=True, channels=3, scale=1, mixing="sum",
        gain=gain, fusion=fusion, gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def small(layers: int = 3, gain: float = 1.0, fusion: str = "sum", **options: Any) -> Any:
    torch.manual_seed(0)
    given = {"width": 4, "blocks": 1, "features": "random", "levels": 1} | options
    method: Any = BIDeN(spec=spec_of(layers, gain, fusion), **given)
    method.log = method.log_dict = lambda *_, **__: None  # there is no trainer here
    return method


def batch(count: int = 4, layers: int = 3) -> LayerBatch:
    truth = torch.rand(count, layers, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return LayerBatch(truth.mean(1), truth, torch.ones(count, 1, 32, 32, dtype=torch.bool), ["a"] * count)


def test_it_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = BIDeN(perceptual=0)
    encoder, head, judge = (
        sum(weight.numel() for weight in part.parameters()) for part in (method.encoder, method.heads[0], method.judge)
    )
    assert encoder / 1e6 == pytest.approx(33.91, rel=5e-4)
    assert head == 575_363
    assert judge / 1e6 == pytest.approx(3.03, rel=2e-3)


def test_three_branches_give_a_quarter_of_the_resolution() -> None:
    encoder = MultiScaleEncoder(3, 4, 1)
    assert [branch(torch.rand(1, 3, 20, 28)).shape for branch in encoder.branches] == [
        (1, 16, 5, 7), (1, 8, 5, 7), (1, 8, 5, 7)
    ]  # fmt: skip


def test_blurring_leaves_no_pattern_of_alternate_pixels() -> None:
    x = torch.rand(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    board = (torch.arange(8) % 2).float().expand(1, 1, 8, 8)
    assert torch.allclose(Blur()(board), torch.tensor(0.5))
    up = Blur(up=True)(x)
    assert up.shape == (1, 2, 12, 16)
    assert torch.allclose(up[..., ::2, ::2], x, atol=1e-6)
    assert torch.allclose(up[..., ::2, 1:-1:2], (x[..., 1:] + x[..., :-1]) / 2, atol=1e-6)


@pytest.mark.parametrize(("gain", "fusion"), [(1.0, "sum"), (3.0, "sum"), (1.0, "product")])
def test_what_is_left_out_is_not_in_the_mixture(gain: float, fusion: str) -> None:
    method, data = small(gain=gain, fusion=fusion, presence=0.4), batch(64)
    torch.manual_seed(0)
    mixture, there = method.draw(data)
    counts = there.sum(1)
    assert counts.min() == 1
    assert {int(count) for count in counts} == {1, 2, 3}
    for one, layers, given, present in zip(mixture, data.layers, data.mixture, there.bool(), strict=True):
        some = layers[present]
        expected = {(1.0, "sum"): some.sum(0), (3.0, "sum"): some.mean(0)}.get((gain, fusion), some.prod(0))
        assert torch.allclose(one, given if present.all() else expected, atol=1e-6)
    mixture, there = small(presence=1.0).draw(data)
    assert torch.equal(mixture, data.mixture)
    assert there.all()


def test_an_absent_source_teaches_its_head_nothing() -> None:
    method, data = small(layers=2, perceptual=1.0), batch(layers=2)
    method.draw = lambda given: (given.mixture, torch.tensor([[1.0, 0.0]] * 4))
    method.minimise = lambda losses: losses
    method.training_step(data, 0)["generator"].backward()
    moved = [any(bool(w.grad.any()) for w in head.parameters() if w.grad is not None) for head in method.heads]
    assert moved == [True, False]
    assert all(weight.grad is None for weight in method.judge.parameters()), "nor is it the judge's loss"


def test_the_generators_loss_is_the_papers() -> None:
    method, data = small(layers=2, presence=1.0), batch(layers=2)
    method.minimise = lambda losses: losses
    found, truth = 2 * method(data.mixture).detach() - 1, 2 * data.layers - 1
    expected = torch.zeros(())
    for k in range(2):
        fake, real = found[:, k], truth[:, k]
        vgg = method.vgg
        ours, theirs = (F.conv2d(image, vgg.weight0, vgg.bias0, padding=1).relu() for image in (fake, real))
        expected = expected + 30 * (fake - real).abs().mean() + 10 / 32 * (ours - theirs).abs().mean()
        expected = expected + ((method.judge(fake)[0] - 1) ** 2).mean()
    assert torch.allclose(method.training_step(data, 0)["generator"], expected, rtol=1e-4)


def test_the_judge_tells_fakes_and_names_the_sources_of_mixtures() -> None:
    method, data = small(layers=2), batch(layers=2)
    there = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    method.draw = lambda given: (given.mixture, there)
    method.minimise = lambda losses: losses
    told: dict[str, torch.Tensor] = {}
    method.log = lambda name, value, **_: told.update({name: value})
    found, truth = 2 * method(data.mixture).detach() - 1, 2 * data.layers - 1
    chance = method.present(data.mixture).detach()
    expected = -(there * chance.log() + (1 - there) * (1 - chance).log()).mean()
    for k in range(2):
        on_fake = method.judge(found[:, k])[0].square().mean((1, 2, 3))
        on_real = ((method.judge(truth[:, k])[0] - 1) ** 2).mean((1, 2, 3))
        expected = expected + 0.5 * (there[:, k] * (on_fake + on_real)).mean()
    assert torch.allclose(method.training_step(data, 0)["discriminator"], expected, rtol=1e-4)
    assert told["train/sources_named"] == ((chance > 0.5).float() == there).float().mean()


@pytest.mark.parametrize("options", [{"width": 0}, {"blocks": -1}, {"presence": 0.0}, {"presence": 1.5}, {"l1": -1}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="presence above 0 and at most 1"):
        small(**options)
