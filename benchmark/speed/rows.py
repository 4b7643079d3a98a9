"""What the measurements have in common: cases timed by turns, and rows of one table, each with its target."""

from __future__ import annotations

import importlib
import logging
import math
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 150
"""Columns of the terminal, where the output goes to a file."""


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        what: was measured.
        figure: median, or the only value.
        unit: of the figure; × for ratios.
        quartiles: first and third, of the rounds; None of a single value.
        at_most: target.
        at_least: target.
        note: what else there is to say, such as the times that a ratio came from.
    """

    what: str
    figure: float
    unit: str = "×"
    quartiles: tuple[float, float] | None = None
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        """For people."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}"
        return f"≥ {self.at_least:g} {self.unit}" if self.at_least is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the figure is within its target; None where there is none."""
        if self.at_most is not None:
            return self.figure <= self.at_most
        return self.figure >= self.at_least if self.at_least is not None else None


def row(
    what: str,
    values: Sequence[float],
    unit: str = "×",
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    note: str = "",
) -> Row:
    """The row of some rounds' values.

    Args:
        what: was measured.
        values: one for each round.
        unit: of them.
        at_most: target.
        at_least: target.
        note: what else there is to say.
    """
    low, middle, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
    return Row(what, middle, unit, (low, high), at_most, at_least, note)


def by_turns(
    cases: Mapping[str, Callable[[], object]], rounds: int, *, warm_up: int = 1, seconds: float = math.inf
) -> dict[str, list[float]]:
    """Milliseconds of processor time that each case takes in each round.

    Cases alternate, so that what slows the machine slows all alike. On one thread, which the caller has to see to,
    processor time is what the clock says on an idle machine; where other programs run it is far steadier.

    Args:
        cases: what is called.
        rounds: that count.
        warm_up: rounds before them.
        seconds: of the clock, after which no new round begins, once there are three.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    started = time.perf_counter()
    for done in range(-warm_up, rounds):
        if done >= 3 and time.perf_counter() - started > seconds:
            break
        for name, case in cases.items():
            begin = time.process_time()
            case()
            if done >= 0:
                times[name].append(1000 * (time.process_time() - begin))
    return times


def quotients(ones: Iterable[float], others: Iterable[float], factor: float = 1.0) -> list[float]:
    """Ratios, round by round.

    Args:
        ones: numerators.
        others: denominators.
        factor: of each ratio.
    """
    return [factor * one / other for one, other in zip(ones, others, strict=True)]


def measured(module: str) -> list[Row]:
    """The rows of a module that measures, in a process that was spawned for it."""
    multiprocessing.set_start_method(None, force=True)  # its own workers start as they do anywhere else
    warnings.simplefilter("ignore")  # what Lightning says of its surroundings is not measured
    logging.disable(logging.WARNING)
    rows: list[Row] = importlib.import_module(module).main()
    return rows


def number(value: float) -> str:
    """Three digits or four."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"


def show(sections: Mapping[str, Sequence[Row]] | Sequence[Row]) -> None:
    """Print rows.

    Args:
        sections: rows, or lists of them by the name of what measured them.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("", "median", "quartiles", "target", "", ""):
        table.add_column(name, justify="right" if name in ("median", "quartiles", "target") else "left", no_wrap=True)
    parts = sections if isinstance(sections, Mapping) else {"": sections}
    for title, rows in parts.items():
        if title:
            table.add_row(f"[bold]{title}[/bold]")
        for one in rows:
            spread = " – ".join(map(number, one.quartiles)) if one.quartiles else ""
            met = {None: "", True: "met", False: "[bold]MISSED[/bold]"}[one.met]
            table.add_row(one.what, f"{number(one.figure)} {one.unit}", spread, one.target, met, one.note)
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)
