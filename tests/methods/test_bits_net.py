"""BITS-Net and DoubleDIP against plain implementations of their parts."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.scoring import cost as cost_of
from benchmark.scoring.cost import measure
from benchmark.speed.networks.bits_net import PlainSkipNet, plain_exclusion
from datamodules.errors import UserError
from datamodules.types import LayerSpec
from methods.base import Lent
from methods.bits_net import VIEWS, BITSNet, Optimisation, _view
from methods.double_dip import DoubleDIP
from methods.losses.exclusion import exclusion
from methods.losses.red import RED, DirectRED
from methods.networks.skip_net import SkipNet

SMALL = {"widths": (8, 8), "skips": (0, 4)}
"""Two levels, so that 12 pixels are enough."""

FAST = {**SMALL, "denoiser": "median"}


def picture(count: int = 1, size: int = 24, channels: int = 3, seed: int = 0) -> Tensor:
    """(count, C, size, size) smooth pictures in float64."""
    coarse = torch.rand(count, channels, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


def copied(networks: SkipNet, which: int) -> PlainSkipNet:
    """One of the networks as plain modules, in float64."""
    plain = PlainSkipNet().double()
    ours = [part for part in networks.modules() if not list(part.children()) and list(part.parameters())]
    theirs = [part for part in plain.modules() if not list(part.children()) and list(part.parameters())]

    named = {name: part for name, part in networks.named_modules() if part in ours}
    pairs = []
    for i in range(len(plain.down)):
        for block in range(2):
            for index in range(2):
                pairs.append((named[f"levels.{i}.down.{block}.{index}"], plain.down[i][block][index]))
                pairs.append((named[f"levels.{i}.mix.{block}.{index}"], plain.up[i][block][index]))
        pairs.append((named[f"levels.{i}.joined"], plain.joined[i]))
        if plain.skips[i]:
            pairs += [(named[f"levels.{i}.skip.{index}"], plain.skip[i][index]) for index in range(2)]
    pairs.append((named["last"], plain.last))
    assert len(pairs) == len(ours) == len(theirs)
    for ours_part, plain_part in pairs:
        for name in ("weight", "bias"):
            value = getattr(ours_part, name).chunk(networks.networks)[which]
            target = getattr(plain_part, name)
            target.data = value.permute(0, 3, 1, 2).clone() if value.ndim == 4 else value.clone()
    return plain


def test_a_network_has_the_papers_parameters() -> None:
    assert sum(parameter.numel() for parameter in SkipNet().parameters()) == 1_544_987
    assert BITSNet().parameters_per_image == DoubleDIP().parameters_per_image == 2 * 1_544_987


def test_each_network_is_a_plain_one() -> None:
    networks = SkipNet(3).double()
    noise = torch.rand(3, 3, 96, 128, dtype=torch.float64)
    images, (features, coarse) = networks(noise, (0, 2))
    assert coarse.shape == (1, 3 * 32, 24, 32)
    for i in range(3):
        image, maps = copied(networks, i)(noise[i : i + 1])
        assert torch.allclose(images[i], image[0], atol=1e-9)
        assert torch.allclose(features.chunk(3, 1)[i], maps, atol=1e-7)


def test_no_gradient_leaks_between_networks() -> None:
    networks = SkipNet(3, **SMALL).double()
    noise = torch.rand(3, 3, 24, 24, dtype=torch.float64, requires_grad=True)
    networks(noise)[0][1].sum().backward()
    assert noise.grad is not None
    assert [float(part.abs().sum()) > 0 for part in noise.grad] == [False, True, False]
    for parameter in networks.parameters():
        assert parameter.grad is not None
        first, _, last = parameter.grad.chunk(3)
        assert float(first.abs().max()) == float(last.abs().max()) == 0


def test_networks_start_from_their_own_generators() -> None:
    one, two = SkipNet(2, **SMALL), SkipNet(3, **SMALL)
    one.start([torch.Generator().manual_seed(seed) for seed in (1, 2)])
    two.start([torch.Generator().manual_seed(seed) for seed in (5, 2, 1)])
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        a, b = first.chunk(2)
        _, c, d = second.chunk(3)
        assert torch.equal(a, d)
        assert torch.equal(b, c)


@pytest.mark.parametrize("options", [{"networks": 0}, {"kernel": 4}, {"widths": (8,), "skips": (0, 4)}])
def test_impossible_networks_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match="at least one network, an odd window"):
        SkipNet(**options)  # type: ignore[arg-type]


def test_a_step_has_the_plain_gradient() -> None:
    """Eq. 9 at the first step: remix, exclusion, and RED's pull towards 0."""
    mixture = picture(size=96)
    run = Optimisation(BITSNet(deep_feature_loss=False), mixture, [3])
    plain = [copied(copy.deepcopy(run.networks), k) for k in range(2)]
    noise = run.noise.clone()
    run.step()
    layers = [network(noise[k : k + 1])[0] for k, network in enumerate(plain)]
    loss = (layers[0] + layers[1] - mixture).abs().mean() + 0.01 * plain_exclusion(*layers)
    loss = loss + sum(0.5 * (layer**2).mean() for layer in layers)
    loss.backward()  # type: ignore[no-untyped-call]
    assert run.networks.last.weight.grad is not None
    first, second = run.networks.last.weight.grad.permute(0, 3, 1, 2).chunk(2)
    for ours, network in zip((first, second), plain, strict=True):
        assert network.last.weight.grad is not None
        assert torch.allclose(ours, network.last.weight.grad, rtol=1e-5, atol=1e-10)


def test_the_exclusion_loss_and_its_slope_are_the_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in ((13, 18), (32, 16), (3, 5)):  # odd sides, three levels, one level
        first, second = (
            torch.rand(2, 3, *size, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2)
        )
        assert torch.autograd.gradcheck(exclusion, (first, second), fast_mode=True)
        if min(size) > 8:
            for k in range(2):
                expected = plain_exclusion(first[k : k + 1], second[k : k + 1])
                assert torch.allclose(exclusion(first, second)[k], expected)
    flat = torch.zeros(1, 3, 16, 16, requires_grad=True)
    exclusion(flat, flat).sum().backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert not flat.grad.any()


def test_feature_maps_of_every_chosen_level_are_kept_apart() -> None:
    """Eq. 4, of three random channels of each map."""
    mixture = picture(size=96)
    both = Optimisation(BITSNet(feature_levels=(0, 2)), mixture, [3])
    layers = torch.rand(1, 2, 3, 96, 96, dtype=torch.float64)
    _, (fine, coarse) = both.networks(both.noise, (0, 2))
    state = both.generators[0].get_state()
    value = both._separation(layers, [fine, coarse])
    both.generators[0].set_state(state)
    expected = 0.01 * plain_exclusion(layers[:, 0], layers[:, 1])
    for maps in (fine, coarse):
        parts = [
            own[:, torch.randperm(own.shape[1], generator=both.generators[0])[:3]].sigmoid() for own in maps.chunk(2, 1)
        ]
        expected = expected + 0.001 * plain_exclusion(*parts)
    assert torch.allclose(value[0], expected)
    with pytest.raises(UserError, match=r"feature_levels 0, 5: the networks have the levels 0 to 4"):
        BITSNet(feature_levels=(0, 5))


def test_no_value_leaves_the_device_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Optimisation(BITSNet(denoise_every=2, **FAST), picture(size=24).float(), [1])  # type: ignore[arg-type]

    def refuse(self: Tensor) -> None:
        raise AssertionError("a value was read")

    with monkeypatch.context() as patch:
        for name in ("item", "__bool__", "__float__", "__int__", "tolist", "numpy"):
            patch.setattr(Tensor, name, refuse)
        for _ in range(4):
            run.step()
        with pytest.raises(AssertionError, match="a value was read"):
            run.look()


def test_an_image_does_not_depend_on_its_batch_over_20_iterations() -> None:
    method = BITSNet(denoise_every=4, **SMALL)  # type: ignore[arg-type]
    mixtures = picture(3, 24)
    together = Optimisation(method, mixtures, [5, 6, 7])
    alone = Optimisation(method, mixtures[1:2], [6])
    for _ in range(20):
        together.step()
        alone.step()
    assert torch.allclose(together.layers()[1], alone.layers()[0], atol=1e-5)
    assert not torch.allclose(together.layers()[0], together.layers()[1], atol=1e-2)


def test_the_eight_views_are_different_and_undone_by_their_inverse() -> None:
    image = torch.rand(1, 2, 6, 6)
    views = [_view(image, view) for view in range(VIEWS)]
    assert len({tuple(view.flatten().tolist()) for view in views}) == VIEWS
    assert torch.equal(views[0], image)
    assert all(torch.equal(_view(views[view], view), image) for view in range(4, VIEWS))  # reflections
    assert all(torch.equal(_view(views[view], -view % 4), image) for view in range(4))
    assert _view(torch.rand(1, 1, 6, 8), 1).shape == (1, 1, 8, 6)


def test_denoising_on_demand_equals_denoising_all_views_at_each_tenth_iteration() -> None:
    def smooth(image: Tensor) -> Tensor:
        return 0.9 * image + 0.01

    red = RED(smooth, period=10)
    x, u, f = ([torch.zeros(1, 1, 2, 2, dtype=torch.float64) for _ in range(VIEWS)] for _ in range(3))
    generator = torch.Generator().manual_seed(0)
    for i in range(60):
        if i % 10 == 0:
            f = [smooth(one) for one in x]
        view = 0 if i % 2 else i // 2 % VIEWS
        image = torch.rand(1, 1, 2, 2, generator=generator, dtype=torch.float64)
        red.update(image, i, view)
        x[view] = (0.5 * f[view] + 0.5 * (image + u[view])).clamp(0, 1)
        u[view] = u[view] + image - x[view]
        assert torch.allclose(red.penalty(image, i, view), 0.5 * ((image - x[view] + u[view]) ** 2).mean())


def test_without_splitting_the_regulariser_has_its_own_gradient() -> None:
    """∇ρ = x − f(x); f anew at the first use of a view in each period."""
    calls: list[int] = []

    def half(image: Tensor) -> Tensor:
        calls.append(1)
        return 0.5 * image

    red = DirectRED(half, weight=0.3, period=10)
    image = torch.rand(2, 3, 4, 4, requires_grad=True)
    red.penalty(image, 0).sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(image.grad, 0.3 * (image.detach() - 0.5 * image.detach()) / 48)  # type: ignore[arg-type]
    red.penalty(image, 9)
    red.penalty(image, 8, view=3)
    assert len(calls) == 2
    again = DirectRED(half, weight=0.3, period=10)
    again.load_state_dict(red.state_dict())
    assert torch.equal(again.penalty(image, 9), red.penalty(image, 9))
    assert len(calls) == 2
    red.penalty(image, 10)
    assert len(calls) == 3


def test_without_its_additions_bits_net_is_double_dip() -> None:
    mixture = picture(size=24).float()
    options = {"iterations": 6, **SMALL}
    bare = BITSNet(natural_prior=False, deep_feature_loss=False, lr=5e-4, **options)  # type: ignore[arg-type]
    assert torch.equal(bare(mixture), DoubleDIP(**options)(mixture))  # type: ignore[arg-type]
    assert not torch.equal(bare(mixture), BITSNet(**options)(mixture))  # type: ignore[arg-type]


def test_layers_sum_to_the_mixture_in_the_end() -> None:
    mixture = picture(2, 24).float()
    seen: list[tuple[int, float]] = []
    method = BITSNet(iterations=200, **FAST)  # type: ignore[arg-type]
    lent = Lent(watch=lambda done, total, psnr, layers: seen.append((done, psnr)))
    layers = method(mixture, [1, 2], lent)
    remix = layers.mean(1)  # of a mean mixture
    error = float(((remix - mixture) ** 2).mean())
    assert error < 0.004
    assert [done for done, _ in seen] == [50, 100, 150, 200]
    assert seen[-1][1] > seen[0][1] + 3


def test_the_gain_follows_the_data() -> None:
    spec = LayerSpec(
        layers=["a", "b"], scored=["a", "b"], target=["a", "b"], derived=[],
        ordered=False, channels=3, scale=1, mixing="sum", gain=1.0,
        pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip
    mixture = picture(size=24).float()
    options = {"iterations": 2, **SMALL}
    mean, total = BITSNet(**options), BITSNet(spec=spec, **options)  # type: ignore[arg-type]
    assert torch.allclose(mean(mixture), 2 * total(mixture))


def test_an_interrupted_separation_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.bits_net.LOOK_EVERY", 10)
    mixture = picture(3, 24).float()

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, psnr: float, layers: object) -> None:
        if done == 10:
            raise Stopped

    def method() -> BITSNet:
        return BITSNet(iterations=12, images_at_once=2, **FAST)  # type: ignore[arg-type]

    expected = method()(mixture, [1, 2, 3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("methods.resume.SAVE_EVERY", -1.0)
        with pytest.raises(Stopped):
            method()(mixture, [1, 2, 3], Lent(tmp_path, stop))
    assert len(list(tmp_path.glob("*.pt"))) == 1
    again, steps = method(), list[int]()
    lent = Lent(tmp_path, lambda done, total, psnr, layers: steps.append(done))
    assert torch.equal(again(mixture, [1, 2, 3], lent), expected)
    assert steps == [12, 10, 12]  # the first two images go on, the third begins
    steps.clear()
    assert torch.equal(again(mixture, [1, 2, 3], lent), expected)
    assert steps == []  # both were kept
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"half a file")
    assert torch.equal(again(mixture, [1, 2, 3], lent), expected)


def test_images_stop_early_each_on_its_own() -> None:
    mixture = torch.cat([torch.full((1, 3, 24, 24), 0.5), picture(1, 24).float()])
    method = BITSNet(iterations=400, stop_psnr=24.0, natural_prior=False, **SMALL)  # type: ignore[arg-type]
    last: list[int] = []
    run = Optimisation(method, mixture, [1, 2])
    while not run.done.any():
        for _ in range(50):
            run.step()
        run.look()
    kept = run.kept[run.done].clone()
    run.step()
    assert torch.equal(run.layers()[run.done], kept)
    easy = method(mixture[:1], [1], Lent(watch=lambda done, total, psnr, layers: last.append(done)))
    assert last[-1] < 400
    assert float(((easy.mean(1) - mixture[:1]) ** 2).mean()) < 10**-2


def test_pixels_that_are_not_finite_are_refused() -> None:
    mixture = picture(size=24).float()
    mixture[0, 0, 3, 3] = torch.nan
    with pytest.raises(UserError, match="pixels that are not finite: mend the image"):
        BITSNet(iterations=2, **SMALL)(mixture)  # type: ignore[arg-type]


def test_an_optimisation_that_goes_astray_is_told() -> None:
    run = Optimisation(BITSNet(**SMALL), picture(size=24).float(), [1])  # type: ignore[arg-type]
    run.error = torch.tensor([torch.inf])
    with pytest.raises(UserError, match="not finite after 0 iterations: lower lr"):
        run.look()


@pytest.mark.parametrize("options", [{"iterations": 0}, {"denoise_every": 0}, {"images_at_once": 0}, {"lr": 0.0}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must be at least 1"):
        BITSNet(**options)  # type: ignore[arg-type]


def test_half_precision_stays_near() -> None:
    mixture = picture(size=24).float()
    method = BITSNet(iterations=50, **FAST)  # type: ignore[arg-type]
    full = method(mixture)
    with torch.autocast("cpu", torch.bfloat16):
        half = method(mixture)
    assert half.dtype == torch.float32
    errors = [float(((layers.mean(1) - mixture) ** 2).mean()) for layers in (full, half)]
    assert errors[1] < 2 * errors[0] + 1e-3


def test_cost_states_what_all_iterations_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_of, "SHORTENED", 4)
    method = BITSNet(iterations=40, **FAST)  # type: ignore[arg-type]
    mixture = picture(size=24).float()
    cost = measure(method, mixture, runs=1)
    assert method.iterations == 40
    assert cost["parameters"] == method.parameters_per_image
    short = BITSNet(iterations=4, **FAST)  # type: ignore[arg-type]
    assert cost["flops"] == pytest.approx(10 * measure(short, mixture, runs=1)["flops"], rel=0.01)
    assert 0 < cost["peak_memory_mib"] < 50
    eight = measure(short, mixture.expand(8, -1, -1, -1), runs=1)["peak_memory_mib"]
    assert eight == pytest.approx(8 * cost["peak_memory_mib"], rel=0.1)


def test_no_more_iterations_are_taken_than_are_lent() -> None:
    mixture = picture(1, 24).float()
    seen: list[tuple[int, int]] = []
    lent = Lent(watch=lambda done, total, psnr, layers: seen.append((done, total)), iterations=3)
    few = BITSNet(iterations=60, **FAST)(mixture, [1], lent)  # type: ignore[arg-type]
    assert seen == [(3, 3)]
    assert torch.equal(few, BITSNet(iterations=3, **FAST)(mixture, [1]))  # type: ignore[arg-type]
    assert Lent().limit(60) == 60
