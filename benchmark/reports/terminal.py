"""What the terminal shows of a leaderboard: a table in a hundred columns, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from statistics import fmean

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.reports import notes, tables
from benchmark.results import marks
from benchmark.results.statistics import Line

WIDTH = 100
"""Columns of a terminal that every table fits into."""

_SHORT = {"identity": "mixture", "half_mixture": "half mixture"}


def show(found: Mapping[str, Sequence[Line]], console: Console) -> None:
    """Print a table for each data set, at most ``WIDTH`` columns wide.

    Args:
        found: data set -> its lines, the best first.
        console: to print on.
    """
    narrow = Console(file=console.file, width=min(console.width, WIDTH) if console.is_terminal else WIDTH)
    for lines in found.values():
        bar = notes.trivial(lines)
        title = f"{lines[0].first.data_label}, judged by {tables.judged_by(lines)}; {tables.protocol_text(lines)}"
        table = Table(
            title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
        )
        beyond = f"over {_SHORT[bar.first.method]}" if bar else "over mixture"
        for head in ("", "method", "PSNR (dB)", beyond, "SSIM", "training", "an image"):
            name = head == "method"
            table.add_column(Text(head), justify="left" if name else "right", no_wrap=not name, overflow="fold")
        for line in lines:
            table.add_row(*(Text(cell) for cell in _cells(line, bar)), style="" if line.ranked else "dim")
        narrow.print(table)
        for note in _notes(lines):
            console.print(note, markup=False, highlight=False, soft_wrap=True)


def _cells(line: Line, bar: Line | None) -> list[str]:
    score = line.judged("psnr")
    beyond = f"{notes.psnr(line) - notes.psnr(bar):+.2f}" if bar and line.ranked and line is not bar else ""
    trained = fmean(record.training["seconds"] for record in line.records)
    return [
        tables.rank_text(score),
        line.first.label,
        tables.text(score, "psnr"),
        beyond,
        tables.text(line.judged("ssim"), "ssim"),
        seconds(trained) if trained >= 1 else "–",
        "–" if (latency := tables.mean_cost(line, "latency_s")) is None else seconds(latency),
    ]


def seconds(value: float) -> str:
    """A time for people, in at most eight signs: 3 ms, 12 s, 4 min, 2.5 h."""
    if value < 1e-4:
        return "< 0.1 ms"
    if value < 1:
        return f"{1000 * value:.1f} ms" if value < 0.01 else f"{1000 * value:.0f} ms"
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def _notes(lines: Sequence[Line]) -> list[str]:
    """What sets lines apart, how many are of older code, and how many had more to learn; the README names those."""
    said = [apart for line in lines if (apart := notes.note(line, lines))]
    old = [line for line in lines if any(marks.older(line.first, part) for part in line.first.identities)]
    if old:
        said.append(
            f"{len(old)} of {len(lines)} rows of other code than this checkout's: the folder's README.md says which."
        )
    rising = sum(map(notes.learning, lines))
    if rising:
        said.append(f"{rising} of {len(lines)} rows were still learning when their budget ended (↗ in README.md).")
    return said


def following(named: str, suite: str, found: Mapping[str, Sequence[Line]]) -> str:
    """One thing to try next, as a command.

    Args:
        named: what the suite was called by: its name, or its file.
        suite: its name in records.
        found: data set -> its lines, the best first.
    """
    for lines in found.values():
        ranked = [line.first.method for line in lines if line.ranked and line.first.method not in notes.TRIVIAL]
        if len(ranked) > 1:
            words = shlex.join(["unblend", "compare", *ranked[:2], "--suite", suite])
            return f"next: {words}   (is the first better beyond noise?)"
    return f"next: unblend new method MyNet && unblend bench {shlex.quote(named)} --model my_net.MyNet"
