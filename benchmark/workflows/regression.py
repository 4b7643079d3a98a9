"""``unblend regression``: retrain the smoke suite; has a score left its band around the golden value?"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import read_json, read_yaml
from benchmark.metrics.scales import METRICS
from benchmark.plan import catalogue, suite
from benchmark.plan.execution import Execution
from benchmark.plan.suite import Suite, cells_of
from benchmark.results.records import Record
from benchmark.running.machine import Machine
from benchmark.running.places import places
from benchmark.workflows.sweep import sweep

SUITE = "smoke"
GOLDENS = Path(__file__).parent / "goldens.json"

FLOOR = {"psnr": 0.02, "ssim": 0.001, "lmse": 0.001, "mse": 0.0}
RELATIVE = 0.005
"""No band is narrower than this much, plus this share of the value: what other hardware and libraries change."""

T_QUANTILE = 4.3
"""97.5 % of Student's t with two degrees of freedom: the spread is of three seeds."""

BETWEEN_TWO = math.sqrt(2)
"""The golden value is one draw, as is what is compared with it: an optimisation that feels the last bit of a sum draws
anew on each kind of processor.
"""

Goldens = dict[str, dict[str, list[list[float]]]]
"""``DATASET/METHOD/seedN`` -> metric -> for each layer golden value and band."""


def gate(runs: Path, jobs: int | None, console: Console) -> bool:
    """Retrain the smoke suite and say which scores have left their bands.

    Args:
        runs: folder that is emptied and written to.
        jobs: cells at a time.
        console: to tell how it went.

    Returns:
        Whether all scores are in their bands, and nothing is missing.

    Raises:
        UserError: there are no golden values.
        SystemExit: with status 1, when a cell failed.
    """
    goldens = read()
    begin = time.monotonic()
    found = measure(runs, [0], jobs, fresh=True)
    failures = check(found, goldens, [str(cell.path) for cell in suite.load(SUITE)])
    for line in failures:
        console.print(f"regression: {line}", markup=False, soft_wrap=True)
    console.print(
        f"{len(found)} cells against {len(goldens)} golden ones in {time.monotonic() - begin:.0f} s: "
        + (f"{len(failures)} failures" if failures else "all scores in their bands")
    )
    if failures:
        how = "`unblend regression --update 'why'`, and commit benchmark/workflows/goldens.json"
        console.print(f"If that is meant: {how}.", soft_wrap=True)
    return not failures


def measure(
    runs: Path, seeds: Sequence[int], jobs: int | None, *, fresh: bool, only: Collection[tuple[str, str]] | None = None
) -> list[Record]:
    """Run the smoke suite, or some of it, with some seeds.

    Args:
        runs: folder of these runs.
        seeds: of the suite, instead of its own.
        jobs: cells at a time.
        fresh: forget earlier results, so that everything is trained anew.
        only: rows that are run, each a data set's and a method's folder in records; default all.

    Raises:
        SystemExit: with status 1, when a cell failed.
    """
    held: Suite = read_yaml(catalogue.suites()[SUITE])
    cells = cells_of({**held, "seeds": list(seeds)}, SUITE)
    if only is not None:
        cells = [cell for cell in cells if (cell.dataset, cell.method) in only]
    if fresh:
        # The store may hold cells of other suites, which stay.
        for folder in (runs / SUITE, *(place.directory for place in places(cells, runs))):
            shutil.rmtree(folder, ignore_errors=True)
    # One thread, however many cells at a time: with two, sums are ordered otherwise, and BITS-Net leaves its band.
    return sweep(cells, runs, Machine(jobs=jobs, threads=1), Execution(accelerator="cpu"))


def read(path: Path = GOLDENS) -> Goldens:
    """The golden values.

    Raises:
        UserError: there are none.
    """
    held = read_json(path)
    if not isinstance(held, dict) or not held.get("cells"):
        raise UserError(f"no golden values in {path}: write them with `unblend regression --update 'why'`.")
    cells: Goldens = held["cells"]
    return cells


def place(record: Record) -> str:
    """Key of a record among the golden values."""
    return f"{record.dataset}/{record.method}/seed{record.seed}"


def check(found: Sequence[Record], goldens: Goldens, expected: Sequence[str]) -> list[str]:
    """What is wrong, one line each; nothing, if every score is in its band.

    Args:
        found: records.
        goldens: golden values and bands.
        expected: keys of the cells that must be there, with a record and with golden values.
    """
    failures = []
    records = {place(record): record for record in found}
    for key in sorted({*expected, *goldens}):
        if key not in goldens:
            failures.append(f"{key}: no golden value")
        elif key not in expected:
            failures.append(f"{key}: a golden value, but no such cell in the suite")
        elif key not in records:
            failures.append(f"{key}: no record")
        else:
            failures += _moved(key, records[key], goldens[key])
    return failures


def _moved(key: str, record: Record, golden: dict[str, list[list[float]]]) -> list[str]:
    failures = []
    for metric in METRICS:
        values, bands = record.layer_means(metric), golden.get(metric, [])
        if len(values) != len(bands):
            failures.append(f"{key}: {metric} of {len(values)} layers, golden values of {len(bands)}")
            continue
        for layer, value, (middle, band) in zip(record.layers, values, bands, strict=True):
            if not abs(value - middle) <= band:
                failures.append(f"{key}: {metric} of {layer} is {value:.5g}, golden {middle:.5g} ± {band:.2g}")
    return failures


def band(metric: str, value: float, spread: float) -> float:
    """How far a score may be from its golden value.

    Args:
        metric: of the score.
        value: golden.
        spread: sample standard deviation over seeds.
    """
    return max(T_QUANTILE * BETWEEN_TWO * spread, FLOOR[metric] + RELATIVE * abs(value))
