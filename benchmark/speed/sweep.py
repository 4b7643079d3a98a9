"""What the runner itself costs: ``python -m benchmark.speed.sweep [CELLS]``.

Cells of 10 ms run in this very process, through claims, attempts, records and leaderboard; what is left of the wall
time beside those 10 ms is the runner's. Then the same suite once more, when everything is reused; and once more as
``unblend status`` sees it.
"""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from benchmark.files import read_json
from benchmark.plan.contents import write_data_digest
from benchmark.plan.execution import UNTRAINED, Execution, Fitted, Job, Training
from benchmark.plan.suite import load
from benchmark.reports import leaderboard
from benchmark.results import records
from benchmark.running import bench
from benchmark.running.attempt import Half
from benchmark.running.executors import Here, LocalExecutor
from benchmark.running.places import status
from benchmark.speed import made
from benchmark.speed.rows import Row, show

WORK = 0.010
"""Seconds that a cell takes, in all."""

IMAGES = 100
"""Test images of a cell."""


class InProcessExecutor(LocalExecutor):
    """Runs halves in this process: no start, no import."""

    def prepare(self) -> None:
        """Nothing to prepare."""

    def launch(self, half: str, directory: Path, environment: dict[str, str], devices: list[str]) -> Half:
        """Start a half."""
        return Here(lambda: ten_milliseconds(half, directory))


def ten_milliseconds(half: str, directory: Path) -> None:
    """What a half leaves behind, with the sizes of a real one's files."""
    begin = time.perf_counter()
    job = Job.read(directory)
    assert job is not None
    if half == "fit":
        write_data_digest(directory / "data.json", [Path(__file__)])
        training = Training({**UNTRAINED, "images_seen": 10, "optimizer_steps": 1, "select_psnr": 1.0})
        Fitted(job.key, None, None, training, job.config).write(directory)
    else:
        one = made.record(
            job.method, job.seed, [[10 + 1 / 3] * 2] * IMAGES, suite=job.suite, dataset=job.dataset,
            variant=job.variant, data_variant=job.data_variant, config=job.config,
            identities=job.identities, key=job.key, score_key=str(job.score_key),
            data_digest=read_json(directory / "data.json")["digest"],
            training=read_json(directory / "fit.json")["training"],
        )  # fmt: skip
        records.write(Path(str(job.record)), one)
    time.sleep(max(0.0, WORK / 2 - (time.perf_counter() - begin)))


def main(cells: int = 2000) -> list[Row]:
    """Wall time per cell; and what else a cell costs."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "sweep.yaml")
        value: dict[str, Any] = {"seeds": list(range(cells // 2)), "datasets": ["Digits"]}
        suite.write_text(yaml.safe_dump({**value, "methods": ["Identity", "HalfMixture"]}))
        runs = Path(folder, "runs")

        def measure(name: str, call: Callable[[], object], less: float = 0.0, at_most: float | None = None) -> None:
            begin, busy = time.perf_counter(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                call()
            seconds, busy = time.perf_counter() - begin, time.process_time() - busy
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            note = f"{1000 * busy / cells:.1f} ms of processor time; peak memory {memory:.0f} MiB"
            rows.append(
                Row(f"{cells:,} cells, {name}", 1000 * (seconds / cells - less), "ms", at_most=at_most, note=note)
            )

        def run() -> None:
            executor = InProcessExecutor(1, accelerator="cpu", threads=1)
            swept = bench.bench(load(str(suite)), runs, executor, Execution(accelerator="cpu"), Console())
            leaderboard.write(swept.folder, swept.records)
            assert not swept.failed

        measure(f"each beside its {1000 * WORK:.0f} ms", run, WORK, at_most=50)
        measure("each when all are reused", run)
        measure("each in status", lambda: status(load(str(suite)), runs))
        sizes = [path.stat().st_size for path in runs.rglob("*") if path.is_file()]
    return [*rows, Row(f"{cells:,} cells, all files", sum(sizes) / 1e6, "MB", note=f"{len(sizes):,} files")]


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:])))
