"""Learnt removal of reflections: sizes as counted from the authors' layers, each paper's own pieces, and the traps."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.bdn import BDN
from methods.err_net import EnhancedNetwork, ERRNet
from methods.ibcln import IBCLN, RecurrentNetwork
from methods.losses.gradients import slope_loss
from methods.losses.perceptual import BALANCED, perceptual
from methods.losses.relativistic import relativistic_losses
from methods.networks.pointwise_hypercolumn import PointwiseHypercolumn
from methods.networks.pyramid_pooling import PyramidPooling
from methods.networks.vgg import VGG19Features, load_vgg19
from methods.pl_net import AdaptiveNorm, PLNet
from methods.rm_net import RmNet, roughness


def spec_of(second: str = "reflection") -> LayerSpec:
    return LayerSpec(
        layers=["background", second], scored=["background"], target=["background"], derived=[], ordered=True,
        channels=3, scale=1, mixing="glass", gain=1.0, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb",
        citation="", licence="",
    )  # fmt: skip


def quiet(method: Any) -> Any:
    method.log = method.log_dict = lambda *_, **__: None  # there is no trainer here
    return method


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def through_glass(side: int = 32, images: int = 2) -> LayerBatch:
    layers = torch.rand(images, 2, 3, side, side, generator=generator()) * 0.5
    return LayerBatch(layers.sum(1), layers, torch.ones(images, 1, side, side, dtype=torch.bool), ["a", "b"][:images])


def count(module: nn.Module | None) -> int:
    assert module is not None
    return sum(weight.numel() for weight in module.parameters())


# What they share ----------------------------------------------------------------------------------


def test_a_hypercolumn_is_the_plain_order_of_work() -> None:
    torch.manual_seed(0)
    column, image = PointwiseHypercolumn([4, 5], 6), torch.rand(2, 3, 8, 10)
    levels = [torch.rand(2, 4, 8, 10), torch.rand(2, 5, 4, 5)]
    plain = torch.cat([image, levels[0], F.interpolate(levels[1], size=(8, 10), mode="bilinear")], 1)
    assert torch.allclose(column(image, levels), column.mix(plain), atol=1e-5)


def test_a_stages_second_convolution_can_be_tapped_and_pooling_be_a_mean() -> None:
    state, image = load_vgg19("random"), torch.rand(1, 3, 16, 16, generator=generator())
    features = VGG19Features("random", 2, tap=2, pooling="mean")
    x = (image - features.mean) / features.std
    expected = []
    for number in (0, 2, 5, 7):
        x = F.avg_pool2d(x, 2) if number == 5 else x
        x = F.conv2d(x, state[f"{number}.weight"], state[f"{number}.bias"], padding=1).relu()
        if number in (2, 7):
            expected.append(x)
    for found, known in zip(features(image), expected, strict=True):
        assert torch.allclose(found, known, atol=1e-4)


def test_the_levels_of_the_perceptual_loss_are_weighted() -> None:
    ours, theirs = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 2, 2)], [torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2)]
    assert float(perceptual(ours, theirs)) == pytest.approx(2)
    assert float(perceptual(ours, theirs, BALANCED)) == pytest.approx(1 / 2.6 + 1 / 4.8)


def test_slopes_are_compared_along_both_axes() -> None:
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 5, 6)
    flat = torch.full_like(ramp, 3)
    assert float(slope_loss(ramp, flat)) == pytest.approx(1)
    assert float(slope_loss(3 * ramp.mT.contiguous(), flat.mT)) == pytest.approx(3)
    assert float(slope_loss(ramp + 5, ramp)) == 0


# PLNet --------------------------------------------------------------------------------------------


def test_pl_net_has_the_authors_parameters() -> None:
    method = PLNet(features="random", adversarial=0, spec=spec_of())
    assert count(method.network) == count(method) == 390_296


def test_pl_net_normalises_each_picture_and_does_not_look_at_its_batch() -> None:
    x = torch.rand(3, 4, 6, 6, generator=generator())
    own, authors = AdaptiveNorm(4, per_picture=True), AdaptiveNorm(4, per_picture=False)
    for norm in (own, authors):
        assert torch.equal(norm(x), x), "it starts as the identity"
        norm.keep.data.fill_(0.5)
        norm.normed.data.fill_(2.0)
        norm.shift.data.fill_(0.1)
    expected = 0.5 * x[:1] + 2 * (F.batch_norm(x[:1], None, None, training=True, eps=1e-3) + 0.1)
    assert torch.allclose(own(x)[:1], expected, atol=1e-5)
    assert torch.allclose(authors(x[:1]), expected, atol=1e-5), "with a batch of one both are the same"
    assert not torch.allclose(authors(x)[:1], expected, atol=1e-2)


def test_pl_net_counts_errors_in_the_authors_units() -> None:
    method = quiet(
        PLNet(width=4, features="random", levels=1, perceptual=0, exclusion=0, adversarial=0, spec=spec_of())
    )
    batch = through_glass()
    told = method.training_step(batch, 0)["generator"]
    background, reflection = batch.layers.unbind(1)
    # It begins with the mixture and with black.
    in_reflection = reflection.abs().mean()
    pixels = (batch.mixture - background).abs().mean() + in_reflection
    assert torch.allclose(told, in_reflection + 0.2 * 255 * pixels, rtol=1e-4)


def test_pl_net_refuses_a_width_that_no_colour_passes() -> None:
    with pytest.raises(UserError, match="at least 3"):
        PLNet(width=2, features="random")


# BDN ----------------------------------------------------------------------------------------------


def test_bdn_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = BDN(adversarial=0, spec=spec_of())
    assert count(method) / 1e6 == pytest.approx(75.16, rel=0.01)


def test_bdn_estimates_the_reflection_from_the_background_and_that_again_from_it() -> None:
    torch.manual_seed(0)
    method = BDN(width=4, depth=4, norm="instance", adversarial=0, spec=spec_of()).eval()
    mixture = torch.rand(1, 3, 16, 16, requires_grad=True)
    coarse, reflection, background = method.cascade(mixture)
    assert torch.equal(reflection, method.reflect(torch.cat([mixture, coarse], 1)))
    assert torch.equal(background, method.again(torch.cat([mixture, reflection], 1)))
    (background.sum()).backward()
    assert all(weight.grad is not None for weight in method.first.parameters()), "all three learn from the last picture"


def test_bdn_that_corrects_starts_from_the_mixture() -> None:
    method = BDN(width=4, depth=4, norm="instance", residual=True, adversarial=0, spec=spec_of())
    batch = through_glass()
    assert torch.allclose(method(batch.mixture)[:, 0], batch.mixture, atol=1e-6)
    loss = quiet(method).training_step(batch, 0)["generators"]
    mixture, layers = 2 * batch.mixture - 1, 2 * batch.layers - 1
    coarse, reflection, background = method.cascade(mixture)
    pairs = ((coarse, layers[:, 0]), (reflection, layers[:, 1]), (background, layers[:, 0]))
    expected: Tensor = 100 * torch.stack([F.mse_loss(found, true) for found, true in pairs]).sum()
    assert torch.allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 2}])
def test_bdn_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="depth more than 2"):
        BDN(**options)


# RmNet --------------------------------------------------------------------------------------------


def test_rm_nets_removal_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = RmNet(synthesis="given", spec=spec_of())
    assert count(method) == count(method.removal)
    assert count(method.removal) / 1e6 == pytest.approx(65.43, rel=1e-3)


def test_a_weight_is_pulled_to_its_neighbours_which_stay() -> None:
    weight = torch.zeros(1, 1, 2, 3, requires_grad=True)
    weight.data[..., 1] = 1
    found = roughness(weight)
    assert float(found.detach()) == pytest.approx(2), "each of both directions along a row has a mean of 1"
    (slope,) = torch.autograd.grad(found, weight)
    assert torch.allclose(slope[0, 0], torch.tensor([-0.5, 1.0, -0.5]).expand(2, 3))


def test_removal_does_not_teach_synthesis_to_make_its_task_easy() -> None:
    torch.manual_seed(0)
    method = quiet(RmNet(width=4, depth=3, blocks=1, pool=0, spec=spec_of()))
    told = method.training_step(through_glass(), 0)
    assert set(told) == {"loss", "discriminator", "synthesis", "removal"}
    made: list[Tensor] = []
    method.remove = lambda mixture: made.append(mixture) or RmNet.remove(method, mixture)
    method.training_step(through_glass(), 0)
    assert not made[0].requires_grad
    layers = 2 * through_glass().layers - 1
    weight = method.synthesis(layers.flatten(1, 2))
    assert torch.allclose(made[0], weight * layers[:, 1] + (1 - weight) * layers[:, 0], atol=1e-5)


def test_given_pairs_need_no_weight() -> None:
    torch.manual_seed(0)
    method = quiet(RmNet(synthesis="given", width=4, depth=3, residual=True, spec=spec_of()))
    assert (method.card.supervision, RmNet.card.supervision) == ("paired", "unpaired")
    batch = through_glass()
    assert torch.allclose(method(batch.mixture)[:, 0], batch.mixture, atol=1e-6), "it starts from the mixture"
    told = method.training_step(batch, 0)["removal"]
    mixture, layers = 2 * batch.mixture - 1, 2 * batch.layers - 1
    found, other, weight = method.remove(mixture)
    l1 = F.l1_loss
    slopes = l1(found.diff(dim=2), layers[:, 0].diff(dim=2)) + l1(found.diff(dim=3), layers[:, 0].diff(dim=3))
    explained = l1(found * (1 - weight) + other * weight, mixture)
    expected = 100 * l1(found, layers[:, 0]) + 50 * (l1(other, layers[:, 1]) + slopes + explained)
    assert torch.allclose(told, expected, rtol=1e-4)


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 1}, {"blocks": -1}, {"pool": -1}])
def test_rm_net_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="not negative"):
        RmNet(**options)


# ERRNet -------------------------------------------------------------------------------------------


def test_err_net_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        network = EnhancedNetwork([64, 128, 256, 512, 512], 256, 13)
    assert count(network) / 1e6 == pytest.approx(18.95, rel=5e-4)
    method = inspect.signature(ERRNet).parameters
    assert (method["width"].default, method["blocks"].default) == (256, 13)


def test_pyramids_hold_means_of_their_squares() -> None:
    torch.manual_seed(0)
    pyramid, x = PyramidPooling(3, 2, (2, 8), bias=False), torch.rand(1, 3, 4, 8)
    found = pyramid(x)
    assert torch.equal(found[:, :3], x)
    small, whole = pyramid.look.children()
    square = F.leaky_relu(small(x[..., 2:4, 4:6].mean((2, 3), keepdim=True)), 0.2)
    assert torch.allclose(found[:, 3:5, 2:4, 4:6], square.expand(-1, -1, 2, 2), atol=1e-6)
    assert torch.allclose(found[:, 5:], F.leaky_relu(whole(x.mean((2, 3), keepdim=True)), 0.2).expand(-1, -1, 4, 8))


def test_relativistic_judgements_are_against_the_others_mean() -> None:
    judge = nn.Conv2d(1, 1, 1)
    fake = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).requires_grad_()
    real = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
    told, taught = relativistic_losses(judge, fake, real)
    on_fake, on_real = judge(fake).flatten(), judge(real).flatten()
    ones, zeros = torch.ones(2), torch.zeros(2)
    against, forged = on_real - on_fake.mean(), on_fake - on_real.mean()

    def entropy(value: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(value, target)

    assert torch.allclose(told, (entropy(against, zeros) + entropy(forged, ones)) / 2)
    assert torch.allclose(taught, (entropy(against, ones) + entropy(forged, zeros)) / 2)
    assert torch.autograd.grad(told, judge.weight, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(taught, fake, allow_unused=True) == (None,)
    (slope,) = torch.autograd.grad(told, fake)
    assert (slope.sign() == -judge.weight.sign()).all(), "what judges say more of"


def test_err_nets_loss_is_the_papers() -> None:
    options: dict[str, Any] = {"width": 8, "blocks": 1, "features": "random", "levels": 1, "adversarial": 0}
    method, batch = quiet(ERRNet(**options, residual=True, perceptual=0, spec=spec_of())), through_glass()
    assert torch.equal(method(batch.mixture)[:, 0], batch.mixture), "it starts from the mixture"
    truth, l1 = batch.layers[:, 0], F.l1_loss
    slopes = sum(l1(batch.mixture.diff(dim=axis), truth.diff(dim=axis)) for axis in (2, 3))
    expected = 0.2 * F.mse_loss(batch.mixture, truth) + 0.4 * slopes
    assert torch.allclose(method.training_step(batch, 0)["generator"], torch.as_tensor(expected), rtol=1e-4)


@pytest.mark.parametrize("options", [{"width": 6}, {"width": 0}, {"blocks": -1}])
def test_err_net_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="a multiple of 4"):
        ERRNet(features="random", **options)


# IBCLN --------------------------------------------------------------------------------------------


def test_ibcln_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        networks = [RecurrentNetwork(64, False, 0.5, sides=sides) for sides in (True, True)]
    assert sum(map(count, networks)) / 1e6 == pytest.approx(21.61, rel=5e-4)
    assert inspect.signature(IBCLN).parameters["width"].default == 64


def test_each_turn_of_ibcln_sees_the_newest_estimates_and_remembers() -> None:
    torch.manual_seed(0)
    method, mixture = IBCLN(width=4, perceptual=0, adversarial=0, spec=spec_of()).eval(), torch.rand(1, 3, 32, 32)
    for network in (method.transmit, method.reflect):
        nn.init.normal_(network.last.weight, std=0.1)
    (first, black), (second, _), _ = method.refine(mixture)
    dark = torch.full_like(mixture, 0.1)
    one = method.transmit(torch.cat([mixture, mixture, dark], 1), mixture, None)
    assert torch.allclose(first.image, one.image)
    other = method.reflect(torch.cat([mixture, first.image, dark], 1), dark, None)
    assert torch.allclose(black.image, other.image)
    seen = torch.cat([mixture, first.image, black.image], 1)
    assert torch.allclose(second.image, method.transmit(seen, first.image, first.state).image, atol=1e-6)
    assert not torch.allclose(second.image, method.transmit(seen, first.image, None).image, atol=1e-6)


def test_ibclns_layers_have_to_explain_the_mixture() -> None:
    spec, batch = spec_of(), through_glass()
    spec["gamma"] = 2.2
    method = quiet(IBCLN(width=4, turns=1, residual=True, perceptual=0, adversarial=0, spec=spec).eval())
    truth = batch.layers[:, 0]
    dark = torch.full_like(truth, 0.1) ** 2.2
    light = batch.mixture**2.2
    expected = F.mse_loss(batch.mixture, truth) + 10 * (dark**2).mean() + 10 * F.mse_loss(truth**2.2 + dark, light)
    assert torch.allclose(method.training_step(batch, 0)["generators"], expected, rtol=1e-3)


@pytest.mark.parametrize("options", [{"width": 1}, {"turns": 0}])
def test_ibcln_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="turns at least 1"):
        IBCLN(features="random", **options)
