"""Which checkpoint is kept: the select role is scored as the test role is."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from benchmark.metrics.layer_scores import LayerScores
from datamodules.types import LayerBatch, LayerSpec

SELECTED = "select/psnr"
"""The number that a checkpoint is chosen by: PSNR in dB under the task's own protocol, of the layers that it is for."""


class Selection(Callback):
    """Scores the layers that ``validation_step`` returns, and logs ``select/psnr``.

    The class that scores, the protocol, the assignment and the mask are those of the reported number; only the images
    are others. The images of all processes count alike, and each process logs the same number.

    Args:
        spec: of the data.
    """

    def __init__(self, spec: LayerSpec) -> None:
        self.layers = len(spec["scored"])
        self.target = [k for k, name in enumerate(spec["scored"]) if name in spec["target"]]
        self.scores = LayerScores([spec["protocol"]], ordered=spec["ordered"], metrics=["psnr"])
        self.passed = 0

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.scores.to(pl_module.device).reset()
        self.passed = 0

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: LayerBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # Rank r of W has images r, r + W, …
        place = self.passed + torch.arange(len(batch.layers))
        index = place * trainer.world_size + trainer.global_rank
        self.passed += len(batch.layers)
        self.scores.update(outputs[:, : self.layers], batch.layers[:, : self.layers], batch.mask, index)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = self.scores.compute()
        given = found.assignment.shape[1]
        psnr = found.mean("psnr", layers=[k for k in self.target if k < given])
        # All processes have this number: their largest is it to the last bit, their mean perhaps not.
        pl_module.log(SELECTED, psnr, reduce_fx="max", sync_dist=True, prog_bar=True)
