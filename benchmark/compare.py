"""``unblend compare A B``: is one method better than another, by how much, and is that more than noise?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark import checks, leaderboard
from benchmark.errors import UserError, unknown
from benchmark.leaderboard import Found
from benchmark.records import Record
from benchmark.statistics import HIGHER_IS_BETTER, Comparison, holm, layer_names, paired, per_image
from benchmark.tables import name_of

DIGITS = {"psnr": 2, "ssim": 4, "lmse": 4, "mse": 5}

Groups = dict[tuple[str, str], list[Record]]
"""(suite, data set) -> records of one method, one for each seed."""


@dataclass(frozen=True)
class Line:
    """Two methods on one data set.

    Attributes:
        suite: of both.
        dataset: of both.
        layers: that both have scores of, and that were compared.
        result: A minus B, over images; scores are means over seeds.
        corrected: p-value after Holm's correction for all lines together.
        seeds: how many A and B have.
        seed_noise: standard error over seeds of the difference of means; None where one of them has one seed.
        left_out: images that only one of the two has.
    """

    suite: str
    dataset: str
    layers: tuple[str, ...]
    result: Comparison
    corrected: float
    seeds: tuple[int, int]
    seed_noise: float | None
    left_out: int


def main(arguments: list[str]) -> None:
    """Run the command.

    Raises:
        UserError: an unknown method, or records that cannot be compared.
    """
    parser = ArgumentParser(
        prog="unblend compare", description="Compare two methods image by image.", exit_on_error=False
    )
    parser.add_argument("a", type=str, help="a method's name in records, such as unet, or a folder of its records")
    parser.add_argument("b", type=str, help="likewise")
    parser.add_argument("--suite", type=str, help="only of this suite; default every suite that has both")
    parser.add_argument(
        "--metric", type=Literal["psnr", "ssim", "lmse", "mse"], default="psnr", help="that is compared"
    )
    parser.add_argument("--runs", type=str, default="runs", help="folder of this machine's runs")
    options = parser.parse_args(arguments)
    found = leaderboard.collect(leaderboard.folders_of(leaderboard.COMMITTED, Path(options.runs)))
    a, b = (_chosen(name, found, options.suite) for name in (options.a, options.b))
    show(a, b, compare(a, b, options.metric), options.metric, Console(highlight=False))


def _chosen(name: str, found: Sequence[Found], suite: str | None) -> Groups:
    """The records that a name or a folder means."""
    folder = Path(name)
    if folder.is_dir():
        found = leaderboard.collect([folder]) or [
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


def compare(a: Groups, b: Groups, metric: str = "psnr") -> list[Line]:
    """Compare two methods on each data set that both have, and correct for their number.

    Args:
        a: records of one method.
        b: of the other.
        metric: of the records.

    Raises:
        UserError: they share no suite or data set, or were judged by unlike protocols or on unlike data.
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
    lines = [(key, *_one(a[key], b[key], metric)) for key in shared]
    corrected = holm([result.p for _, result, *_ in lines])
    return [
        Line(*key, layers, result, p, (len(a[key]), len(b[key])), noise, left_out)
        for (key, result, layers, noise, left_out), p in zip(lines, corrected, strict=True)
    ]


def _one(a: list[Record], b: list[Record], metric: str) -> tuple[Comparison, tuple[str, ...], float | None, int]:
    where = f"{a[0].suite}, {a[0].dataset}"
    for what in ("protocol", "data_digest"):
        values = [sorted({getattr(record, what) for record in group}) for group in (a, b)]
        if values[0] != values[1] or len(values[0]) > 1:
            shown = " and ".join(", ".join(value[:60] for value in group) for group in values)
            raise UserError(
                f"{where}: {what.replace('_', ' ')}s differ, {shown}: run both on the same data with the same code."
            )
    orders = [tuple(group[0].spec["scored"]) for group in (a, b)]
    if orders[0] != orders[1]:
        raise UserError(f"{where}: scored layers differ, {', '.join(orders[0])} and {', '.join(orders[1])}.")
    count = min(len(layer_names(record)) for record in (*a, *b))
    layers = range(count)
    scores = [per_image(group, metric, layers) for group in (a, b)]
    left_out = len(scores[0].keys() ^ scores[1].keys())
    try:
        result = paired(*scores, higher_is_better=HIGHER_IS_BETTER[metric])
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return result, tuple(layer_names(a[0])[:count]), _seed_noise(a, b, metric, count), left_out


def _seed_noise(a: list[Record], b: list[Record], metric: str, layers: int) -> float | None:
    """Standard error, over seeds, of the difference of two methods' mean scores."""
    total = 0.0
    for group in (a, b):
        means = [fmean(record.layer_means(metric)[:layers]) for record in group]
        if len(means) < 2:
            return None
        middle = fmean(means)
        total += sum((value - middle) ** 2 for value in means) / (len(means) - 1) / len(means)
    return math.sqrt(total)


def show(a: Groups, b: Groups, lines: list[Line], metric: str, console: Console) -> None:
    """Print a comparison: a table, and for each data set a sentence.

    Args:
        a: records of one method.
        b: of the other.
        lines: of ``compare``.
        metric: that was compared.
        console: to print on.
    """
    names = [name_of(next(iter(groups.values()))[0]) for groups in (a, b)]
    digits = DIGITS[metric]
    better = "higher" if HIGHER_IS_BETTER[metric] else "lower"
    table = Table(title=Text(f"{metric}: {names[0]} minus {names[1]} ({better} is better)"), title_justify="left")
    for name in ("suite", "data set", "images", "difference", "95 % interval", "p", "p (Holm)", "wins", "effect"):
        table.add_column(name, justify="left" if name in ("suite", "data set") else "right")
    for line in lines:
        result = line.result
        table.add_row(
            Text(line.suite),
            Text(line.dataset),
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
    console.print(
        "Interval and p from the paired bootstrap over test images; wins: share of images on which the first is "
        "better; effect: difference in standard deviations of the images' differences.",
        soft_wrap=True,
    )


def verdict(line: Line, names: Sequence[str], metric: str) -> str:
    """What a comparison says, in words."""
    result, digits = line.result, DIGITS[metric]
    first_better = (result.difference > 0) == HIGHER_IS_BETTER[metric]
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
    said += f"; layers: {', '.join(line.layers)}"
    if line.left_out:
        said += f"; {line.left_out} images that only one of them has are left out"
    return said + "."
