"""Is one method better than another, by how much, and is that more than noise?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.errors import UserError, unknown
from benchmark.metrics.scales import SCALES
from benchmark.results import checks, collection
from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.resampling import Comparison, holm, paired
from benchmark.results.statistics import of_one_kind, per_image

Groups = dict[tuple[str, str], list[Record]]
"""(suite, data set) -> records of one method, one for each seed."""


@dataclass(frozen=True)
class Line:
    """Two methods on one data set.

    Attributes:
        suite: of both.
        dataset: of both.
        layers: that were compared: the target layers that both have scores of, or the one that was asked for.
        protocol: under which.
        result: A minus B, over images; scores are means over seeds.
        corrected: p-value after Holm's correction for all lines together.
        seeds: how many A and B have.
        seed_noise: standard error over seeds of the difference of means; None where one of them has one seed.
        left_out: images that only one of the two has.
    """

    suite: str
    dataset: str
    layers: tuple[str, ...]
    protocol: str
    result: Comparison
    corrected: float
    seeds: tuple[int, int]
    seed_noise: float | None
    left_out: int


def between(
    a: str,
    b: str,
    runs: Path,
    console: Console,
    *,
    suite: str | None = None,
    metric: str = "psnr",
    protocol: str | None = None,
    layer: str | None = None,
) -> None:
    """Compare two methods of which there are records, and print how they differ.

    Args:
        a: a method's name in records, or a folder of its records.
        b: likewise.
        runs: folder of this machine's runs; what is published counts as well.
        console: to print on.
        suite: only of this one; default every suite that has both.
        metric: that is compared.
        protocol: such as ``y`` or ``rgb@1``; default each task's own.
        layer: such as ``reflection``; default those that each task is for.

    Raises:
        UserError: an unknown method, or records that cannot be compared.
    """
    found = collection.collect(collection.folders_of(collection.COMMITTED, runs))
    one, other = (_chosen(name, found, suite) for name in (a, b))
    if protocol is not None:
        every = [record for groups in (one, other) for group in groups.values() for record in group]
        protocol = collection.stored_protocol(protocol, every)
    show(one, other, compare(one, other, metric, protocol, layer), metric, console)


def _chosen(name: str, found: Sequence[Found], suite: str | None) -> Groups:
    """The records that a name or a folder means."""
    folder = Path(name)
    if folder.is_dir():
        found = collection.collect([folder]) or [
            Found(record, path, False) for path in sorted(folder.rglob("seed*.json")) for record in [checks.read(path)]
        ]
        if len({one.record.method for one in found}) > 1:
            several = ", ".join(sorted({one.record.method for one in found}))
            raise UserError(f"{name}: it has records of {several}: name one method's folder.")
        if not found:
            raise UserError(f"{name}: no records in it.")
    else:
        names = {one.record.method for one in found}
        if not names:
            raise UserError("no records yet: run `unblend bench SUITE` first.")
        if name not in names:
            raise unknown("method in records", name, names)
        found = [one for one in found if one.record.method == name]
    groups: Groups = {}
    for one in found:
        groups.setdefault((one.record.suite, one.record.dataset), []).append(one.record)
    if suite is not None:
        inside = {key: group for key, group in groups.items() if key[0] == suite}
        if not inside:
            raise UserError(
                f"{name} has no records of suite {suite}: it has {', '.join(sorted({k[0] for k in groups}))}."
            )
        return inside
    return groups


def compare(
    a: Groups, b: Groups, metric: str = "psnr", protocol: str | None = None, layer: str | None = None
) -> list[Line]:
    """Compare two methods on each data set that both have, and correct for their number.

    Args:
        a: records of one method.
        b: of the other.
        metric: of the records.
        protocol: full name; data sets that are not stored under it are left out. Default each task's own.
        layer: name; data sets without it are left out. Default those that each task is for.

    Raises:
        UserError: they share no suite or data set, nothing that they share has the protocol or the layer, or they were
            judged by unlike protocols or on unlike data.
    """
    shared = sorted(a.keys() & b.keys())
    if not shared:
        suites = [sorted({suite for suite, _ in groups}) for groups in (a, b)]
        if not set(suites[0]) & set(suites[1]):
            raise UserError(
                f"their suites differ: {', '.join(suites[0])} and {', '.join(suites[1])}; run both in the same suite."
            )
        datasets = [sorted({dataset for _, dataset in groups}) for groups in (a, b)]
        raise UserError(f"their data sets differ: {', '.join(datasets[0])} and {', '.join(datasets[1])}.")
    if protocol is not None:
        stored = {key: _both([record.scores.protocols for record in (*a[key], *b[key])]) for key in shared}
        shared = _having("protocol", protocol, stored)
    if layer is not None:
        layers = {key: _both([record.layers for record in (*a[key], *b[key])]) for key in shared}
        shared = _having("layer", layer, layers)
    lines = [(key, *_one(a[key], b[key], metric, protocol, layer)) for key in shared]
    corrected = holm([result.p for _, result, *_ in lines])
    return [
        Line(*key, layers, used, result, p, (len(a[key]), len(b[key])), noise, left_out)
        for (key, result, layers, used, noise, left_out), p in zip(lines, corrected, strict=True)
    ]


def _both(found: Sequence[Sequence[str]]) -> list[str]:
    """What all have, in the first one's order."""
    return [name for name in found[0] if all(name in other for other in found)]


def _having(kind: str, name: str, found: dict[tuple[str, str], list[str]]) -> list[tuple[str, str]]:
    """The data sets that have a protocol or a layer."""
    left = [key for key, names in found.items() if name in names]
    if not left:
        known = ", ".join(dict.fromkeys(one for names in found.values() for one in names)) or "none"
        raise UserError(f"{kind} {name}: nothing that both have scores of has it; they share {known}.")
    return left


@dataclass(frozen=True)
class Sides:
    """The scores of two methods on one data set, beside each other.

    Attributes:
        where: suite and data set, for messages.
        layers: that both have scores of: those that the task is for, or the one that was asked for.
        protocol: under which.
        a: image id -> mean over A's seeds and the layers.
        b: likewise.
    """

    where: str
    layers: tuple[str, ...]
    protocol: str
    a: dict[str, float]
    b: dict[str, float]


def sides(
    a: Sequence[Record], b: Sequence[Record], metric: str, protocol: str | None = None, layer: str | None = None
) -> Sides:
    """Put two methods beside each other, if they were judged alike.

    Args:
        a: records of one method on one data set.
        b: of the other.
        metric: of the records.
        protocol: full name; default the task's own.
        layer: name; default those that the task is for.

    Raises:
        UserError: they were judged unlike, or share no layer that is asked for.
    """
    where = f"{a[0].suite}, {a[0].dataset}"
    _check_alike(where, a, b, protocol)
    shared = _both([record.layers for record in (*a, *b)])
    layers = [name for name in ([layer] if layer is not None else a[0].spec["target"]) if name in shared]
    if not layers and layer is not None:
        raise UserError(f"{where}: layer {layer}: not both have scores of it; they share {', '.join(shared)}.")
    if not layers:
        raise UserError(
            f"{where}: they share no layer that the task is for: name one with --layer, {' or '.join(shared)}."
        )
    scores = [per_image(group, metric, layers, protocol) for group in (a, b)]
    return Sides(where, tuple(layers), protocol or a[0].protocol, *scores)


def _one(
    a: list[Record], b: list[Record], metric: str, protocol: str | None, layer: str | None
) -> tuple[Comparison, tuple[str, ...], str, float | None, int]:
    both = sides(a, b, metric, protocol, layer)
    try:
        result = paired(both.a, both.b, higher_is_better=SCALES[metric].higher_is_better)
    except ValueError as error:
        raise UserError(f"{both.where}: {error}") from error
    variances = [seed_variance(group, metric, both.layers, both.protocol) for group in (a, b)]
    noise = None if None in variances else math.sqrt(sum(filter(None, variances)))
    return result, both.layers, both.protocol, noise, len(both.a.keys() ^ both.b.keys())


def _check_alike(where: str, a: Sequence[Record], b: Sequence[Record], protocol: str | None) -> None:
    """That two methods were judged alike.

    Raises:
        UserError: they were not; it says in what they differ.
    """
    for group in (a, b):
        unlike = of_one_kind(group)
        if unlike:
            raise UserError(f"{where}: {group[0].label} cannot be compared: {unlike}.")
    protocols = sorted({record.protocol for record in (*a, *b)})
    if protocol is None and len(protocols) > 1:
        raise UserError(f"{where}: protocols differ, {' and '.join(protocols)}: name one with --protocol.")
    told = {
        "data digests": [group[0].data_digest for group in (a, b)],
        "versions of the data": [group[0].identities["data"] for group in (a, b)],
        "versions of the metrics": [group[0].identities["metrics"] for group in (a, b)],
        "scored layers": [", ".join(group[0].spec["scored"]) for group in (a, b)],
    }
    for what, (one, other) in told.items():
        if one != other:
            raise UserError(
                f"{where}: {what} differ, {one[:60]} and {other[:60]}: run both on the same data with the same code."
            )


def seed_variance(group: Sequence[Record], metric: str, layers: Sequence[str], protocol: str) -> float | None:
    """Square of the standard error, over seeds, of a method's mean score; None where it has one seed.

    Args:
        group: records of one method on one data set.
        metric: of the records.
        layers: that the score is the mean of.
        protocol: full name.
    """
    means = [fmean(per_image([record], metric, layers, protocol).values()) for record in group]
    return None if len(means) < 2 else variance(means) / len(means)


def show(a: Groups, b: Groups, lines: list[Line], metric: str, console: Console) -> None:
    """Print a comparison: a table, and for each data set a sentence.

    Args:
        a: records of one method.
        b: of the other.
        lines: of ``compare``.
        metric: that was compared.
        console: to print on.
    """
    names = [next(iter(groups.values()))[0].label for groups in (a, b)]
    scale = SCALES[metric]
    digits = scale.difference_digits
    better = "higher" if scale.higher_is_better else "lower"
    title = f"{scale.heading}: {names[0]} minus {names[1]} ({better} is better)"
    table = Table(title=Text(title), title_justify="left")
    left = ("suite", "data set", "protocol")
    for name in (*left, "images", "difference", "95 % interval", "p", "p (Holm)", "wins", "effect"):
        table.add_column(name, justify="left" if name in left else "right")
    for line in lines:
        result = line.result
        table.add_row(
            Text(line.suite),
            Text(line.dataset),
            line.protocol,
            str(result.images),
            f"{result.difference:+.{digits}f}",
            f"{result.low:+.{digits}f} … {result.high:+.{digits}f}",
            f"{result.p:.2g}",
            f"{line.corrected:.2g}",
            f"{100 * result.wins:.0f} %",
            f"{result.effect:+.2f}",
        )
    Console(file=console.file, width=max(console.width, 120), highlight=False).print(table)
    for line in lines:
        console.print(f"{line.dataset}: {verdict(line, names, metric)}", markup=False, soft_wrap=True)
    for key in sorted((a.keys() & b.keys()) - {(line.suite, line.dataset) for line in lines}):
        console.print(f"{key[1]} ({key[0]}): left out, it has not what was asked for", markup=False, soft_wrap=True)
    console.print(
        "Interval: paired bootstrap over test images; p: permutation test; wins: share of images on which "
        "the first is better; effect: difference in standard deviations of the images' differences.",
        soft_wrap=True,
    )


def verdict(line: Line, names: Sequence[str], metric: str) -> str:
    """What a comparison says, in words."""
    result, digits = line.result, SCALES[metric].difference_digits
    first_better = (result.difference > 0) == SCALES[metric].higher_is_better
    if line.corrected < 0.05:
        winner, loser = names if first_better else names[::-1]
        said = f"{winner} is better than {loser} by {abs(result.difference):.{digits}f}, more than these images' noise"
    else:
        said = f"no difference beyond the noise of these {result.images} images"
    if line.seed_noise is None:
        said += "; with a single seed, how much training varies is not known"
    elif abs(result.difference) < 2 * line.seed_noise:
        said += f", but within twice the standard error over seeds ({line.seed_noise:.{digits}f})"
    else:
        said += f"; standard error over seeds {line.seed_noise:.{digits}f}"
    said += f"; of the {' and the '.join(line.layers)}"
    if line.left_out:
        said += f"; {line.left_out} images that only one of them has are left out"
    return said + "."
