"""A cell as a run of wandb: project, group = suite, configuration, curves, sample sheets, scores.

Without a network or a key the run is kept in the cell's folder (``wandb sync`` sends it later).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from benchmark.metrics.scales import METRICS
from benchmark.plan.execution import Job
from benchmark.results import records
from benchmark.training.loggers import Tolerant
from datamodules.types import LayerBatch

PROJECT = "unblend"
SHOWN = 4
"""Images on a sheet."""


def logger(directory: Path, job: Job) -> Tolerant:
    """The run of a cell; the same one for both halves, and after an interruption."""

    def make() -> WandbLogger:
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.api.api_key else "offline")
        return WandbLogger(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=job.suite,
            name=f"{job.dataset}/{job.method}/seed{job.seed}",
            id=f"{job.dataset}-{job.method}-{job.seed}-{job.key[:12]}",
            save_dir=str(directory),
            offline=mode == "offline",
            config={**job.config, "key": job.key, "execution": job.execution.told()},
            resume="allow",
            settings=wandb.Settings(init_timeout=60, console="off", disable_git=True),
        )

    return Tolerant("wandb", make)


def attach(trainer: Trainer, directory: Path, job: Job) -> None:
    """Let a training log to wandb as well."""
    if not trainer.is_global_zero:
        return
    run = logger(directory, job)
    trainer.loggers = [*trainer.loggers, run]
    trainer.callbacks.append(Sheets(run))  # type: ignore[attr-defined]


def scores(directory: Path, job: Job) -> None:
    """Add what a finished cell scored."""
    record = records.read(Path(str(job.record)))
    run = logger(directory, job)
    run.log_metrics({f"test/{metric}": record.mean(metric) for metric in METRICS})
    run.attempt(_end)


def _end(inner: WandbLogger) -> None:
    """End a run, and wait until its file is whole: after ``finish`` alone, wandb's own process still writes."""
    import wandb

    inner.experiment.finish()
    wandb.teardown()


class Sheets(Callback):
    """Logs a few mixtures of the select role with their layers, estimated and true, each time it is consulted."""

    def __init__(self, run: Tolerant) -> None:
        self.run = run

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: LayerBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0 and trainer.is_global_zero and not self.run.failed:
            mixtures, truth = batch.mixture[:SHOWN], batch.layers[:SHOWN]
            images = [sheet(*one) for one in zip(mixtures, outputs[:SHOWN], truth, strict=True)]
            caption = ["mixture, estimated layers, true layers"] * len(images)
            step = trainer.fit_loop.epoch_loop._batches_that_stepped
            self.run.attempt(lambda inner: inner.log_image("select/sheets", images, step=step, caption=caption))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The half that scores opens the run again, from a process of its own.
        self.run.attempt(_end)


def sheet(mixture: torch.Tensor, estimates: torch.Tensor, truth: torch.Tensor) -> Any:
    """One row of pictures, (H, W, 3) bytes.

    Args:
        mixture: (C, h, w).
        estimates: (K', C, H, W).
        truth: (K, C, H, W).
    """
    size = truth.shape[-2:]
    large = torch.nn.functional.interpolate(mixture[None].float(), size=size, mode="nearest")[0]
    pictures = [large, *estimates.float(), *truth.float()]
    row = torch.cat([picture.clamp(0, 1) for picture in pictures], -1)
    return (255 * row.expand(3, -1, -1)).round().byte().permute(1, 2, 0).cpu().numpy()
