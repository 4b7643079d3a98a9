"""Where a cell's files are, and what they say about it: the only state that a run has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import claims, records
from benchmark.digests import read_data_digest
from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.suite import Cell, load


@dataclass(frozen=True)
class State:
    """Where a cell stands.

    Attributes:
        name: finished, skipped (the method cannot run on the data), failed, running, stale (its runner gives no
            sign of life), outdated (there is a record, of older code), interrupted (there is a checkpoint), submitted
            (its job waits for Slurm) or queued.
        word: for people: a score, a reason, how far it is.
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
        """Claim, checkpoint, log, progress, and how each half ended."""
        return self.run / "cells" / self.cell.path

    @property
    def record(self) -> Path:
        """The result."""
        return (self.run / "records" / self.cell.path).with_suffix(".json")

    def read(self, name: str) -> dict[str, Any] | None:
        """One of the cell's JSON files; None where it is missing or not whole."""
        value = read_json(self.directory / name)
        return value if isinstance(value, dict) and "fit_hash" in value else None

    def fitted(self) -> dict[str, Any] | None:
        """How training ended, if it did, with today's sources, configuration and data."""
        outcome = self.read("fit.json")
        if outcome is None or outcome["fit_hash"] != self.fit_hash:
            return None
        if outcome["status"] == "skipped":
            return outcome
        if outcome["checkpoint"] and not (self.directory / outcome["checkpoint"]).is_file():
            return None
        return outcome if read_data_digest(self.directory / "data.json") else None

    def score_hash(self) -> str | None:
        """What a record of this cell must have; None where the data are not known yet."""
        digest = read_data_digest(self.directory / "data.json")
        return self.cell.score_hash(digest) if digest else None

    def failure(self) -> dict[str, Any] | None:
        """How it failed, with the code as it is now."""
        failure = self.read("failure.json")
        if failure is None or failure["fit_hash"] != self.fit_hash:
            return None
        return failure if failure.get("score_hash") in (None, self.score_hash()) else None

    def state(self) -> State:
        """Where the cell stands, from its files alone; a record that is not whole is no record."""
        outcome = self.fitted()
        if outcome and outcome["status"] == "skipped":
            return State("skipped", outcome["skipped"])
        broken = ""
        if outcome and self.record.is_file():
            try:
                record = records.read(self.record)
                if record.score_hash == self.score_hash():
                    return State("finished", f"{record.mean('psnr'):.2f} dB")
            except UserError as error:
                broken = str(error)
        if (claim := claims.state_of(self.directory)) is not None:
            where = f"{claim['host']}, process {claim['pid']}, since {claim['since'].replace('+00:00', ' UTC')}"
            if claim["stale"]:
                return State("stale", f"{where}: no sign of life for {claim['silent']:.0f} s; any run goes on with it")
            return State("running", "; ".join(filter(None, (self.progress_word(), where))))
        failure = self.failure()
        if failure is not None:
            return State("failed", f"{failure['half']}: {failure['error']}", failure["mendable"])
        if broken:
            return State("queued", broken)
        if self.record.is_file():
            return State("outdated", f"{'scoring' if outcome else 'method, data or training'} code changed since")
        job = self.read("job.json")
        if job and job["fit_hash"] == self.fit_hash:
            return State("submitted", f"Slurm job {job['job']}")
        started = self.read("started.json")
        if started and started["fit_hash"] == self.fit_hash and (self.directory / "last.ckpt").is_file():
            return State("interrupted", "goes on from its checkpoint")
        return State("queued")

    def progress(self) -> dict[str, Any] | None:
        """How far the half is that reported last; None where none did."""
        newest: tuple[float, Path] | None = None
        for path in (self.directory / "progress.json", self.directory / "scoring" / "progress.json"):
            try:
                when = path.stat().st_mtime
            except OSError:
                continue
            if newest is None or when > newest[0]:
                newest = when, path
        value = read_json(newest[1]) if newest else None
        return value if isinstance(value, dict) and "half" in value else None

    def progress_word(self) -> str:
        """How far it is and how long it will take, in words."""
        progress = self.progress()
        if progress is None:
            return ""
        word = f"{progress['half']} {progress['done']} of {progress['total']}"
        left = progress["total"] - progress["done"]
        if progress.get("rate") and left > 0:
            word += f", {duration(left / progress['rate'])} left"
        return word

    def forget_progress(self) -> None:
        """Remove what an earlier run reported."""
        for name in ("progress.json", "scoring/progress.json"):
            (self.directory / name).unlink(missing_ok=True)

    def forget_failure(self) -> None:
        """Let the cell be tried again."""
        (self.directory / "failure.json").unlink(missing_ok=True)


def duration(seconds: float) -> str:
    """For people: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def places(suite: str, runs: Path) -> list[Place]:
    """The cells of a suite and where they stand."""
    return [Place(cell, runs / cell.suite, cell.fit_hash()) for cell in load(suite)]
