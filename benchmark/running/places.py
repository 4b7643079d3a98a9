"""Where a cell's files are, and what they say about it: the only state that a run has.

A cell lives once, by its key, in ``runs/store/KEY``: claim, checkpoints, log, and a record for each score key. A suite
is a view: ``runs/SUITE`` has links to its cells and copies of their records, under names for people.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from rich.table import Table

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.plan.contents import read_data_digest
from benchmark.plan.execution import Failure, Fitted, Job
from benchmark.plan.suite import Cell
from benchmark.results import records
from benchmark.results.records import Record
from benchmark.running import claims

STORE = "store"
"""Folder of all cells, among those of the suites."""

KEY_LENGTH = 24
"""Characters of a cell's key that name its folder."""


Progress = TypedDict(
    "Progress",
    {
        "half": str,
        "done": int,
        "total": int,
        "rate": NotRequired[float],
        "select/psnr": NotRequired[float],
        "remix": NotRequired[float],
    },
)
"""How far a half is: what, images or iterations done, all of them, images a second, and how good it is (dB)."""


@dataclass(frozen=True)
class State:
    """Where a cell stands.

    Attributes:
        name: finished, skipped (the method cannot run on the data), failed, running, stale (its runner gives no
            sign of life), outdated (there is a record, of older code), interrupted (there is a checkpoint),
            submitted (its job waits for Slurm) or queued.
        word: for people: a score, a reason, how far it is, and of a finished cell which suite ran it, if another.
        mendable: of a failure: whether the user can mend it, so that another run may succeed.
    """

    name: str
    word: str = ""
    mendable: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.name in ("finished", "skipped")


@dataclass(frozen=True, eq=False)
class Place:
    """A cell's folder in the store, and its places in the view of its suite.

    Attributes:
        cell: the cell.
        runs: folder of all runs.
        key: of the cell, as its source files are now.
    """

    cell: Cell
    runs: Path
    key: str

    @property
    def run(self) -> Path:
        """Folder of the suite's view."""
        return self.runs / self.cell.suite

    @property
    def directory(self) -> Path:
        """Claim, checkpoint, log, progress, how each half ended, and records by score key."""
        return self.runs / STORE / self.key[:KEY_LENGTH]

    @property
    def record(self) -> Path:
        """The result in the suite's view."""
        return (self.run / "records" / self.cell.path).with_suffix(".json")

    @property
    def log(self) -> Path:
        """Its log, by a path that names the cell where the suite's view has a link."""
        link = self.run / "cells" / self.cell.path / "log.txt"
        return link if link.is_file() else self.directory / "log.txt"

    def stored(self, score_key: str) -> Path:
        """The result in the store, for one score key."""
        return self.directory / "scores" / f"{score_key[:KEY_LENGTH]}.json"

    def read(self, name: str) -> dict[str, object] | None:
        """One of the cell's JSON files; None where it is missing or not whole."""
        value = read_json(self.directory / name)
        return value if isinstance(value, dict) and value.get("key") == self.key else None

    def fitted(self) -> Fitted | None:
        """How training ended, if it did, with today's identities, configuration and data."""
        outcome = Fitted.read(self.directory)
        if outcome is None or outcome.key != self.key:
            return None
        if outcome.skipped is not None:
            return outcome
        if outcome.checkpoint and not (self.directory / outcome.checkpoint).is_file():
            return None
        return outcome if read_data_digest(self.directory / "data.json") else None

    def score_key(self) -> str | None:
        """What a record of this cell must have; None where the data are not known yet."""
        digest = read_data_digest(self.directory / "data.json")
        return self.cell.score_key(digest) if digest else None

    def result(self) -> Record | None:
        """The cell's record as the suite shows it; None where there is none for today's scoring.

        Raises:
            UserError: it is not whole.
        """
        key = self.score_key()
        if key is None or not self.stored(key).is_file():
            return None
        record = records.read(self.stored(key))
        if record.score_key != key:
            raise UserError(f"record {self.stored(key)}: its score key is another one; remove it and run again.")
        cell = self.cell
        return dataclasses.replace(
            record, suite=cell.suite, dataset=cell.dataset, method=cell.method,
            variant=cell.variant, data_variant=cell.data_variant,
        )  # fmt: skip

    def failure(self) -> Failure | None:
        """How it failed, with the code as it is now."""
        failure = Failure.read(self.directory)
        if failure is None or failure.key != self.key:
            return None
        return failure if failure.score_key in (None, self.score_key()) else None

    def state(self) -> State:
        """Where the cell stands, from its files alone; a record that is not whole is no record."""
        outcome = self.fitted()
        if outcome and outcome.skipped is not None:
            return State("skipped", outcome.skipped)
        broken = ""
        if outcome:
            try:
                record = self.result()
                if record is not None:
                    return State("finished", f"{record.mean('psnr'):.2f} dB{self._origin()}")
            except UserError as error:
                broken = str(error)
        if (claim := claims.state_of(self.directory)) is not None:
            where = f"{claim['host']}, process {claim['pid']}, since {claim['since'].replace('+00:00', ' UTC')}"
            if claim["stale"]:
                return State("stale", f"{where}: no sign of life for {claim['silent']:.0f} s; any run goes on with it")
            return State("running", "; ".join(filter(None, (self.progress_word(), where))))
        failure = self.failure()
        if failure is not None:
            return State("failed", f"{failure.half}: {failure.error}", failure.mendable)
        if broken:
            return State("queued", broken)
        if outcome and any((self.directory / "scores").glob("*.json")):
            return State("outdated", "the metrics changed since: it is scored again, not trained")
        if not outcome and self.record.is_file():
            return State("outdated", "the method, the data or the training changed since")
        job = self.read("job.json")
        if job:
            return State("submitted", f"Slurm job {job['job']}")
        if self.read("started.json") and (self.directory / "last.ckpt").is_file():
            return State("interrupted", "goes on from its checkpoint")
        return State("queued")

    def _origin(self) -> str:
        """Which other suite ran a finished cell, in words."""
        job = Job.read(self.directory)
        return f", from suite {job.suite}" if job and job.suite != self.cell.suite else ""

    def link(self) -> None:
        """Give the suite's view a link to the cell's folder; a file system without links does without."""
        _point(self.run / "cells" / self.cell.path, self.directory)

    def show(self) -> Record:
        """Bring the cell's record and samples into the suite's view; what is there already is left alone.

        Returns:
            The record.

        Raises:
            UserError: there is none, or it is not whole.
        """
        record = self.result()
        if record is None:
            raise UserError(f"{self.cell.name} has no record: run the suite again.")
        self.link()
        shown = None
        with contextlib.suppress(UserError):
            shown = records.read(self.record) if self.record.is_file() else None
        new = (record.score_key, record.variant, record.provenance)
        if shown is None or (shown.score_key, shown.variant, shown.provenance) != new:
            records.write(self.record, record)
        samples = self.directory / "samples"
        if samples.is_dir():
            _point(self.run / "samples" / self.cell.path, samples)
        return record

    def progress(self) -> Progress | None:
        """How far the half is that reported last; None where none did."""
        newest: tuple[float, Path] | None = None
        for path in (self.directory / "progress.json", self.directory / "scoring" / "progress.json"):
            try:
                when = path.stat().st_mtime
            except OSError:
                continue
            if newest is None or when > newest[0]:
                newest = when, path
        value: Any = read_json(newest[1]) if newest else None
        return cast("Progress", value) if isinstance(value, dict) and "half" in value else None

    def progress_word(self) -> str:
        """How far it is and how long it will take, in words."""
        progress = self.progress()
        if progress is None:
            return ""
        word = f"{progress['half']} {progress['done']} of {progress['total']}"
        left, rate = progress["total"] - progress["done"], progress.get("rate")
        if rate and left > 0:
            word += f", {duration(left / rate)} left"
        return word

    def forget_progress(self) -> None:
        """Remove what an earlier run reported."""
        for name in ("progress.json", "scoring/progress.json"):
            (self.directory / name).unlink(missing_ok=True)

    def forget_failure(self) -> None:
        """Let the cell be tried again."""
        (self.directory / Failure.FILE).unlink(missing_ok=True)


def _point(link: Path, folder: Path) -> None:
    """Make a link to a folder, relative so that the runs can be moved; replace what it pointed to before."""
    target = os.path.relpath(folder, link.parent)
    if link.is_symlink() and os.readlink(link) == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        beside.symlink_to(target, target_is_directory=True)
    except (OSError, NotImplementedError):
        return
    os.replace(beside, link)


def duration(seconds: float) -> str:
    """For people: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def places(cells: Iterable[Cell], runs: Path) -> list[Place]:
    """Where cells stand in a folder of runs."""
    return [Place(cell, runs, cell.key()) for cell in cells]


def status(cells: Iterable[Cell], runs: Path) -> Table:
    """Where every cell of a suite stands, from the files on disk alone."""
    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "method", "seed", "state", ""):
        table.add_column(column, overflow="fold")
    counts: dict[str, int] = {}
    for place in places(cells, runs):
        state = place.state()
        counts[state.name] = counts.get(state.name, 0) + 1
        word = state.word.splitlines()[0] if state.word else ""
        table.add_row(place.cell.dataset, place.cell.method, str(place.cell.seed), state.name, word)
    table.caption = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return table
