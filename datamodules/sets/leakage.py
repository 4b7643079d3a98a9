"""Training photographs that are test images too, found by what they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy
from PIL import Image

from datamodules.pictures.images import open_photograph

Array = numpy.ndarray

SMALLEST_PART = 0.45
"""Shorter side of a cut copy, in units of the whole picture's, down to which it is found."""

_CELLS = 8
"""Cells along each side of a thumbnail."""
_STEP = 1.15
"""From one size of window to the next."""
_ALIKE = 0.9
"""Correlation of two thumbnails above which the pictures are compared in detail; copies have at least 0.91."""
_DETAIL = 32
"""Pixels along each side of two squares that are compared in detail."""
_SLACK = 3
"""How far, in such pixels, a window may lie beside the copy."""
_SCALES = (1.0, 0.975, 1.025, 0.95, 1.05)
"""How much larger than a window the copy may be."""
_FINE_SCALES, _FINE_SHIFTS = (1.0, 0.988, 1.012, 0.994, 1.006), (-0.5, 0.0, 0.5)
"""Likewise, and the shifts in pixels, once it is nearly found."""
_NEARLY, _SAME, _SAME_SHADES = 0.3, 0.68, 0.8
"""Correlations of local detail, before and after the last fit, and of grey values, above which two squares show the
same. Among BSDS500's pictures no two reach 0.55 after the fit; of 200 of its pictures that were cut to parts, mirrored,
resized and saved as JPEG of quality 40 to 90, all but three have at least 0.78."""
_NOISE = 3.0
"""Local contrast, of 255, below which there is no detail."""

_FLIPS = tuple((slice(None, None, down), slice(None, None, right)) for down in (1, -1) for right in (1, -1))


class _Version(NamedTuple):
    """A file as it is now: when it was changed, and its length."""

    path: Path
    changed: int
    length: int


def _version(path: Path) -> _Version:
    state = path.stat()
    return _Version(path, state.st_mtime_ns, state.st_size)


class _Signature(NamedTuple):
    """What is compared of a picture.

    Attributes:
        grey: the picture, its shorter side at most 128 pixels.
        squares: (4, 64) thumbnails of the largest square in the middle, mirrored in each way, normalised.
        middle: (32, 32) picture of that square.
        detail: (32, 32) its local detail.
    """

    grey: Image.Image
    squares: Array
    middle: Array
    detail: Array


def overlapping(training: Sequence[Path], test: Iterable[Path]) -> dict[Path, Path]:
    """Which training photographs show the same as a test image.

    Found are copies under any name, resized, recompressed, mirrored along either side, brighter or darker, and
    parts of one another whose shorter side is at least ``SMALLEST_PART`` of the whole's. Thumbnails of the square in
    the middle of each picture are looked for in all places and sizes of the other; what is alike is compared
    in detail. A part with hardly any texture may be missed. Copies that were turned by a right angle are not found,
    nor, as a rule, is the same place photographed anew: a split file leaves such pictures out by name.

    Args:
        training: photographs that one would train on.
        test: clean test images.

    Returns:
        Training photograph -> the test image that it shows.

    Raises:
        UserError: an image that cannot be decoded.
    """
    tests = list(dict.fromkeys(test))
    if not training or not tests:
        return {}
    return dict(_found(tuple(map(_version, training)), tuple(map(_version, tests))))


@lru_cache(maxsize=16)
def _found(training: tuple[_Version, ...], test: tuple[_Version, ...]) -> dict[Path, Path]:
    """What ``overlapping`` returns; worked out once in a process for the same files."""
    tests = [version.path for version in test]
    known = [_signature(version) for version in test]
    squares = numpy.concatenate([one.squares for one in known])
    found: dict[Path, Path] = {}
    mine = {version.path: _signature(version) for version in training}
    for path, signature in mine.items():
        for other, flip, box in _alike(signature.grey, squares):
            if _same(signature.grey, box, known[other], flip):
                found[path] = tests[other]
                break
    rest = [path for path in mine if path not in found]  # of which a test image may show more than they do
    squares = numpy.concatenate([mine[path].squares for path in rest]) if rest else squares[:0]
    for path, signature in zip(tests, known, strict=True):
        for other, flip, box in _alike(signature.grey, squares):
            if rest[other] not in found and _same(signature.grey, box, mine[rest[other]], flip):
                found[rest[other]] = path
    return {path: found[path] for path in mine if path in found}


def _alike(whole: Image.Image, squares: Array) -> list[tuple[int, int, tuple[float, ...]]]:
    """Squares that a picture may hold: which picture's, mirrored how, and where; the most alike first.

    Args:
        whole: the picture.
        squares: (4·M, 64) thumbnails of M pictures, mirrored in each way.
    """
    if not len(squares):
        return []
    windows, boxes = _windows(whole)
    correlation = squares @ windows.T
    best = correlation.argmax(1)
    value = correlation[numpy.arange(len(squares)), best]
    candidates = sorted(numpy.flatnonzero(value > _ALIKE).tolist(), key=lambda i: -float(value[i]))
    return [(i // len(_FLIPS), i % len(_FLIPS), tuple(boxes[best[i]].tolist())) for i in candidates]


@lru_cache(maxsize=4096)
def _signature(version: _Version) -> _Signature:
    """A picture's signature, made once in a process."""
    grey = open_photograph(version.path, 4 * _CELLS * 4).convert("L")
    middle = _middle(grey, _CELLS)
    squares = _normalised(numpy.stack([middle[flip] for flip in _FLIPS]).reshape(len(_FLIPS), -1))
    large = _middle(grey, _DETAIL)
    return _Signature(grey, squares, large, _detail(large))


def _windows(grey: Image.Image) -> tuple[Array, Array]:
    """Thumbnails, normalised, of the squares all over a picture, and their boxes.

    Sides go from the picture's shorter one down to ``SMALLEST_PART`` of it, places are half a cell apart.

    Returns:
        (N, 64) thumbnails, and (N, 4) left, top, width and height in pixels.
    """
    width, height = grey.size
    shorter = min(width, height)
    thumbnails, boxes, size = [], [], 1.0
    while size >= SMALLEST_PART / _STEP**0.5:
        cell = size * shorter / _CELLS  # in pixels
        across, down = (max(2 * _CELLS, round(2 * side / cell)) for side in (width, height))
        halves = _resized(grey, across, down)
        cells = (halves[1:, 1:] + halves[1:, :-1] + halves[:-1, 1:] + halves[:-1, :-1]) / 4
        view = numpy.lib.stride_tricks.sliding_window_view(cells, (2 * _CELLS - 1,) * 2)[:, :, ::2, ::2]
        thumbnails.append(view.reshape(-1, _CELLS**2))
        rows, columns = numpy.divmod(numpy.arange(len(thumbnails[-1])), view.shape[1])
        one, other = width / across, height / down
        sides = numpy.full(len(rows), 2.0 * _CELLS)
        boxes.append(numpy.stack([columns * one, rows * other, sides * one, sides * other], 1))
        size /= _STEP
    return _normalised(numpy.concatenate(thumbnails)), numpy.concatenate(boxes)


def _same(whole: Image.Image, box: tuple[float, ...], part: _Signature, flip: int) -> bool:
    """Whether a picture, mirrored, is to be seen in about a window of another."""
    wanted = part.detail[_FLIPS[flip]]
    best = _Fit(-1.0, box)
    for scale in _SCALES:
        best = max(best, _fit(whole, box, scale, _SLACK, wanted))
        if best.detail < _NEARLY / 2:
            return False  # a copy of slightly another size would be better than that
    if best.detail < _NEARLY:
        return False
    left, top, width, height = best.box
    for down in _FINE_SHIFTS:
        for right in _FINE_SHIFTS:
            moved = left + right * width / _DETAIL, top + down * height / _DETAIL, width, height
            if best.detail < _SAME:
                best = max(best, *(_fit(whole, moved, scale, 0, wanted) for scale in _FINE_SCALES))
    if best.detail < _SAME:
        return False
    left, top, width, height = best.box
    seen = _resized(whole, _DETAIL, _DETAIL, (left, top, left + width, top + height))
    return float(_correlations(seen, part.middle[_FLIPS[flip]])[0, 0]) > _SAME_SHADES


class _Fit(NamedTuple):
    """How well a square fits: the correlation of its detail, and where."""

    detail: float
    box: tuple[float, ...]


def _fit(whole: Image.Image, box: tuple[float, ...], scale: float, slack: int, wanted: Array) -> _Fit:
    """The best place for a square about a window, ``slack`` pixels to each side, at one size.

    Args:
        whole: the picture of the window.
        box: left, top, width and height of the window.
        scale: of the square, in units of the window's.
        slack: in the square's pixels.
        wanted: (32, 32) the square's detail.
    """
    left, top, width, height = box
    across, down = width * scale, height * scale
    reach = 0.5 + slack / _DETAIL
    column, row = left + width / 2, top + height / 2
    start = max(0.0, column - across * reach), max(0.0, row - down * reach)
    stop = min(float(whole.width), column + across * reach), min(float(whole.height), row + down * reach)
    columns = round((stop[0] - start[0]) / across * _DETAIL)
    rows = round((stop[1] - start[1]) / down * _DETAIL)
    if min(columns, rows) < _DETAIL:
        return _Fit(-1.0, box)
    found = _correlations(_detail(_resized(whole, columns, rows, (*start, *stop))), wanted)
    y, x = divmod(int(found.argmax()), found.shape[1])
    one, other = (stop[0] - start[0]) / columns, (stop[1] - start[1]) / rows
    return _Fit(float(found[y, x]), (start[0] + x * one, start[1] + y * other, _DETAIL * one, _DETAIL * other))


def _correlations(image: Array, wanted: Array) -> Array:
    """Of a square with all squares of its size in an image, without its rim of 3 pixels."""
    rim = slice(3, -3)
    view = numpy.lib.stride_tricks.sliding_window_view(image, wanted.shape)[..., rim, rim]
    inner = wanted[rim, rim] - wanted[rim, rim].mean()
    mean, square = view.mean((2, 3)), (view * view).mean((2, 3))
    spread = numpy.sqrt(numpy.maximum(square - mean * mean, 0) * inner.size) * numpy.linalg.norm(inner)
    product: Array = numpy.einsum("abij,ij->ab", view, inner)
    correlation: Array = product / numpy.maximum(spread, 1e-3)
    return correlation


def _detail(image: Array) -> Array:
    """What differs from the neighbourhood, in units of the local contrast: an edge counts no more than texture."""
    difference = image - _mean(image, 2)
    contrast = numpy.sqrt(numpy.maximum(_mean(difference * difference, 3), 0))
    detail: Array = difference / (contrast + _NOISE)
    return detail


def _mean(image: Array, reach: int) -> Array:
    """Mean of the square around each pixel, ``reach`` pixels to each side; the border is repeated."""
    side = 2 * reach + 1
    rows, columns = (numpy.arange(-reach, extent + reach).clip(0, extent - 1) for extent in image.shape)
    total = numpy.zeros((len(rows) + 1, len(columns) + 1))
    total[1:, 1:] = image[rows[:, None], columns]
    numpy.cumsum(total, 0, out=total)
    numpy.cumsum(total, 1, out=total)
    mean: Array = (total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]) / side**2
    return mean


def _normalised(thumbnails: Array) -> Array:
    """(N, 64) of mean 0 and length 1; 0 where there is nothing to see."""
    centred = thumbnails - thumbnails.mean(1, keepdims=True)
    length = numpy.linalg.norm(centred, axis=1, keepdims=True)
    normalised: Array = centred / numpy.maximum(length, 1e-6) * (length > 2)
    return normalised.astype(numpy.float32)


def _middle(image: Image.Image, size: int) -> Array:
    """(size, size) picture of the largest square around the middle."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resized(image, size, size, (left, top, left + side, top + side))


def _resized(
    image: Image.Image, width: int, height: int, box: tuple[float, float, float, float] | None = None
) -> Array:
    extent = image.width if box is None else box[2] - box[0]
    how = Image.Resampling.BOX if width < extent else Image.Resampling.BILINEAR
    return numpy.asarray(image.resize((width, height), how, box=box), dtype=numpy.float32)
