"""What is measured of mixtures, to compare generated ones with the world's: streaks, clouds, reflections, depth."""

from __future__ import annotations

from typing import Any

import numpy
import torch
import torch.nn.functional as F
from skimage.measure import label, regionprops
from torch import Tensor

Array = numpy.ndarray[Any, Any]

SEEN = 0.06
"""Rain brighter than this is a streak's: some 15 grey levels."""

WINDOW = 32
"""Side of the windows in which a cloud is taken to be even, in pixels."""

TEXTURE = 0.03
"""Standard deviation that a background needs in a window before its contrast tells of a cloud or a pane."""


def streaks(rain: Tensor) -> dict[str, Array]:
    """Length, width, brightness and lean of the streaks of one picture, from their connected pixels.

    A streak is measured where it has at least half of its largest brightness, as a bar that has the same second
    moments. What touches the picture's edge, or is not twice as long as wide, is left out, so two
    streaks that cross are not taken for one.

    Args:
        rain: (H, W) rain layer in [0, 1].

    Returns:
        ``length`` and ``width`` in pixels and ``brightness``, one value for each streak. One value each: ``angle``, the
        mean of the streaks' angles from the vertical in degrees, and ``sway``, their standard deviation; ``density``,
        streaks in 10,000 pixels; ``cover``, the share of pixels under rain.
    """
    layer = rain.numpy()
    height, width = layer.shape
    found = []
    places = label(layer > SEEN, connectivity=2)  # type: ignore[no-untyped-call]
    for region in regionprops(places, intensity_image=layer):  # type: ignore[no-untyped-call]
        top, left, bottom, right = region.bbox
        if region.area < 6 or top == 0 or left == 0 or bottom == height or right == width:
            continue
        light = region.image_intensity
        y, x = numpy.nonzero(light > light.max() / 2)
        if len(y) < 4:
            continue
        weight = light[y, x]
        # A pixel has an extent of its own.
        moments = numpy.cov(numpy.stack([x, y]), aweights=weight, ddof=0) + numpy.eye(2) / 12
        (across, along), axes = numpy.linalg.eigh(moments)
        right_, down = axes[:, 1] * (1 if axes[1, 1] >= 0 else -1)
        lean = numpy.degrees(numpy.arctan2(right_, down))
        found.append((numpy.sqrt(12 * along), numpy.sqrt(12 * across), light.max(), lean))
    table = numpy.array(found, dtype=float).reshape(-1, 4)
    slim = table[table[:, 0] > 3 * table[:, 1]]
    long = table[table[:, 0] > 2 * table[:, 1]]
    return {
        "length": long[:, 0],
        "width": long[:, 1],
        "brightness": long[:, 2],
        "angle": slim[:, 3].mean(keepdims=True) if len(slim) > 2 else numpy.empty(0),
        "sway": slim[:, 3].std(keepdims=True) if len(slim) > 2 else numpy.empty(0),
        "density": numpy.array([len(table) / layer.size * 1e4]),
        "cover": numpy.array([(layer > SEEN).mean()]),
    }


def cloud(mixture: Tensor, background: Tensor) -> dict[str, Array]:
    """Opacity of a thin cloud and what it adds, by a regression in windows of 32 pixels.

    In each window the mixture is (1 − α) · background + c, with one α and a c for each channel.

    Args:
        mixture: (3, H, W) in [0, 1].
        background: (3, H, W) in [0, 1].

    Returns:
        One value each, none where fewer than four windows have texture: ``opacity``, the mean α; ``unevenness``, its
        standard deviation over the windows; ``whiteness``, the median of c / α²; ``tint``, how far apart the
        channels' c are; ``residual``, the root mean square of what is left.
    """
    one, other = _windows(mixture), _windows(background)
    mean, clear = one.mean(2, keepdims=True), other.mean(2, keepdims=True)
    dull, bright = one - mean, other - clear
    variance = (bright**2).mean((1, 2))
    textured = variance > TEXTURE**2
    if textured.sum() < 4:
        return {name: numpy.empty(0) for name in ("opacity", "unevenness", "whiteness", "tint", "residual")}
    slope = ((dull * bright).mean((1, 2)) / variance.clip(1e-12))[textured]
    added = mean[textured, :, 0] - slope[:, None] * clear[textured, :, 0]
    left = numpy.sqrt(((dull[textured] - slope[:, None, None] * bright[textured]) ** 2).mean((1, 2)))
    opacity = (1 - slope).clip(1e-3)
    return {
        "opacity": opacity.mean(keepdims=True),
        "unevenness": opacity.std(keepdims=True),
        "whiteness": numpy.array([numpy.median(added.mean(1) / opacity**2)]),
        "tint": numpy.array([numpy.ptp(added.mean(0))]),
        "residual": left.mean(keepdims=True),
    }


def glass(mixture: Tensor, background: Tensor) -> dict[str, Array]:
    """Energy and blur of a reflection, from the mixture less the background.

    Args:
        mixture: (3, H, W) in [0, 1].
        background: (3, H, W) in [0, 1].

    Returns:
        One value each: ``added``, the mean difference; ``energy``, its standard deviation; ``bright`` and ``dimmed``,
        the shares of pixels that are 0.05 brighter and darker than the background; ``contrast``, the median
        over windows of how much of the background's contrast is left; ``smooth`` and ``fine``, the difference's
        standard deviation after a blur of 5 pixels, and between blurs of 2 and 5, in units of the whole; ``psnr``, of
        the mixture against the background in dB.
    """
    difference = mixture - background
    energy = float(difference.std().clamp_min(1e-6))
    one, other = (_windows(image.mean(0, keepdim=True), WINDOW // 2)[:, 0] for image in (mixture, background))
    dull, bright = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    variance = (bright**2).mean(1)
    textured = variance > TEXTURE**2
    slope = (dull * bright).mean(1)[textured] / variance[textured]
    coarse, middle = _blurred(difference, 5.0), _blurred(difference, 2.0)
    values = {
        "added": float(difference.mean()),
        "energy": energy,
        "bright": float((difference > 0.05).float().mean()),
        "dimmed": float((difference < -0.05).float().mean()),
        "smooth": float(coarse.std()) / energy,
        "fine": float((middle - coarse).std()) / energy,
        "psnr": -10 * float(torch.log10((difference**2).mean().clamp_min(1e-10))),
    }
    found = {name: numpy.array([value]) for name, value in values.items()}
    found["contrast"] = numpy.array([numpy.median(slope)]) if len(slope) > 5 else numpy.empty(0)
    return found


def depth(distance: Tensor) -> dict[str, Array]:
    """How a scene's depth is spread over its picture.

    Args:
        distance: (H, W) in (0, 1], larger is farther.

    Returns:
        One value each: ``depth``, the mean; ``spread``, the standard deviation; ``recession``, how much farther it is
        at the top than at the bottom; ``lean``, how much the sides differ; ``slope`` and ``edges``, the median and
        the 95 % quantile of the gradient, in units of 1 / side.
    """
    field = distance.numpy()
    side = max(field.shape)
    gradient = numpy.hypot(*numpy.gradient(field)) * side
    rows, columns = (numpy.linspace(-0.5, 0.5, extent) for extent in field.shape)
    values = {
        "depth": field.mean(),
        "spread": field.std(),
        "recession": -numpy.polyfit(rows, field.mean(1), 1)[0],
        "lean": abs(numpy.polyfit(columns, field.mean(0), 1)[0]),
        "slope": numpy.median(gradient),
        "edges": numpy.percentile(gradient, 95),
    }
    return {name: numpy.array([float(value)]) for name, value in values.items()}


def _windows(image: Tensor, side: int = WINDOW) -> Array:
    """(C, H, W) -> (N, C, side · side) float64: the windows that fit, side by side."""
    channels, height, width = image.shape
    rows, columns = height // side, width // side
    whole = image[:, : rows * side, : columns * side].double().view(channels, rows, side, columns, side)
    windows: Array = whole.permute(1, 3, 0, 2, 4).reshape(rows * columns, channels, -1).numpy()
    return windows


def _blurred(image: Tensor, sigma: float) -> Tensor:
    reach = int(3 * sigma)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    line = line / line.sum()
    rows = F.conv2d(F.pad(image[:, None], (0, 0, reach, reach), mode="reflect"), line.view(1, 1, -1, 1))
    blurred: Tensor = F.conv2d(F.pad(rows, (reach, reach, 0, 0), mode="reflect"), line.view(1, 1, 1, -1))[:, 0]
    return blurred
