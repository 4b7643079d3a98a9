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


def relief(generator: torch.Generator, height: int, width: int) -> Tensor:
    """Depth of an imagined scene: a ground that recedes from bottom to top, with random relief.

    Returns:
        (1, H, W) in (0, 1], larger is farther.
    """
    tilt, roughness = torch.rand(2, generator=generator).tolist()
    ground = torch.linspace(1, 0, height).view(1, -1, 1) ** (0.5 + tilt)
    rough = octave_noise(generator, height, width, persistence=0.35)
    share = 0.35 + 0.3 * roughness
    depth = 0.05 + (1 - share) * ground + share * rough
    scaled: Tensor = depth / depth.max()
    return scaled


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
