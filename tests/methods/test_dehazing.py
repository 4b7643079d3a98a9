"""Learnt removal of haze: sizes as counted from the authors' layers, each paper's own equation, and where it starts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.mixing import AtmosphericScattering
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.aod_net import AODNet
from methods.base import SeparationMethod
from methods.dcpdn import DCPDN, DenseTransmission
from methods.dehaze_net import DehazeNet
from methods.dm2f_net import DM2FNet, separations
from methods.gca_net import GCANet, edges
from methods.gfn import GFN, ConfidenceMaps, derived
from methods.networks.scattering import scattering_of
from methods.networks.smoothed_dilation import SharedFilter, SmoothedDilatedBlock


def spec_of(second: str = "haze") -> LayerSpec:
    return LayerSpec(
        layers=["background", second], scored=["background"], target=["background"], derived=[], ordered=True,
        channels=3, scale=1, mixing="scattering", gain=1.0, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb",
        citation="", licence="",
    )  # fmt: skip


def quiet(method: Any) -> Any:
    method.log = method.log_dict = lambda *_, **__: None  # there is no trainer here
    return method


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hazy(side: int = 32, images: int = 2) -> LayerBatch:
    """A batch of scattering with a depth that varies."""
    mixing, draws = AtmosphericScattering(), generator()
    picture = torch.rand(images, 3, side, side, generator=draws)
    depth = torch.linspace(0, 1, side).expand(images, 3, side, side)
    drawn = [mixing.draw(draws, torch.Size((2, 3, side, side))) for _ in range(images)]
    parameters = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    layers = mixing.render(torch.stack([picture, depth], 1), parameters)
    mask = torch.ones(images, 1, side, side, dtype=torch.bool)
    return LayerBatch(mixing.forward(layers, parameters), layers, mask, [str(i) for i in range(images)])


@pytest.mark.parametrize(
    ("method_class", "total"), [(AODNet, 1761), (DehazeNet, 8305), (GCANet, 702_818), (GFN, 517_295)]
)
def test_the_defaults_have_the_authors_parameters(method_class: type[SeparationMethod], total: int) -> None:
    with torch.device("meta"):
        method: Any = method_class(spec=spec_of())  # type: ignore[call-arg]
    assert sum(weight.numel() for weight in method.parameters()) == total


@pytest.mark.parametrize("method_class", [AODNet, GCANet, GFN])
def test_a_width_that_is_impossible_is_refused(method_class: Any) -> None:
    with pytest.raises(UserError, match="it must be at least 1"):
        method_class(width=0)


# AOD-Net ------------------------------------------------------------------------------------------


def test_aod_net_takes_its_map_off_the_mixture() -> None:
    method, mixture = AODNet(spec=spec_of()), torch.rand(1, 3, 8, 8, generator=generator())
    t, airlight = 0.6, 0.9
    hazy_picture = mixture * t + airlight * (1 - t)
    # Eq. 8 of the paper with b = 1: this K undoes the haze.
    k = ((hazy_picture - airlight) / t + airlight - 1) / (hazy_picture - 1)
    method.network = _Gives(k)  # type: ignore[assignment]
    assert torch.allclose(method(hazy_picture)[:, 0], mixture, atol=1e-4)


class _Gives(nn.Module):
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return self.value


def test_aod_net_starts_near_its_mixture() -> None:
    torch.manual_seed(0)
    mixture = torch.rand(1, 3, 16, 16)
    found = AODNet(spec=spec_of())(mixture)[:, 0]
    assert (found - mixture).abs().mean() < 0.1


# DehazeNet ----------------------------------------------------------------------------------------


def test_each_transmission_is_of_one_patch() -> None:
    torch.manual_seed(0)
    network = DehazeNet(spec=spec_of()).network
    nn.init.normal_(network.last.weight, std=0.05)
    picture = torch.rand(1, 3, 20, 21)
    found = network(picture)
    assert found.shape == (1, 1, 5, 6)
    assert torch.allclose(found[..., 3, 4], network(picture[..., 3:19, 4:20])[..., 0, 0], atol=1e-2)
    changed = picture.clone()
    changed[..., :3, :], changed[..., 19:, :] = 0, 1
    assert torch.equal(network(changed)[..., 3, :], found[..., 3, :])


def test_dehaze_net_learns_from_clear_patches_alone() -> None:
    method, batch = quiet(DehazeNet(patches=3, spec=spec_of())), hazy(24)
    patches = method.cut(batch.layers[:, 0])
    assert patches.shape == (6, 3, 16, 16)
    windows = F.unfold(batch.layers[:, 0], 16).mT.unflatten(2, (3, 16, 16))  # (B, 81, 3, 16, 16)
    for i, patch in enumerate(patches):
        assert (windows[i // 3] == patch).all((1, 2, 3)).any(), "cut from its own picture"
    torch.manual_seed(1)
    loss = method.training_step(batch, 0)
    torch.manual_seed(1)
    assert loss == method.training_step(batch._replace(mixture=torch.zeros_like(batch.mixture)), 0)


def test_dehaze_net_inverts_scattering_where_its_transmission_is_right() -> None:
    background = 0.3 + 0.1 * torch.rand(1, 3, 24, 24, generator=generator())
    background[..., 18:] = 1  # far away and white: the airlight's own colour
    t = torch.full((1, 1, 24, 24), 0.8)
    t[..., 18:] = 0.4
    mixture = background * t + 1 - t
    method = DehazeNet(radius=1, epsilon=1e-9, spec=spec_of())
    method.network = _Gives(t)  # type: ignore[assignment]
    layers = method(mixture)
    assert layers.shape == (1, 2, 3, 24, 24)
    assert torch.allclose(layers[:, 0, :, :, :15], background[..., :15], atol=1e-3)
    assert torch.allclose(layers[:, 1, :, :, :15], (1 - t)[..., :15].expand(-1, 3, -1, -1), atol=1e-3)
    assert DehazeNet(spec=spec_of("rain"))(mixture).shape[1] == 1


@pytest.mark.parametrize(
    "options", [{"width": 6}, {"width": 0}, {"patches": 0}, {"epsilon": 0.0}, {"least": 0.0}, {"airlight_share": 2.0}]
)
def test_dehaze_net_refuses_what_is_impossible(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="must be"):
        DehazeNet(**options)


# GCANet -------------------------------------------------------------------------------------------


def test_edges_are_the_mean_differences_of_neighbours() -> None:
    image = torch.rand(2, 3, 5, 6, generator=generator())
    expected = torch.zeros(2, 1, 5, 6)
    for i in range(5):
        for j in range(6):
            for y, x in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if 0 <= y < 5 and 0 <= x < 6:
                    expected[:, 0, i, j] += (image[..., i, j] - image[..., y, x]).abs().mean(1) / 4
    assert torch.allclose(edges(image), expected, atol=1e-6)


def test_a_shared_filter_starts_as_the_identity_and_is_the_same_for_all_channels() -> None:
    shared, x = SharedFilter(3), torch.rand(1, 4, 6, 6, generator=generator())
    assert torch.equal(shared(x), x)
    nn.init.normal_(shared.weight)
    for channel in range(4):
        assert torch.allclose(shared(x)[:, [channel]], F.conv2d(x[:, [channel]], shared.weight, padding=1), atol=1e-5)


def test_smoothing_joins_what_dilation_tears_apart() -> None:
    """A pixel between the places of a dilated filter is seen once its shared filter has learnt to look around."""
    block = SmoothedDilatedBlock(2, 2, norm="none")
    x = torch.rand(1, 2, 9, 9, generator=generator(), requires_grad=True)

    def seen() -> Tensor:
        (slope,) = torch.autograd.grad(block.body[:2](x)[..., 4, 4].sum(), x)
        return slope[0, 0] != 0

    assert seen().sum() == 9
    nn.init.ones_(block.body[0].weight)
    assert seen().sum() == 49
    assert not any(isinstance(part, SharedFilter) for part in SmoothedDilatedBlock(2, 1).body)


def test_gca_net_needs_no_statistics_of_a_batch() -> None:
    torch.manual_seed(0)
    method, mixture = GCANet(width=8, spec=spec_of()), torch.rand(2, 3, 16, 16)
    nn.init.normal_(method.network.last.weight)
    assert torch.equal(method.train()(mixture), method.eval()(mixture))
    assert torch.allclose(method(mixture)[:1], method(mixture[:1]), atol=1e-5)


# GFN ----------------------------------------------------------------------------------------------


def test_derived_pictures_are_the_papers() -> None:
    mixture = 0.2 + 0.6 * torch.rand(1, 3, 8, 8, generator=generator()) * torch.tensor([1.0, 0.8, 0.5]).view(3, 1, 1)
    same, balanced, contrast, gamma = derived(mixture).split(3, 1)
    assert torch.equal(same, mixture)
    assert torch.allclose(balanced.mean((2, 3)), mixture.mean().expand(1, 3), atol=1e-6), "the world is grey"
    mean = float(mixture.mean())
    assert float(contrast[0, 1, 2, 3]) == pytest.approx(
        2 * (0.5 + mean) * (float(mixture[0, 1, 2, 3]) - mean), abs=1e-5
    )
    assert float(gamma[0, 2, 4, 4]) == pytest.approx(float(mixture[0, 2, 4, 4]) ** 2.5, abs=1e-6)


def test_gfn_blends_what_was_derived_at_each_scale() -> None:
    torch.manual_seed(0)
    method, mixture = GFN(width=4, spec=spec_of()), torch.rand(1, 3, 16, 16)
    for network in (method.coarse, method.middle, method.fine):
        nn.init.zeros_(network.last.weight)
    network.last.bias.data = torch.tensor([0.5, 2.0, -1.0])  # a leaky activation lets a tenth of −1 through
    coarse, middle, fine = method.blend(mixture)
    views = derived(mixture)
    assert coarse.shape[-1] == 4
    assert torch.allclose(middle, F.max_pool2d(views, 2)[:, 3:].unflatten(1, (3, 3)).mean(1), atol=1e-5)
    assert torch.allclose(fine, 0.5 * views[:, 3:6] + 2 * views[:, 6:9] - 0.1 * views[:, 9:], atol=1e-5)


def test_gfn_learns_at_all_scales() -> None:
    torch.manual_seed(0)
    method, batch = quiet(GFN(width=4, spec=spec_of())), hazy(16)
    truth, expected = batch.layers[:, 0], 0.0
    for estimate in (found.detach() for found in method.blend(batch.mixture)):
        scale = 16 // estimate.shape[-1]
        target = truth.unfold(2, scale, scale).unfold(3, scale, scale).mean((-1, -2))
        expected += float((estimate - target).square().mean())
    assert math.isclose(float(method.training_step(batch, 0).detach()), expected, rel_tol=1e-5)


def test_a_scale_sees_as_far_as_its_dilation_says() -> None:
    network = ConfidenceMaps(1, 2, size=7, dilation=3)
    x = torch.zeros(1, 1, 41, 41, requires_grad=True)
    for layer in network.groups[0]:
        nn.init.ones_(layer[0].weight)
    (slope,) = torch.autograd.grad(network.groups[0](x)[0, 0, 20, 20], x)
    assert int((slope[0, 0, 20] != 0).nonzero().amin()) == 20 - (9 + 3 + 3)


# DCPDN --------------------------------------------------------------------------------------------


def test_scattering_is_found_in_what_was_scattered() -> None:
    batch = hazy()
    t, airlight = scattering_of(batch.mixture, batch.layers)
    background, haze = batch.layers.unbind(1)
    assert t.shape == (2, 1, 32, 32)
    assert torch.allclose(background * t + airlight * (1 - t), batch.mixture, atol=1e-4)
    assert torch.allclose(airlight * (1 - t), haze, atol=1e-4)
    assert (airlight.flatten(1).amin(1) > 0.69).all()
    clear, white = scattering_of(background, torch.stack([background, torch.zeros_like(background)], 1))
    assert torch.allclose(clear, torch.ones_like(clear)), "where there is no haze, all light comes through"
    assert torch.allclose(white, torch.ones_like(white))


def test_dcpdn_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        transmission = DenseTransmission(64, (6, 12, 24), "group")
        method = DCPDN(perceptual=0, adversarial=0, spec=spec_of())
    assert sum(weight.numel() for weight in transmission.parameters()) / 1e6 == pytest.approx(11.58, rel=5e-4)
    assert sum(weight.numel() for weight in method.light.parameters()) / 1e6 == pytest.approx(0.85, rel=5e-3)
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(12.4, rel=5e-3)


SMALL: dict[str, Any] = {"width": 4, "layers": [1, 1, 1], "depth": 2, "perceptual": 0, "adversarial": 0}


def test_dcpdn_inverts_scattering_by_what_its_networks_found() -> None:
    batch = hazy(64)
    method = quiet(DCPDN(**SMALL, residual=True, spec=spec_of()))
    t, airlight = scattering_of(batch.mixture, batch.layers)
    method.transmit, method.light = _Gives(2 * t.expand(-1, 3, -1, -1) - 1), _Gives(2 * airlight - 1)
    layers = method(batch.mixture)
    assert torch.allclose(layers, batch.layers, atol=1e-3)
    assert float(method.training_step(batch, 0)["generators"]) == pytest.approx(0, abs=1e-3)


def test_dcpdn_needs_no_training_mode_to_be_tested() -> None:
    torch.manual_seed(0)
    method, mixture = DCPDN(**SMALL, spec=spec_of()), torch.rand(2, 3, 64, 64)
    assert torch.equal(method.train()(mixture), method.eval()(mixture))
    assert torch.allclose(method(mixture)[:1], method(mixture[:1]), atol=1e-5)


@pytest.mark.parametrize("options", [{"width": 6}, {"layers": [1, 1]}, {"layers": [0, 1, 1]}, {"depth": 1}])
def test_dcpdn_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="three numbers above 0"):
        DCPDN(**options)


# DM2F-Net -----------------------------------------------------------------------------------------


def test_dm2f_net_has_the_authors_parameters() -> None:
    with torch.device("meta"):
        method = DM2FNet(spec=spec_of())
    assert sum(weight.numel() for weight in method.parameters()) / 1e6 == pytest.approx(92.14, rel=1e-4)


def test_each_separation_undoes_its_own_model() -> None:
    background = 0.1 + 0.8 * torch.rand(1, 3, 6, 6, generator=generator())
    residue = 0.5 + 0.4 * torch.rand(1, 3, 6, 6, generator=generator(1))
    # What was formed by each model, and what its inverse adds, in its own domain.
    by_logarithm = torch.log1p(residue * background)
    cases = (
        (background * residue, -residue.log()),
        (background * 0.5 + 0.3, background * 0.5 - 0.3),
        (background**residue, -residue.log()),
        (by_logarithm, torch.expm1(background).log() - by_logarithm.log()),
    )
    for i, (mixture, added) in enumerate(cases):
        assert torch.allclose(separations(mixture, [added] * 4)[i], background, atol=1e-4), i


def test_dm2f_net_fuses_five_pictures_and_inverts_scattering() -> None:
    torch.manual_seed(0)
    method, batch = quiet(DM2FNet(width=4, blocks=[1, 1, 1, 1], norm="group", spec=spec_of())), hazy(64)
    for head in method.network.heads[1:]:
        nn.init.zeros_(head[-1].weight)
        nn.init.zeros_(head[-1].bias)
    fused, models, t, light = method.network(batch.mixture)
    expected = ((batch.mixture - light * (1 - t)) / t).clamp(0, 1)
    assert torch.allclose(models[0], expected, atol=1e-5)
    for picture in models[1:4]:
        assert torch.allclose(picture, batch.mixture, atol=2e-3), "what takes nothing off leaves the mixture"
    stack = torch.stack(models)
    assert (fused <= stack.amax(0) + 1e-6).all()
    assert (fused >= stack.amin(0) - 1e-6).all()
    truth, (passed, airlight) = batch.layers[:, 0], scattering_of(batch.mixture, batch.layers)
    expected = sum((picture - truth).abs().mean() for picture in (fused, *models))
    expected = expected + 10 * (t - passed).abs().mean() + (light - airlight[:, :1]).abs().mean()
    assert torch.allclose(method.training_step(batch, 0), expected, rtol=1e-4)


@pytest.mark.parametrize("options", [{"width": 6}, {"blocks": [1, 1, 1]}, {"blocks": [1, 1, 0, 1]}])
def test_dm2f_net_refuses_impossible_sizes(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="four numbers above 0"):
        DM2FNet(**options)
