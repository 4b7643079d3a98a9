"""Computes what two versions of the code are compared by: ``python -m benchmark.workflows.acceptance.worker JOB OUT``.

It runs once in a folder that holds the accepted code and once in the project, each time in a new process, so it must
import from ``methods``, ``datamodules`` and ``benchmark.metrics`` no more than their contracts promise.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmark.files import read_json
from benchmark.plan.execution import Config
from benchmark.training.lightning_cli import UnblendCLI
from datamodules.base import LayerDataModule
from datamodules.types import UserError
from methods.base import SeparationMethod

ARRAYS = 100
"""Images that metrics are compared on."""

_NOT_HERE = (UserError, ArgumentError)
"""What ends a row without results: data that are not here, or an option that the accepted code does not have yet."""

Found = dict[str, Tensor]
"""Name of a quantity -> its values."""


class KeepDouble(TorchFunctionMode):
    """Lets ``float()`` leave float64 as it is: methods call it to end what autocast began, not to round."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.float and args[0].dtype is torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


class Losses(Callback):
    """Keeps every loss of every step."""

    def __init__(self) -> None:
        self.found: dict[str, list[Tensor]] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for name, value in (outputs if isinstance(outputs, dict) else {"loss": outputs}).items():
            self.found.setdefault(name, []).append(value.detach().clone())


def of_method(config: Config, steps: int, folder: Path) -> Found:
    """Losses and weights of some optimiser steps, and layers of test images.

    All steps are in float64. In float32, Adam makes whole steps of rounding where a weight has no gradient, such as a
    bias before a normalisation: after twenty steps of the same computation in another order, weights were 1e-2 apart
    and layers 5e-2, and nobody could tell that from a change. In float64 they were 1e-9 and 1e-8 apart.

    Args:
        config: of a cell; its budget is as many steps.
        steps: also those of a method that optimises for each image.
        folder: for checkpoints.
    """
    cli = _command_line(config, folder, precision="64-true")
    method: SeparationMethod = cli.model
    found: Found = {}
    if method.card.trains:
        losses = Losses()
        cli.trainer.callbacks.append(losses)  # type: ignore[attr-defined]
        with KeepDouble():
            cli.trainer.fit(method, datamodule=cli.datamodule)
        found |= {f"loss {name}": torch.stack(values) for name, values in losses.found.items()}
        found["select/psnr"] = torch.as_tensor(cli.trainer.callback_metrics["select/psnr"])
        parameters = {name for name, _ in method.named_parameters()}
        for name, value in method.state_dict().items():
            found |= dict(_tensors(f"{'weight' if name in parameters else 'buffer'} {name}", value))
    method.iterations = min(method.iterations, steps)
    cli.datamodule.open()
    mixture = next(iter(cli.datamodule.test_dataloader())).mixture
    if method.card.trains or method.iterations > 1:
        mixture = mixture.double()
    with torch.no_grad(), KeepDouble():
        found["layers"] = method.eval()(mixture, list(range(len(mixture))))
    return found


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The numbers of a state, which may be nested."""
    if isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _tensors(f"{name}.{key}", part)
    elif isinstance(value, Tensor | int | float):
        yield name, torch.as_tensor(value)


def of_dataset(config: Config, folder: Path) -> Found:
    """The first batch of each role."""
    data: LayerDataModule = _command_line(config, folder).datamodule
    data.open()
    found: Found = {}
    loaders = {"train": data.train_dataloader, "select": data.val_dataloader, "test": data.test_dataloader}
    for role, loader in loaders.items():
        batch = data.on_after_batch_transfer(next(iter(loader())), 0)
        names = ", ".join(batch.ids).encode()
        found[f"{role} ids"] = torch.frombuffer(bytearray(names), dtype=torch.uint8)
        found |= {f"{role} {part}": getattr(batch, part) for part in ("mixture", "layers", "mask")}
    return found


def of_metrics() -> Found:
    """Scores of seeded pictures under every protocol: (images, layers) for each protocol and metric."""
    found: Found = {}
    for protocol, ordered, batches in _pictures():
        scores = [_scores(protocol, ordered, *batch) for batch in batches]
        for metric in scores[0]:
            name = f"{protocol}, {'ordered' if ordered else 'unordered'}: {metric}"
            found[name] = torch.cat([one[metric].flatten() for one in scores])
    return found


def _pictures() -> Iterator[tuple[str, bool, list[tuple[Tensor, Tensor, Tensor]]]]:
    """For each protocol, with and without an order: batches of estimates, layers and masks, of several kinds."""
    from benchmark.metrics import PROTOCOLS

    for protocol in sorted({name.partition("@")[0] for name in PROTOCOLS}):
        for ordered in (True, False):
            generator = torch.Generator().manual_seed(18)
            batches = []
            for side, noise, masked in ((64, 0.02, False), (28, 0.3, False), (48, 0.1, True), (72, 0.0, False)):
                count, shape = ARRAYS // 4, (2, 3, side, side + 5)
                smooth = torch.rand(count, 2, 3, 8, 8, generator=generator).flatten(0, 1)
                layers = torch.nn.functional.interpolate(smooth, shape[-2:], mode="bilinear").view(count, *shape)
                estimates = layers.flip(1) if not ordered else layers
                estimates = 0.95 * estimates + noise * torch.randn(count, *shape, generator=generator)
                mask = torch.rand(count, 1, *shape[-2:], generator=generator) >= 0.2 * masked
                batches.append((estimates, layers, mask))
            yield protocol, ordered, batches


def _scores(protocol: str, ordered: bool, estimates: Tensor, layers: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Metric -> (images, layers)."""
    from benchmark import metrics

    if hasattr(metrics, "score"):  # the metrics before they stood on torchmetrics
        rows = metrics.score(estimates, layers, mask, protocol_name=protocol, ordered=ordered)
        return {name: torch.tensor([row[name] for row in rows]) for name in ("psnr", "ssim", "lmse", "mse")}
    from benchmark.metrics.layer_scores import LayerScores

    judge = LayerScores([protocol], ordered=ordered)
    judge.update(estimates, layers, mask, torch.arange(len(layers)))
    scores = judge.compute()
    return {name: torch.as_tensor(scores.of(name)) for name in ("psnr", "ssim", "lmse", "mse")}


def _command_line(config: Config, folder: Path, precision: str = "32-true") -> UnblendCLI:
    data = {**config["data"], "init_args": {**config["data"]["init_args"], "root": None, "num_workers": 0}}
    trainer = {
        "precision": precision,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "limit_val_batches": 2,
        "default_root_dir": str(folder),
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return UnblendCLI(args={**config, "data": data, "trainer": trainer}, run=False)


def main(job: Path, out: Path) -> None:
    """Do all that a job asks for.

    Args:
        job: JSON: ``steps``; rows of ``methods`` and ``datasets``, each name -> configuration; whether ``metrics``.
        out: file of the results, for each row and for ``metrics``; a row whose data are not here, or whose options the
            code does not have, has none.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    warnings.filterwarnings("ignore")
    asked = read_json(job)
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in asked["methods"].items():
            with contextlib.suppress(*_NOT_HERE):
                found[name] = of_method(config, asked["steps"], Path(folder, "method"))
        for name, config in asked["datasets"].items():
            with contextlib.suppress(*_NOT_HERE):
                found[name] = of_dataset(config, Path(folder, "data"))
        if asked["metrics"]:
            found["metrics"] = of_metrics()
    torch.save(found, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
