"""Where cells run: processes on this machine's devices."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from benchmark import provenance
from benchmark.catalogue import ROOT
from benchmark.cell import run_forked


class LocalExecutor:
    """Runs several cells at a time, each half in its own process.

    A process is forked from a server that has imported torch and Lightning once, because importing
    them takes longer than many a small cell. A cell that spans several devices gets a fresh
    interpreter instead: Lightning starts its other ranks by running the same command again.

    Args:
        jobs: cells at a time; default one for each NVIDIA GPU, or for each core where there is none.
        devices: devices that a cell spans.
    """

    def __init__(self, jobs: int | None = None, devices: int = 1) -> None:
        gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
        cores = provenance.cores()
        self.jobs = jobs or max(1, (gpus or cores) // devices)
        self.devices = devices
        self.stopping = False
        self.threads = max(1, cores // (self.jobs * devices))
        # Read by BLAS and OpenMP when they are imported: by the server, before it forks.
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[f"{library}_NUM_THREADS"] = str(self.threads)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmark.cli", "benchmark.bench", "benchmark.fit", "benchmark.score"])
        self._pool = ThreadPoolExecutor(self.jobs)
        self._places: SimpleQueue[str | None] = SimpleQueue()
        for job in range(self.jobs):
            first = job * devices
            self._places.put(",".join(str((first + i) % gpus) for i in range(devices)) if gpus else None)

    def submit(self, cell: Callable[[Callable[[str, Path], bool]], None]) -> Future[None]:
        """Queue a cell: a function that is given ``run(half, folder) -> succeeded``."""
        return self._pool.submit(self._on_a_place, cell)

    def stop(self) -> None:
        """Forget what is queued and end what runs."""
        self.stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()

    def _on_a_place(self, cell: Callable[[Callable[[str, Path], bool]], None]) -> None:
        place = self._places.get()
        environment: dict[str, str] = {}
        if place is not None and "CUDA_VISIBLE_DEVICES" not in os.environ:
            environment["CUDA_VISIBLE_DEVICES"] = place
        try:
            cell(lambda half, directory: self._run(half, directory, environment))
        finally:
            self._places.put(place)

    def _run(self, half: str, directory: Path, environment: dict[str, str]) -> bool:
        if self.devices > 1:
            command = [sys.executable, "-m", "benchmark.cell", half, str(directory)]
            python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            own = {**os.environ, **environment, "PYTHONPATH": python_path}
            return subprocess.run(command, env=own, check=False).returncode == 0
        process = self._context.Process(target=run_forked, args=(half, directory, environment))
        process.start()
        process.join()
        return process.exitcode == 0
