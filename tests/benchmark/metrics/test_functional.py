"""Metrics and protocols against independent implementations, on photographs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from skimage import color, data
from skimage import metrics as oracle
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from benchmark import metrics
from benchmark.errors import UserError
from benchmark.metrics import functional
from benchmark.metrics.layer_scores import score_layers
from benchmark.metrics.protocols import Window
from benchmark.speed.lmse import lmse_loop

PHOTOGRAPHS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee, "camera": data.camera}


def photograph(name: str, size: tuple[int, int]) -> Tensor:
    """(1, C, H, W) in [0, 1], cropped to an odd size."""
    image = np.atleast_3d(PHOTOGRAPHS[name]())[100 : 100 + size[0], 120 : 120 + size[1]]
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255


def spoil(image: Tensor, seed: int = 0) -> Tensor:
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (0.8 * image + 0.1 * image.roll(3, -1) + 0.05 * noise).clamp(0, 1)


def channels_last(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).double().numpy()


def score(
    estimates: Tensor, layers: Tensor, mask: Tensor, *, protocol_name: str, ordered: bool
) -> list[dict[str, Any]]:
    """For each image its assignment, and each metric's list over the layers."""
    order, values = score_layers(estimates, layers, mask, [metrics.protocol(protocol_name)], ordered=ordered)
    return [
        {"assignment": places.tolist(), **dict(zip(metrics.METRICS, found[0].tolist(), strict=True))}
        for places, found in zip(order, values, strict=True)
    ]


@pytest.fixture(params=list(PHOTOGRAPHS))
def pair(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    truth = photograph(request.param, (123, 161))
    return spoil(truth), truth


def test_psnr_equals_scikit_image(pair: tuple[Tensor, Tensor]) -> None:
    estimate, truth = pair
    expected = oracle.peak_signal_noise_ratio(channels_last(truth), channels_last(estimate), data_range=1)
    assert float(functional.psnr(estimate, truth)) == pytest.approx(expected, abs=1e-4)


def test_psnr_per_channel_is_the_mean_over_channels(pair: tuple[Tensor, Tensor]) -> None:
    estimate, truth = pair
    expected = np.mean(
        [
            oracle.peak_signal_noise_ratio(t, e, data_range=1)
            for e, t in zip(estimate[0].double().numpy(), truth[0].double().numpy(), strict=True)
        ]
    )
    assert float(functional.psnr_per_channel(estimate, truth)) == pytest.approx(expected, abs=1e-4)


def test_gaussian_ssim_equals_scikit_image(pair: tuple[Tensor, Tensor]) -> None:
    estimate, truth = pair
    expected = oracle.structural_similarity(
        channels_last(truth), channels_last(estimate), data_range=1, channel_axis=2,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert float(functional.ssim(estimate, truth)) == pytest.approx(expected, abs=1e-7)


def test_uniform_ssim_equals_scikit_image(pair: tuple[Tensor, Tensor]) -> None:
    estimate, truth = pair
    expected = oracle.structural_similarity(channels_last(truth), channels_last(estimate), data_range=1, channel_axis=2)
    assert float(functional.ssim(estimate, truth, window="uniform")) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("window", "border", "options"),
    [
        ("gaussian", 5, {"gaussian_kernel": True, "sigma": 1.5}),
        # sample covariance: both variances and the covariance times 49/48, which is c2 times 48/49
        ("uniform", 3, {"gaussian_kernel": False, "kernel_size": 7, "k2": 0.03 * math.sqrt(48 / 49)}),
    ],
)
def test_ssim_equals_torchmetrics_without_the_padded_border(
    pair: tuple[Tensor, Tensor], window: Window, border: int, options: dict[str, Any]
) -> None:
    estimate, truth = (image.double() for image in pair)
    _, full = structural_similarity_index_measure(
        estimate, truth, data_range=1.0, reduction="none", return_full_image=True, **options
    )
    expected = full[..., border:-border, border:-border].mean((1, 2, 3))
    assert float(functional.ssim(estimate, truth, window=window)) == pytest.approx(float(expected), abs=1e-7)


@pytest.mark.parametrize("size", [(11, 11), (11, 300), (300, 11), (28, 28), (257, 300), (70, 1100)])
def test_ssim_of_any_size_and_of_many_images_at_once(size: tuple[int, int]) -> None:
    """Images go through in pieces, whole or in stripes: none may be lost, doubled or mixed up."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(3, 2, *size, generator=generator)
    estimate = (truth + torch.rand(3, 1, 1, 1) * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    mask = torch.rand(3, 1, *size, generator=generator) < 0.7
    both = functional.ssim_by_window(estimate, truth, mask)
    for window, border, options in (
        ("gaussian", 5, {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ("uniform", 3, {}),
    ):
        found = functional.ssim(estimate, truth, window=window)  # type: ignore[arg-type]
        for b in range(3):
            one, other = (image[b].double().movedim(0, -1).numpy() for image in (truth, estimate))
            mean, full = oracle.structural_similarity(one, other, data_range=1, channel_axis=2, full=True, **options)
            assert float(found[b]) == pytest.approx(mean, abs=1e-7)
            inner = (slice(border, -border),) * 2
            expected = full[inner][mask[b, 0][inner].numpy()].mean()
            assert float(both[window][b]) == pytest.approx(expected, abs=1e-7)  # type: ignore[index]


@pytest.mark.parametrize("name", ["astronaut", "camera"])
@pytest.mark.parametrize("size", [(8, 8), (13, 27), (39, 61), (40, 40), (57, 83), (101, 64)])
@pytest.mark.parametrize("masked", [False, True])
def test_lmse_equals_a_loop_over_windows(name: str, size: tuple[int, int], masked: bool) -> None:
    truth = photograph(name, size)
    estimate = spoil(truth)
    estimate[..., : size[0] // 3, :] = 0  # windows whose estimate has no energy
    mask = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(1)) < 0.7 if masked else None
    expected = lmse_loop(estimate[0], truth[0], None if mask is None else mask[0])
    assert float(functional.lmse(estimate, truth, mask)) == pytest.approx(expected, abs=1e-6)


def test_lmse_of_nothing() -> None:
    nothing, something = torch.zeros(1, 1, 40, 40), torch.full((1, 1, 40, 40), 0.5)
    assert float(functional.lmse(nothing, nothing)) == 0
    assert float(functional.lmse(something, nothing)) == 1
    assert float(functional.lmse(nothing, something)) == 1
    assert float(functional.lmse(0.3 * something, something)) == pytest.approx(0, abs=1e-6)


def test_masked_error_ignores_what_is_not_scored() -> None:
    truth = photograph("coffee", (30, 30))
    estimate, mask = truth.clone(), torch.ones(1, 1, 30, 30, dtype=torch.bool)
    estimate[..., :10] = 1 - estimate[..., :10]
    mask[..., :10] = False
    assert float(functional.mse(estimate, truth, mask)) == 0
    assert float(functional.psnr(estimate, truth, mask)) == 100
    mask[..., 9] = True
    expected = ((estimate - truth)[..., 9:] ** 2).double().mean()
    assert float(functional.mse(estimate, truth, mask)) == pytest.approx(float(expected), rel=1e-6)


def test_a_perfect_image_is_capped() -> None:
    truth = photograph("astronaut", (40, 40))
    assert float(functional.psnr(truth, truth)) == metrics.PSNR_CAP
    assert float(functional.ssim(truth, truth)) == pytest.approx(1)
    assert float(functional.lmse(truth, truth)) == pytest.approx(0, abs=1e-6)


def test_luma_equals_scikit_image() -> None:
    image = photograph("astronaut", (33, 35))
    expected = color.rgb2ycbcr(channels_last(image))[..., 0] / 255
    assert np.allclose(functional.luma(image)[0, 0].numpy(), expected, atol=1e-5)


def test_one_value_per_image_whatever_the_batch() -> None:
    truth = torch.cat([photograph(name, (45, 50)) for name in ("astronaut", "chelsea", "coffee")])
    estimate = spoil(truth)
    for metric in (functional.psnr, functional.psnr_per_channel, functional.ssim, functional.lmse, functional.mse):
        together = metric(estimate, truth)
        assert together.shape == (3,)
        assert together.dtype == torch.float32
        alone = torch.cat([metric(estimate[i : i + 1], truth[i : i + 1]) for i in range(3)])
        assert torch.allclose(together, alone, atol=1e-6)


def test_autocast_changes_nothing() -> None:
    truth = photograph("chelsea", (45, 50))[:, None].expand(-1, 2, -1, -1, -1)
    estimate, mask = spoil(truth), torch.ones(1, 1, 45, 50, dtype=torch.bool)
    plain = score(estimate, truth, mask, protocol_name="rgb", ordered=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert score(estimate, truth, mask, protocol_name="rgb", ordered=True) == plain
    half = score(estimate.bfloat16(), truth, mask, protocol_name="rgb", ordered=True)
    again = score(estimate.bfloat16().float(), truth, mask, protocol_name="rgb", ordered=True)
    assert half == again


def test_one_assignment_serves_all_metrics() -> None:
    layers = torch.stack([photograph(name, (45, 50))[0] for name in ("astronaut", "chelsea", "coffee")])[None]
    estimates = spoil(layers)
    mask = torch.ones(1, 1, 45, 50, dtype=torch.bool)
    straight = score(estimates, layers, mask, protocol_name="rgb", ordered=True)[0]
    shuffled = score(estimates[:, [2, 0, 1]], layers, mask, protocol_name="rgb", ordered=False)[0]
    assert shuffled.pop("assignment") == [1, 2, 0]
    assert straight.pop("assignment") == [0, 1, 2]
    assert shuffled == straight
    wrong = score(estimates[:, [2, 0, 1]], layers, mask, protocol_name="rgb", ordered=True)[0]
    assert max(wrong["psnr"]) < min(straight["psnr"])


def test_estimates_are_clipped_as_saving_would() -> None:
    layers = photograph("coffee", (45, 50))[:, None].expand(-1, 2, -1, -1, -1)
    mask = torch.ones(1, 1, 45, 50, dtype=torch.bool)
    outside = layers + torch.where(layers > 0.5, 2.0, -2.0)
    rows = score(outside, layers, mask, protocol_name="y", ordered=True)
    assert rows == score(outside.clamp(0, 1), layers, mask, protocol_name="y", ordered=True)


def test_fewer_estimates_than_layers_are_the_first_ones() -> None:
    layers = torch.stack([photograph(name, (45, 50))[0] for name in ("astronaut", "chelsea")])[None]
    mask = torch.ones(1, 1, 45, 50, dtype=torch.bool)
    row = score(layers[:, :1], layers, mask, protocol_name="rgb", ordered=True)[0]
    assert row["psnr"] == [100.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.ssim(torch.zeros(1, 1, 10, 30), torch.zeros(1, 1, 10, 30)), "at least 11×11"),
        (lambda: functional.lmse(torch.zeros(1, 1, 7, 30), torch.zeros(1, 1, 7, 30)), "at least 8×8"),
        (lambda: functional.mse(torch.zeros(1, 1, 9, 9), torch.zeros(1, 3, 9, 9)), "1×1×9×9 and truth 1×3×9×9"),
        (lambda: functional.psnr(*[torch.zeros(1, 1, 9, 9)] * 2, torch.zeros(1, 1, 9, 9, dtype=torch.bool)), "no True"),
        (lambda: metrics.protocol("rbg"), "unknown protocol 'rbg'"),
        (lambda: functional.ssim(*[torch.zeros(1, 1, 20, 20)] * 2, window="gaussain"), "unknown SSIM window 'gau"),  # type: ignore[arg-type]
        (lambda: scored(torch.full((1, 2, 1, 20, 20), float("nan"))), "800 of 800 values that are not finite"),
        (lambda: scored(torch.zeros(1, 2, 1, 10, 20)), "the truth has 1×2×1×20×20"),
        (lambda: scored(torch.zeros(1, 1, 1, 20, 20)), "one estimate each: 2, not 1"),
    ],
)
def test_what_cannot_be_scored_is_said(call: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()  # type: ignore[operator]


def scored(estimates: Tensor) -> object:
    mask = torch.ones(1, 1, 20, 20, dtype=torch.bool)
    return score(estimates, torch.rand(1, 2, 1, 20, 20), mask, protocol_name="rgb", ordered=False)


def two_layers(size: tuple[int, int] = (45, 50)) -> Tensor:
    """(1, 2, 3, H, W)."""
    return torch.stack([photograph(name, size)[0] for name in ("astronaut", "chelsea")])[None]


def test_protocol_y_scores_the_luma() -> None:
    layers = two_layers()
    estimates = spoil(layers)
    mask = torch.ones(1, 1, 45, 50, dtype=torch.bool)
    row = score(estimates, layers, mask, protocol_name="y", ordered=True)[0]
    for k in range(2):
        e, t = (color.rgb2ycbcr(channels_last(image[:, k]))[..., 0] / 255 for image in (estimates, layers))
        assert row["mse"][k] == pytest.approx(np.mean((e - t) ** 2), rel=1e-4)
        assert row["psnr"][k] == pytest.approx(oracle.peak_signal_noise_ratio(t, e, data_range=1), abs=1e-4)
        expected = oracle.structural_similarity(
            t, e, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert row["ssim"][k] == pytest.approx(expected, abs=1e-4)
        assert row["lmse"][k] == pytest.approx(
            lmse_loop(torch.from_numpy(e)[None], torch.from_numpy(t)[None]), abs=1e-6
        )


def test_protocol_rgb_uniform_scores_channel_by_channel() -> None:
    layers = two_layers()
    estimates = spoil(layers)
    mask = torch.ones(1, 1, 45, 50, dtype=torch.bool)
    row = score(estimates, layers, mask, protocol_name="rgb-uniform", ordered=True)[0]
    for k in range(2):
        e, t = channels_last(estimates[:, k]), channels_last(layers[:, k])
        by_channel = [oracle.peak_signal_noise_ratio(t[..., c], e[..., c], data_range=1) for c in range(3)]
        assert row["psnr"][k] == pytest.approx(np.mean(by_channel), abs=1e-4)
        expected = oracle.structural_similarity(t, e, data_range=1, channel_axis=2)
        assert row["ssim"][k] == pytest.approx(expected, abs=1e-4)


def test_each_image_is_scored_under_its_own_mask() -> None:
    layers = torch.cat([two_layers(), two_layers().flip(-1)])
    estimates = spoil(layers)
    mask = torch.zeros(2, 1, 45, 50, dtype=torch.bool)
    mask[0, :, :15] = True
    mask[1, :, :, 20:] = True
    swapped = torch.where(mask[:, None], estimates, layers.flip(1))  # what is not scored is another layer's
    for b, row in enumerate(score(swapped, layers, mask, protocol_name="rgb", ordered=False)):
        assert row["assignment"] == [0, 1]
        for k in range(2):
            error = ((estimates[b, k] - layers[b, k]).double() ** 2)[mask[b].expand(3, -1, -1)].mean()
            assert row["mse"][k] == pytest.approx(float(error), rel=1e-5)
            assert row["psnr"][k] == pytest.approx(-10 * float(error.log10()), abs=1e-4)
            assert row["lmse"][k] == pytest.approx(lmse_loop(estimates[b, k], layers[b, k], mask[b]), abs=1e-6)


def flat(*colours: tuple[float, float, float]) -> Tensor:
    """(1, K, 3, 20, 20), a colour for each layer."""
    return torch.tensor(colours)[None, :, :, None, None].expand(-1, -1, -1, 20, 20).clone()


@pytest.mark.parametrize(
    ("protocol", "layers", "estimates", "assignment"),
    [
        # one layer nearly perfect, the other far off: the mean error would swap them, the mean PSNR does not
        ("rgb", flat((0.5,) * 3, (0.6,) * 3), flat((0.5001,) * 3, (0.0,) * 3), [0, 1]),
        # red perfect, the rest far off: the mean of the channels' PSNRs keeps them, the image's PSNR swaps them
        ("rgb-uniform", flat((0.5, 0.3, 0.3), (0.6, 0.7, 0.7)), flat((0.5, 0.6, 0.6), (0.6, 0.4, 0.4)), [0, 1]),
        ("rgb", flat((0.5, 0.3, 0.3), (0.6, 0.7, 0.7)), flat((0.5, 0.6, 0.6), (0.6, 0.4, 0.4)), [1, 0]),
    ],
)
def test_the_assignment_has_the_best_mean_psnr_of_its_protocol(
    protocol: str, layers: Tensor, estimates: Tensor, assignment: list[int]
) -> None:
    mask = torch.ones(1, 1, 20, 20, dtype=torch.bool)
    row = score(estimates, layers, mask, protocol_name=protocol, ordered=False)[0]
    assert row["assignment"] == assignment


@pytest.mark.parametrize(
    ("size", "window"), [((39, 200), (8, 4)), ((200, 39), (8, 4)), ((40, 200), (20, 10)), ((512, 40), (20, 10))]
)
def test_small_images_have_small_windows_and_the_protocol_says_so(
    size: tuple[int, int], window: tuple[int, int]
) -> None:
    assert metrics.lmse_window(*size) == window
    name = metrics.protocol("rgb").label(*size)
    assert name == "rgb@1" if window == (20, 10) else name.startswith("rgb@1, ") and "8×8" in name


@pytest.mark.parametrize(("energy", "expected"), [(2e-5, 0.0), (0.5e-5, 1.0)])
def test_a_window_is_scaled_from_an_energy_of_1e_5_on(energy: float, expected: float) -> None:
    estimate, truth = torch.full((1, 1, 8, 8), (energy / 64) ** 0.5), torch.full((1, 1, 8, 8), 0.5)
    assert float(functional.lmse(estimate, truth)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["rgb", "rgb-uniform", "y"])
def test_half_precision_is_scored_as_float32(name: str, dtype: torch.dtype) -> None:
    layers = two_layers().to(dtype)
    estimates, mask = spoil(two_layers()).to(dtype), torch.ones(1, 1, 45, 50, dtype=torch.bool)
    plain = score(estimates.float(), layers.float(), mask, protocol_name=name, ordered=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert score(estimates, layers, mask, protocol_name=name, ordered=False) == plain
        for metric in (functional.psnr, functional.psnr_per_channel, functional.ssim, functional.lmse, functional.mse):
            value = metric(estimates[:, 0], layers[:, 0])
            assert value.dtype == torch.float32
            assert torch.equal(value, metric(estimates[:, 0].float(), layers[:, 0].float()))


def test_an_unknown_protocol_is_answered_with_the_names() -> None:
    with pytest.raises(UserError, match="'lab': there are rgb@1, rgb-uniform@1, y@1, y-uniform@1, intrinsic@1"):
        metrics.protocol("lab")


def test_masked_ssim_averages_the_scored_pixels(pair: tuple[Tensor, Tensor]) -> None:
    estimate, truth = pair
    mask = torch.rand(1, 1, *truth.shape[-2:], generator=torch.Generator().manual_seed(2)) < 0.4
    _, full = oracle.structural_similarity(
        channels_last(truth), channels_last(estimate), data_range=1, channel_axis=2, full=True
    )
    inner = mask[0, 0, 3:-3, 3:-3].numpy()
    expected = full[3:-3, 3:-3][inner].mean()
    assert float(functional.ssim(estimate, truth, mask, window="uniform")) == pytest.approx(expected, abs=1e-4)
    edge = torch.zeros_like(mask)
    edge[..., 0] = True
    with pytest.raises(UserError, match="no True 3 pixels from the edge"):
        functional.ssim(estimate, truth, edge, window="uniform")


def test_protocol_intrinsic_ignores_the_scale_and_what_is_masked() -> None:
    truth = torch.stack([photograph("coffee", (60, 60)), photograph("chelsea", (60, 60))], 1)
    estimate = spoil(truth)
    mask = torch.zeros(1, 1, 60, 60, dtype=torch.bool)
    mask[..., 10:50, 5:45] = True

    def judged(estimate: Tensor) -> dict[str, list[float]]:
        (row,) = score(estimate, truth, mask, protocol_name="intrinsic", ordered=True)
        return row

    row = judged(estimate)
    scored = mask[0].expand(3, -1, -1).numpy()
    for k in range(2):
        e, t = (image[0, k].double().numpy() for image in (estimate, truth))
        best = np.linalg.lstsq(e[scored][:, None], t[scored], rcond=None)[0][0]
        assert row["mse"][k] == pytest.approx(((best * e - t)[scored] ** 2).mean(), rel=1e-4)
        assert row["psnr"][k] == pytest.approx(-10 * np.log10(row["mse"][k]), abs=1e-4)
        grey = [torch.from_numpy(image.mean(0, keepdims=True)) for image in (best * e, t)]
        assert row["lmse"][k] == pytest.approx(lmse_loop(*grey, mask[0]), rel=1e-4)
    spoilt = torch.where(mask[:, None], 0.3 * estimate, 1 - estimate)
    for other in (3 * estimate, spoilt):
        again = judged(other)
        for name in ("psnr", "lmse", "mse"):
            assert again[name] == pytest.approx(row[name], rel=1e-3)
    assert judged(3 * estimate)["ssim"] == pytest.approx(row["ssim"], rel=1e-4)
    nothing = judged(torch.zeros_like(estimate))
    assert nothing["lmse"] == pytest.approx([1, 1])
