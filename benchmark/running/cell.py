"""One half of one cell, in a process of its own: ``python -m benchmark.running.cell fit|score FOLDER``.

Its output goes to ``log.txt`` in the folder. How it ended is its exit status; a failure leaves ``failure.json``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jsonargparse import ArgumentError

from benchmark.errors import UserError, disk_error, one_line
from benchmark.plan.execution import Failure, Job
from benchmark.running import claims
from benchmark.running.processes import Process, end_with_parent, host

FAILED, UNWRITABLE, INTERRUPTED, REPLACED = 1, 74, 75, 76
"""Exit statuses: ``failure.json`` says why; the disk takes no more; it may go on later; another has the cell."""

ENDING = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that ask a half to end; one that trains writes its checkpoint first."""

CLAIM = "UNBLEND_CLAIM"
"""Environment variable: token of the claim that a process works for.

It is not in ``cell.json``: a process that starts late would read there what another runner has written since.
"""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


Work = Callable[[str, Path, Job], None]
"""What a half does in a folder, given its job."""


def work(half: str, directory: Path, job: Job) -> None:
    """Train or score."""
    # Imported here, so that a broken file is a failure of this cell with a traceback in its log.
    import torch

    torch.set_num_threads(job.execution.threads)
    # Lightning's advice on workers and GPUs would bury what matters in the log.
    warnings.filterwarnings("ignore", module="lightning")
    if half == "fit":
        from benchmark.training.fit import fit

        if job.execution.logger == "wandb":
            from benchmark.training import wandb_run

            fit(directory, lambda trainer: wandb_run.attach(trainer, directory, job))
        else:
            fit(directory)
    else:
        from benchmark.scoring.score import score

        score(directory)
        if job.execution.logger == "wandb" and rank() == 0:
            from benchmark.training import wandb_run

            wandb_run.scores(directory, job)


def run(half: str, directory: Path, work: Work = work) -> None:
    """Do one half of the cell in a folder; any error becomes ``failure.json``.

    Raises:
        SystemExit: with one of the statuses above, where it did not succeed.
    """
    job = Job.read(directory)
    if job is None:
        raise RuntimeError(f"{directory} has no job.")
    _log_to(directory / "log.txt")
    print(f"--- {half}, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, {host().partition('/')[0]}, process {os.getpid()}")
    if not claims.join(directory, os.environ.get(CLAIM), f"{half}-{rank()}-{os.getpid()}"):
        raise SystemExit(REPLACED)
    try:
        work(half, directory, job)
        sys.stdout.flush()
    except Exception as error:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        if disk_error(error, directory) is not None:
            raise SystemExit(UNWRITABLE) from None
        # Another process of the cell speaks for all; one that lost its claim speaks for nobody.
        if rank() == 0 and claims.held(directory, os.environ.get(CLAIM)):
            try:
                failure(half, job, error).write(directory)
            except OSError:
                raise SystemExit(UNWRITABLE) from None
        raise SystemExit(FAILED) from None


def failure(half: str, job: Job, error: BaseException) -> Failure:
    """What is told of an error: among others its kind and one line for people."""
    text = one_line(error)
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
        return replace(out_of_memory(half, job, text), traceback=traceback.format_exc())
    mendable = isinstance(error, UserError | ArgumentError)
    told = text if mendable else f"{type(error).__name__}: {text}"
    return Failure(
        half, job.key, job.score_key, told, job.config, mendable=mendable, traceback=traceback.format_exc()
    )  # fmt: skip


def out_of_memory(half: str, job: Job, text: str) -> Failure:
    """What is told of too little memory: the batch size that failed, and what helps."""
    how = job.execution
    parts = how.devices * how.nodes * how.accumulate
    batch = job.config.get("data", {}).get("init_args", {}).get("batch_size", 32)
    at_once = batch // parts if half == "fit" else None
    batches = f"with a batch of {batch} images, {at_once} of them at once" if half == "fit" else "with test images"
    helps = "more --accumulate or --devices, or a smaller batch_size" if half == "fit" else "a larger device"
    return Failure(
        half, job.key, job.score_key, f"out of memory {batches}: {helps}. ({text[:200]})", job.config,
        kind="out_of_memory", batch_size=batch, images_at_once=at_once,
    )  # fmt: skip


def rank() -> int:
    """Of this process among those that work on the half together; 0 where it is alone."""
    if os.environ.get("UNBLEND_RANKS_BY_SLURM"):  # named in lightning_cli, which is too heavy to import here
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("LOCAL_RANK", "0"))


def run_forked(half: str, directory: Path, environment: dict[str, str], work: Work = work) -> None:
    """``run``, in a process forked from a preloaded server; it ends with that server."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's: it ends its cells
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)  # the server ignores them
    with_owner(directory)
    run(half, directory, work)


def with_owner(directory: Path) -> None:
    """Let this process end when the one that started it does, or the one that claimed its cell."""
    sign = claims.look(directory)
    owner: Process | None = sign.owner if sign is not None else None
    end_with_parent(os.getppid(), owner)


def _log_to(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    with_owner(Path(sys.argv[2]))
    run(sys.argv[1], Path(sys.argv[2]))
