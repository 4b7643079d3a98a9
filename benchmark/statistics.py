"""What a set of records says: means, spreads, intervals, ranks; and whether one method beats another.

Everything is a pure function of its arguments: resampling has a fixed seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.records import METRICS, Record

DRAWS = 2000
"""Bootstrap samples."""

LEVEL = 0.95
"""Of an interval."""

AVERAGE = "average"
"""Name of the mean over all scored layers."""

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "lmse": False, "mse": False}

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
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


@dataclass(frozen=True)
class Score:
    """One metric of one method on one part (a layer, or the average).

    Attributes:
        mean: over seeds, of the mean over test images.
        std: sample standard deviation over seeds; None for a single one.
        low: of the bootstrap 95 % interval over images.
        high: likewise.
        rank: 1 is best; equal means share one; None where the method is not ranked.
    """

    mean: float
    std: float | None
    low: float
    high: float
    rank: int | None = None

    def text(self, digits: int) -> str:
        """Mean ± standard deviation over seeds; no deviation for a single seed."""
        spread = f" ± {self.std:.{digits}f}" if self.std is not None else ""
        return f"{self.mean:.{digits}f}{spread}"

    def interval(self, digits: int) -> str:
        """The interval over images."""
        return f"{self.low:.{digits}f} … {self.high:.{digits}f}"


@dataclass(frozen=True)
class Line:
    """One method on one data set, over its seeds.

    Attributes:
        records: of its seeds, in their order.
        scores: part (``average``, or a layer) -> metric -> score. A method that does not give all scored layers has
            no average: the mean over fewer layers is not comparable.
        images: test images scored.
        comparable: whether protocol, data and test images are those of most lines of the table; only such lines
            are ranked.
        part: by which the lines of the table are judged: the average or, where one of them does not give all scored
            layers, the first layer, which all of them give.
    """

    records: tuple[Record, ...]
    scores: dict[str, dict[str, Score]]
    images: int
    comparable: bool
    part: str = AVERAGE

    @property
    def first(self) -> Record:
        """For what all seeds share."""
        return self.records[0]

    def score(self, part: str, metric: str) -> Score | None:
        """A score; None where the method does not give that layer."""
        return self.scores.get(part, {}).get(metric)

    def judged(self, metric: str) -> Score:
        """The score by which the line is judged."""
        return self.scores[self.part][metric]


def layer_names(record: Record) -> list[str]:
    """Names of the layers that a record has scores of."""
    return list(record.spec["scored"][: len(record.rows[0][METRICS[0]])])


def is_complete(record: Record) -> bool:
    """Whether a record has scores of all layers that have a truth."""
    return len(layer_names(record)) == len(record.spec["scored"])


def per_image(group: Sequence[Record], metric: str, layers: Sequence[int] | None = None) -> dict[str, float]:
    """Image id -> mean over seeds and layers.

    Args:
        group: records of one method on one data set.
        metric: of the record.
        layers: places of the layers; default all that the records have.
    """
    found: dict[str, list[float]] = {}
    for record in group:
        for row in record.rows:
            values = row[metric]
            chosen = values if layers is None else [values[place] for place in layers]
            found.setdefault(str(row["id"]), []).append(fmean(chosen))
    return {name: fmean(values) for name, values in found.items()}


def _image_columns(group: Sequence[Record], layers: int) -> Matrix:
    """(images, metrics · layers), mean over seeds, images in order of id."""
    sums: dict[str, Vector] = {}
    counts: dict[str, int] = {}
    for record in group:
        for row in record.rows:
            name = str(row["id"])
            values = np.array([row[metric][:layers] for metric in METRICS], np.float64).ravel()
            sums[name] = sums[name] + values if name in sums else values
            counts[name] = counts.get(name, 0) + 1
    return np.stack([sums[name] / counts[name] for name in sorted(sums)])


def _scores(group: tuple[Record, ...]) -> dict[str, dict[str, Score]]:
    names = layer_names(group[0])
    columns = _image_columns(group, len(names))
    low, high = (bounds.reshape(len(METRICS), -1) for bounds in interval(_with_average(columns, len(names))))
    seeds = [[record.layer_means(metric) for metric in METRICS] for record in group]
    parts: dict[str, dict[str, Score]] = {}
    for place, name in enumerate([*names, AVERAGE]):
        if name == AVERAGE and not is_complete(group[0]):
            continue
        parts[name] = {}
        for m, metric in enumerate(METRICS):
            means = [fmean(seed[m]) if name == AVERAGE else seed[m][place] for seed in seeds]
            spread = stdev(means) if len(means) > 1 else None
            parts[name][metric] = Score(fmean(means), spread, float(low[m, place]), float(high[m, place]))
    return parts


def _with_average(columns: Matrix, layers: int) -> Matrix:
    """Bootstrap means (draws, metrics · (layers + 1)): each metric's layers, then their average."""
    means = bootstrap_means(columns).reshape(DRAWS, len(METRICS), layers)
    return np.concatenate([means, means.mean(2, keepdims=True)], 2).reshape(DRAWS, -1)


def _judged_on(group: tuple[Record, ...]) -> tuple[Any, ...]:
    first = group[0]
    return first.protocol, first.data_digest, frozenset(str(row["id"]) for record in group for row in record.rows)


def table(groups: Sequence[tuple[Record, ...]]) -> list[Line]:
    """The lines of one data set, best first; ranks per part and metric, among lines judged on the same images.

    Args:
        groups: for each method its records.
    """
    judged = [_judged_on(group) for group in groups]
    # Most test images, then most lines, then any fixed order: what the table is about.
    norm = max(judged, key=lambda key: (len(key[2]), judged.count(key), str(key[:2]), sorted(key[2])), default=None)
    scores = [_scores(group) for group in groups]
    part = AVERAGE if all(AVERAGE in one for one in scores) else layer_names(groups[0][0])[0]
    lines = [
        Line(group, one, len(key[2]), key == norm, part) for group, one, key in zip(groups, scores, judged, strict=True)
    ]
    return sorted(_ranked(lines), key=_order)


def _ranked(lines: list[Line]) -> list[Line]:
    def key(metric: str, score: Score) -> float:
        return -score.mean if HIGHER_IS_BETTER[metric] else score.mean

    best: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        for part, metrics in line.scores.items():
            for metric, score in metrics.items():
                if line.comparable:
                    best.setdefault((part, metric), []).append(key(metric, score))
    for values in best.values():
        values.sort()

    def rank(line: Line, part: str, metric: str, score: Score) -> Score:
        return replace(score, rank=best[part, metric].index(key(metric, score)) + 1 if line.comparable else None)

    return [
        replace(
            line,
            scores={
                part: {metric: rank(line, part, metric, score) for metric, score in metrics.items()}
                for part, metrics in line.scores.items()
            },
        )
        for line in lines
    ]


def _order(line: Line) -> tuple[Any, ...]:
    """Ranked lines by PSNR, then those of other images."""
    return not line.comparable, -line.judged("psnr").mean, line.first.method


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same images, A minus B.

    Attributes:
        images: pairs.
        difference: mean over images of A's score minus B's.
        low: of the paired bootstrap 95 % interval.
        high: likewise.
        p: two-sided, that a mean so far from zero comes from resampling differences whose mean is zero.
        wins: share of the images on which A is better; an equal score counts half.
        effect: the difference in standard deviations of the images' differences; 0 where both are equal everywhere.
    """

    images: int
    difference: float
    low: float
    high: float
    p: float
    wins: float
    effect: float


def paired(
    a: Mapping[str, float], b: Mapping[str, float], *, higher_is_better: bool, draws: int = 10_000
) -> Comparison:
    """Compare two methods on the images that both have.

    Args:
        a: image id -> score.
        b: likewise.
        higher_is_better: of the metric.
        draws: bootstrap samples.

    Raises:
        ValueError: fewer than two images in common.
    """
    names = sorted(a.keys() & b.keys())
    if len(names) < 2:
        raise ValueError(f"{len(names)} images in common: at least 2 are needed.")
    differences = np.array([a[name] - b[name] for name in names])
    observed = float(differences.mean())
    means = bootstrap_means(differences[:, None], draws)[:, 0]
    low, high = interval(means)
    # Centred on zero, the resampled means show what chance alone gives. One is added on both sides: p is never 0.
    tolerance = 1e-12 + 1e-9 * float(np.abs(differences).max())
    beyond = int((np.abs(means - observed) >= abs(observed) - tolerance).sum())
    better = differences > 0 if higher_is_better else differences < 0
    spread = float(differences.std(ddof=1))
    return Comparison(
        len(names),
        observed,
        float(low),
        float(high),
        (beyond + 1) / (draws + 1),
        float(better.mean() + (differences == 0).mean() / 2),
        observed / spread if spread > 0 else 0.0,
    )


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
