"""Smooth random fields: relief, shading, clouds and mattes are made of them."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def octave_noise(
    generator: torch.Generator, height: int, width: int, *, coarsest: int = 2, persistence: float = 0.5
) -> Tensor:
    """Multi-octave value noise: random grids, each twice as fine and ``persistence`` times as strong.

    Args:
        generator: where the numbers come from.
        height: of the field in pixels.
        width: of the field in pixels.
        coarsest: cells of the coarsest grid along the longer side.
        persistence: strength of an octave in units of the one before; larger is rougher.

    Returns:
        (1, H, W) in [0, 1], both ends reached unless the field is a single value.
    """
    longer = max(height, width)
    field = torch.zeros(height, width)
    cells, strength = coarsest, 1.0
    while cells <= max(coarsest, longer // 4):
        rows, columns = (max(2, math.ceil(cells * side / longer) + 1) for side in (height, width))
        grid = torch.rand(rows, columns, generator=generator)
        field += strength * (_between(rows, height) @ grid @ _between(columns, width).T)
        cells, strength = cells * 2, strength * persistence
    low, high = field.aminmax()
    return ((field - low) / (high - low).clamp_min(1e-8))[None]


@lru_cache(maxsize=64)
def _between(points: int, pixels: int) -> Tensor:
    """(pixels, points) weights of bicubic interpolation, first point on the first pixel, last on the last.

    A product with them is several times as fast as ``interpolate`` with its bookkeeping for each pixel.
    """
    each = torch.eye(points)[None, None]
    return F.interpolate(each, size=(pixels, points), mode="bicubic", align_corners=True)[0, 0]


def relief(generator: torch.Generator, height: int, width: int, picture: Tensor | None = None) -> Tensor:
    """Depth of an imagined scene: ground that recedes, things before one another, and soft relief on all of them.

    Things are regions of random distance with sharp edges, two to four of them. Where a picture is given, their edges
    follow its own, by a random mixture of its colours, as depth often changes where colour does.

    Args:
        generator: where the numbers come from.
        height: of the scene in pixels.
        width: of the scene in pixels.
        picture: (3, height, width) in [0, 1] that the depth is for.

    Returns:
        (1, H, W) in (0, 1], larger is farther; the largest is below 1 where the farthest place is outside.

    Source: reconstructed. The strengths are fitted to crops of the depth maps of 400 rooms of NYU Depth v2 (Silberman
        et al. 2012; none is a scene of SOTS): their mean, spread, slopes and gradients.
    """
    fall, lean, count, contrast, far, near = torch.rand(6, generator=generator).tolist()
    down = torch.linspace(-0.5, 0.5, height).view(-1, 1)
    right = torch.linspace(-0.5, 0.5, width).view(1, -1)
    ground = (0.05 - 0.75 * fall) * down + 0.8 * (lean - 0.5) * right
    soft = octave_noise(generator, height, width, persistence=0.35)[0]
    regions = octave_noise(generator, height, width, coarsest=3, persistence=0.4)[0]
    if picture is not None:
        tone = _smoothed((picture * torch.randn(3, 1, 1, generator=generator)).sum(0))
        low, high = tone.aminmax()
        regions = 0.6 * regions + 0.4 * (tone - low) / (high - low).clamp_min(1e-6)
    things = 2 + int(3 * count)
    distance = torch.rand(things, generator=generator)
    things_depth = distance[(regions * things).long().clamp_max(things - 1)]
    depth = ground + 0.25 * soft + 0.45 * contrast * things_depth
    nearest, farthest = depth.aminmax()
    top, bottom = 0.55 + 0.45 * far**0.5, 0.08 + 0.5 * near**2
    scale = ((top - bottom) / (farthest - nearest)).clamp_max(1)
    scaled: Tensor = (top - scale * (farthest - depth)).clamp(0.02, 1)
    return scaled[None]


def _smoothed(field: Tensor) -> Tensor:
    """Means of 9×9 pixels, fewer at the edges, which leave edges of things and take texture away."""
    return _means(field.shape[0]) @ field @ _means(field.shape[1]).T


@lru_cache(maxsize=16)
def _means(pixels: int) -> Tensor:
    """(pixels, pixels) weights of the mean of a pixel and its four neighbours on either side."""
    places = torch.arange(pixels)
    near = ((places[:, None] - places).abs() <= 4).float()
    return near / near.sum(1, keepdim=True)


def shading(generator: torch.Generator, height: int, width: int) -> Tensor:
    """Lambertian shading of a smooth random surface under one distant light and some ambient light.

    s = ambient + (1 − ambient) · max(0, n · l), scaled so that the brightest point is 1.

    Returns:
        (1, H, W) in (0, 1].
    """
    surface = octave_noise(generator, height, width, coarsest=3, persistence=0.2)
    steepness, ambient, azimuth, elevation = torch.rand(4, generator=generator).tolist()
    slope = (0.4 + 0.8 * steepness) * max(height, width) / 3
    down, right = torch.gradient(slope * surface[0], dim=(0, 1))
    normal = torch.stack([-right, -down, torch.ones_like(down)])
    normal = normal / (normal * normal).sum(0).sqrt()  # several times as fast as norm
    azimuth, elevation = 2 * math.pi * azimuth, math.radians(30 + 45 * elevation)
    light = torch.tensor(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    ambient = 0.1 + 0.2 * ambient
    lit = ambient + (1 - ambient) * (normal * light.view(3, 1, 1)).sum(0, keepdim=True).clamp_min(0)
    scaled: Tensor = lit / lit.max()
    return scaled
