"""Where cells run: this machine's cores or GPUs, or jobs of Slurm."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan.execution import Execution
from benchmark.running.executors import Executor, LocalExecutor
from benchmark.running.slurm import Slurm, SlurmExecutor


@dataclass(frozen=True)
class Machine:
    """Where cells run, and how many at a time.

    Attributes:
        jobs: cells at a time; default one for each GPU, or for each core where there is none.
        per_device: cells that share a GPU.
        threads: cores that each cell uses, on the CPU; default an equal share.
        slurm: run the cells as jobs of Slurm, for example with --slurm.partition=gpu --slurm.gpus_per_node=1.
    """

    jobs: int | None = None
    per_device: int = 1
    threads: int | None = None
    slurm: Slurm | None = None

    def executor(self, execution: Execution, folder: Path) -> Executor:
        """What runs the cells.

        Args:
            execution: how they are run.
            folder: of the suite, for Slurm's files.

        Raises:
            UserError: a number below 1, or a logger that is not installed.
        """
        at_least_one = {"jobs": self.jobs, "per_device": self.per_device, "threads": self.threads}
        at_least_one |= {"devices": execution.devices, "accumulate": execution.accumulate}
        for name, value in at_least_one.items():
            if value is not None and value < 1:
                raise UserError(f"{name} {value}: it must be at least 1.")
        if execution.time_limit is not None and not execution.time_limit > 0:
            raise UserError(f"time_limit {execution.time_limit}: it must be more than 0 minutes.")
        if execution.logger == "wandb" and importlib.util.find_spec("wandb") is None:
            raise UserError("logger wandb: wandb is not installed: pip install 'wandb', or --logger csv.")
        if self.slurm is not None:
            return SlurmExecutor(self.slurm, folder)
        return LocalExecutor(
            self.jobs, execution.devices, self.per_device, self.threads, accelerator=execution.accelerator
        )
