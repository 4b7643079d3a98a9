"""Where cells run: the interface, and this machine's devices."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue

from benchmark.errors import UserError
from benchmark.plan.catalogue import ROOT
from benchmark.plan.execution import Execution
from benchmark.results import provenance
from benchmark.running import claims
from benchmark.running.attempt import Attempt, Ended, Half
from benchmark.running.cell import ENDING, Work, run_forked, work
from benchmark.running.places import Place


class Executor(ABC):
    """Runs cells, each by an ``Attempt``. What became of a cell is on disk.

    Attributes:
        width: how many cells at a time, in words.
        farewell: what to say to whoever leaves before the end.
    """

    width: str
    farewell: str = ""

    @abstractmethod
    def submit(self, places: list[Place], execution: Execution) -> None:
        """Queue cells.

        Args:
            places: the cells.
            execution: how they are run: what no result depends on.
        """

    @abstractmethod
    def ended(self, seconds: float) -> list[tuple[Place, Ended]]:
        """Attempts that have ended since this was asked last; waits for one, at most so many seconds.

        Raises:
            UserError: nothing can be run any more, for the reason it gives.
        """

    @abstractmethod
    def stop(self, seconds: float) -> None:
        """Forget what is queued, and end what runs here; wait for that at most so many seconds."""


class LocalExecutor(Executor):
    """Packs cells on this machine's devices, each half in its own process.

    A process is forked from a server that has imported torch and Lightning once, because importing
    them takes longer than many a small cell. A cell that spans several devices gets a fresh
    interpreter instead: Lightning starts its other ranks by running the same command again.

    Args:
        jobs: cells at a time, at most; default as many as there are devices for.
        devices: devices that a cell spans, unless the suite says otherwise for it. Without GPUs, a device is a core.
        per_device: cells that share a GPU.
        threads: on the CPU, of a cell on each device; default an equal share of the cores.
        accelerator: of Lightning's Trainer.

    Attributes:
        preloaded: modules that the server has imported before it forks.
        work: what a forked half does.
    """

    preloaded: tuple[str, ...] = (
        "benchmark.running.bench",
        "benchmark.training.fit",
        "benchmark.scoring.score",
    )
    work: Work = staticmethod(work)

    def __init__(
        self,
        jobs: int | None = None,
        devices: int = 1,
        per_device: int = 1,
        threads: int | None = None,
        accelerator: str = "auto",
    ) -> None:
        cores = provenance.cores()
        self.gpus = visible_gpus() if accelerator in ("auto", "gpu", "cuda") else []
        self.devices = devices
        if self.gpus:
            slots = self.gpus * per_device
        else:
            slots = [str(core) for core in range(jobs * devices if jobs else max(devices, cores // (threads or 1)))]
        self.jobs = jobs or max(1, len(slots) // devices)
        self.threads = threads or max(1, cores // (self.jobs * devices))
        self.width = f"{self.jobs} at a time"
        self.stopping = threading.Event()
        self._free, self._taken = list(slots), list[str]()
        self._queue: list[tuple[Place, Execution]] = []
        self._changed = threading.Condition()
        self._ended: SimpleQueue[tuple[Place, Ended | BaseException]] = SimpleQueue()
        self._watches: dict[Place, claims.Watch] = {}
        self._keeper = claims.Keeper()
        self._context = multiprocessing.get_context("forkserver")
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(self.jobs)]
        for thread in self._threads:
            thread.start()

    def prepare(self) -> None:
        """Start the server that halves are forked from; signals to all of a job's processes must not end it."""
        # Read by BLAS and OpenMP when they are imported: by the server, before it forks.
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[f"{library}_NUM_THREADS"] = str(self.threads)
        self._context.set_forkserver_preload(list(self.preloaded))
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
        forkserver.ensure_running()
        for number, handler in before.items():
            signal.signal(number, handler)

    def submit(self, places: list[Place], execution: Execution) -> None:
        if places:
            self.prepare()
        with self._changed:
            for place in places:
                needed, there = place.cell.devices or self.devices, len(set(self._free + self._taken))
                if needed > there and self.gpus:
                    raise UserError(f"{place.cell.name} asks for {needed} GPUs, this machine has {there}.")
                self._free += [str(core) for core in range(there, needed)]  # more ranks than cores: slow, and allowed
                self._queue.append((place, execution))
            self._changed.notify_all()

    def ended(self, seconds: float) -> list[tuple[Place, Ended]]:
        found: list[tuple[Place, Ended]] = []
        try:
            place, ended = self._ended.get(timeout=seconds)
            while True:
                if isinstance(ended, BaseException):
                    raise ended
                found.append((place, ended))
                place, ended = self._ended.get_nowait()
        except Empty:
            return found

    def stop(self, seconds: float) -> None:
        self.stopping.set()
        with self._changed:
            self._queue.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds)

    def launch(self, half: str, directory: Path, environment: dict[str, str], devices: list[str]) -> Half:
        """Start a half on devices."""
        if self.gpus:
            environment = {**environment, "CUDA_VISIBLE_DEVICES": ",".join(devices)}
        if len(devices) > 1:
            command = [sys.executable, "-m", "benchmark.running.cell", half, str(directory)]
            return Command(command, environment)
        process = self._context.Process(target=run_forked, args=(half, directory, environment, self.work))
        process.start()
        return Forked(process)

    def _serve(self) -> None:
        """One thread: run cells as devices become free, in their order; a smaller one may overtake."""
        while True:
            with self._changed:
                while (chosen := self._choose()) is None:
                    if self.stopping.is_set():
                        return
                    self._changed.wait()
            place, execution, devices = chosen
            try:
                self._ended.put((place, self._attempt(place, execution, devices)))
            except BaseException as error:
                self._ended.put((place, error))
            finally:
                with self._changed:
                    for device in devices:
                        self._taken.remove(device)
                        self._free.append(device)
                    self._changed.notify_all()

    def _choose(self) -> tuple[Place, Execution, list[str]] | None:
        for i, (place, execution) in enumerate(self._queue):
            free = list(dict.fromkeys(self._free))  # a cell's devices are different ones
            needed = place.cell.devices or self.devices
            if needed <= len(free):
                del self._queue[i]
                for device in free[:needed]:
                    self._free.remove(device)
                    self._taken.append(device)
                return place, replace(execution, devices=needed, threads=self.threads), free[:needed]
        return None

    def _attempt(self, place: Place, execution: Execution, devices: list[str]) -> Ended:
        watch = self._watches.setdefault(place, claims.Watch(place.directory))
        return Attempt(
            place,
            execution,
            lambda half, directory, environment: self.launch(half, directory, environment, devices),
            self._keeper,
            self.stopping,
            watch,
        ).run()


class Forked:
    """A half in a process of multiprocessing's."""

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    def wait(self, seconds: float) -> int | None:
        """See ``Half``."""
        self.process.join(seconds)
        return self.process.exitcode

    def signal(self, number: int) -> None:
        """See ``Half``."""
        if self.process.pid is not None and self.process.exitcode is None:
            os.kill(self.process.pid, number)


class Command:
    """A half in a process of its own interpreter."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        own = {**os.environ, **environment, "PYTHONPATH": python_path}
        # A session of its own: Ctrl-C is the runner's, which ends its cells.
        self.process = subprocess.Popen(command, env=own, start_new_session=True)

    def wait(self, seconds: float) -> int | None:
        """See ``Half``."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        """See ``Half``."""
        self.process.send_signal(number)


class Here:
    """A half that runs in this very process when it is waited for; for cells too short for a process of their own.

    Args:
        work: what it does.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work

    def wait(self, seconds: float) -> int | None:
        """See ``Half``."""
        try:
            self.work()
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    def signal(self, number: int) -> None:
        """It cannot be reached."""


def visible_gpus() -> list[str]:
    """NVIDIA GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; imports no torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip() and name.strip() != "-1"]
    return [str(i) for i in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
