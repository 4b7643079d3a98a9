"""A sweep of real cells against a bare loop: ``python -m benchmark.speed.cells [CELLS] [IMAGES]``.

Equal cells (a small U-Net on digits, one thread each) are trained and scored three times: one after the other in this
process, as a script would; by ``unblend bench`` with one worker; and with two. What the first way is faster is what a
process of its own for each half of a cell costs, whatever the length of the training: from that the ratio for cells of
180 s follows. A machine on which other programs run distorts all of it; its load is printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml

from benchmark.files import read_json
from benchmark.plan import suite as suites
from benchmark.plan.execution import Execution, Job
from benchmark.running.places import Place, places
from benchmark.scoring import score
from benchmark.speed.rows import Row, show
from benchmark.training import fit

LONG = 180.0
"""Seconds of training for which the ratio is told."""


def bare(cells: list[Place]) -> tuple[float, float]:
    """Train and score cells in this process; seconds in all, and of them in training."""
    torch.set_num_threads(1)
    begin, trained = time.perf_counter(), 0.0
    for place in cells:
        job = Job(
            place.cell.config, Execution(accelerator="cpu"), place.key, record=str(place.record.absolute()),
            score_key="", identities=place.cell.identities(), suite="bare", dataset=place.cell.dataset,
            method=place.cell.method, seed=place.cell.seed,
        )  # fmt: skip
        job.write(place.directory)
        fit.fit(place.directory)
        score.score(place.directory)
        trained += read_json(place.directory / "fit.json")["training"]["seconds"]
    return time.perf_counter() - begin, trained


def sweep(suite: Path, runs: Path, jobs: int) -> float:
    """Seconds that ``unblend bench`` takes, from its start to its end."""
    command = [sys.executable, "-m", "benchmark", "bench", str(suite), "--runs", str(runs), "--accelerator", "cpu"]
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "--jobs", str(jobs), "--threads", "1"], env=environment, stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - begin


def main(cells: int = 4, images: int = 3000) -> list[Row]:
    """The three ways, compared."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder, "cells.yaml")
        value = {
            "seeds": list(range(cells)),
            "budget": {"images": images, "batch_size": 32, "selections": 2, "test_images": 50},
            "datasets": ["Digits"],
            "methods": [{"name": "UNet", "init_args": {"width": 16}}],
        }
        suite.write_text(yaml.safe_dump(value))
        alone, trained = bare(places(suites.load(str(suite)), Path(folder, "bare")))
        one, two = (sweep(suite, Path(folder, f"jobs{jobs}"), jobs) for jobs in (1, 2))
    extra, of = (one - alone) / cells, f"{cells} cells of {trained / cells:.0f} s of training"
    load = f"load of the machine {os.getloadavg()[0]:.1f}"
    return [
        Row(f"{of}, one worker / bare loop", one / alone, note=f"{one:.1f} s, {alone:.1f} s; {load}"),
        Row(f"    so for cells of {LONG:.0f} s", 1 + extra / LONG, at_most=1.10, note=f"{extra:+.1f} s a cell"),
        Row(f"{of}, one worker / two workers", one / two, at_least=1.6, note=f"{one:.1f} s, {two:.1f} s; {load}"),
    ]


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:])))
