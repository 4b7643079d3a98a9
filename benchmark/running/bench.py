"""Run a suite: what is finished is reused, what fails does not stop the rest, what others run is waited for."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from benchmark.errors import UserError, disk_error
from benchmark.plan.execution import Execution, Job
from benchmark.plan.suite import Cell
from benchmark.results.records import Record
from benchmark.running.attempt import GRACE, Ended, show_log
from benchmark.running.claims import Watch
from benchmark.running.executors import Executor
from benchmark.running.forecast import Forecast
from benchmark.running.places import Place, State, duration, places

LOG_LINES = 12
LOOK_EVERY = 1.0
"""Seconds from one look at what other runners do to the next; longer where they have very many cells."""

SHOWN = 40
"""Cells in the table on the terminal, at most."""


@dataclass(frozen=True)
class Swept:
    """What became of a suite's cells.

    Attributes:
        folder: of the suite, with a view of its cells.
        records: of the finished ones.
        failed: whether any failed, or was left where it stood.
    """

    folder: Path
    records: list[Record]
    failed: bool


def bench(
    cells: Sequence[Cell],
    runs: Path,
    executor: Executor,
    execution: Execution,
    console: Console,
    *,
    failed_only: bool = False,
) -> Swept:
    """Run every cell of a suite that has no valid record.

    Of cells that failed before, those are run again whose user could mend the reason; ``failed_only`` runs all.

    Args:
        cells: of one suite.
        runs: folder of all runs.
        executor: where cells run.
        execution: how cells are run: what no result depends on.
        console: that is told how it goes.
        failed_only: run again what failed, whatever the reason, and nothing else.

    Raises:
        UserError: the run was interrupted, or the disk takes no more.
    """
    try:
        return _bench(places(cells, runs), runs, executor, execution, failed_only, console)
    except OSError as error:
        raise disk_error(error, runs) or error from None


def _bench(
    cells: list[Place], runs: Path, executor: Executor, execution: Execution, failed_only: bool, console: Console
) -> Swept:
    suite = cells[0].cell.suite
    sweep = Sweep(cells, executor, execution, console)
    failed = [place for place in cells if sweep.states[place].name == "failed"]
    again = [place for place in failed if failed_only or sweep.states[place].mendable]
    left = [] if failed_only else [place for place in cells if not sweep.states[place].done and place not in failed]
    todo = [place for place in cells if place in {*again, *left}]
    console.print(
        f"{suite}: {len(cells)} cells, {sum(state.done for state in sweep.states.values())} reused, "
        f"{len(todo)} to run, {executor.width}",
        soft_wrap=True,
    )
    for place in again:
        place.forget_failure()
    for place in cells:
        place.link()
    if todo:
        sweep.run(todo)
    _tell(cells, sweep.states, console)
    if len(failed) > len(again):
        more = len(failed) - len(again)
        console.print(f"{more} failed before: the same command with --only failed runs them again", soft_wrap=True)
    finished = [place.show() for place in cells if sweep.states[place].name == "finished"]
    return Swept(runs / suite, finished, failed=not all(state.done for state in sweep.states.values()))


def _tell(cells: list[Place], states: dict[Place, State], console: Console) -> None:
    """Say of each cell that is not finished what became of it."""
    for name in ("skipped", "failed", "queued", "running", "interrupted"):
        for place in cells:
            if states[place].name == name:
                line = f"{name:7} {place.cell.name}: {states[place].word}"
                console.print(line, highlight=False, markup=False, soft_wrap=True)
                if name == "failed":
                    for line in show_log(place, LOG_LINES):
                        console.print(f"  {line}", style="dim", highlight=False, markup=False, soft_wrap=True)
                    log = f"  log: {place.log}"
                    console.print(log, highlight=False, markup=False, soft_wrap=True)


class Sweep:
    """One runner's way through a suite, beside any others.

    Attributes:
        states: where each cell stands, as far as this runner knows.
    """

    def __init__(self, cells: list[Place], executor: Executor, execution: Execution, console: Console) -> None:
        self.executor, self.execution, self.console = executor, execution, console
        self.states = {place: place.state() for place in cells}
        self._elsewhere: dict[Place, Watch] = {}
        self._forecast = Forecast()
        self._since = time.time()
        self._todo: list[Place] = []
        self._next_look = self._next_table = self._next_word = 0.0

    def run(self, todo: list[Place]) -> None:
        """Run cells until each of them is finished, skipped or failed, here or elsewhere.

        Raises:
            UserError: interrupted, or the disk takes no more.
        """
        before = _stop_on_signals()
        self._todo, waiting = todo, set(todo)
        for place in todo:
            self.states[place] = State("queued")
        try:
            self.executor.submit(todo, self.execution)
            with Live(console=self.console, auto_refresh=False, transient=True) as live:
                while waiting:
                    for place, ended in self.executor.ended(0.25):
                        if ended is Ended.ELSEWHERE:
                            self._elsewhere[place] = Watch(place.directory)
                        if self._settled(place, ended):
                            waiting.discard(place)
                    for place in self._look():
                        waiting.discard(place)
                    if (begin := time.monotonic()) > self._next_table:
                        self._note_beginnings(waiting)
                        if self.console.is_terminal:
                            live.update(self._table(todo), refresh=True)
                        self._next_table = begin + 20 * (time.monotonic() - begin)  # looking must not be what it does
        except KeyboardInterrupt:
            raise UserError(
                "interrupted: run the same command again, it goes on with what is not finished."
                + self.executor.farewell
            ) from None
        finally:
            # No second signal cuts short what the first one set going.
            for number in before:
                signal.signal(number, signal.SIG_IGN)
            self.executor.stop(GRACE + 5)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _settled(self, place: Place, ended: Ended) -> bool:
        """Take note of an attempt's end; whether there is no more to come of this cell."""
        state = place.state()
        if ended is Ended.DONE and not state.done and state.name != "failed":
            state = State("failed", f"its attempt ended, but it is {state.name} ({state.word}): run the suite again")
        if ended is Ended.LOST and not state.done and state.name != "failed":
            state = State("failed", f"its job ended before it did ({state.name}): run the same command again")
        self.states[place] = state
        if not (state.done or state.name == "failed"):
            return False
        if state.name == "finished":
            place.show()
        self._elsewhere.pop(place, None)
        seconds = self._forecast.ended(place)
        if not self.console.is_terminal:
            word = f"{state.name} {place.cell.name} ({seconds:.0f} s) {state.word}"
            if time.monotonic() > self._next_word:  # very many small cells are counted now and then only
                word += f"; {self._how_far()}"
                self._next_word = time.monotonic() + LOOK_EVERY
            self.console.print(word, highlight=False, markup=False, soft_wrap=True)
        return True

    def _note_beginnings(self, waiting: Iterable[Place]) -> None:
        """Take note of cells that run by now: whoever runs one writes what it is to do."""
        for place in waiting:
            with contextlib.suppress(OSError):
                if (place.directory / Job.FILE).stat().st_mtime >= self._since:
                    self._forecast.began(place)

    def _how_far(self) -> str:
        """How many cells have ended, and how long the others will take, in words."""
        left = [place for place in self._todo if not (self.states[place].done or self.states[place].name == "failed")]
        word = f"{len(self._todo) - len(left)} of {len(self._todo)} ended"
        seconds = self._forecast.left(left) if left else None
        return word if seconds is None else f"{word}, about {duration(seconds)} left"

    def _look(self) -> list[Place]:
        """What has become of cells that other runners had; those that they left are queued here."""
        if not self._elsewhere or time.monotonic() < self._next_look:
            return []
        settled, left = [], []
        for place, watch in list(self._elsewhere.items()):
            if watch.next() is None:
                continue
            if self._settled(place, Ended.ELSEWHERE):
                settled.append(place)
            else:
                left.append(place)
                del self._elsewhere[place]
        self.executor.submit(left, self.execution)
        self._next_look = time.monotonic() + max(LOOK_EVERY, 0.005 * len(self._elsewhere))
        return settled

    def _table(self, todo: list[Place]) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("dataset", "method", "seed", "state", "images", "select", ""):
            table.add_column(column, no_wrap=True)
        active = [place for place in todo if (place.directory / "cell.json").is_file()]
        for place in [place for place in active if not self.states[place].done][:SHOWN]:
            state = self.states[place]
            progress = place.progress() if state.name != "failed" else None
            bar = ProgressBar(progress["total"], progress["done"], width=20) if progress else state.word[:60]
            quality = (progress.get("select/psnr") or progress.get("remix")) if progress else None
            select = f"{quality:.2f} dB" if quality else ""
            amount = f"{progress['done']}/{progress['total']}" if progress else ""
            half = progress["half"] if progress else state.name
            table.add_row(place.cell.dataset, place.cell.method, str(place.cell.seed), half, amount, select, bar)
        table.caption = self._how_far()
        return table


def _stop_on_signals() -> dict[int, Any]:
    """Let SIGTERM, SIGHUP and SIGUSR1 stop the work in good order, as Ctrl-C does; the handlers before."""
    if threading.current_thread() is not threading.main_thread():
        return {}

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {int(number): signal.getsignal(number) for number in numbers}
    for number in numbers[1:]:
        signal.signal(number, stop)
    return before
