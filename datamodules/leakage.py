"""Training photographs that are test images too, found by what they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy
from PIL import Image

from datamodules.images import open_photograph

_CELLS = 16
_ALIKE = 6.0
"""Mean difference of two thumbnails, of 255, below which the photographs are compared in full."""
_SAME = 4.0
"""Mean difference, of 255, below which two crops show the same photograph; JPEG costs some 2."""


def overlapping(training: Sequence[Path], test: Iterable[Path]) -> dict[Path, Path]:
    """Which training photographs show the same as a test image.

    A photograph is compared with a test image of about its size, or a crop of it that lost a few
    pixels at the edges: first as grey thumbnails, then pixel by pixel at the offset that fits best.
    Names are not looked at. A copy that was cut to a part, or mirrored, is not found.

    Args:
        training: photographs that one would train on.
        test: clean test images.

    Returns:
        Training photograph -> the test image that it shows.

    Raises:
        UserError: an image that cannot be decoded.
    """
    test = list(test)
    if not training or not test:
        return {}
    thumbnails = numpy.stack([_thumbnail(path) for path in test])
    found = {}
    for path in training:
        difference = numpy.abs(thumbnails - _thumbnail(path)).mean((1, 2))
        for i in numpy.flatnonzero(difference < _ALIKE):
            if _shows_the_same(path, test[i]):
                found[path] = test[i]
                break
    return found


def _thumbnail(path: Path) -> numpy.ndarray:
    grey = open_photograph(path, 4 * _CELLS).convert("L")
    return numpy.asarray(grey.resize((_CELLS, _CELLS), Image.Resampling.BOX), dtype=numpy.float32)


def _shows_the_same(training: Path, test: Path) -> bool:
    one, other = (numpy.asarray(open_photograph(path).convert("L"), dtype=numpy.float32) for path in (training, test))
    if one.shape[0] < other.shape[0] or one.shape[1] < other.shape[1]:
        one, other = other, one
    down, right = (a - b for a, b in zip(one.shape, other.shape, strict=True))
    if min(down, right) < 0 or max(down, right) > 8:
        # Sizes differ by more than a trimmed edge: a resized copy is as good as the original.
        height, width = min(one.shape[0], other.shape[0]), min(one.shape[1], other.shape[1])
        one, other = (
            numpy.asarray(Image.fromarray(each).resize((width // 4, height // 4), Image.Resampling.BOX))
            for each in (one, other)
        )
        return bool(numpy.abs(one - other).mean() < 2 * _SAME)
    height, width = other.shape
    return any(
        numpy.abs(one[y : y + height, x : x + width] - other).mean() < _SAME
        for y in range(down + 1)
        for x in range(right + 1)
    )
