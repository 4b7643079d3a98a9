"""Parameter totals, losses and options of the trained methods."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from datamodules.types import LayerBatch, LayerSpec
from methods.conv_sep import ConvSep
from methods.ligt import Attention, LiGT, positions
from methods.unet import UNet


def parameters(method: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in method.parameters())


@pytest.fixture
def batch() -> LayerBatch:
    generator = torch.Generator().manual_seed(0)
    layers = torch.rand(4, 2, 1, 28, 28, generator=generator)
    mixture = F.avg_pool2d(layers.sum(1), 2)
    return LayerBatch(mixture, layers, torch.ones(4, 1, 28, 28, dtype=torch.bool), list("abcd"))


def swapped(batch: LayerBatch) -> LayerBatch:
    return batch._replace(layers=batch.layers.flip(1))


def quiet(method: UNet | ConvSep | LiGT) -> UNet | ConvSep | LiGT:
    method.log = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def test_conv_sep_has_the_papers_total() -> None:
    assert parameters(ConvSep()) == 2_846_224


def test_ligt_is_within_one_percent_of_the_papers_total() -> None:
    assert parameters(LiGT()) == pytest.approx(2_301_865, rel=0.01)


@pytest.mark.parametrize("method", [ConvSep, LiGT])
def test_width_reduces_parameters(method: type[ConvSep] | type[LiGT]) -> None:
    assert parameters(method(width=0.5)) < 0.35 * parameters(method())


def test_conv_sep_loss_is_equation_3(batch: LayerBatch) -> None:
    method = quiet(ConvSep(width=0.25).eval())
    z = batch.layers.sum(1)
    restored, apart = method.restore(batch.mixture), method.split(z)
    expected = F.huber_loss(restored, z) + sum(F.huber_loss(apart[:, k], batch.layers[:, k]) for k in range(2))
    assert torch.allclose(method.training_step(batch, 0), expected)
    on_estimate = quiet(ConvSep(width=0.25, train_separators_on="estimate").eval())
    on_estimate.load_state_dict(method.state_dict())
    apart = method.separate(batch.mixture, [])
    expected = F.huber_loss(restored, z) + sum(F.huber_loss(apart[:, k], batch.layers[:, k]) for k in range(2))
    assert torch.allclose(on_estimate.training_step(batch, 0), expected)


def test_ligt_loss_is_equation_4(batch: LayerBatch) -> None:
    method = quiet(LiGT(width=0.25, delta=0.1).eval())
    estimates = method(batch.mixture)
    expected = sum(F.huber_loss(estimates[:, k], batch.layers[:, k], delta=0.1) for k in range(2))
    assert torch.allclose(method.training_step(batch, 0), expected)


def test_l1_is_what_the_huber_function_of_an_images_norm_descends(batch: LayerBatch) -> None:
    """Eq. 2 as it is printed, for δ = 1: any image's norm is above δ, so the gradient is that of the sum of |x̂ − x|."""
    method = quiet(LiGT(width=0.25, loss="l1").eval())
    estimates = method(batch.mixture)
    norms = (estimates - batch.layers).abs().sum((2, 3, 4))
    printed = torch.where(norms < 1, 0.5 * norms**2, norms - 0.5)
    assert (norms > 1).all()
    expected = torch.autograd.grad(printed.mean(0).sum() / 28**2, method.parameters())
    found = torch.autograd.grad(method.training_step(batch, 0), method.parameters())
    assert all(torch.allclose(one, other, atol=1e-7) for one, other in zip(expected, found, strict=True))


def test_conv_sep_logs_how_far_its_restoration_is(batch: LayerBatch) -> None:
    method, logged = ConvSep(width=0.25).eval(), {}
    method.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign,assignment]
    method.training_step(batch, 0)
    error = F.mse_loss(method.restore(batch.mixture), batch.layers.sum(1))
    assert torch.allclose(logged["train/restored_mse"], error)
    assert not logged["train/restored_mse"].requires_grad


def test_attention_is_torchs_own() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(64), torch.nn.MultiheadAttention(64, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        tokens, memory = torch.rand(2, 49, 64), torch.rand(2, 30, 64)
        normal = ours.norm(tokens)
        assert torch.allclose(ours(tokens), theirs(normal, normal, normal)[0], atol=1e-6)
        assert torch.allclose(ours(tokens, memory), theirs(normal, memory, memory)[0], atol=1e-6)


@pytest.mark.parametrize("method", [ConvSep, LiGT, UNet])
def test_only_the_invariant_loss_ignores_the_order_of_layers(
    method: type[ConvSep] | type[LiGT] | type[UNet], batch: LayerBatch
) -> None:
    for invariant in (True, False):
        made = quiet(method(permutation_invariant=invariant, spec=spec_of()).eval())
        if isinstance(made, UNet):  # before training its layers are equal: no order can matter
            torch.nn.init.normal_(made.network.last.weight)
        same = torch.allclose(made.training_step(batch, 0), made.training_step(swapped(batch), 0), rtol=1e-6)
        assert same == invariant


def spec_of(ordered: bool = False, layers: int = 2) -> LayerSpec:
    names = [f"digit_{k}" for k in range(layers)]
    return LayerSpec(
        layers=names, scored=names, target=names, derived=[], ordered=ordered, channels=1, scale=2,
        mixing="sum", gain=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def test_unet_follows_the_data_unless_told() -> None:
    assert UNet(spec=spec_of()).permutation_invariant
    assert not UNet(spec=spec_of(ordered=True)).permutation_invariant
    assert not UNet(permutation_invariant=False, spec=spec_of()).permutation_invariant


@pytest.mark.parametrize("method", [ConvSep, LiGT])
def test_cards_refuse_what_does_not_fit(method: type[ConvSep] | type[LiGT]) -> None:
    assert method.card.accepts(spec_of()) is None
    assert "takes 2 layers, the data have 3" in str(method.card.accepts(spec_of(layers=3)))
    colour = spec_of()
    colour["channels"] = 3
    assert "takes 1 channels, the data have 3" in str(method.card.accepts(colour))
    colour["channels"], colour["scale"] = 1, 1
    assert "takes 2 scales, the data have 1" in str(method.card.accepts(colour))


def test_positions_tell_every_cell_from_every_other() -> None:
    grid = positions(7, 9, 32, torch.zeros(1))
    assert grid.shape == (63, 32)
    distances = torch.cdist(grid, grid) + torch.eye(63) * 100
    assert float(distances.min()) > 0.1
