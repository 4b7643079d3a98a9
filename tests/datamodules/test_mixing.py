"""Image-formation models against their equations."""

import numpy as np
import pytest
import torch

from datamodules.mixing import (
    AlphaCompositing,
    AtmosphericScattering,
    Camera,
    CEILNetReflection,
    GlassReflection,
    HeavyRain,
    LightRain,
    Mean,
    Mixing,
    Product,
    RainStreaks,
    Ratio,
    ScatteredClouds,
    Sum,
    ThinClouds,
    YellowHaze,
)
from datamodules.types import UserError


@pytest.fixture
def layers() -> torch.Tensor:
    return torch.rand(3, 2, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def test_sum_and_mean(layers: torch.Tensor) -> None:
    assert torch.allclose(Sum().forward(layers, {}), layers[:, 0] + layers[:, 1])
    assert torch.allclose(Mean().forward(layers, {}), (layers[:, 0] + layers[:, 1]) / 2)


def test_ratio_weighs_each_sample_by_its_own_draw(layers: torch.Tensor) -> None:
    mixing = Ratio(0.2, 0.8)
    generator = torch.Generator().manual_seed(1)
    ratios = torch.stack([mixing.draw(generator, layers.shape[1:])["ratio"] for _ in range(200)])
    assert 0.2 <= float(ratios.min()) < 0.25
    assert 0.75 < float(ratios.max()) <= 0.8
    mixture = mixing.forward(layers, {"ratio": ratios[:3]})
    for i, a in enumerate(ratios[:3]):
        assert torch.allclose(mixture[i], a * layers[i, 0] + (1 - a) * layers[i, 1])


def test_ratio_knows_whether_its_layers_have_an_order() -> None:
    assert not Ratio(0.7).symmetric
    assert Ratio(0.5).symmetric
    assert Ratio(0.2, 0.8).symmetric


def test_camera_averages_areas_and_adds_noise_of_sigma() -> None:
    layers = torch.rand(1, 2, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    mixing = Camera(Sum(), scale=2, sigma=0.1)
    parameters = mixing.draw(torch.Generator().manual_seed(1), layers.shape[1:])
    mixture = mixing.forward(layers, {name: value[None] for name, value in parameters.items()})
    image = layers.sum(1)
    averaged = (image[..., ::2, ::2] + image[..., 1::2, ::2] + image[..., ::2, 1::2] + image[..., 1::2, 1::2]) / 4
    noise = mixture - averaged
    assert mixture.shape == (1, 1, 128, 128)
    assert abs(float(noise.mean())) < 0.005
    assert float(noise.std()) == pytest.approx(0.1, rel=0.03)


MODELS = [
    Sum(),
    Mean(),
    Ratio(0.2, 0.8),
    Product(),
    AlphaCompositing(),
    AtmosphericScattering(),
    YellowHaze(),
    ThinClouds(),
    ScatteredClouds(),
    LightRain(),
    HeavyRain(),
    GlassReflection(),
    CEILNetReflection(),
    Camera(Product(), scale=2),
]
ONE_SOURCE = (RainStreaks, ThinClouds, ScatteredClouds)


def blended(
    mixing: Mixing, device: str = "cpu", count: int = 3
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Layers, mixture and parameters of some samples."""
    generator = torch.Generator().manual_seed(4)
    sources = torch.rand(count, 1 if isinstance(mixing, ONE_SOURCE) else 2, 3, 32, 48, generator=generator)
    drawn = [mixing.draw(generator, sources.shape[1:]) for _ in range(count)]
    parameters = {name: torch.stack([one[name] for one in drawn]).to(device) for name in drawn[0]}
    layers = mixing.render(sources.to(device), parameters)
    return layers, mixing.forward(layers, parameters), parameters


@pytest.mark.parametrize("mixing", MODELS, ids=lambda mixing: mixing.name)
def test_a_model_gives_layers_and_a_finite_mixture(mixing: Mixing) -> None:
    layers, mixture, _ = blended(mixing)
    assert layers.shape == (3, 2, 3, 32, 48)
    assert mixture.shape == (3, 3, 32 // mixing.scale, 48 // mixing.scale)
    assert 0 <= float(layers.min()) <= float(layers.max()) <= 1
    assert torch.isfinite(mixture).all()
    if not isinstance(mixing, Sum | Camera):
        assert -1e-6 <= float(mixture.min()) <= float(mixture.max()) <= 1 + 1e-6


@pytest.mark.parametrize("mixing", MODELS, ids=lambda mixing: mixing.name)
def test_a_sample_does_not_depend_on_its_batch(mixing: Mixing) -> None:
    layers, mixture, parameters = blended(mixing)
    for i in range(3):
        own = {name: value[i : i + 1] for name, value in parameters.items()}
        assert torch.allclose(mixing.forward(layers[i : i + 1], own)[0], mixture[i], atol=1e-6)


@pytest.mark.parametrize("mixing", MODELS, ids=lambda mixing: mixing.name)
def test_mixing_never_asks_the_host(mixing: Mixing) -> None:
    """On the meta device there are no values to look at, so any copy to the host would fail."""
    layers, mixture, _ = blended(mixing, "meta")
    assert layers.device.type == mixture.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("mixing", MODELS, ids=lambda mixing: mixing.name)
def test_a_gpu_mixes_as_the_cpu_does(mixing: Mixing) -> None:
    for one, other in zip(blended(mixing)[:2], blended(mixing, "cuda")[:2], strict=True):
        assert torch.allclose(one, other.cpu(), atol=1e-5)


@pytest.mark.parametrize("mixing", MODELS, ids=lambda mixing: mixing.name)
def test_mixing_is_differentiable(mixing: Mixing) -> None:
    layers, _, parameters = blended(mixing)
    layers.requires_grad_()
    mixing.forward(layers, parameters).sum().backward()
    assert layers.grad is not None
    assert torch.isfinite(layers.grad).all()
    assert layers.grad.abs().flatten(2).sum(2).min() > 0


def test_a_product_gives_the_albedo_back() -> None:
    layers, mixture, _ = blended(Product())
    assert torch.allclose(mixture / layers[:, 1], layers[:, 0], atol=1e-5)


def test_haze_follows_its_equation_and_can_be_undone() -> None:
    mixing = AtmosphericScattering((0.5, 2.0), (0.6, 1.0))
    scene, depth = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8).expand(-1, 3, -1, -1)
    drawn = [mixing.draw(torch.Generator().manual_seed(i), torch.Size([2, 3, 8, 8])) for i in range(2)]
    parameters = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
    layers = mixing.render(torch.stack([scene, depth], 1), parameters)
    mixture = mixing.forward(layers, parameters)
    beta, airlight = parameters["beta"].view(-1, 1, 1, 1), parameters["airlight"]
    transmission = torch.exp(-beta * depth)
    assert torch.allclose(mixture, scene * transmission + airlight * (1 - transmission), atol=1e-6)
    assert torch.allclose(mixing.transmission(layers, parameters), transmission, atol=1e-6)
    assert torch.allclose((mixture - layers[:, 1]) / transmission, scene, atol=1e-4)
    far, near = depth > 0.8, depth < 0.2
    assert float(layers[:, 1][far].mean()) > float(layers[:, 1][near].mean())


def test_yellow_haze_is_yellow_and_grey_haze_is_grey() -> None:
    for seed in range(20):
        shape = torch.Size([2, 3, 8, 8])
        red, green, blue = YellowHaze().draw(torch.Generator().manual_seed(seed), shape)["airlight"].flatten().tolist()
        assert red >= green > blue
        grey = AtmosphericScattering().draw(torch.Generator().manual_seed(seed), shape)["airlight"].flatten()
        assert float(grey.std()) < 1e-6


@pytest.mark.parametrize("mixing", [ThinClouds(shadowed=1, grain=(0.0, 0.0)), ScatteredClouds(shadowed=1)])
def test_clouds_can_be_undone(mixing: Mixing) -> None:
    layers, mixture, parameters = blended(mixing)
    opacity, shadow = parameters["opacity"], parameters["shadow"]
    assert bool((shadow > 0).any())
    scene = (mixture - layers[:, 1]) / ((1 - shadow) * (1 - opacity))
    assert torch.allclose(scene, layers[:, 0], atol=1e-4)


def test_a_thicker_thin_cloud_is_brighter_and_a_scattered_one_is_not() -> None:
    layers, _, parameters = blended(ThinClouds())
    brightness, opacity = parameters["brightness"].view(-1, 1, 1, 1), parameters["opacity"]
    assert torch.allclose(layers[:, 1], (brightness * opacity**2).expand_as(layers[:, 1]))
    layers, _, parameters = blended(ScatteredClouds())
    brightness, opacity = parameters["brightness"].view(-1, 1, 1, 1), parameters["opacity"]
    assert torch.allclose(layers[:, 1], (brightness * opacity).expand_as(layers[:, 1]))


def test_grain_is_as_strong_as_was_asked_for() -> None:
    layers, mixture, parameters = blended(ThinClouds(grain=(0.01, 0.01)))
    smooth = layers[:, 0] * (1 - parameters["shadow"]) * (1 - parameters["opacity"]) + layers[:, 1]
    inside = (smooth > 0.05) & (smooth < 0.95)
    assert float((mixture - smooth)[inside].std()) == pytest.approx(0.01, rel=0.05)
    assert not torch.equal((mixture - smooth)[0], (mixture - smooth)[1])


def test_most_thin_clouds_are_even_and_a_few_are_not() -> None:
    shape = torch.Size([1, 3, 64, 64])
    drawn = [ThinClouds().draw(torch.Generator().manual_seed(i), shape) for i in range(200)]
    spread = np.array([float(one["opacity"].std()) for one in drawn])
    mean = np.array([float(one["opacity"].mean()) for one in drawn])
    # RICE-I's training pairs: 0.003, 0.007 and 0.1 at 5, 50 and 95 %; means from 0.34 to 0.71.
    assert np.median(spread) == pytest.approx(0.006, abs=0.003)
    assert np.percentile(spread, 95) == pytest.approx(0.09, abs=0.04)
    assert np.percentile(mean, [2, 98]) == pytest.approx([0.36, 0.71], abs=0.03)
    shadowed = np.mean([float(one["shadow"].max()) > 0 for one in drawn])
    assert 0.03 < shadowed < 0.2


def test_cloud_cover_is_what_was_asked_for() -> None:
    mixing = ScatteredClouds(cover=(0.4, 0.4), veil=(0.0, 0.0))
    under = [
        float((mixing.draw(torch.Generator().manual_seed(i), torch.Size([1, 3, 96, 96]))["opacity"] > 0).float().mean())
        for i in range(40)
    ]
    assert sum(under) / 40 == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize(("mixing", "veiled"), [(LightRain(), False), (HeavyRain(), True)])
def test_rain_adds_bright_streaks_and_can_be_undone(mixing: RainStreaks, veiled: bool) -> None:
    layers, mixture, parameters = blended(mixing)
    t, airlight = (parameters[name].view(-1, 1, 1, 1) for name in ("transmission", "airlight"))
    assert bool((t < 1).any()) == veiled
    open_sky = (mixture > 1e-4) & (mixture < 1 - 1e-4)  # where nothing was clipped
    scene = (mixture - (1 - t) * airlight) / t - layers[:, 1]
    assert torch.allclose(scene[open_sky], layers[:, 0][open_sky], atol=1e-4)
    assert torch.equal(layers[:, 1, 0], layers[:, 1, 2])


def rain_layer(mixing: RainStreaks, seed: int, size: int = 64) -> torch.Tensor:
    """(H, W) rain of one sample."""
    parameters = mixing.draw(torch.Generator().manual_seed(seed), torch.Size([1, 3, size, size]))
    batched = {name: value[None] for name, value in parameters.items()}
    return mixing.render(torch.zeros(1, 1, 3, size, size), batched)[0, 1, 0]


def test_a_drop_becomes_a_streak_of_its_angle_length_and_width() -> None:
    mixing = RainStreaks(angle=(30.0, 30.0), sway=(0.0, 0.0), length=(20.0, 20.0), variety=(0.0, 0.0), width=(2.0, 2.0),
                         density=(0.0, 0.0), brightness=(0.8, 0.8), fade=(0.01, 0.01))  # fmt: skip
    whole = 0
    for seed in range(40):
        rain = rain_layer(mixing, seed)
        rows, columns = (axis.double() for axis in torch.nonzero(rain > 0.4, as_tuple=True))
        if min(rows.min(), columns.min()) < 4 or max(rows.max(), columns.max()) > 59:
            continue  # the picture's edge cuts it
        whole += 1
        assert float(rain.max()) == pytest.approx(0.8, rel=0.1)
        # It is of the nearest third, so half as wide again: half of its brightness is passed by some 20 × 3 pixels.
        assert len(rows) == pytest.approx(60, rel=0.2)
        rows, columns = rows - rows.mean(), columns - columns.mean()
        assert float((rows * columns).sum() / (rows**2).sum()) == pytest.approx(0.577, abs=0.05)  # tan 30°
    assert whole > 5


def test_streaks_vary_within_a_picture() -> None:
    from scipy.ndimage import find_objects, label, maximum

    mixing = RainStreaks(angle=(0.0, 0.0), variety=(1.0, 1.0), density=(0.0006, 0.0006), brightness=(0.9, 0.9),
                         dimming=(1.5, 1.5))  # fmt: skip
    rain = rain_layer(mixing, 0, 256).numpy()
    places, count = label(rain > 0.05)
    brightness = maximum(rain, places, range(1, count + 1))
    length = [rows.stop - rows.start for rows, _ in find_objects(places)]
    assert count > 30
    assert np.percentile(brightness, 80) > 2 * np.percentile(brightness, 20)
    assert np.percentile(length, 80) > 1.7 * np.percentile(length, 20)
    assert np.median(brightness) < 0.45  # most streaks are far, and dim


@pytest.mark.parametrize("mixing", [LightRain(), HeavyRain()])
def test_no_generated_picture_is_without_rain(mixing: RainStreaks) -> None:
    layers = [rain_layer(mixing, seed) for seed in range(150)]
    assert min(float(rain.max()) for rain in layers) > 0.2
    # The mixture of a grey picture: a rainless one would have an endless PSNR and sway the select role's mean.
    errors = [float(((0.4 + rain).clamp(max=1) - 0.4).square().mean()) for rain in layers]
    assert max(-10 * np.log10(errors)) < 45


def test_reflections_follow_the_steps_of_their_synthesis() -> None:
    from scipy.ndimage import gaussian_filter

    mixing = GlassReflection(sigma=(2.0, 2.0), vignette=0.52)
    shape = torch.Size([2, 3, 40, 40])
    generator = torch.Generator().manual_seed(0)
    sources = torch.rand(shape, generator=generator) ** 0.3
    parameters = mixing.draw(generator, shape)
    batched = {name: value[None] for name, value in parameters.items()}
    layers = mixing.render(sources[None], batched)
    background, other = (source.double().numpy() ** 2.2 for source in sources)
    y, x = np.mgrid[-0.5:0.5:40j, -0.5:0.5:40j]
    down, right = parameters["centre"].tolist()
    vignette = np.exp(-0.5 * ((y - down) ** 2 + (x - right) ** 2) / 0.52**2)
    for c in range(3):
        light = gaussian_filter(other[c], 2.0, mode="mirror", truncate=7.5)
        over = background[c] + light > 1
        assert over.any()
        excess = (background[c] + light)[over].mean() - 1
        light = np.clip(light - excess * float(parameters["attenuation"]), 0, 1) * vignette
        assert np.allclose(layers[0, 1, c].numpy(), light ** (1 / 2.2), atol=2e-3)
        expected = np.clip((float(parameters["transparency"]) * background[c] + light) ** (1 / 2.2), 0, 1)
        assert np.allclose(mixing.forward(layers, batched)[0, c].numpy(), expected, atol=2e-3)


def test_reflections_without_gamma_add_as_values() -> None:
    mixing = GlassReflection(gamma=1, transparency=(1.0, 1.0))
    layers, mixture, _ = blended(mixing)
    assert torch.allclose(mixture, layers.sum(1).clamp(0, 1), atol=1e-6)
    curved, _, _ = blended(GlassReflection(transparency=(1.0, 1.0)))
    assert not torch.allclose(layers[:, 1], curved[:, 1], atol=1e-2)


def test_a_reflection_is_too_dark_below_half_of_the_background() -> None:
    bright, half, dark = (torch.full((3, 4, 4), value) for value in (0.6, 0.31, 0.29))
    mixing = GlassReflection()
    assert mixing.too_dark(bright, dark)
    assert not mixing.too_dark(bright, half)
    assert not mixing.too_dark(dark, bright)  # however bright it is
    assert not CEILNetReflection().too_dark(bright, dark)


def test_ceilnets_reflections_keep_their_colour_where_the_sum_passes_one() -> None:
    from scipy.ndimage import gaussian_filter

    mixing, shape = CEILNetReflection(sigma=(3.0, 3.0)), torch.Size([2, 3, 40, 40])
    generator = torch.Generator().manual_seed(0)
    sources = torch.rand(shape, generator=generator) ** 0.4
    batched = {name: value[None] for name, value in mixing.draw(generator, shape).items()}
    layers = mixing.render(sources[None], batched)
    background, other = (source.double().numpy() for source in sources)
    light = np.stack([gaussian_filter(channel, 3.0, mode="mirror", truncate=5) for channel in other])
    blend = background + light
    light = np.clip(light - 1.3 * (blend[blend > 1].mean() - 1), 0, 1)
    assert np.allclose(layers[0, 1].numpy(), light, atol=2e-3)
    assert np.allclose(mixing.forward(layers, batched)[0].numpy(), np.clip(background + light, 0, 1), atol=2e-3)


def test_alpha_compositing_shows_each_layer_where_its_matte_says() -> None:
    layers, mixture, parameters = blended(AlphaCompositing())
    alpha = parameters["alpha"]
    assert 0.35 < float(alpha.mean()) < 0.65
    assert torch.allclose((mixture - (1 - alpha) * layers[:, 1])[alpha.expand_as(mixture) == 1],
                          layers[:, 0][alpha.expand_as(mixture) == 1])  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ratio(0.8, 0.2), "0 <= low <= high <= 1"),
        (lambda: Camera(Sum(), scale=0), "scale must be >= 1"),
        (lambda: Camera(Sum(), scale=2).draw(torch.Generator(), torch.Size([2, 1, 7, 8])), "7×8 cannot be downsampled"),
        (lambda: Ratio(0.7).draw(torch.Generator(), torch.Size([3, 1, 8, 8])), "takes 2 source pictures, not 3"),
        (lambda: AtmosphericScattering(beta=(2.0, 1.0)), "beta from 2 to 1"),
        (lambda: AtmosphericScattering(airlight=(0.0, 1.0)), "airlight from 0 to 1"),
        (lambda: ScatteredClouds(cover=(0.0, 1.5)), "cover from 0 to 1.5"),
        (lambda: ThinClouds(unevenness=(0.0, 0.1)), "unevenness from 0 to 0.1"),
        (lambda: ThinClouds(shadowed=2), "shadowed from 2 to 2"),
        (lambda: RainStreaks(directions=0), "at least 1 direction"),
        (lambda: LightRain(length=(0.0, 9.0)), "length from 0 to 9"),
        (lambda: GlassReflection(sigma=(0.0, 1.0)), "sigma from 0 to 1"),
        (lambda: GlassReflection(gamma=0.5), "gamma from 0.5 to 0.5"),
        (lambda: AlphaCompositing(0), "must be positive"),
        (lambda: LightRain().draw(torch.Generator(), torch.Size([2, 3, 8, 8])), "takes 1 source pictures, not 2"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()  # type: ignore[operator]
