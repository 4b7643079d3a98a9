"""Resampling test images: intervals of means, and whether one method beats another.

Everything is a pure function of its arguments: resampling has a fixed seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Bootstrap samples."""

LEVEL = 0.95
"""Of an interval."""

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@lru_cache(maxsize=4)
def _counts(images: int, draws: int) -> NDArray[np.uint8]:
    """(draws, images) how often each sample has each image; the same for all methods, so that they are paired."""
    generator = np.random.Generator(np.random.PCG64(0))
    counts = np.empty((draws, images), np.uint8)
    for i in range(draws):
        counts[i] = np.bincount(generator.integers(0, images, images), minlength=images)
    return counts


def bootstrap_means(values: Matrix, draws: int = DRAWS) -> Matrix:
    """Means of bootstrap samples of images.

    Args:
        values: (images, columns).
        draws: how many samples.

    Returns:
        (draws, columns).
    """
    counts = _counts(len(values), draws)
    blocks = [counts[i : i + 500].astype(np.float64) @ values for i in range(0, draws, 500)]
    means: Matrix = np.concatenate(blocks) / len(values)
    return means


def interval(means: Matrix, level: float = LEVEL) -> tuple[Vector, Vector]:
    """Lower and upper percentile of bootstrap means, for each column."""
    low, high = np.quantile(np.ascontiguousarray(means.T), [(1 - level) / 2, (1 + level) / 2], axis=-1)
    return low, high


@dataclass(frozen=True)
class Difference:
    """Two methods on the same images, A minus B.

    Attributes:
        images: pairs.
        difference: mean over images of A's score minus B's.
        low: of the paired bootstrap 95 % interval.
        high: likewise.
    """

    images: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison(Difference):
    """A difference, with how sure and how large it is.

    Attributes:
        p: two-sided, of a permutation test: how often a mean is as far from zero if each image's difference may as well
            have the other sign.
        wins: share of the images on which A is better; an equal score counts half.
        effect: the difference in standard deviations of the images' differences; 0 where both are equal everywhere.
    """

    p: float
    wins: float
    effect: float


def difference(a: Mapping[str, float], b: Mapping[str, float], *, draws: int = 10_000) -> Difference:
    """How far apart two methods are on the images that both have; quick, as it computes no p-value.

    Args:
        a: image id -> score.
        b: likewise.
        draws: bootstrap samples.

    Raises:
        ValueError: fewer than two images in common.
    """
    return _difference(_differences(a, b), draws)


def paired(
    a: Mapping[str, float], b: Mapping[str, float], *, higher_is_better: bool, draws: int = 10_000
) -> Comparison:
    """Compare two methods on the images that both have.

    Args:
        a: image id -> score.
        b: likewise.
        higher_is_better: of the metric.
        draws: bootstrap samples, and permutations where there are more.

    Raises:
        ValueError: fewer than two images in common.
    """
    differences = _differences(a, b)
    apart = _difference(differences, draws)
    better = differences > 0 if higher_is_better else differences < 0
    spread = float(differences.std(ddof=1))
    return Comparison(
        apart.images,
        apart.difference,
        apart.low,
        apart.high,
        _p_value(differences, draws),
        float(better.mean() + (differences == 0).mean() / 2),
        apart.difference / spread if spread > 0 else 0.0,
    )


def _differences(a: Mapping[str, float], b: Mapping[str, float]) -> Vector:
    """A's score minus B's, of each image that both have."""
    names = sorted(a.keys() & b.keys())
    if len(names) < 2:
        raise ValueError(f"{len(names)} images in common: at least 2 are needed.")
    return np.array([a[name] - b[name] for name in names])


def _difference(differences: Vector, draws: int) -> Difference:
    low, high = interval(bootstrap_means(differences[:, None], draws)[:, 0])
    return Difference(len(differences), float(differences.mean()), float(low), float(high))


def _p_value(differences: Vector, draws: int) -> float:
    """Two-sided, of a permutation test of a mean of zero: exact for few images."""
    from scipy.stats import permutation_test  # takes half a second, which only comparisons need

    if not differences.any():
        return 1.0
    found = permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=max(1, 2_000_000 // len(differences)),
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values after Holm's correction for all of them together, in the order given.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected
