"""The command line that trains: LightningCLI with methods as models and data sets as data."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import BasePredictionWriter, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from torchvision.utils import save_image

from benchmark.files import write_text
from benchmark.training.interruption import Resumable
from benchmark.training.loggers import Tolerant
from benchmark.training.options import mistaken
from benchmark.training.selection import SELECTED, Selection
from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import SeparationMethod

# Which devices are not used, and what else could be installed, is no news to whoever runs a suite.
logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)

CHECKPOINT = "best.ckpt"
RESUMABLE = "last.ckpt"
RANKS_BY_SLURM = "UNBLEND_RANKS_BY_SLURM"
"""Environment variable: set where srun starts the processes that train together."""


class NonFiniteLoss(UserError):
    """The training loss became NaN or infinite."""


class FiniteLoss(Callback):
    """Stops a run whose loss is not finite, and names the step where, and the network whose it first was not.

    The device is asked only now and then, so that it need not wait for the host at each step.
    """

    def __init__(self, every: int = 25) -> None:
        self.every = every
        self.names: list[str] = []
        self.first_bad: torch.Tensor | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if outputs is None:
            return
        parts = dict(outputs) if isinstance(outputs, dict) else {"loss": outputs}
        if len(parts) > 1:
            del parts["loss"]  # the sum of the others
        self.names = list(parts)
        bad = torch.stack([~torch.isfinite(part.detach()).all() for part in parts.values()])
        step = torch.full((), batch_idx // trainer.accumulate_grad_batches, device=bad.device)
        # The step and the place of the first loss among the networks'; −1 until there is one.
        found = torch.where(bad.any(), torch.stack([step, bad.int().argmax()]), -1)
        self.first_bad = found if self.first_bad is None else torch.where(self.first_bad < 0, found, self.first_bad)
        if (batch_idx + 1) % self.every == 0 or trainer.is_last_batch:
            self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer)  # before a checkpoint is chosen

    def _check(self, trainer: Trainer) -> None:
        if self.first_bad is None:
            return
        step, which = self.first_bad.tolist()
        if step >= 0:
            images = step * trainer.datamodule.batch_size  # type: ignore[attr-defined]
            whose = f"training loss of the {self.names[which]}" if len(self.names) > 1 else "training loss"
            raise NonFiniteLoss(
                f"the {whose} was not finite at step {step} (after {images} images): "
                "lower the learning rate, or train with precision 32-true."
            )


class LayerWriter(BasePredictionWriter):
    """Writes the layers that ``unblend predict`` gives, one PNG for each image and layer."""

    def __init__(self, folder: Path, spec: LayerSpec) -> None:
        super().__init__(write_interval="batch")
        self.folder, self.names = folder, spec["layers"]

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: torch.Tensor,
        batch_indices: Sequence[int] | None,
        batch: LayerBatch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, mixture, layers in zip(batch.ids, batch.mixture, prediction, strict=True):
            save_image(shown(mixture), self.folder / f"{name}-mixture.png")
            for layer, image in zip(self.names, layers, strict=False):
                save_image(image.clamp(0, 1), self.folder / f"{name}-{layer}.png")

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            print(f"layers of the test images: {self.folder}")


def shown(image: torch.Tensor) -> torch.Tensor:
    """An image as a file can hold it: a sum of layers, which may pass 1, is dimmed to fit."""
    return (image / image.max().clamp_min(1)).clamp_min(0)


class SaveConfig(SaveConfigCallback):
    """Writes what was trained to ``config.yaml``, in a form that every command's ``--config`` takes."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and trainer.is_global_zero:
            config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
            kept = {key: config[key] for key in ("seed_everything", "model", "data", "trainer")}
            write_text(Path(trainer.default_root_dir) / "config.yaml", yaml.safe_dump(kept, sort_keys=False))


class UnblendCLI(LightningCLI):
    """``--model METHOD --data DATASET`` and Lightning's own options.

    One epoch is the whole budget: the data's training stream ends when its images are used up.
    """

    def __init__(self, args: Any = None, run: bool = True) -> None:
        super().__init__(
            SeparationMethod,
            LayerDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            save_config_callback=SaveConfig,
            trainer_defaults={
                "max_epochs": 1,
                "num_sanity_val_steps": 0,
                "use_distributed_sampler": False,
                "inference_mode": False,  # methods that optimise on the image itself need gradients
            },
            # A misspelt option is told in one line by whoever asked for this command line.
            parser_kwargs={
                "exit_on_error": False,
                **{command: {"exit_on_error": False} for command in self.subcommands() if run},
            },
            args=args,
            run=run,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            raise mistaken(error) or error from None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.link_arguments("data.spec", "model.init_args.spec", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self._get(self.config_init, "trainer", default={})
        refuse_to_gather(self.model, config)
        trains = self.subcommand in (None, "fit")
        return super().instantiate_trainer(**trainer_defaults(config, self.datamodule, trains), **kwargs)

    def before_fit(self) -> None:
        refuse(self.model, self.datamodule)
        if not self.model.card.trains:
            raise UserError(f"{self.model.card.title} needs no training: use `unblend test` at once.")

    def before_validate(self) -> None:
        refuse(self.model, self.datamodule)

    def before_predict(self) -> None:
        refuse(self.model, self.datamodule)


def trainer_defaults(config: Mapping[str, Any], data: LayerDataModule, trains: bool) -> dict[str, Any]:
    """What the Trainer gets where the command line leaves it open, and the callbacks that it always has.

    Args:
        config: the Trainer's options as the command line has them.
        data: that it will run on; it says when the select role is consulted.
        trains: whether it will train, and so has something to log.
    """
    root = Path(config.get("default_root_dir") or "runs/fit")
    chosen: dict[str, Any] = {"default_root_dir": str(root)}
    if config.get("val_check_interval") is None:
        chosen["val_check_interval"] = data.select_every * (config.get("accumulate_grad_batches") or 1)
    if not config.get("plugins"):
        chosen["plugins"] = started_by_slurm()
    if config.get("logger") in (None, True):
        csv = Tolerant("the CSV logger", lambda: CSVLogger(str(root), name="", version=""))
        chosen["logger"] = csv if trains else False
    best = ModelCheckpoint(
        dirpath=root,
        filename=Path(CHECKPOINT).stem,
        monitor=SELECTED,
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    given = config.get("callbacks") or []
    ours = [
        FiniteLoss(),
        Selection(data.spec),
        Resumable(root / RESUMABLE),
        best,
        LayerWriter(root / "layers", data.spec),
    ]
    chosen["callbacks"] = [*(given if isinstance(given, list) else [given]), *ours]
    return chosen


def started_by_slurm() -> list[SLURMEnvironment]:
    """Lightning's plugin for processes that srun started, without its requeueing: whoever runs the cell does that."""
    return [SLURMEnvironment(auto_requeue=False)] if os.environ.get(RANKS_BY_SLURM) else []


def refuse(model: SeparationMethod, data: LayerDataModule) -> None:
    """Check that a method can run on data.

    Raises:
        UserError: it cannot; the message has the card's reason.
    """
    reason = model.card.accepts(data.spec)
    if reason is not None:
        raise UserError(f"{reason}.")


def refuse_to_gather(model: SeparationMethod, config: Mapping[str, Any]) -> None:
    """Check that a method can gather the gradients of several batches, if the Trainer's options ask for it.

    Raises:
        UserError: it steps its optimisers itself.
    """
    if (config.get("accumulate_grad_batches") or 1) > 1 and not model.automatic_optimization:
        raise UserError(
            f"{model.card.title} steps its optimisers itself and cannot gather gradients: use accumulate 1."
        )
