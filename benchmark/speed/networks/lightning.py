"""LiGT trained by Lightning against a bare loop: ``python -m benchmark.speed.networks.lightning [STEPS]``.

Both take the same batches from the same loader through the same method and optimiser. Lightning has what a cell's
training has: the callbacks that watch the loss, report progress, keep checkpoints and make noise reproducible.
Rounds alternate, so that a change of the machine's speed meets both. Processor time is compared, by the median of the
rounds: on the CPU it is what a step costs, also where other programs run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from benchmark.speed.rows import Row, quotients, row, show
from benchmark.training.fit import ReportProgress
from benchmark.training.interruption import Resumable
from benchmark.training.lightning_cli import FiniteLoss
from datamodules.digits import Digits
from methods.ligt import LiGT

BATCH, ROUNDS = 32, 5
WIDTHS = (0.25, 1.0)
"""Of the suites that ship with the project, and the paper's."""


class Times(Callback):
    """Processor seconds from the second step to the last."""

    def __init__(self) -> None:
        self.begin = self.seconds = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:  # the first step allocates
            self.begin = time.process_time()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.seconds = time.process_time() - self.begin


def data(steps: int) -> Digits:
    """The training stream; the select role is not consulted in between."""
    made = Digits(images=steps * BATCH, batch_size=BATCH, selections=1)
    made.open()
    return made


def lightning(steps: int, width: float, folder: Path) -> float:
    """Processor seconds per step of Lightning's loop, as a cell has it."""
    stream, times = data(steps), Times()
    method = LiGT(width=width, spec=stream.spec)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        default_root_dir=folder,
        callbacks=[times, ReportProgress(folder / "progress.json"), FiniteLoss(), Resumable(folder / "last.ckpt")],
    )
    trainer.fit(method, datamodule=stream)
    return times.seconds / (steps - 1)


def bare(steps: int, width: float) -> float:
    """Processor seconds per step of the loop that one would write by hand."""
    stream = data(steps)
    method = LiGT(width=width, spec=stream.spec).train()
    method.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    optimizer = method.configure_optimizers()
    begin = 0.0
    for step, batch in enumerate(stream.train_dataloader()):
        if step == 1:
            begin = time.process_time()
        loss = method.training_step(stream.on_after_batch_transfer(batch, 0), step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return (time.process_time() - begin) / (steps - 1)


def main(steps: int = 20) -> list[Row]:
    """Ratio at each width."""
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for width in WIDTHS:
            pairs = []
            for _ in range(ROUNDS):
                torch.manual_seed(0)
                pairs.append((bare(steps, width), lightning(steps, width, Path(folder))))
            one, other = zip(*pairs, strict=True)
            note = f"{1000 * median(other):.1f} ms, {1000 * median(one):.1f} ms"
            ratios = quotients(other, one)
            rows.append(row(f"LiGT of width {width:g}, a step, Lightning / bare loop", ratios, note=note, at_most=1.05))
    return rows


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:])))
