"""NES: the authors' network, what each round is taught on, and that the unobserved layer stays unobserved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.nes import NES, MaskNetwork


def spec_of(gain: float = 1.0, fusion: str = "sum") -> LayerSpec:
    names = ["first", "second"]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=True, channels=3, scale=1, mixing="sum",
        gain=gain, fusion=fusion, gamma=1.0, pairing="unpaired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def small(gain: float = 1.0, **options: Any) -> Any:
    torch.manual_seed(0)
    method: Any = NES(width=4, spec=spec_of(gain), **options)
    method.log = lambda *_, **__: None  # there is no trainer here
    return method


def batch() -> LayerBatch:
    layers, mixture = torch.rand(2, 2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).unbind()
    return LayerBatch(mixture.sum(1), layers, torch.ones(2, 1, 16, 16, dtype=torch.bool), list("ab"))


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_it_has_the_authors_parameters(norm: Any) -> None:
    with torch.device("meta"):
        network = MaskNetwork(3, 64, norm)
    assert sum(weight.numel() for weight in network.parameters()) == 5_513_859


@pytest.mark.parametrize("invert", [True, False])
@pytest.mark.parametrize(("gain", "shares"), [(1.0, None), (2.0, None), (2.0, [0.7, 0.3])])
def test_the_layers_shares_are_the_mixture(invert: bool, gain: float, shares: list[float] | None) -> None:
    """Whatever the mask is: B̂ and X̂ explain the mixture wholly, since their masks add to 1."""
    method, mixture = small(gain, invert=invert, shares=shares), batch().mixture
    one, other = method(mixture).unbind(1)
    first, second = shares or [1 / gain] * 2
    assert torch.allclose(first * one + second * other, mixture, atol=1e-5)


def test_the_known_layer_is_what_the_mask_shows() -> None:
    mixture = batch().mixture
    for known in (0, 1):
        method = small(known=known, invert=False)
        assert torch.allclose(method(mixture)[:, known], method.mask(mixture) * mixture)


@pytest.mark.parametrize("known", [0, 1])
def test_the_other_layer_is_never_looked_at(known: int) -> None:
    method, data = small(known=known), batch()
    changed = data.layers.clone()
    changed[:, 1 - known] = 0.123
    assert torch.equal(method.training_step(data, 0), method.training_step(data._replace(layers=changed), 0))
    changed[:, known] = 0.123
    assert not torch.equal(method.training_step(data, 0), method.training_step(data._replace(layers=changed), 0))


def begin(method: Any, step: int) -> Any:
    adam = SimpleNamespace(state={"moments": 1})
    method._trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=100, optimizers=[adam])
    method.on_train_batch_start(batch(), 0)
    return adam


def test_each_round_is_taught_by_the_network_of_the_one_before() -> None:
    method, data = small(invert=False, rounds=4), batch()
    clean = data.layers[:, 0]

    def loss_of(rest: torch.Tensor) -> torch.Tensor:
        total = clean + rest
        loss: torch.Tensor = (method.mask(total) * total - clean).abs().mean()
        return loss

    assert begin(method, 24).state, "still the first round"
    assert torch.allclose(method.training_step(data, 0), loss_of(data.mixture / 2))
    with torch.no_grad():
        left = (1 - method.mask(data.mixture)) * data.mixture
    assert not begin(method, 25).state, "a new Adam"
    for weight in method.mask.parameters():  # the network learns on, its former self does not
        torch.nn.init.normal_(weight, std=0.5)
    assert begin(method, 49).state
    assert torch.allclose(method.training_step(data, 0), loss_of(left))
    resumed = small(invert=False, rounds=4)
    resumed.load_state_dict(method.state_dict())
    assert begin(resumed, 49).state, "an interruption begins no round"
    assert torch.allclose(resumed.training_step(data, 0), loss_of(left))


def test_a_picture_does_not_depend_on_others_by_default() -> None:
    method, mixture = small().train(), batch().mixture.repeat(1, 1, 2, 2)
    assert torch.allclose(method(mixture)[0], method(mixture[:1])[0], atol=1e-6)
    other = small(norm="batch").train()
    assert not torch.allclose(other(mixture)[0], other(mixture[:1])[0], atol=1e-3)


@pytest.mark.parametrize("options", [{"known": 2}, {"shares": [1.0]}, {"shares": [0, 1]}, {"rounds": 0}, {"width": 0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="known must be 0 or 1"):
        NES(**options)
    with pytest.raises(UserError, match="must be their sum"):
        NES(width=4, spec=spec_of(fusion="product"))
