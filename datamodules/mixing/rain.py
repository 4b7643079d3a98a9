"""Rain streaks, light and heavy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from datamodules.errors import UserError
from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform


class RainStreaks(Mixing):
    """I = clip(t·(B + S) + (1 − t)·A), S = Σ_m S_m: rain streaks in several directions, and veiling.

    The source is a clean picture B; layers are the background B and the rain S (grey, clipped to 1).
    The streaks S_m of one direction are drops, scattered over the image, spread along a line segment
    by a convolution on the device. Distant rain that no longer shows as streaks is a veil of
    transmission t and airlight A ("rain accumulation").

    Source: Yang et al. 2017 (Rain100L/H), Eq. 3 and 5. Reconstructed: the authors give no parameters;
        those of ``LightRain`` and ``HeavyRain`` were set so that the mixture's PSNR is near that of the real sets.

    Args:
        directions: how many layers of streaks.
        angle: range of the streaks' angle from the vertical, in degrees.
        spread: how far, in degrees, further directions lie from the first.
        length: range of a streak's length in pixels.
        width: range of a streak's width (full width at half maximum) in pixels.
        density: range of the drops' share of the pixels, for each direction.
        brightness: range of the brightest streaks.
        transmission: range of the veil's t; 1 for none.
        airlight: range of the veil's A.

    Raises:
        UserError: a range that is empty or impossible.
    """

    symmetric = False

    def __init__(
        self,
        directions: int = 1,
        angle: tuple[float, float] = (-30.0, 30.0),
        spread: float = 15.0,
        length: tuple[float, float] = (15.0, 40.0),
        width: tuple[float, float] = (1.0, 2.0),
        density: tuple[float, float] = (0.0005, 0.0025),
        brightness: tuple[float, float] = (0.2, 0.7),
        transmission: tuple[float, float] = (1.0, 1.0),
        airlight: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        if directions < 1 or spread < 0:
            raise UserError(f"directions {directions}, spread {spread}: at least 1 direction, and no negative spread.")
        check_range("angle", angle, -90, 90)
        check_range("length", length, 1, 200)
        check_range("width", width, 0.5, 20)
        check_range("density", density, 0, 1)
        check_range("brightness", brightness, 0, 1)
        check_range("transmission", transmission, 0, 1)
        check_range("airlight", airlight, 0, 1)
        self.directions, self.angle, self.spread, self.length, self.width = directions, angle, spread, length, width
        self.density, self.brightness = density, brightness
        self.transmission, self.airlight = transmission, airlight
        self.reach = math.ceil(length[1] / 2 + 2 * width[1])
        """How far a streak goes from its drop, in pixels."""

    def gain(self, layers: int) -> float:
        return 1.0

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("rain", shape, 1)
        height, width = (side + 2 * self.reach for side in shape[-2:])
        main = uniform(generator, *self.angle)
        drops, kernels = [], []
        for m in range(self.directions):
            angle = main + (uniform(generator, -self.spread, self.spread) if m else 0)
            length, breadth = uniform(generator, *self.length), uniform(generator, *self.width)
            density = uniform(generator, *self.density)
            # One random number says both whether there is a drop and how bright it is.
            chance = torch.rand(height, width, generator=generator)
            drops.append(((density - chance) / density.clamp_min(1e-9)).clamp_min(0).sqrt())
            kernels.append(_streak(angle, length, breadth, self.reach))
        return {
            "drops": torch.stack(drops),
            "kernels": torch.stack(kernels),
            "brightness": uniform(generator, *self.brightness),
            "transmission": uniform(generator, *self.transmission),
            "airlight": uniform(generator, *self.airlight),
        }

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background = sources[:, 0]
        drops, kernels = parameters["drops"], parameters["kernels"]
        size = drops.shape[-2:]
        # Convolution by FFT: streaks are long, and each image has its own. The margin keeps the ends apart.
        spectrum = torch.fft.rfft2(drops) * torch.fft.rfft2(kernels, s=size)
        spread = torch.fft.irfft2(spectrum.sum(1, keepdim=True), s=size)
        rain = spread[..., 2 * self.reach :, 2 * self.reach :] * image_like(parameters["brightness"])
        return torch.stack([background, rain.clamp(0, 1).expand_as(background)], 1)

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        transmission, airlight = image_like(parameters["transmission"]), image_like(parameters["airlight"])
        return (transmission * layers.sum(1) + (1 - transmission) * airlight).clamp(0, 1)


class LightRain(RainStreaks):
    """Streaks of one direction, as in Rain100L."""


class HeavyRain(RainStreaks):
    """Streaks of five directions, denser and longer, with accumulation, as in Rain100H.

    Args:
        directions: how many layers of streaks.
        angle: range of the streaks' angle from the vertical, in degrees.
        spread: how far, in degrees, further directions lie from the first.
        length: range of a streak's length in pixels.
        width: range of a streak's width in pixels.
        density: range of the drops' share of the pixels, for each direction.
        brightness: range of the brightest streaks.
        transmission: range of the veil's t.
        airlight: range of the veil's A.
    """

    def __init__(
        self,
        directions: int = 5,
        angle: tuple[float, float] = (-45.0, 45.0),
        spread: float = 30.0,
        length: tuple[float, float] = (20.0, 60.0),
        width: tuple[float, float] = (1.0, 3.0),
        density: tuple[float, float] = (0.001, 0.003),
        brightness: tuple[float, float] = (0.2, 0.6),
        transmission: tuple[float, float] = (0.75, 1.0),
        airlight: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        super().__init__(directions, angle, spread, length, width, density, brightness, transmission, airlight)


def _streak(angle: Tensor, length: Tensor, width: Tensor, reach: int) -> Tensor:
    """Picture of one drop's streak: bright along a line segment, Gaussian across, fading at the ends.

    Returns:
        (2·reach + 1, 2·reach + 1), largest value 1.
    """
    axis = torch.arange(-reach, reach + 1, dtype=torch.float32)
    y, x = axis.view(-1, 1), axis.view(1, -1)
    radians = torch.deg2rad(angle)
    along = x * torch.sin(radians) + y * torch.cos(radians)
    across = x * torch.cos(radians) - y * torch.sin(radians)
    sigma = width / 2.355
    ends = torch.sigmoid(2 * (length / 2 - along.abs()))
    return ends * torch.exp(-0.5 * (across / sigma) ** 2)
