"""Rain streaks, light and heavy."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import UserError
from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform

Array = numpy.ndarray[Any, Any]

WIDTHS = (0.75, 1.0, 1.5)
"""Widths of a picture's far, middle and near streaks, in units of the picture's own."""

THINNEST = 1.0
"""Width in pixels below which a streak becomes no thinner: a pixel averages what falls on it."""

STEEPEST = 60.0
"""Degrees from the vertical beyond which no streak leans: they are drawn row by row."""


class RainStreaks(Mixing):
    """I = clip(t·(B + S) + (1 − t)·A), S = Σ_m S_m: rain streaks in several directions, and veiling.

    The source is a clean picture B; layers are the background B and the rain S (grey, clipped to 1).
    A picture has a length, a width, an angle, a density and a brightness of its own, and its streaks vary
    around them: each has a nearness ν, uniform in [0, 1], and near streaks are longer, wider and brighter.
    With a second uniform number u

        length = L · exp(v · (ν + u − 1)),  brightness = b · ν^p,  angle = θ + σ · normal,

    and the width is that of the far, the middle or the near third. The first streak of a picture has ν = 1 and
    lies in the picture, so that no picture is without rain. Distant rain that no longer shows as streaks is
    a veil of transmission t and airlight A ("rain accumulation").

    Source: Yang et al., CVPR 2017, Eq. 3 and 5, and Sec. 6 (streaks "along a certain direction with a small
        variation within an image", and streaks rendered after Garg & Nayar 2006); Garg & Nayar, IJCV 2007 (near drops
        give longer, wider, brighter streaks). Authors of rain sets publish, for whole pictures: length 25 to 35
        pixels, angle ±10°, drops on 0.2 to 0.4 % of the pixels for light rain, 40 to 60, ±60° and 0.8 to 1 % for heavy
        (Gu et al., NeurIPS 2023); 20 to 40 pixels, −10° to 40° (Chen et al., HQ-RAIN, 2023); 21 to 60 pixels,
        ±15° (Li et al., CVPR 2019). How streaks vary is fitted to streaks rendered after Garg & Nayar 2006
        (``python -m datamodules.statistics.fit_generators rain``); where other publications are wider, in length, angle
        and equal brightness, so are the ranges. Nothing is fitted to Rain100L or Rain100H.

    Args:
        directions: how many layers of streaks.
        angle: range of the picture's main angle from the vertical, in degrees.
        spread: how far, in degrees, further directions lie from the first.
        sway: range of the standard deviation, in degrees, of the streaks of one direction.
        length: range of the picture's length L of streaks in pixels.
        variety: range of v; a streak's length lies between e^−v and e^v times L.
        width: range of the picture's width of streaks (full width at half maximum) in pixels.
        density: range of the drops' share of the pixels, for each direction.
        brightness: range of the nearest streaks' brightness b.
        dimming: range of p; 0 where all streaks are equally bright.
        fade: range of the share of a streak, from either end, along which it fades.
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
        sway: tuple[float, float] = (1.0, 5.0),
        length: tuple[float, float] = (8.0, 24.0),
        variety: tuple[float, float] = (0.2, 1.6),
        width: tuple[float, float] = (1.0, 1.6),
        density: tuple[float, float] = (0.0008, 0.004),
        brightness: tuple[float, float] = (0.25, 0.95),
        dimming: tuple[float, float] = (0.0, 3.0),
        fade: tuple[float, float] = (0.1, 1.0),
        transmission: tuple[float, float] = (1.0, 1.0),
        airlight: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        if directions < 1 or spread < 0:
            raise UserError(f"directions {directions}, spread {spread}: at least 1 direction, and no negative spread.")
        check_range("angle", angle, -STEEPEST, STEEPEST)
        check_range("sway", sway, 0, 90)
        check_range("length", length, 1, 200)
        check_range("variety", variety, 0, 3)
        check_range("width", width, THINNEST, 20)
        check_range("density", density, 0, 1)
        check_range("brightness", brightness, 0, 1)
        check_range("dimming", dimming, 0, 10)
        check_range("fade", fade, 0.01, 1)
        check_range("transmission", transmission, 0, 1)
        check_range("airlight", airlight, 0, 1)
        self.directions, self.angle, self.spread, self.sway = directions, angle, spread, sway
        self.length, self.variety, self.width, self.density = length, variety, width, density
        self.brightness, self.dimming, self.fade = brightness, dimming, fade
        self.transmission, self.airlight = transmission, airlight
        self.reach = math.ceil(length[1] * math.exp(variety[1]) / 2)
        """How far a streak goes from its middle, in pixels."""
        steepest = math.cos(math.radians(max(abs(end) for end in angle)))
        self.margin = math.ceil(2.5 * width[1] * WIDTHS[-1] / 2.355 / steepest)
        """How far a streak's width reaches from its middle line, along a row, in pixels."""

    def gain(self, layers: int) -> float:
        return 1.0

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("rain", shape, 1)
        height, width = shape[-2:]
        ranges = (
            self.angle,
            self.sway,
            self.length,
            self.variety,
            self.width,
            self.brightness,
            self.dimming,
            self.fade,
        )
        numbers = torch.rand(len(ranges), generator=generator).tolist()
        angle, sway, length, variety, breadth, brightness, dimming, fade = (
            low + (high - low) * u for (low, high), u in zip(ranges, numbers, strict=True)
        )
        # Arrays here are short and many, which NumPy handles several times as fast.
        tall, wide = height + 2 * self.reach, width + 2 * self.reach
        density = uniform(generator, *self.density, self.directions).numpy()
        drops = numpy.maximum(1, density * tall * wide).astype(int)
        aside = uniform(generator, -self.spread, self.spread, self.directions).numpy()
        aside[0] = 0
        row, column, near, jitter = torch.rand(4, int(drops.sum()), generator=generator).numpy()
        normal = torch.randn(len(row), generator=generator).numpy()
        near[0] = 1
        row[1:], column[1:] = row[1:] * tall - self.reach, column[1:] * wide - self.reach
        row[0], column[0] = row[0] * height, column[0] * width
        lean = (angle + numpy.repeat(aside, drops) + sway * normal).clip(-STEEPEST, STEEPEST) * math.pi / 180
        half = length * numpy.exp(variety * (near + jitter - 1)) / 2 * numpy.cos(lean)
        third = (len(WIDTHS) * near).astype(int).clip(max=len(WIDTHS) - 1)
        sigma = (breadth * numpy.array(WIDTHS, numpy.float32)).clip(THINNEST) / 2.355 / math.cos(math.radians(angle))
        # The blur along the rows, which gives the lines their width, keeps their light.
        light = brightness * near**dimming * math.sqrt(2 * math.pi) * sigma[third]
        streaks = _Streaks(row, column + self.margin, numpy.tan(lean), half, light, third)
        return {
            "lines": torch.from_numpy(_lines(streaks, fade, height, width + 2 * self.margin)),
            # Sharing a line's light between two columns has blurred it already.
            "sigma": torch.from_numpy(numpy.sqrt((sigma**2 - 1 / 6).clip(0.01))),
            "transmission": uniform(generator, *self.transmission),
            "airlight": uniform(generator, *self.airlight),
        }

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background, lines, sigma = sources[:, 0], parameters["lines"], parameters["sigma"]
        # Each third of the streaks is blurred along the rows to its own width.
        offsets = torch.arange(-self.margin, self.margin + 1, device=lines.device, dtype=lines.dtype)
        blur = torch.exp(-0.5 * (offsets / sigma[..., None]) ** 2)
        blur = blur / blur.sum(-1, keepdim=True)
        planes = sigma.numel()
        spread = F.conv2d(lines.flatten(0, 1)[None], blur.view(planes, 1, 1, -1), groups=planes)
        rain = spread.view(*lines.shape[:-1], -1).sum(1, keepdim=True)
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
        angle: range of the picture's main angle from the vertical, in degrees.
        spread: how far, in degrees, further directions lie from the first.
        sway: range of the standard deviation, in degrees, of the streaks of one direction.
        length: range of the picture's length L of streaks in pixels.
        variety: range of v; a streak's length lies between e^−v and e^v times L.
        width: range of the picture's width of streaks in pixels.
        density: range of the drops' share of the pixels, for each direction.
        brightness: range of the nearest streaks' brightness b.
        dimming: range of p.
        fade: range of the share of a streak along which it fades.
        transmission: range of the veil's t.
        airlight: range of the veil's A.
    """

    def __init__(
        self,
        directions: int = 5,
        angle: tuple[float, float] = (-45.0, 45.0),
        spread: float = 30.0,
        sway: tuple[float, float] = (1.0, 5.0),
        length: tuple[float, float] = (12.0, 36.0),
        variety: tuple[float, float] = (0.2, 1.6),
        width: tuple[float, float] = (1.0, 2.5),
        density: tuple[float, float] = (0.0015, 0.004),
        brightness: tuple[float, float] = (0.25, 0.95),
        dimming: tuple[float, float] = (0.0, 3.0),
        fade: tuple[float, float] = (0.1, 1.0),
        transmission: tuple[float, float] = (0.75, 1.0),
        airlight: tuple[float, float] = (0.7, 0.9),
    ) -> None:
        super().__init__(
            directions,
            angle,
            spread,
            sway,
            length,
            variety,
            width,
            density,
            brightness,
            dimming,
            fade,
            transmission,
            airlight,
        )


class _Streaks(NamedTuple):
    """Streaks of one picture; all arrays have the shape (N,).

    Attributes:
        row: of a streak's middle.
        column: of a streak's middle, counted from the margin's first.
        slope: columns that a streak goes to the right for each row that it goes down.
        half: rows from a streak's middle to its end.
        light: of a streak in each row, summed over the columns.
        third: which plane a streak is drawn in.
    """

    row: Array
    column: Array
    slope: Array
    half: Array
    light: Array
    third: Array


def _lines(streaks: _Streaks, fade: float, height: int, width: int) -> Array:
    """The middle lines of streaks, row by row; each value is shared by the two columns beside the line.

    Args:
        streaks: of the picture.
        fade: share of a streak, from either end, along which it fades.
        height: of the picture.
        width: of the picture with its margins.

    Returns:
        (3, height, width) float32, without a bound.
    """
    top = numpy.ceil(streaks.row - streaks.half).clip(0).astype(int)
    bottom = numpy.floor(streaks.row + streaks.half).clip(max=height - 1).astype(int)
    rows = (bottom - top + 1).clip(0)
    # One entry for each row of each streak.
    row, column, slope, half, light, third = (numpy.repeat(values, rows) for values in streaks)
    y = numpy.arange(len(row)) - numpy.repeat(rows.cumsum() - rows - top, rows)
    down = y - row
    value = light * ((1 - numpy.abs(down) / half) / fade).clip(0, 1)
    x = column + down * slope
    inside = (x >= 0) & (x < width - 1)
    x, y, value, third = x[inside], y[inside], value[inside], third[inside]
    left = x.astype(int)
    right = value * (x - left)
    index = (third * height + y) * width + left
    size = len(WIDTHS) * height * width
    lines = numpy.bincount(index, value - right, size) + numpy.bincount(index + 1, right, size)
    return lines.astype(numpy.float32).reshape(len(WIDTHS), height, width)
