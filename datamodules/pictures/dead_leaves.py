"""Dead leaves: generated pictures with the statistics of photographs, for training without any."""

from __future__ import annotations

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.pictures.fields import octave_noise


def dead_leaves(generator: torch.Generator, size: int, *, textured: bool = True) -> Tensor:
    """Discs of power-law radii that occlude one another, each filled with colour and texture.

    Radii have the density r^−3 between size / 40 and size / 2. A fill is a colour, a slow gradient, a
    grating of random direction and period, and multi-octave noise, each of random strength.

    Args:
        generator: where the numbers come from.
        size: side in pixels.
        textured: False for flat fills.

    Returns:
        (3, size, size) in [0, 1].

    Source: Lee, Mumford & Huang, IJCV 2001 (occlusion, r^−3); Baradad et al., NeurIPS 2021 (textured fills
        to train on).
    """
    count = 300
    numbers = torch.rand(14, count, generator=generator).numpy()
    smallest, largest = max(1.5, size / 40), size / 2
    radius = 1 / numpy.sqrt(smallest**-2 - numbers[0] * (smallest**-2 - largest**-2))
    radius[0] = 2 * size  # the ground behind them all
    rows, columns = (numbers[1:3] * (size + 2 * smallest)) - smallest
    leaf = _visible(rows, columns, radius, size)
    axis = numpy.arange(size, dtype=numpy.float32)
    colours = _colours(numbers[3:6])
    picture = colours[:, leaf]
    if textured:
        angle, period, phase = 2 * numpy.pi * numbers[6], 2 + 30 * numbers[7] ** 2, 2 * numpy.pi * numbers[8]
        waves = numpy.stack([numpy.cos(angle), numpy.sin(angle)]) * 2 * numpy.pi / period
        grating = waves[0][leaf] * axis[:, None] + waves[1][leaf] * axis[None] + phase[leaf]
        strength = 0.15 * numbers[9] * (numbers[10] < 0.4)
        noise = octave_noise(generator, size, size, coarsest=8, persistence=0.8)[0].numpy() - 0.5
        slope = (numbers[11:13] - 0.5) * 0.6 / size
        shade = (
            strength[leaf] * numpy.sin(grating)
            + (0.5 * numbers[13])[leaf] * noise
            + slope[0][leaf] * (axis[:, None] - rows[leaf])
            + slope[1][leaf] * (axis[None] - columns[leaf])
        )
        picture = picture + shade
    return _soften(torch.from_numpy(picture.astype(numpy.float32)).clamp(0, 1))


def _visible(rows: numpy.ndarray, columns: numpy.ndarray, radius: numpy.ndarray, size: int) -> numpy.ndarray:
    """Which of some discs is seen at each pixel: the last one that covers it.

    All discs are laid at once, as spans of their rows and then as pixels: one at a time took five times as long.

    Args:
        rows: (N,) of the discs' centres.
        columns: (N,) of the discs' centres.
        radius: (N,); the first disc covers everything.
        size: side of the picture.

    Returns:
        (size, size) numbers of discs.
    """
    top, bottom = numpy.ceil(rows - radius).clip(0), numpy.floor(rows + radius).clip(max=size - 1)
    disc, y = _each(top.astype(int), bottom.astype(int))
    half = numpy.sqrt((radius[disc] ** 2 - (y - rows[disc]) ** 2).clip(0))
    half[disc == 0] = -1  # the first need not be laid
    left, right = numpy.ceil(columns[disc] - half).clip(0), numpy.floor(columns[disc] + half).clip(max=size - 1)
    span, x = _each(left.astype(int), right.astype(int))
    leaf = numpy.zeros(size * size, dtype=numpy.int64)
    leaf[y[span] * size + x] = disc[span]  # in order: where an index comes again, the last one stays
    return leaf.reshape(size, size)


def _each(first: numpy.ndarray, last: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The numbers from first[i] to last[i], for all i: which i, and the number."""
    count = (last - first + 1).clip(0)
    which = numpy.repeat(numpy.arange(len(first)), count)
    return which, numpy.arange(len(which)) - numpy.repeat(count.cumsum() - count - first, count)


def product_picture(generator: torch.Generator, size: int, kind: str) -> Tensor:
    """A textured object on white, as in a shop's catalogue.

    Args:
        generator: where the numbers come from.
        size: side in pixels.
        kind: ``shoe`` (a long low body with a heel and a toe) or ``handbag`` (a box that tapers, with a handle).

    Returns:
        (3, size, size) in [0, 1].
    """
    u = torch.rand(8, generator=generator).tolist()
    axis = torch.linspace(-1, 1, size)
    y, x = axis.view(-1, 1), axis.view(1, -1)
    if kind == "shoe":
        length, height = 0.65 + 0.2 * u[0], 0.22 + 0.15 * u[1]
        sole = ((x / length) ** 4 + ((y - 0.3) / height) ** 4) <= 1
        shaft_height = 0.25 + 0.5 * u[2]
        shaft = (((x + 0.5 * length) / (0.3 * length + 0.1)) ** 4 + ((y - 0.2) / shaft_height) ** 4 <= 1) & (y < 0.4)
        opening = ((x + 0.5 * length) / (0.2 * length)) ** 2 + ((y - 0.2 + shaft_height) / 0.1) ** 2 <= 1
        shape = (sole | shaft) & ~opening
    else:
        width, height = 0.5 + 0.25 * u[0], 0.35 + 0.2 * u[1]
        taper = 1 - 0.3 * u[2] * (0.2 + height - y)
        body = (((x / taper) / width) ** 6 + ((y - 0.3) / height) ** 6) <= 1
        ring = ((x / (0.6 * width)) ** 2 + ((y - 0.3 + height) / (0.3 + 0.25 * u[3])) ** 2).sqrt()
        shape = body | (((ring - 1).abs() < 0.08 + 0.08 * u[4]) & (y < 0.3))
    white = 1 - 0.04 * u[5] * axis.view(-1, 1).abs()
    fill = dead_leaves(generator, size)
    # A catalogue's object has one dominant colour.
    colour = torch.from_numpy(_colours(torch.rand(3, 1, generator=generator).numpy())).view(3, 1, 1).float()
    fill = 0.3 * fill + 0.7 * colour * (0.7 + 0.6 * fill.mean(0, keepdim=True))
    return _soften(torch.where(shape, fill.clamp(0, 1), white))


def _soften(picture: Tensor) -> Tensor:
    """Edges as a lens would show them: the binomial filter (1, 4, 1) / 6 along both sides."""
    across = F.pad(picture, (1, 1, 0, 0), mode="replicate")
    picture = (across[..., :-2] + 4 * across[..., 1:-1] + across[..., 2:]) / 6
    down = F.pad(picture, (0, 0, 1, 1), mode="replicate")
    return (down[..., :-2, :] + 4 * down[..., 1:-1, :] + down[..., 2:, :]) / 6


def _colours(numbers: numpy.ndarray) -> numpy.ndarray:
    """(3, N) colours of moderate saturation from (3, N) uniform numbers: hue, saturation, brightness."""
    hue, saturation, value = numbers[0] * 6, 0.8 * numbers[1] ** 1.5, 0.08 + 0.9 * numbers[2]
    wheel = numpy.stack([numpy.abs(hue - 3) - 1, 2 - numpy.abs(hue - 2), 2 - numpy.abs(hue - 4)]).clip(0, 1)
    colours: numpy.ndarray = value * (1 - saturation * (1 - wheel))
    return colours
