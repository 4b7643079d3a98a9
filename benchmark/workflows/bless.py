"""Make what is measured now the golden values that ``unblend regression`` compares with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import stdev

from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.metrics.scales import METRICS
from benchmark.results import provenance
from benchmark.results.records import Record
from benchmark.workflows import regression
from benchmark.workflows.regression import Goldens

SEEDS = (0, 1, 2)
DIGITS = 6


def bless(reason: str, runs: Path, jobs: int | None, console: Console, *, keep_bands: bool = False) -> None:
    """Train the smoke suite and write what came out as golden values.

    Args:
        reason: why the scores moved; kept in the log.
        runs: folder of the runs.
        jobs: cells at a time.
        console: to tell how it went.
        keep_bands: train one seed, not three, and keep the bands.

    Raises:
        UserError: no reason, or bands to keep that are not there.
        SystemExit: with status 1, when a cell failed.
    """
    _check(reason)
    old = regression.read() if keep_bands else {}
    seeds = SEEDS[:1] if keep_bands else SEEDS
    found = regression.measure(runs, seeds, jobs, fresh=False)
    new = goldens(found, old)
    save(new, reason)
    console.print(f"{len(new)} golden cells: {regression.GOLDENS}", soft_wrap=True)


def widen(reason: str, runs: Path, jobs: int | None, console: Console) -> None:
    """Train the smoke suite, and let the bands take in what came out; golden values stay.

    This is for code that has not changed, on a processor that rounds in another way: three seeds sometimes lie closer
    together by chance than two processors.

    Args:
        reason: why the same code gave other scores; kept in the log.
        runs: folder of the runs.
        jobs: cells at a time.
        console: to tell how it went.

    Raises:
        UserError: no reason.
        SystemExit: with status 1, when a cell failed.
    """
    _check(reason)
    held = regression.read(regression.GOLDENS)
    widened = widened_by(regression.measure(runs, SEEDS[:1], jobs, fresh=False), held)
    if widened:
        save(held, f"{reason}; wider: {', '.join(widened)}")
    console.print(f"{len(widened)} bands are wider: {', '.join(widened) or 'all scores were within theirs'}")


def widened_by(found: Sequence[Record], held: Goldens) -> list[str]:
    """Widen bands in place until they hold what was found, by as much again as two draws differ; says which.

    Args:
        found: records of the first seed.
        held: golden values with their bands.
    """
    widened = []
    for record in found:
        key = regression.place(record)
        for metric in METRICS:
            for layer, value, golden in zip(record.layers, record.layer_means(metric), held[key][metric], strict=True):
                off = abs(value - golden[0])
                if off > golden[1]:
                    golden[1] = _rounded(regression.BETWEEN_TWO * off)
                    widened.append(f"{key} {metric} of {layer}")
    return widened


def _check(reason: str) -> None:
    if len(reason.split()) < 2:
        raise UserError(f"reason {reason!r}: say in a few words why the scores moved.")


def goldens(found: Sequence[Record], old: Goldens) -> Goldens:
    """Golden values of the first seed, with bands from the spread of all, or those there were.

    Args:
        found: records of one seed or several.
        old: golden values whose bands are kept.

    Raises:
        UserError: a cell has neither three seeds nor a band of old.
    """
    made: Goldens = {}
    for record in found:
        if record.seed != SEEDS[0]:
            continue
        key = regression.place(record)
        row = [one for one in found if (one.dataset, one.method) == (record.dataset, record.method)]
        if len(row) < len(SEEDS) and key not in old:
            raise UserError(f"{key}: {len(row)} of {len(SEEDS)} seeds: update without --keep_bands.")
        made[key] = {}
        for metric in METRICS:
            values = list(zip(*(one.layer_means(metric) for one in row), strict=True))
            made[key][metric] = [
                [
                    _rounded(of_seeds[0]),
                    _rounded(regression.band(metric, of_seeds[0], stdev(of_seeds)))
                    if len(row) >= len(SEEDS)
                    else old[key][metric][layer][1],
                ]
                for layer, of_seeds in enumerate(values)
            ]
    return made


def save(cells: Goldens, reason: str, path: Path | None = None) -> None:
    """Write golden values, with one more line in their log.

    Args:
        cells: to write.
        reason: why they are new.
        path: of the file; default the project's.
    """
    path = path or regression.GOLDENS
    held = read_json(path)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": provenance.commit(),
        "reason": reason,
        "cells": len(cells),
    }
    log = [*(held["log"] if isinstance(held, dict) else []), entry]
    write_json(path, {"suite": regression.SUITE, "log": log, "cells": cells})


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
