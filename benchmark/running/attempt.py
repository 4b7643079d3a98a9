"""One attempt at a cell: claim it, train, score, give it back. Wherever it runs, this is what runs it."""

from __future__ import annotations

import enum
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from benchmark.errors import disk_error
from benchmark.plan.execution import Execution, Failure, Job, Kind
from benchmark.running import cell, claims
from benchmark.running.places import Place
from benchmark.running.processes import kernel_killed

GRACE = 60.0
"""Seconds that a half has to write its checkpoint when it is asked to end."""

DEATHS = 3
"""How often a half may be killed in one attempt; each time it goes on from its checkpoint."""


class Ended(enum.Enum):
    """How an attempt ended; what became of the cell is on disk."""

    DONE = "finished, skipped or failed"
    ELSEWHERE = "another runner has it"
    STOPPED = "asked to stop"
    LOST = "its job is gone"


class Half(Protocol):
    """A half of a cell that runs."""

    def wait(self, seconds: float) -> int | None:
        """Its exit status (−n where signal n killed it); None where it still runs after so many seconds."""

    def signal(self, number: int) -> None:
        """Send it a signal."""


Launch = Callable[[str, Path, dict[str, str]], Half]
"""Starts a half of the cell in a folder, with more environment variables."""


@dataclass
class Attempt:
    """What an attempt needs beside the cell.

    Attributes:
        place: the cell.
        execution: how it is run: what no result depends on.
        launch: starts a half.
        keeper: keeps the claim fresh.
        stopping: set when all work is to stop.
        watch: that has watched the cell's claims so far.
    """

    place: Place
    execution: Execution
    launch: Launch
    keeper: claims.Keeper
    stopping: threading.Event
    watch: claims.Watch
    _claim: claims.Claim | None = field(default=None, init=False)

    def run(self) -> Ended:
        """Run what is not finished yet of the cell.

        Raises:
            DiskError: its folder cannot be written; the cell is as it was.
        """
        directory = self.place.directory
        try:
            self._claim = claims.acquire(self.watch, self.place.key)
            if self._claim is None:
                return Ended.ELSEWHERE
            self.keeper.add(self._claim)
            finished = False
            try:
                ended = self._work()
                finished = ended is Ended.DONE
                return ended
            finally:
                self.keeper.remove(self._claim)
                if not self._claim.lost.is_set():
                    for path in directory.glob("process-*.json"):
                        path.unlink(missing_ok=True)
                self._claim.give_back(finished=finished)
                if finished:
                    (directory / "job.json").unlink(missing_ok=True)
        except OSError as error:
            told = disk_error(error, self.place.runs)
            raise told or error from None

    def _work(self) -> Ended:
        place, claim = self.place, self._claim
        assert claim is not None
        if place.state().done or place.failure() is not None:
            return Ended.DONE  # by another runner, meanwhile
        place.forget_progress()
        place.forget_failure()
        own = place.cell
        job = Job(
            own.config, self.execution, place.key, identities=own.identities(),
            suite=own.suite, dataset=own.dataset, method=own.method, seed=own.seed,
            variant=own.variant, data_variant=own.data_variant,
        )  # fmt: skip
        job.write(place.directory)
        if not (place.directory / "last.ckpt").is_file():
            (place.directory / "log.txt").unlink(missing_ok=True)
        for half in ("fit", "score"):
            if half == "fit" and place.fitted() is not None:
                continue
            if half == "score":
                outcome = place.fitted()
                if outcome is None or outcome.skipped is not None:
                    break
                key = place.score_key()
                if key is None:
                    self._fail("score", job, "its data changed after training: run the suite again")
                    return Ended.DONE
                job = replace(job, score_key=key, record=str(place.stored(key).absolute()))
                job.write(place.directory)
            ended = self._half(half, job)
            if ended is not None:
                return ended
        if place.cell.key(fresh=True) != place.key:
            # Each half imported the method anew: what they found is nobody's result.
            for result in (place.directory / "fit.json", *(place.directory / "scores").glob("*")):
                result.unlink(missing_ok=True)
            self._fail("score", job, "its source files changed while it ran: run the suite again")
        return Ended.DONE

    def _half(self, half: str, job: Job) -> Ended | None:
        """Run a half, again where it was killed; None where it succeeded."""
        claim, directory = self._claim, self.place.directory
        assert claim is not None
        for _ in range(DEATHS):
            memory_kills = kernel_killed()
            status = self._follow(self.launch(half, directory, {cell.CLAIM: claim.token}))
            if status == 0:
                return None
            if claim.lost.is_set() or status == cell.REPLACED:
                return Ended.ELSEWHERE
            if status == cell.UNWRITABLE:
                raise OSError(_reason(directory), "", str(directory))
            if self.place.failure() is not None:
                return Ended.DONE
            if self.stopping.is_set():
                return Ended.STOPPED
            limit = self.execution.time_limit
            if limit is not None and claim.spent > 60 * limit:
                over = f"its time limit of {limit:g} min is over: give more with --time_limit"
                self._fail(half, job, over, kind="time_limit")
                return Ended.DONE
            if status == -signal.SIGKILL and kernel_killed() > memory_kills:
                cell.out_of_memory(half, job, "killed by the kernel").write(directory)
                return Ended.DONE
            if status == cell.FAILED:  # it could not say why
                break
        what = f"signal {-status}" if status < 0 else f"exit status {status}"
        self._fail(half, job, f"its process ended without a word ({what}); out of memory, or killed", kind="killed")
        return Ended.DONE

    def _follow(self, half: Half) -> int:
        """Wait for a half; ask it to end when the time has come, and insist."""
        assert self._claim is not None
        limit = self.execution.time_limit
        asked: float | None = None
        while (status := half.wait(0.5)) is None:
            over = limit is not None and self._claim.spent > 60 * limit
            if self._claim.lost.is_set() or (asked is not None and time.monotonic() - asked > GRACE):
                half.signal(signal.SIGKILL)
            elif asked is None and (self.stopping.is_set() or over):
                half.signal(signal.SIGTERM)
                asked = time.monotonic()
        return status

    def _fail(self, half: str, job: Job, error: str, kind: Kind = "error") -> None:
        Failure(half, job.key, job.score_key, error, job.config, kind).write(self.place.directory)


def _reason(directory: Path) -> int:
    """Why a folder takes no file, by trying."""
    try:
        probe = directory / f".probe-{os.getpid()}"
        probe.write_bytes(b"0" * 2**20)
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True)
        return error.errno or 0
    return 28  # ENOSPC: full when it mattered, with room again now


def show_log(place: Place, lines: int) -> list[str]:
    """The end of a failed cell's log; nothing where its one line says all that a person needs."""
    told, log = Failure.read(place.directory), place.directory / "log.txt"
    if not log.is_file() or (told and told.mendable):
        return []
    return log.read_text(errors="replace").splitlines()[-lines:]
