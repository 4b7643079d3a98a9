"""Training that can be interrupted at any step and goes on to the same result."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning import Callback, LightningModule, Trainer

SAVE_EVERY = 180.0
"""Seconds from one checkpoint of a training to the next."""

INTERRUPTED = 75
"""Exit status of a training that wrote its checkpoint because it was asked to end."""


class Resumable(Callback):
    """Writes a checkpoint every few minutes, and on SIGTERM or SIGUSR1 before it ends the process.

    The first process alone decides and writes, so that no step waits for the others. Dropout and other noise of
    step k depend on (seed, rank, k) alone, as its samples do: no state of a generator needs to be kept.

    Args:
        path: of the checkpoint.
        every: seconds from one checkpoint to the next.
    """

    def __init__(self, path: Path, every: float = SAVE_EVERY) -> None:
        self.path, self.every = path, every
        self.asked = False
        self._before, self._begin, self._saved = 0.0, time.monotonic(), time.monotonic()

    @property
    def seconds(self) -> float:
        """That training has taken, in all processes that took part in turn."""
        return self._before + time.monotonic() - self._begin

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = float(state_dict["seconds"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin = self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, self._ask if trainer.is_global_zero else signal.SIG_IGN)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        text = f"{trainer.datamodule.seed}/{trainer.global_rank}/{batch_idx}"  # type: ignore[attr-defined]
        torch.manual_seed(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        due = self.asked or time.monotonic() - self._saved > self.every
        if not due or not trainer.is_global_zero:
            return
        done = batch_idx + 1
        # Not in the midst of a batch whose gradients are still gathered; nor where the select role comes next: a
        # loop that starts from there would take it for seen, and it brings its own checkpoint.
        if done % trainer.accumulate_grad_batches or done % (trainer.val_check_batch or 1) == 0:
            return
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        trainer.strategy.save_checkpoint(checkpoint, self.path)
        self._saved = time.monotonic()
        if self.asked:
            self._end(trainer)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True

    def _end(self, trainer: Trainer) -> NoReturn:
        print(f"interrupted: it goes on from {self.path}", flush=True)
        if trainer.world_size == 1:
            raise SystemExit(INTERRUPTED)
        for logger in trainer.loggers:
            logger.finalize("interrupted")
        os._exit(INTERRUPTED)  # the others wait for this process in a step: they are ended with it
