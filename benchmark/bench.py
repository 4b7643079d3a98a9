"""Run a suite: what is finished is reused, what fails does not stop the rest."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from benchmark import leaderboard, records
from benchmark.digests import read_data_digest
from benchmark.errors import UserError
from benchmark.executors import LocalExecutor
from benchmark.files import read_json, write_json
from benchmark.suite import Cell, load

LOG_LINES = 12


@dataclass(frozen=True, eq=False)
class Place:
    """A cell's folders in a run: ``cells/…`` for what it needs, ``records/…`` for its result.

    Attributes:
        cell: the cell.
        run: folder of the suite's run.
        fit_hash: of the cell, as its source files are now.
    """

    cell: Cell
    run: Path
    fit_hash: str

    @property
    def directory(self) -> Path:
        """Checkpoint, log, progress, and how each half ended."""
        return self.run / "cells" / self.cell.path

    @property
    def record(self) -> Path:
        """The result."""
        return (self.run / "records" / self.cell.path).with_suffix(".json")

    def fitted(self) -> dict[str, Any] | None:
        """How training ended, if it did, with today's sources, configuration and data."""
        outcome = read_json(self.directory / "fit.json")
        if outcome is None or outcome["fit_hash"] != self.fit_hash:
            return None
        if outcome["status"] == "skipped":
            return dict(outcome)
        if outcome["checkpoint"] and not (self.directory / outcome["checkpoint"]).is_file():
            return None
        return dict(outcome) if read_data_digest(self.directory / "data.json") else None

    def score_hash(self) -> str | None:
        """What a record of this cell must have; None where the data are not known yet."""
        digest = read_data_digest(self.directory / "data.json")
        return self.cell.score_hash(digest) if digest else None

    def state(self) -> tuple[str, str]:
        """One of finished, skipped, failed, running, stale, queued; and a word on it."""
        outcome = self.fitted()
        if outcome and outcome["status"] == "skipped":
            return "skipped", outcome["skipped"]
        if outcome and self.record.is_file():
            record = records.read(self.record)
            if record.score_hash == self.score_hash():
                return "finished", f"{record.mean('psnr'):.2f} dB"
        failure = read_json(self.directory / "failure.json")
        if failure and failure["fit_hash"] == self.fit_hash:
            return "failed", f"{failure['half']}: {failure['error']}"
        if self.record.is_file():
            return "stale", f"{'scoring' if outcome else 'method, data or training'} code changed since"
        progress = self.progress()
        return (
            ("running", f"{progress['half']} {progress['done']} of {progress['total']}") if progress else ("queued", "")
        )

    def progress(self) -> dict[str, Any] | None:
        """How far the running half is; None where nothing was written for a minute."""
        newest: tuple[float, Path] | None = None
        for path in (self.directory / "progress.json", self.directory / "scoring" / "progress.json"):
            if path.is_file() and (newest is None or path.stat().st_mtime > newest[0]):
                newest = path.stat().st_mtime, path
        return read_json(newest[1]) if newest and time.time() - newest[0] < 60 else None

    def forget_progress(self) -> None:
        """Remove what an earlier run reported."""
        for name in ("progress.json", "scoring/progress.json", "failure.json"):
            (self.directory / name).unlink(missing_ok=True)


def places(suite: str, runs: Path) -> list[Place]:
    """The cells of a suite and where they stand."""
    return [Place(cell, runs / cell.suite, cell.fit_hash()) for cell in load(suite)]


def bench(suite: str, runs: Path, executor: LocalExecutor, execution: dict[str, Any]) -> bool:
    """Run every cell of a suite that has no valid record, then write the leaderboard.

    Args:
        suite: name or path.
        runs: folder of all runs.
        executor: where cells run.
        execution: ``accelerator``, ``devices``, ``num_workers``, ``root``: what no result depends on.

    Returns:
        Whether no cell failed.

    Raises:
        UserError: the suite is not valid.
    """
    console = Console()
    cells = places(suite, runs)
    states = {place: _valid_state(place) for place in cells}
    todo = [place for place in cells if states[place][0] not in ("finished", "skipped")]
    console.print(
        f"{suite}: {len(cells)} cells, {len(cells) - len(todo)} reused, {len(todo)} to run, {executor.jobs} at a time"
    )
    if todo:
        _run(todo, executor, execution, states, console)
    failed = [place for place in cells if states[place][0] == "failed"]
    for place in cells:
        if states[place][0] == "skipped":
            console.print(
                f"skipped {place.cell.name}: {states[place][1]}", highlight=False, markup=False, soft_wrap=True
            )
    for place in failed:
        console.print(f"failed  {place.cell.name}: {states[place][1]}", highlight=False, markup=False, soft_wrap=True)
        _show_log(place, console)
    folder = runs / cells[0].cell.suite
    valid = [records.read(place.record) for place in cells if states[place][0] == "finished"]
    if valid:
        leaderboard.write(folder, valid)
        leaderboard.show(valid, console)
        console.print(f"records and leaderboard: {folder}", highlight=False)
    return not failed


def _show_log(place: Place, console: Console) -> None:
    """The end of a failed cell's log, unless its one line says all that a person needs."""
    failure, log = read_json(place.directory / "failure.json"), place.directory / "log.txt"
    if log.is_file() and not (failure and failure["mendable"]):
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            console.print(f"  {line}", style="dim", highlight=False, markup=False, soft_wrap=True)
    console.print(f"  log: {log}", highlight=False, markup=False, soft_wrap=True)


def _valid_state(place: Place) -> tuple[str, str]:
    try:
        return place.state()
    except UserError as error:  # a record that is not whole is no record
        return "queued", str(error)


def _run(
    todo: list[Place],
    executor: LocalExecutor,
    execution: dict[str, Any],
    states: dict[Place, tuple[str, str]],
    console: Console,
) -> None:
    def run_cell(place: Place, run_half: Any) -> None:
        states[place] = "running", ""
        started = time.monotonic()
        place.forget_progress()
        job = {
            "suite": place.cell.suite,
            "dataset": place.cell.dataset,
            "method": place.cell.method,
            "seed": place.cell.seed,
            "variant": place.cell.variant,
            "config": place.cell.config,
            "fit_hash": place.fit_hash,
            "score_hash": None,
            "record": str(place.record.absolute()),
            "execution": {**execution, "threads": executor.threads},
        }
        write_json(place.directory / "cell.json", job)
        (place.directory / "log.txt").unlink(missing_ok=True)
        done = place.fitted() is not None or run_half("fit", place.directory)
        if executor.stopping:
            return
        outcome = place.fitted() if done else None
        if outcome and outcome["status"] != "skipped":
            write_json(place.directory / "cell.json", {**job, "score_hash": place.score_hash()})
            run_half("score", place.directory)
        states[place] = _valid_state(place)
        if place.cell.fit_hash(fresh=True) != place.fit_hash:
            # Each half imported the method anew: what they found is nobody's result.
            for result in (place.directory / "fit.json", place.record):
                result.unlink(missing_ok=True)
            states[place] = "failed", "its source files changed while it ran: run the suite again"
        if states[place][0] not in ("finished", "skipped", "failed"):
            states[place] = "failed", "its process ended without a word; out of memory, or killed"
        if not console.is_terminal:
            word = f"{states[place][0]} {place.cell.name} ({time.monotonic() - started:.0f} s) {states[place][1]}"
            console.print(word, highlight=False, markup=False, soft_wrap=True)

    futures: dict[Place, Future[None]] = {}
    for place in todo:
        states[place] = "queued", ""
        futures[place] = executor.submit(lambda run_half, place=place: run_cell(place, run_half))  # type: ignore[misc]
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not all(future.done() for future in futures.values()):
                if console.is_terminal:
                    live.update(_table(todo, states), refresh=True)
                time.sleep(0.25)
    except KeyboardInterrupt:
        executor.stop()
        raise UserError("interrupted: run the same command again, it goes on with what is not finished.") from None
    for future in futures.values():
        future.result()


def _table(todo: list[Place], states: dict[Place, tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "method", "seed", "state", "images", "select", ""):
        table.add_column(column, no_wrap=True)
    for place in todo:
        state, word = states[place]
        progress = place.progress() if state == "running" else None
        bar = ProgressBar(progress["total"], progress["done"], width=20) if progress else word[:60]
        quality = (progress or {}).get("select/psnr") or (progress or {}).get("remix")
        select = f"{quality:.2f} dB" if quality else ""
        amount = f"{progress['done']}/{progress['total']}" if progress else ""
        half = progress["half"] if progress else state
        table.add_row(place.cell.dataset, place.cell.method, str(place.cell.seed), half, amount, select, bar)
    return table


def status(suite: str, runs: Path) -> Table:
    """Where every cell of a suite stands, from the files on disk alone."""
    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "method", "seed", "state", ""):
        table.add_column(column, overflow="fold")
    for place in places(suite, runs):
        state, word = _valid_state(place)
        table.add_row(place.cell.dataset, place.cell.method, str(place.cell.seed), state, word)
    return table
