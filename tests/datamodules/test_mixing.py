"""Image-formation models against their equations."""

import pytest
import torch

from datamodules.mixing import Camera, Mean, Ratio, Sum
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


def test_forward_is_differentiable(layers: torch.Tensor) -> None:
    layers.requires_grad_()
    Ratio(0.7).forward(layers, {"ratio": torch.full((3,), 0.7)}).sum().backward()
    assert torch.allclose(layers.grad[:, 0], torch.tensor(0.7))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ratio(0.8, 0.2), "0 <= low <= high <= 1"),
        (lambda: Camera(Sum(), scale=0), "scale must be >= 1"),
        (lambda: Camera(Sum(), scale=2).draw(torch.Generator(), torch.Size([2, 1, 7, 8])), "7×8 cannot be downsampled"),
        (lambda: Ratio(0.7).draw(torch.Generator(), torch.Size([3, 1, 8, 8])), "blends 2 layers, not 3"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()  # type: ignore[operator]
