"""Priors of haze against haze that is known, solvers against direct sparse solves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from skimage.color import xyz2lab
from skimage.morphology import reconstruction
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.metrics.functional import psnr
from datamodules.haze import Haze
from datamodules.mixing import AtmosphericScattering
from datamodules.pictures.fields import relief
from datamodules.types import LayerSpec, UserError
from methods import generalized_dark_channel as generalized
from methods import relative_smoothness as relative
from methods.base import SeparationMethod
from methods.color_attenuation import ColorAttenuation
from methods.convex_reflection_suppression import ConvexReflectionSuppression
from methods.dark_channel import DarkChannel
from methods.generalized_dark_channel import GeneralizedDarkChannel
from methods.networks.cosine import dct, idct
from methods.networks.scattering import farthest, patch_maximum, patch_minimum
from methods.relative_smoothness import RelativeSmoothness

HAZE = (DarkChannel, ColorAttenuation, GeneralizedDarkChannel)
EVERY = (*HAZE, ConvexReflectionSuppression, RelativeSmoothness)
ROOT = Path(os.environ.get("UNBLEND_DATA") or "/nonexistent")

every_method = pytest.mark.parametrize("method_class", EVERY, ids=lambda found: found.__name__)


def spec_of(*layers: str) -> LayerSpec:
    return LayerSpec(
        layers=list(layers), scored=[layers[0]], target=[layers[0]], derived=[], ordered=True, channels=3, scale=1,
        mixing="", gain=1.0, fusion="sum", gamma=1.0, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip


def seeded(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def speckled(batch: int, size: int) -> Tensor:
    """A scene for which the dark channel prior holds: in each patch of 5×5 a pixel is black."""
    scene = seeded(batch, 3, size, size, dtype=torch.float32)
    scene[..., ::5, ::5] = 0
    return scene


def in_haze(scene: Tensor, transmission: Tensor, airlight: Tensor) -> Tensor:
    """The mixture by the data's own model of scattering."""
    veil = (airlight * (1 - transmission)).expand_as(scene)
    return AtmosphericScattering().forward(torch.stack([scene, veil], 1), {"airlight": airlight})


def colour(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)


# Haze -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("true", [0.2, 0.5, 0.9])
def test_dark_channel_finds_an_even_transmission(true: float) -> None:
    airlight = colour(0.95, 0.9, 0.8)
    mixture = in_haze(speckled(2, 64), torch.full((2, 1, 64, 64), true), airlight)
    found = DarkChannel(omega=1.0).transmission(mixture, airlight)
    assert torch.allclose(found, torch.full_like(found, true), atol=1e-4)
    some_left = DarkChannel(omega=0.95).transmission(mixture, airlight)
    assert torch.allclose(some_left, torch.full_like(found, 1 - 0.95 * (1 - true)), atol=1e-4)


def test_dark_channel_follows_the_transmission_of_drawn_haze() -> None:
    generator, mixing, size = torch.Generator().manual_seed(4), AtmosphericScattering(), 128
    depth = torch.stack([relief(generator, size, size) for _ in range(3)])
    sources = torch.stack([speckled(3, size), depth.expand(-1, 3, -1, -1)], 1)
    drawn = [mixing.draw(generator, sources.shape[1:]) for _ in range(3)]
    parameters = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    layers = mixing.render(sources, parameters)
    true = mixing.transmission(layers, parameters)[:, :1]
    method = DarkChannel(omega=1.0, patch=7)
    found = method.transmission(mixing.forward(layers, parameters), parameters["airlight"])
    assert float((found - true).abs().mean()) < 0.03
    assert float(true.std()) > 0.1, "the haze must vary, or a constant would do"


def test_dark_channel_finds_the_airlight_and_not_a_white_thing() -> None:
    airlight = torch.cat([colour(0.9, 0.8, 0.7), colour(0.6, 0.75, 0.9)])
    transmission = torch.ones(2, 1, 80, 80)
    transmission[0, :, :30], transmission[1, :, 50:] = 0.01, 0.01
    scene = speckled(2, 80)
    scene[:, :, 38:42, 38:42] = 1.0  # brighter than the airlight, smaller than a patch
    found = DarkChannel().airlight(in_haze(scene, transmission, airlight))
    assert torch.allclose(found, airlight, atol=0.01)


def test_the_farthest_pixels_are_taken_with_their_equals() -> None:
    depth = torch.zeros(1, 1, 20, 50)
    depth[..., 3, 3:6] = 0.7  # more than the one pixel that 0.1 % asks for
    assert torch.equal(farthest(depth, 0.001), depth > 0)
    depth[..., 9, 9] = 0.8
    assert torch.equal(farthest(depth, 0.001), depth > 0.75)


def test_colour_attenuation_finds_the_depth_that_its_model_means() -> None:
    true = 0.3 + 0.6 * torch.stack([relief(torch.Generator().manual_seed(seed), 96, 96) for seed in range(2)])
    base, of_value, of_saturation = (0.121779, 0.959710, -0.780245)
    saturation = 0.1
    value = (true - base - of_saturation * saturation) / of_value
    mixture = torch.cat([value, value, value * (1 - saturation)], 1)
    method = ColorAttenuation(patch=1)
    assert torch.allclose(method.depth(mixture, [0, 0]), true, atol=1e-5)
    found = method.transmission(mixture, method.depth(mixture, [0, 0]))
    assert float((found - (-true).exp()).abs().mean()) < 0.01
    assert float(true.std()) > 0.05
    patches = ColorAttenuation(patch=5).depth(mixture, [0, 0])
    assert torch.allclose(patches, patch_minimum(true, 5), atol=1e-5)


def test_colour_attenuation_takes_black_for_grey() -> None:
    depth = ColorAttenuation().depth(torch.zeros(1, 3, 8, 8), [0])
    assert torch.allclose(depth, torch.full_like(depth, 0.121779))


def test_colour_attenuations_noise_comes_before_the_minimum_and_from_the_images_own_seed() -> None:
    mixture = torch.full((2, 3, 60, 60), 0.5)
    even = ColorAttenuation().depth(mixture, [0, 1])
    noisy = ColorAttenuation(noise=0.041).depth(mixture, [0, 1])
    # The lowest of 225 normal draws is 2.8 deviations below their mean.
    assert float((noisy - even).mean()) == pytest.approx(-0.115, abs=0.01)
    assert not torch.equal(noisy[0], noisy[1])
    alone = ColorAttenuation(noise=0.041).depth(mixture[1:], [1])
    assert torch.equal(alone[0], noisy[1])


def test_generalised_dark_channel_finds_the_transmission_before_a_black_scene() -> None:
    depth = torch.stack([relief(torch.Generator().manual_seed(seed), 96, 96) for seed in range(2)])
    true = torch.exp(-1.2 * depth)
    airlight = colour(0.9, 0.7, 0.6)
    mixture = in_haze(torch.zeros(2, 3, 96, 96), true, airlight)
    method = GeneralizedDarkChannel(patch=5, stretch_from=0.0, least_transmission=0.01)
    found = method.transmission(mixture, airlight)
    least, most = true.amin((2, 3), keepdim=True), true.amax((2, 3), keepdim=True)
    stretched = (true - least) / (most - least) * most
    assert float((found - stretched).abs().mean()) < 0.01


@pytest.mark.parametrize(
    "true", [(0.9, 0.9, 0.9), (0.9, 0.7, 0.3), (0.05, 0.6, 0.7)], ids=["haze", "sandstorm", "under water"]
)
def test_generalised_dark_channel_finds_ambient_light_of_any_colour(true: tuple[float, float, float]) -> None:
    airlight = colour(*true)
    scene = speckled(1, 96) * 0.6 + 0.2
    transmission = torch.ones(1, 1, 96, 96)
    transmission[..., :40, :] = 0.02  # without edges, that is, far
    mixture = in_haze(scene, transmission, airlight)
    assert torch.allclose(GeneralizedDarkChannel().airlight(mixture), airlight, atol=0.03)


def plain_cast(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1]: the factors, as their definition reads."""
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    chroma = xyz2lab(image @ to_xyz.T)[..., 1:].reshape(-1, 2)
    spread = np.sqrt(chroma.var(0).sum())
    excess = (np.hypot(*chroma.mean(0)) - spread) / spread
    mean = np.maximum(image.mean((0, 1)), 0.1)
    return (mean.max() / mean) ** (1 / max(np.sqrt(excess), 1)) if excess > 0 else np.ones(3)


def test_the_colour_cast_is_that_of_its_definition() -> None:
    noise = seeded(24, 30, 3).numpy()
    plenty, little, yellow = noise, 0.5 + 0.01 * noise, noise * 0.3 + np.array([0.6, 0.5, 0.05])
    images = torch.from_numpy(np.stack([plenty, little, yellow])).permute(0, 3, 1, 2)
    found = GeneralizedDarkChannel().cast(images)[..., 0, 0]
    for image, factors in zip((plenty, little, yellow), found, strict=True):
        assert np.allclose(factors.numpy(), plain_cast(image), rtol=1e-3)
    assert torch.equal(found[0], torch.ones(3).double())
    assert found[2, 2] > 1.3


@pytest.mark.parametrize("size", [(37, 53), (20, 20)])
def test_extrema_holes_and_medians_equal_other_libraries(size: tuple[int, int]) -> None:
    image = seeded(2, 1, *size)
    edges = patch_maximum((image > 0.97).double() * image, 5)
    holes, medians = generalized._fill_holes(edges), generalized._median(image, 7)
    for i in range(2):
        pixels = image[i, 0].numpy()
        assert np.array_equal(patch_minimum(image, 5)[i, 0].numpy(), scipy.ndimage.minimum_filter(pixels, 5))
        assert np.array_equal(medians[i, 0].numpy(), scipy.ndimage.median_filter(pixels, 7, mode="nearest"))
        seed = edges[i, 0].numpy().copy()
        seed[1:-1, 1:-1] = seed.max()
        filled = reconstruction(seed, edges[i, 0].numpy(), method="erosion", footprint=np.ones((3, 3)))
        assert np.array_equal(holes[i, 0].numpy(), filled)
    ring = torch.zeros(1, 1, 11, 11)
    ring[..., 3:8, 3:8] = 1
    ring[..., 4:7, 4:7] = 0
    assert float(generalized._fill_holes(ring).sum()) == 25


def test_medians_in_strips_are_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    image = seeded(1, 1, 23, 17)
    whole = generalized._median(image, 5)
    monkeypatch.setattr(generalized, "_STRIP", 4 * 17)
    assert torch.equal(generalized._median(image, 5), whole)


@pytest.mark.parametrize("method_class", HAZE, ids=lambda found: found.__name__)
def test_background_and_veil_make_the_mixture(method_class: Any) -> None:
    mixture = in_haze(speckled(2, 48), torch.full((2, 1, 48, 48), 0.6), colour(0.9, 0.9, 0.8))
    method = method_class()
    background, veil = method(mixture).unbind(1)
    if isinstance(method, ColorAttenuation):
        depth = method.depth(mixture, [0, 0])
        transmission = method.transmission(mixture, depth)
    else:
        transmission = method.transmission(mixture, method.airlight(mixture))
    assert torch.allclose(background * transmission + veil, mixture, atol=1e-5)


def test_layers_that_a_method_knows_are_predicted() -> None:
    mixture = seeded(1, 3, 20, 20, dtype=torch.float32)
    counts = {
        found.__name__: [
            found(spec=spec_of("background", second))(mixture).shape[1] for second in ("haze", "cloud", "reflection")
        ]
        for found in EVERY
    }
    assert all(counts[found.__name__] == [2, 2, 1] for found in HAZE)
    assert counts["ConvexReflectionSuppression"] == [1, 1, 1]
    assert counts["RelativeSmoothness"] == [1, 1, 2]
    assert DarkChannel(spec=spec_of("background"))(mixture).shape[1] == 1


# Reflections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (37, 53)])
def test_the_cosine_transform_equals_scipys(size: tuple[int, int]) -> None:
    image = seeded(2, 3, *size)
    assert np.allclose(dct(image).numpy(), scipy.fft.dctn(image.numpy(), axes=(-2, -1), norm="ortho"), atol=1e-12)
    assert torch.allclose(idct(dct(image)), image, atol=1e-12)


def differences(length: int, *, periodic: bool) -> Any:
    """Sparse matrix of the differences to the next entry; of the last one to the first, or 0."""
    matrix = sparse.lil_matrix((length, length))
    for i in range(length if periodic else length - 1):
        matrix[i, i] -= 1
        matrix[i, (i + 1) % length] += 1
    return matrix.tocsr()


def sparse_gradient(height: int, width: int, *, periodic: bool) -> tuple[Any, Any]:
    return (
        sparse.kron(differences(height, periodic=periodic), sparse.identity(width)).tocsr(),
        sparse.kron(sparse.identity(height), differences(width, periodic=periodic)).tocsr(),
    )


@pytest.mark.parametrize("size", [(12, 17), (16, 16)])
@pytest.mark.parametrize("fidelity", [1e-8, 1e-2])
@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_convex_suppression_equals_a_sparse_solve(size: tuple[int, int], fidelity: float, threshold: float) -> None:
    mixture = seeded(2, 3, *size)
    found = ConvexReflectionSuppression(threshold, fidelity).separate(mixture, [0, 0])[:, 0]
    down, right = sparse_gradient(*size, periodic=False)
    laplacian = -(down.T @ down + right.T @ right)
    system = (laplacian @ laplacian + fidelity * sparse.identity(size[0] * size[1])).tocsc()
    for plane, background in zip(mixture.flatten(0, 1), found.flatten(0, 1), strict=True):
        values = plane.numpy().ravel()
        edges = np.stack([down @ values, right @ values])
        edges[:, np.hypot(*edges) <= threshold] = 0
        kept = -(down.T @ edges[0] + right.T @ edges[1])
        expected = spsolve(system, laplacian @ kept + fidelity * values)
        # The rows of the system sum to ε: the mean is the mixture's. The direct solve has it to rounding / ε alone.
        assert expected.mean() == pytest.approx(values.mean(), abs=1e-15 / fidelity)
        expected += values.mean() - expected.mean()
        assert np.abs(background.numpy().ravel() - expected).max() < 1e-10


def test_convex_suppression_in_single_precision() -> None:
    mixture = seeded(1, 3, 200, 300)
    method = ConvexReflectionSuppression(threshold=0.3)
    assert float((method.separate(mixture, [0]) - method(mixture.float())).abs().max()) < 1e-4


def test_convex_suppression_keeps_strong_edges_and_drops_weak_ones() -> None:
    background = torch.zeros(1, 1, 32, 40)
    background[..., 12:] = 0.6
    waves = 0.05 * torch.sin(torch.arange(32.0) / 3).view(1, 1, -1, 1).expand_as(background)
    found = ConvexReflectionSuppression(threshold=0.1)(background + waves)[:, 0]
    assert float((found - background).abs().max()) < 0.02
    untouched = ConvexReflectionSuppression(threshold=0.0)(background + waves)[:, 0]
    assert torch.allclose(untouched, background + waves, atol=1e-5)


def descend(image: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The level of one plane by gradient descent, as the paper's authors find it."""
    for _ in range(20_000):
        step = 2 * image[(image < 0) | (image > most)].sum() / image.size
        image = image - step
        if abs(step) < 1e-7:
            break
    return image


def test_relative_smoothness_finds_the_level_where_descent_comes_to_rest() -> None:
    most = seeded(1, 3, 16, 21)
    image = 0.9 * most + 0.2 * seeded(1, 3, 16, 21, seed=1) - 0.7
    found = relative.level(image, most)
    for plane, upper, expected in zip(*(part.flatten(0, 1).numpy() for part in (image, most, found)), strict=True):
        assert np.abs(descend(plane, upper) - expected).max() < 2e-3


@pytest.mark.parametrize("size", [(12, 17), (16, 16)])
def test_relative_smoothness_equals_a_sparse_solve_at_each_step(size: tuple[int, int]) -> None:
    mixture, smoothness = 0.3 * seeded(2, 3, *size), 50.0
    down, right = sparse_gradient(*size, periodic=True)
    laplacian = down.T @ down + right.T @ right
    background = mixture
    kept = []
    for step in range(5):
        beta = 4.0 * 2**step
        found = relative.solve(mixture, *relative.strong(*relative.gradient(background), 1 / beta), smoothness, beta)
        for image, before, after in zip(mixture.numpy(), background.numpy(), found.numpy(), strict=True):
            edges = np.stack([[part @ plane.ravel() for plane in before] for part in (down, right)])
            edges *= np.abs(edges).sum(1, keepdims=True) >= 1 / beta
            kept.append((edges != 0).mean())
            for c in range(3):
                system = (smoothness * laplacian @ laplacian + beta * laplacian).tolil()
                wanted = smoothness * laplacian @ (laplacian @ image[c].ravel())
                wanted += beta * (down.T @ edges[0, c] + right.T @ edges[1, c])
                system[0], wanted[0] = 1, 0  # the equations leave the mean open: it is 0
                expected = spsolve(system.tocsc(), wanted)
                assert np.abs(after[c].ravel() - expected).max() < 1e-10
        background = relative.level(found, mixture).clamp_min(0).minimum(mixture)
    assert 0.2 < min(kept) < 0.9, "some edges must go and some stay, or the threshold is not seen"
    whole = RelativeSmoothness(smoothness, 4.0).separate(mixture, [0, 0])
    assert torch.allclose(whole[:, 0], background, atol=1e-12)
    assert torch.allclose(whole.sum(1), mixture, atol=1e-12)


def test_relative_smoothness_gives_the_smooth_layer_to_the_reflection() -> None:
    rows = torch.linspace(0, 2 * torch.pi, 65)[:-1]
    reflection = (0.2 + 0.15 * rows.cos()).view(1, 1, -1, 1).expand(1, 3, 64, 64)
    background = torch.zeros(1, 3, 64, 64)
    background[..., 10:30, 20:50] = 0.5
    layers = RelativeSmoothness()(background + reflection)
    before = float((background + reflection - background).square().mean())
    assert float((layers[:, 0] - background).square().mean()) < before / 4
    assert float((layers[:, 1] - reflection).square().mean()) < before / 4


# All ------------------------------------------------------------------------------------------


@every_method
def test_a_batch_is_its_images(method_class: type[SeparationMethod]) -> None:
    mixture = seeded(3, 3, 37, 53, dtype=torch.float32)
    mixture[1] = mixture[1] * 0.2 + 0.7  # thick haze
    method = method_class()
    together = method(mixture)
    assert torch.isfinite(together).all()
    assert together.shape[-2:] == (37, 53)
    for i in range(3):
        assert torch.allclose(method(mixture[i : i + 1])[0], together[i], atol=1e-5)


@every_method
@pytest.mark.parametrize("size", [(37, 53), (3, 4)])
def test_flat_pictures_give_finite_layers(method_class: type[SeparationMethod], size: tuple[int, int]) -> None:
    for flat in (colour(0, 0, 0), colour(0.5, 0.5, 0.5), colour(1, 1, 1), colour(1, 0, 0), colour(-0.1, 0.2, 1.1)):
        assert torch.isfinite(method_class()(flat.expand(1, 3, *size))).all()


@every_method
def test_half_precision_of_networks_leaves_priors_alone(method_class: type[SeparationMethod]) -> None:
    method, mixture = method_class(), seeded(1, 3, 20, 24, dtype=torch.float32)
    plain = method(mixture)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method(mixture), plain)


class NoLooks(TorchDispatchMode):
    """Fails where a value of a tensor would be brought to the host, which makes an accelerator wait."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        assert function.name().split("::")[1].split(".")[0] not in ("_local_scalar_dense", "nonzero", "equal", "item")
        return function(*arguments, **(named or {}))


@every_method
def test_no_value_is_looked_at_from_the_host(method_class: type[SeparationMethod]) -> None:
    with pytest.raises(AssertionError), NoLooks():
        float(torch.ones(2).sum())
    method, mixture = method_class(), seeded(1, 3, 20, 24, dtype=torch.float32)
    with NoLooks():
        method(mixture)


@pytest.mark.parametrize(
    ("method_class", "options", "message"),
    [
        (DarkChannel, {"patch": 14}, "patch 14"),
        (DarkChannel, {"omega": 1.5}, "omega 1.5"),
        (ColorAttenuation, {"transmission_range": (0.9, 0.1)}, "0.9 to 0.1"),
        (ColorAttenuation, {"radius": 0}, "radius 0"),
        (ColorAttenuation, {"noise": -0.1}, "noise -0.1"),
        (GeneralizedDarkChannel, {"patch": 0}, "patch 0"),
        (GeneralizedDarkChannel, {"least_transmission": 0.0}, "least_transmission 0"),
        (ConvexReflectionSuppression, {"fidelity": 0.0}, "fidelity 0"),
        (RelativeSmoothness, {"steps": 0}, "steps 0"),
    ],
)
def test_options_out_of_range_are_refused(method_class: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        method_class(**options)


def test_dark_channel_clears_real_haze() -> None:
    if not (ROOT / "sots_indoor").is_dir():
        pytest.skip("no sots_indoor: set UNBLEND_DATA to a folder that holds it")
    data = Haze(source="sots_indoor", root=str(ROOT), test_images=2)
    data.setup()
    gains = []
    for batch in data.test_dataloader():
        cleared = DarkChannel()(batch.mixture)[:, 0].clamp(0, 1)
        gains += (psnr(cleared, batch.layers[:, 0]) - psnr(batch.mixture, batch.layers[:, 0])).tolist()
    assert sum(gains) / len(gains) > 3
