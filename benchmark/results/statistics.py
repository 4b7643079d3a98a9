"""What a set of records says: means, spreads over seeds, intervals over images, ranks.

Everything is a pure function of its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.scales import METRICS, PSNR_CAP, SCALES, Scale
from benchmark.results.records import Record
from benchmark.results.resampling import bootstrap_means, interval

POOLED = "pooled_psnr"
"""PSNR of the mean squared error over all test images: one number for a test set, none for an image."""

MEASURES: dict[str, Scale] = {
    "psnr": SCALES["psnr"],
    POOLED: replace(SCALES["psnr"], name=POOLED, title="pooled PSNR"),
    **{name: scale for name, scale in SCALES.items() if name != "psnr"},
}
"""What tables show, in their order."""


@dataclass(frozen=True)
class Score:
    """One measure of one method, of one layer or of the mean over the target layers.

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


Measured = dict[str, Score]
"""Measure -> score."""


@dataclass(frozen=True)
class Line:
    """One method on one data set, over its seeds, under one protocol.

    Attributes:
        records: of its seeds, in their order.
        protocol: of the table.
        target: means over the target layers, by which the line is judged; empty where it does not give them all.
        layers: of each layer that it gives.
        images: test images scored.
        unlike: why it is not compared with the other lines of the table, in words; empty where it is.
    """

    records: tuple[Record, ...]
    protocol: str
    target: Measured
    layers: dict[str, Measured]
    images: int
    unlike: str = ""

    @property
    def first(self) -> Record:
        """For what all seeds share."""
        return self.records[0]

    @property
    def ranked(self) -> bool:
        """Whether it has a place among the lines of its table."""
        return not self.unlike and bool(self.target)

    def score(self, layer: str, measure: str) -> Score | None:
        """A score of a layer; None where the method does not give it."""
        return self.layers.get(layer, {}).get(measure)

    def judged(self, measure: str) -> Score | None:
        """The score by which the line is judged; None where it does not give every target layer."""
        return self.target.get(measure)


class _Judged(NamedTuple):
    """What two lines must share to be compared."""

    images: frozenset[str]
    target: tuple[str, ...]
    data: str
    made_by: str
    metrics: str


@lru_cache(maxsize=256)
def _names(ids: tuple[str, ...]) -> frozenset[str]:
    """The same object for the same images: comparing it with itself costs nothing."""
    return frozenset(ids)


def target_layers(record: Record) -> tuple[str, ...]:
    """Names of the layers that the task is for and that have a truth in the test set."""
    return tuple(layer for layer in record.spec["target"] if layer in record.spec["scored"])


def _judged_on(group: Sequence[Record]) -> _Judged:
    first = group[0]
    if all(record.ids == first.ids for record in group):
        images = _names(first.ids)
    else:
        images = frozenset.intersection(*(_names(record.ids) for record in group))
    identities = first.identities
    return _Judged(
        images, target_layers(first), first.data_digest, identities.get("data", ""), identities.get("metrics", "")
    )


def _unlike(judged: _Judged, norm: _Judged) -> str:
    """Why a line is not compared with those that a table is about, in words."""
    if judged.images != norm.images:
        return f"it was judged on {len(judged.images)} other images, not on the {len(norm.images)} of this table"
    if judged.target != norm.target:
        return f"its task is for {' and '.join(judged.target) or 'no layer'}, not for {' and '.join(norm.target)}"
    if judged.data != norm.data:
        return "its test data have other contents"
    if judged.made_by != norm.made_by:
        return f"its data are of {judged.made_by}, the others' of {norm.made_by}"
    return f"its scores are of {judged.metrics}, the others' of {norm.metrics}" if judged != norm else ""


def of_one_kind(group: Sequence[Record]) -> str:
    """Why records of one method's seeds do not belong together, in words; empty where they do."""
    for part in sorted({name for record in group for name in record.identities}):
        found = sorted({record.identities.get(part, "none") for record in group})
        if len(found) > 1:
            return f"its seeds are of {' and '.join(found)}"
    if len({record.data_digest for record in group}) > 1:
        return "its seeds were judged on unlike data"
    if len({record.layers for record in group}) > 1:
        return "its seeds give unlike layers"
    return ""


def per_image(
    group: Sequence[Record], metric: str, layers: Sequence[str] | None = None, protocol: str | None = None
) -> dict[str, float]:
    """Image id -> mean over seeds and layers, of the images that all seeds have.

    Args:
        group: records of one method on one data set.
        metric: of the records.
        layers: names; default the target layers that the records have.
        protocol: full name; default the first record's own.
    """
    names, protocol = _shared(group), protocol or group[0].protocol
    values = _values(group, names, metric, protocol)
    places = [group[0].layers.index(layer) for layer in (group[0].targets if layers is None else layers)]
    means = values[:, :, places].mean((0, 2))
    return dict(zip(names, map(float, means), strict=True))


def _shared(group: Sequence[Record], norm: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Images that all records have, in the order of ``norm`` where these are the same, else of the first record."""
    first = group[0].ids
    if all(record.ids == first for record in group):
        shared = first
    else:
        common = frozenset.intersection(*(_names(record.ids) for record in group))
        shared = tuple(name for name in first if name in common)
    return norm if norm is not None and _names(norm) == _names(shared) else shared


def _values(group: Sequence[Record], names: tuple[str, ...], metric: str, protocol: str) -> NDArray[np.float64]:
    """(seeds, images, layers) of what all records have."""
    count = min(len(record.layers) for record in group)
    parts = []
    for record in group:
        values = record.values(metric, protocol)[:, :count]
        if record.ids != names:
            place = {name: i for i, name in enumerate(record.ids)}
            values = values[[place[name] for name in names]]
        parts.append(values)
    return np.stack(parts)


def _decibel(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSNR of mean squared errors."""
    found: NDArray[np.float64] = np.minimum(PSNR_CAP, -10 * np.log10(np.maximum(errors, 1e-30)))
    return found


def _scores(
    group: Sequence[Record], names: tuple[str, ...], protocol: str, target: Sequence[str]
) -> tuple[Measured, dict[str, Measured]]:
    """Scores of the mean over the target layers, and of each layer."""
    values = {metric: _values(group, names, metric, protocol) for metric in METRICS}
    seeds, images, count = values["mse"].shape
    layers = group[0].layers[:count]
    of_seeds = {metric: of.mean(1) for metric, of in values.items()}  # (seeds, layers)
    columns = [of.mean(0) for of in values.values()]
    # Pooling is no mean over images: each seed's error is resampled, and then turned into decibels.
    columns.append(values["mse"].transpose(1, 0, 2).reshape(images, -1))
    drawn = bootstrap_means(np.concatenate(columns, 1))
    draws = {metric: drawn[:, m * count : (m + 1) * count] for m, metric in enumerate(METRICS)}
    of_seeds[POOLED] = _decibel(of_seeds["mse"])
    draws[POOLED] = _decibel(drawn[:, len(METRICS) * count :]).reshape(-1, seeds, count).mean(1)
    # Layers make up parts: each layer alone, and the target layers together.
    parts = np.eye(count)
    places = [layers.index(layer) for layer in target] if set(target) <= set(layers) else []
    if len(places) > 1:
        parts = np.concatenate([parts, np.isin(np.arange(count), places)[:, None] / len(places)], 1)
    means = np.stack([of_seeds[measure] for measure in MEASURES]) @ parts  # (measures, seeds, parts)
    low, high = interval(np.concatenate([draws[measure] @ parts for measure in MEASURES], 1))
    spread = means.std(1, ddof=1) if seeds > 1 else np.full_like(means[:, 0], np.nan)
    shape = len(MEASURES), parts.shape[1]
    numbers = zip(*(of.reshape(shape).T.tolist() for of in (means.mean(1), spread, low, high)), strict=True)
    measured = [
        {
            measure: Score(mean, std if seeds > 1 else None, lower, upper)
            for measure, mean, std, lower, upper in zip(MEASURES, *part, strict=True)
        }
        for part in numbers
    ]
    by_layer = dict(zip(layers, measured, strict=False))
    if len(places) > 1:
        return measured[-1], by_layer
    return (by_layer[target[0]] if places else {}), by_layer


def own_protocol(groups: Sequence[Sequence[Record]]) -> str:
    """The protocol of a data set's task, as most of its records have it."""
    own = [group[0].protocol for group in groups]
    return max(own, key=lambda name: (own.count(name), name))


def protocols(groups: Sequence[Sequence[Record]]) -> list[str]:
    """All protocols that any of a data set's records is stored under, the task's own first."""
    own = own_protocol(groups)
    found = dict.fromkeys(name for group in groups for name in group[0].scores.protocols)
    return [own, *(name for name in found if name != own)]


def table(groups: Sequence[tuple[Record, ...]], protocol: str | None = None) -> list[Line]:
    """The lines of one data set under one protocol, best first.

    Lines are ranked by the mean over the target layers, and layer by layer, among those that were judged on the same
    images by the same metrics.

    Args:
        groups: for each method its records.
        protocol: full name; default the task's own.
    """
    if not groups:
        return []
    shown = protocol or own_protocol(groups)
    judged = [_judged_on(group) for group in groups]
    # Most test images, then most lines, then any fixed order: what the table is about.
    norm = max(judged, key=lambda key: (len(key.images), judged.count(key), key[1:], sorted(key.images)))
    order = next(_shared(group) for group, key in zip(groups, judged, strict=True) if key == norm)
    lines = []
    for group, key in zip(groups, judged, strict=True):
        names = _shared(group, order)
        stored = all(shown in record.scores.protocols for record in group)
        unlike = of_one_kind(group) or _unlike(key, norm)
        target: Measured = {}
        layers: dict[str, Measured] = {}
        if not stored:
            unlike = f"it has no scores under {shown}, only under {', '.join(group[0].scores.protocols)}"
        elif names:
            target, layers = _scores(group, names, shown, key.target)
        lines.append(Line(group, shown, target, layers, len(names), unlike))
    return sorted(_ranked(lines), key=_order)


def _ranked(lines: list[Line]) -> list[Line]:
    def key(measure: str, score: Score) -> float:
        return -score.mean if MEASURES[measure].higher_is_better else score.mean

    best: dict[tuple[str | None, str], list[float]] = {}
    for line in lines:
        for part, measured in _parts(line):
            for measure, score in measured.items():
                if not line.unlike:
                    best.setdefault((part, measure), []).append(key(measure, score))
    for values in best.values():
        values.sort()

    def ranks(line: Line, part: str | None, measured: Measured) -> Measured:
        if line.unlike:
            return measured
        return {
            measure: replace(score, rank=best[part, measure].index(key(measure, score)) + 1)
            for measure, score in measured.items()
        }

    return [
        replace(
            line,
            target=ranks(line, None, line.target),
            layers={layer: ranks(line, layer, measured) for layer, measured in line.layers.items()},
        )
        for line in lines
    ]


def _parts(line: Line) -> list[tuple[str | None, Measured]]:
    return [(None, line.target), *line.layers.items()]


def _order(line: Line) -> tuple[Any, ...]:
    """Ranked lines by PSNR, then those that do not give every target layer, then those of other images."""
    score = line.judged("psnr")
    return bool(line.unlike), score is None, -score.mean if score else 0.0, line.first.method
