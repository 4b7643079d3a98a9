"""A runner of cells that take a moment and import nothing heavy: ``python light.py SUITE RUNS JOBS [retry] [slurm]``.

Claims, processes, records, leaderboard and resumption are the real ones; only what a half does is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.metrics.scores import Scores
from benchmark.plan.contents import write_data_digest
from benchmark.plan.execution import Execution, Fitted, Job
from benchmark.plan.suite import load
from benchmark.results import records
from benchmark.running import claims
from benchmark.running.executors import Executor, LocalExecutor
from benchmark.running.machine import Machine
from benchmark.running.slurm import Slurm, SlurmExecutor
from benchmark.workflows.sweep import sweep

SECONDS = float(os.environ.get("LIGHT_SECONDS", "0.01"))


def note(directory: Path, word: str) -> None:
    """One line in a journal that is only ever appended to."""
    handle = os.open(directory / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{word} {os.getpid()}\n".encode())
    os.close(handle)


def light(half: str, directory: Path, job: Job) -> None:
    """Works in ten steps, goes on where it was, and notes when two processes work on one cell at once."""
    lock = open(directory / "lock", "w")  # noqa: SIM115  held while this process lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        note(directory, "overlap")
    note(directory, f"begin-{half}")
    if "LIGHT_RAISES" in os.environ:
        raise RuntimeError(os.environ["LIGHT_RAISES"])
    seed = hashlib.sha256(f"{job.method}{job.seed}".encode()).digest()[0] / 10
    state = directory / f"{half}-state.json"
    done = (read_json(state) or {}).get("done", 0)
    for step in range(done, 10):
        time.sleep(SECONDS / 20)
        write_json(state, {"done": step + 1})
    if half == "fit":
        write_data_digest(directory / "data.json", [Path(__file__)])
        training = {
            "images_seen": 10,
            "optimizer_steps": 1,
            "seconds": 0.0,
            "peak_memory_mib": 1.0,
            "select_psnr": 1.0,
            "curve": [],
        }
        Fitted(job.key, None, None, training, job.config).write(directory)
        return
    values = {
        "psnr": np.full((20, 2), 10 + seed, np.float32), "ssim": np.full((20, 2), 0.5, np.float32),
        "lmse": np.full((20, 2), 0.1, np.float32), "mse": np.full((20, 2), 0.01, np.float32),
    }  # fmt: skip
    made = records.Record(
        suite=job.suite, dataset=job.dataset, method=job.method, seed=job.seed, title=job.method,
        variant=job.variant, data_variant=job.data_variant, window="",
        identities=job.identities, key=job.key, score_key=str(job.score_key),
        data_digest=read_json(directory / "data.json")["digest"], checkpoint_sha256=None,
        spec={
            "layers": ["a", "b"], "scored": ["a", "b"], "target": ["a", "b"], "derived": [], "ordered": True,
            "mixing": "sum", "citation": "none",
        },
        config=job.config, training=read_json(directory / "fit.json")["training"],
        cost={"parameters": 1, "flops": None, "latency_s": 0.1, "latency_threads": 1, "peak_memory_mib": 1.0},
        provenance={"commit": None, "processor": "any", "device": "cpu", "processes": 1},
        ids=tuple(str(i) for i in range(20)),
        scores=Scores(("rgb@1",), np.tile(np.arange(2, dtype=np.int8), (20, 1)), {"rgb@1": values}),
        latent={},
    )  # fmt: skip
    records.write(Path(str(job.record)), made)
    note(directory, "finished")


class LightExecutor(LocalExecutor):
    """Forks from a server that has imported what a light half needs."""

    preloaded = ("benchmark.running.bench",)
    work = staticmethod(light)


class LightSlurm(SlurmExecutor):
    """The same in the jobs of Slurm."""

    local = LightExecutor


@dataclass(frozen=True)
class LightMachine(Machine):
    """Where they run."""

    def executor(self, execution: Execution, folder: Path) -> Executor:
        if self.slurm:
            return LightSlurm(self.slurm, folder)
        return LightExecutor(self.jobs, accelerator="cpu", threads=1)


def main(suite: str, runs: str, jobs: str, *more: str) -> None:
    """Run a suite."""
    claims.STALE, claims.BEAT, claims.PATIENCE = 3.0, 0.5, 2.0
    machine = LightMachine(int(jobs), slurm=Slurm(partition="main", max_jobs=int(jobs)) if "slurm" in more else None)
    limit = os.environ.get("LIGHT_LIMIT")  # in minutes
    execution = Execution(accelerator="cpu", time_limit=float(limit) if limit else None, accumulate=2)
    try:
        sweep(load(suite), Path(runs), machine, execution, failed_only="retry" in more)
    except UserError as error:
        print(f"unblend: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    import light as module  # jobs of Slurm find it by this name, not as __main__

    module.main(*sys.argv[1:])
