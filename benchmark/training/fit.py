"""A cell's first half: configuration -> trained checkpoint."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from benchmark.files import read_json, write_json
from benchmark.plan import catalogue, precision
from benchmark.plan.contents import write_data_digest
from benchmark.plan.execution import UNTRAINED, Config, Execution, Fitted, Job
from benchmark.training.interruption import Resumable
from benchmark.training.lightning_cli import CHECKPOINT, RESUMABLE, UnblendCLI
from datamodules.base import images_seen
from methods.base import MethodCard, SeparationMethod
from methods.recipe import TRAINED

LOOKS = "looks"
"""Folder of a cell with the weights of each look, while they are needed."""


class ReportProgress(Callback):
    """Writes how far a run is, in images, and how fast, for whoever watches; at most twice a second."""

    def __init__(self, path: Path, seconds: float = 0.5) -> None:
        self.path, self.seconds, self.last = path, seconds, 0.0
        self.begin: tuple[int, float] | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and time.monotonic() - self.last > self.seconds:
            self.last = time.monotonic()
            data = trainer.datamodule  # type: ignore[attr-defined]
            done = images_seen(trainer, data.batch_size)
            first, begin = self.begin = self.begin or (done, self.last)
            rate = round((done - first) / (self.last - begin), 3) if done > first else None
            selected = trainer.callback_metrics.get("select/psnr")
            psnr = None if selected is None else round(float(selected), 3)
            report = {"half": "fit", "done": done, "total": data.images, "rate": rate, "select/psnr": psnr}
            write_json(self.path, report)


class KeepLooks(Callback):
    """Keeps the weights of each look at the select role, for who asks afterwards what another choice would have given.

    Args:
        folder: that they go to, each called by the images seen.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen = images_seen(trainer, trainer.datamodule.batch_size)  # type: ignore[attr-defined]
        trainer.save_checkpoint(self.folder / f"{seen}.ckpt", weights_only=True)


class LearningCurve(Callback):
    """Notes the PSNR on the select role at each look; an interrupted run goes on with what it had.

    Attributes:
        points: [training images seen, PSNR in dB] for each look.
    """

    def __init__(self) -> None:
        self.points: list[list[float]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seen = images_seen(trainer, trainer.datamodule.batch_size)  # type: ignore[attr-defined]
        self.points.append([seen, round(float(trainer.callback_metrics["select/psnr"]), 4)])

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.points = list(state_dict["points"])


def arguments(config: Config, execution: Execution, root: Path, precision: str) -> dict[str, Any]:
    """A cell's configuration with the parts that only say where and how it is run.

    Args:
        config: of the cell.
        execution: how it is run.
        root: folder for what Lightning writes.
        precision: Lightning's name, where the configuration may say ``auto``.
    """
    data = {**config["data"]["init_args"], "root": execution.root, "num_workers": execution.num_workers}
    trainer = {
        **config["trainer"],
        "precision": precision,
        "accelerator": execution.accelerator,
        "devices": execution.devices,
        "num_nodes": execution.nodes,
        "accumulate_grad_batches": execution.accumulate,
        "default_root_dir": str(root),
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return {**config, "data": {**config["data"], "init_args": data}, "trainer": trainer}


def fit(directory: Path, prepare: Callable[[Trainer], None] = lambda trainer: None) -> None:
    """Train the cell that ``cell.json`` in a folder describes; ``fit.json`` says how it ended.

    An interrupted run of the same cell goes on where its last checkpoint was, if that fits the method as it is now.

    Args:
        directory: the cell's folder.
        prepare: may add to the trainer what does not change the result: loggers.

    Raises:
        UserError: what the user can mend: missing data, a loss that is not finite.
    """
    job = Job.read(directory)
    if job is None:
        raise RuntimeError(f"{directory} has no job.")
    asked = job.config["trainer"]["precision"]
    used, channels_last = precision.resolve(asked, _gains_by_low_precision(job.config), job.execution.accelerator)
    execution = replace(job.execution, channels_last=job.execution.channels_last or channels_last)
    cli = UnblendCLI(args=arguments(job.config, execution, directory, used), run=False)
    model, data, trainer = cli.model, cli.datamodule, cli.trainer
    skipped = model.card.accepts(data.spec)
    resumable = directory / RESUMABLE
    started = directory / "started.json"
    if skipped is None:
        data.open()
        if trainer.is_global_zero:
            write_data_digest(directory / "data.json", data.files())
    training = UNTRAINED
    checkpoint = None
    if model.card.trains and skipped is None:
        previous = read_json(started)
        resume = resumable.is_file() and previous is not None and previous["key"] == job.key
        if resume and not fits(resumable, model):
            rank_zero_warn("The checkpoint is of other networks, as the method's code had them before: it begins anew.")
            resume = False
        trainer.strategy.barrier()
        if resume and trainer.is_global_zero:
            keep_curves(directory / "metrics.csv")
        if not resume and trainer.is_global_zero:
            resumable.unlink(missing_ok=True)
            write_json(started, {"key": job.key})
        curve = LearningCurve()
        # Before the checkpoint's callback, which saves what the others hold.
        trainer.callbacks[:0] = [ReportProgress(directory / "progress.json"), curve]  # type: ignore[attr-defined]
        if execution.diagnose:
            trainer.callbacks.append(KeepLooks(directory / LOOKS))  # type: ignore[attr-defined]
        prepare(trainer)
        shape_for_speed(model, execution)
        trainer.fit(model, datamodule=data, ckpt_path=str(resumable) if resume else None, weights_only=True)
        chosen = trainer.checkpoint_callback
        training = {
            "images_seen": images_seen(trainer, data.batch_size),
            "optimizer_steps": trainer.global_step,
            "seconds": round(next(c.seconds for c in trainer.callbacks if isinstance(c, Resumable)), 3),  # type: ignore[attr-defined]
            "peak_memory_mib": peak_memory_mib(model.device),
            "select_psnr": float(chosen.best_model_score),  # type: ignore[union-attr]
            "curve": curve.points,
            "precision": used,
            "channels_last": execution.channels_last,
        }
        checkpoint = CHECKPOINT
        if trainer.is_global_zero:
            lighten(directory / CHECKPOINT)
    if trainer.is_global_zero:
        config = resolved(cli)
        config["trainer"]["precision"] = asked
        Fitted(job.key, skipped, checkpoint, training, config).write(directory)
        resumable.unlink(missing_ok=True)


def _gains_by_low_precision(config: Config) -> bool:
    """Whether the method of a configuration is faster in bfloat16 and as good."""
    card = getattr(catalogue.load(config["model"]["class_path"]), "card", None)
    return isinstance(card, MethodCard) and card.low_precision


def fits(checkpoint: Path, model: LightningModule) -> bool:
    """Whether a checkpoint's tensors have the names and shapes of a model's.

    Code that was accepted as computing the same may hold other ones: a part that no published row trains.
    """
    held = torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)["state_dict"]
    there, here = (
        {name: getattr(value, "shape", None) for name, value in state.items()} for state in (held, model.state_dict())
    )
    return there == here


def lighten(path: Path) -> None:
    """Leave out of the chosen checkpoint what only a training that goes on needs: three quarters of its size."""
    held = torch.load(path, map_location="cpu", weights_only=True)
    for name in ("optimizer_states", "lr_schedulers", "loops", "callbacks", TRAINED):
        held.pop(name, None)
    beside = path.with_suffix(".part")
    torch.save(held, beside)
    os.replace(beside, path)


def keep_curves(path: Path) -> None:
    """Set aside what an interrupted training has logged: Lightning begins the file anew."""
    if path.is_file():
        path.rename(path.with_name(f"metrics-{len(list(path.parent.glob('metrics-*.csv'))) + 1}.csv"))


def shape_for_speed(model: SeparationMethod, execution: Execution) -> None:
    """Lay out and compile a method's networks as asked; what they compute stays the same but for rounding.

    Args:
        model: each of its submodules that is called is compiled by itself; the names of its weights stay.
        execution: ``channels_last`` and ``compile``.
    """
    if execution.channels_last:
        model.to(memory_format=torch.channels_last)
    if execution.compile:
        for child in model.children():
            child.compile()


def resolved(cli: UnblendCLI) -> Config:
    """The complete configuration, defaults included, without the parts that say where it was run."""
    config = yaml.safe_load(cli.parser.dump(cli.config, skip_link_targets=False, skip_none=False))
    data = config["data"]
    for where in ("root", "num_workers"):
        data["init_args"].pop(where, None)
    asked = config["trainer"].get("precision")
    return {
        "seed_everything": config["seed_everything"],
        "model": config["model"],
        "data": data,
        "trainer": {"precision": asked},
    }


def peak_memory_mib(device: torch.device) -> float:
    """Peak memory in MiB: of the device's allocator, or on the CPU of the whole process."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
