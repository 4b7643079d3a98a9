"""Cells as jobs of a Slurm cluster: submitted as arrays through submitit, each run by an ``Attempt`` on its node.

What a job does is on disk alone. It can be cancelled, pre-empted, requeued or lost with its node at any moment:
the cell goes on from its checkpoint wherever it is run next, by Slurm or by anything else.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.plan.catalogue import ROOT
from benchmark.plan.execution import Execution
from benchmark.running import claims
from benchmark.running.attempt import Attempt, Ended, Half
from benchmark.running.executors import Command, Executor, LocalExecutor
from benchmark.running.places import Place

ARRAY = 1000
"""Jobs in one array, at most: Slurm's MaxArraySize is 1001 unless a cluster says otherwise."""

ASK_EVERY = 5.0
"""Seconds from one question to the queue to the next."""

MISSED = 3
"""Questions in a row without a job after which it is gone: one that is requeued may not be listed for a moment."""

ALIVE = (
    "PENDING,RUNNING,SUSPENDED,COMPLETING,CONFIGURING,RESIZING,REQUEUED,REQUEUE_FED,REQUEUE_HOLD,SIGNALING,"
    "SPECIAL_EXIT,STAGE_OUT,STOPPED"
)
"""States of jobs that may still do something."""


@dataclass(frozen=True)
class Slurm:
    """What to ask Slurm for, for each cell.

    Attributes:
        partition: to submit to.
        account: to charge.
        qos: quality of service.
        time: minutes that a job may take; what is not finished then goes on in the same job, requeued.
        nodes: that a cell spans.
        gpus_per_node: 0 for cells on the CPU.
        tasks_per_node: processes that train together on a node; default one for each GPU.
        cpus_per_task: cores of each.
        memory_gb: of each node.
        max_jobs: that run at the same time, at most, of those submitted together.
        per_job: cells that a job runs one after the other; for many small ones.
        prelude: shell commands before anything else, for example "module load cuda".
        python: command that starts Python on the nodes, for example "apptainer exec --nv image.sif python".
        notice: seconds before the end of the time at which a checkpoint is written.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: int = 240
    nodes: int = 1
    gpus_per_node: int = 0
    tasks_per_node: int | None = None
    cpus_per_task: int = 1
    memory_gb: int | None = None
    max_jobs: int = 64
    per_job: int = 1
    prelude: str | None = None
    python: str | None = None
    notice: int = 120

    @property
    def devices(self) -> int:
        """Processes on each node."""
        return self.tasks_per_node or max(1, self.gpus_per_node)


class SlurmExecutor(Executor):
    """Submits cells; whoever submitted may go away, and find the jobs again later.

    Args:
        slurm: what to ask for.
        folder: of the suite's run; on a file system that the nodes share.

    Raises:
        UserError: there is no Slurm here, or a number makes no sense.
    """

    local: type[LocalExecutor] = LocalExecutor
    """Starts the halves of cells on their nodes."""

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        if shutil.which("sbatch") is None:
            raise UserError("no sbatch on this machine: run this where Slurm jobs are submitted, or leave --slurm out.")
        for name in ("time", "nodes", "max_jobs", "per_job", "cpus_per_task"):
            if getattr(slurm, name) < 1:
                raise UserError(f"slurm.{name} {getattr(slurm, name)}: it must be at least 1.")
        self.slurm, self.folder = slurm, folder.absolute()
        self.name = f"unblend-{folder.name}"
        self.width = f"as Slurm jobs, {slurm.max_jobs} at a time"
        self.farewell = f" Its jobs go on; `scancel --name={self.name}` ends them."
        self._jobs: dict[Place, str] = {}
        self._missed: dict[str, int] = {}
        self._asked = 0.0

    def submit(self, places: list[Place], execution: Execution) -> None:
        queue = self._queue()
        new = []
        for place in places:
            known = place.read("job.json")
            if known and known["job"] in queue:
                self._jobs[place] = known["job"]
            else:
                new.append(place)
        size = self.slurm.per_job
        groups = [new[i : i + size] for i in range(0, len(new), size)]
        for first in range(0, len(groups), ARRAY):
            self._submit(groups[first : first + ARRAY], execution)

    def ended(self, seconds: float) -> list[tuple[Place, Ended]]:
        time.sleep(seconds)
        if time.monotonic() - self._asked < ASK_EVERY:
            return []
        before = dict(self._jobs)
        try:
            queue = self._queue()
        except UserError:
            return []  # a controller that does not answer now and then is no reason to give up
        finally:
            self._asked = time.monotonic()
        found = []
        # Cells of jobs that are there are not looked at: too much for a large suite.
        missing = {job: self._missed.get(job, 0) + 1 for job in set(before.values()) - queue}
        self._missed = missing
        for place, job in before.items():
            if job not in missing:
                continue
            state = place.state()
            if missing[job] < MISSED and not (state.done or state.name == "failed"):
                continue
            if state.done or state.name == "failed":
                found.append((place, Ended.DONE))
            else:
                found.append((place, Ended.ELSEWHERE if state.name == "running" else Ended.LOST))
            del self._jobs[place]
            (place.directory / "job.json").unlink(missing_ok=True)
        return found

    def stop(self, seconds: float) -> None:
        pass  # jobs do not need whoever submitted them

    def _submit(self, groups: list[list[Place]], execution: Execution) -> None:
        from submitit import SlurmExecutor as Submitit  # imported here: jobs run without it being asked for

        slurm = self.slurm
        folder = self.folder / "slurm"
        submitit = Submitit(folder=folder, python=slurm.python)
        wanted = {
            "partition": slurm.partition,
            "account": slurm.account,
            "qos": slurm.qos,
            "gpus_per_node": slurm.gpus_per_node or None,
            "mem": f"{slurm.memory_gb}GB" if slurm.memory_gb else None,
            "setup": [*([slurm.prelude] if slurm.prelude else []), f"export PYTHONPATH={shlex.quote(_python_path())}"],
        }
        submitit.update_parameters(
            job_name=self.name,
            time=slurm.time,
            nodes=slurm.nodes,
            ntasks_per_node=slurm.devices,
            cpus_per_task=slurm.cpus_per_task,
            array_parallelism=slurm.max_jobs,
            stderr_to_stdout=True,
            # One process looks after the cell; it starts as many as Lightning expects.
            srun_args=["--nodes=1", "--ntasks=1", f"--cpus-per-task={slurm.cpus_per_task * slurm.devices}"],
            additional_parameters={"signal": f"USR1@{slurm.notice}", "requeue": True},
            **{name: value for name, value in wanted.items() if value is not None},
        )
        own = replace(execution, devices=slurm.devices, nodes=slurm.nodes, threads=slurm.cpus_per_task)
        try:
            with submitit.batch():
                jobs = [submitit.submit(job, group, own, slurm, self.local) for group in groups]
        except Exception as error:
            reason = " ".join(str(error.__cause__ or error).split())[-400:]
            raise UserError(f"Slurm does not take the jobs: {reason}") from error
        for submitted, group in zip(jobs, groups, strict=True):
            for place in group:
                self._jobs[place] = submitted.job_id
                write_json(place.directory / "job.json", {"key": place.key, "job": submitted.job_id})

    def _queue(self) -> set[str]:
        command = ["squeue", "--noheader", "--array", f"--name={self.name}", f"--user={getpass.getuser()}"]
        command += [f"--states={ALIVE}", "--format=%i"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode:
            raise UserError(f"squeue does not answer: {' '.join(asked.stderr.split())[:300]}")
        return set(asked.stdout.split())


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def job(places: list[Place], execution: Execution, slurm: Slurm, starter: type[LocalExecutor]) -> None:
    """What a job does on its node: run its cells, one after the other, and ask for more time if that is over."""
    stopping, requeue = threading.Event(), threading.Event()

    def stop(number: int, frame: Any) -> None:
        print(f"signal {number}: ending in good order", flush=True)
        if number == signal.SIGUSR1:
            requeue.set()
        stopping.set()

    local = starter(1, 1, threads=slurm.cpus_per_task, accelerator=execution.accelerator)
    ranks = slurm.nodes * slurm.devices
    keeper = claims.Keeper()

    def launch(half: str, directory: Path, environment: dict[str, str]) -> Half:
        if ranks > 1:
            return Ranks(half, directory, environment, slurm)
        return local.launch(half, directory, environment, local.gpus[:1])

    if ranks == 1:
        # Lightning would take the halves for tasks that srun started for it.
        told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("SLURM_")}
        local.prepare()
        os.environ.update(told)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)
    for place in places:
        watch = claims.Watch(place.directory)
        attempt = Attempt(place, execution, launch, keeper, stopping, watch)
        ended = attempt.run()
        # Of a job that ran here before, on another node, the claim may be left: it shows no sign of life.
        while ended is Ended.ELSEWHERE and not stopping.is_set() and not watch.owner_lives():
            time.sleep(1)
            ended = attempt.run()
        print(f"{place.cell.name}: {ended.value}; {place.state().name}", flush=True)
        if stopping.is_set():
            break
    if requeue.is_set() and not all(place.state().done or place.failure() for place in places):
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True)
        time.sleep(60)  # Slurm ends this: a job that ended by itself meanwhile would be finished, not requeued


class Ranks(Command):
    """A half in as many processes as Lightning expects, started by srun on the job's nodes."""

    def __init__(self, half: str, directory: Path, environment: dict[str, str], slurm: Slurm) -> None:
        python = shlex.split(slurm.python) if slurm.python else [sys.executable]
        command = [
            "srun", "--overlap", "--unbuffered", "--kill-on-bad-exit=1", f"--nodes={slurm.nodes}",
            f"--ntasks={slurm.nodes * slurm.devices}", f"--ntasks-per-node={slurm.devices}",
            f"--cpus-per-task={slurm.cpus_per_task}", *python, "-m", "benchmark.running.cell", half, str(directory),
        ]  # fmt: skip
        super().__init__(command, {**environment, "UNBLEND_RANKS_BY_SLURM": "1"})
