"""A cell's second half: checkpoint or untrained method -> layers -> one row per test image -> record."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import BasePredictionWriter

from benchmark import cost, digests, latent, metrics, provenance, records, samples
from benchmark.files import read_json, write_json
from benchmark.fit import arguments
from benchmark.lightning_cli import UnblendCLI, started_by_slurm
from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch, UserError
from methods.base import SeparationMethod

HOW = ("accelerator", "devices", "nodes", "accumulate", "compile", "channels_last")
"""What a record tells of how its cell was run, beside where."""


class Scoring(LightningModule):
    """Runs a method on test batches and scores each image on the device, in float32."""

    def __init__(
        self, method: SeparationMethod, spec: dict[str, Any], seed: int, sampler: samples.SampleWriter | None = None
    ) -> None:
        super().__init__()
        self.method, self.spec, self.seed, self.sampler, self.passed = method, spec, seed, sampler, 0

    def on_predict_start(self) -> None:
        if self.sampler is not None and self.trainer.is_global_zero:
            self.sampler.clear()
        self.trainer.strategy.barrier()

    def predict_step(self, batch: LayerBatch, batch_idx: int) -> list[dict[str, Any]]:
        estimates = self.method(batch.mixture, [image_seed(self.seed, name) for name in batch.ids])
        truth = batch.layers[:, : len(self.spec["scored"])]
        scores = metrics.score(
            estimates[:, : truth.shape[1]],
            truth,
            batch.mask,
            protocol_name=self.spec["protocol"],
            ordered=self.spec["ordered"],
        )
        self._keep(batch, estimates, scores)
        return [{"id": name, **row} for name, row in zip(batch.ids, scores, strict=True)]

    def _keep(self, batch: LayerBatch, estimates: torch.Tensor, scores: list[dict[str, Any]]) -> None:
        for i, name in enumerate(batch.ids):
            # Rank r of W has images r, r + W, …
            place = self.passed * self.trainer.world_size + self.trainer.global_rank
            self.passed += 1
            if self.sampler is not None:
                assigned = estimates[i][scores[i]["assignment"]]
                truth = batch.layers[i, : len(self.spec["scored"])]
                self.sampler.write(place, name, batch.mixture[i], truth, assigned)


class RowWriter(BasePredictionWriter):
    """Writes the rows of each process to a file of its own, as they come."""

    def __init__(self, folder: Path, progress: Path, total: int) -> None:
        super().__init__(write_interval="batch")
        self.folder, self.progress, self.total, self.done = folder, progress, total, 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if trainer.is_global_zero:
            for stale in self.folder.glob("rows-*.jsonl"):
                stale.unlink()
        trainer.strategy.barrier()

    def write_on_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        with open(self.folder / f"rows-{trainer.global_rank}.jsonl", "a") as stream:
            stream.writelines(json.dumps(row, allow_nan=False) + "\n" for row in prediction)
        self.done += len(prediction) * trainer.world_size
        if trainer.is_global_zero:
            write_json(self.progress, {"half": "score", "done": min(self.done, self.total), "total": self.total})

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier()


class Iterations:
    """Tells how far a method is that optimises for each image, and how good its remix."""

    def __init__(self, progress: Path, trainer: Trainer) -> None:
        self.progress, self.trainer = progress, trainer

    def __call__(self, done: int, total: int, psnr: float, layers: Callable[[], torch.Tensor]) -> None:
        if self.trainer.is_global_zero:
            write_json(self.progress, {"half": "iterations", "done": done, "total": total, "remix": psnr})


def image_seed(seed: int, name: str) -> int:
    """The seed of one image's randomness: of the run's seed and the image's id alone."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest(), "big")


def merge_rows(folder: Path, total: int) -> list[dict[str, Any]]:
    """The rows of all processes, in order of id.

    Raises:
        RuntimeError: an image was scored twice or not at all.
    """
    files = sorted(folder.glob("rows-*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    names = {row["id"] for row in rows}
    if len(rows) != total or len(names) != total:
        raise RuntimeError(f"{total} test images, but {len(rows)} rows for {len(names)} of them: each needs one row.")
    return sorted(rows, key=lambda row: str(row["id"]))


def score_images(
    method: SeparationMethod,
    data: LayerDataModule,
    *,
    seed: int,
    folder: Path,
    accelerator: str = "auto",
    devices: Any = 1,
    nodes: int = 1,
    precision: Any = "32-true",
    record: Path | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]] | None:
    """Score a method on the test role; the only way to a score.

    Args:
        method: ready to separate.
        data: whose test role is scored.
        seed: of the run.
        folder: where rows are collected.
        accelerator: of Lightning's Trainer.
        devices: of Lightning's Trainer; at most one for each test image is used.
        nodes: each with so many devices.
        precision: of the method's own computations; scores are always float32.
        record: path of the record that is to be; samples are kept beside it. None: no samples.

    Returns:
        Rows, cost and provenance; None on all processes but the first.

    Raises:
        UserError: the method cannot run on such data, or the data are missing.
    """
    reason = method.card.accepts(data.spec)
    if reason is not None:
        raise UserError(f"{reason}.")
    data.open()
    total = data.test_count
    plugins: list[ClusterEnvironment] = [*started_by_slurm()]
    if str(devices).isdigit():
        if plugins and int(devices) * nodes > total:
            # srun has started them all: the first one works alone, and the others have nothing to do.
            if plugins[0].global_rank() > 0:
                return None
            devices, nodes, plugins = 1, 1, [LightningEnvironment()]
        devices = min(int(devices), total)
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        plugins=[*plugins],
        precision=precision,
        logger=False,
        use_distributed_sampler=False,
        inference_mode=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[RowWriter(folder, folder / "progress.json", total)],
    )
    sampler = samples.SampleWriter(samples.folder(record), data.spec["scored"]) if record else None
    scoring = Scoring(method.eval(), dict(data.spec), seed, sampler)
    method.workspace = folder / "unfinished" / digests.of_source(type(method).__module__)[:16]
    method.watch = Iterations(folder / "progress.json", trainer)
    with torch.no_grad():
        trainer.predict(scoring, datamodule=data, return_predictions=False)
    method.workspace, method.watch = None, SeparationMethod.watch
    if not trainer.is_global_zero:
        return None
    shutil.rmtree(folder / "unfinished", ignore_errors=True)
    rows = merge_rows(folder, total)
    device = trainer.strategy.root_device
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        costs = cost.measure(method.to(device).eval(), batch.mixture[:1].to(device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return rows, costs, provenance.collect(name, trainer.world_size)


def protocol_name(data: LayerDataModule) -> str:
    """The protocol's name with the LMSE window that the data's sizes call for."""
    height, width = next(iter(data.test_dataloader())).layers.shape[-2:]
    return metrics.protocol_name(data.spec["protocol"], height, width)


def score(directory: Path) -> None:
    """Score the cell that ``cell.json`` in a folder describes, from what ``fit`` left there; write its record.

    Raises:
        UserError: what the user can mend.
    """
    job = read_json(directory / "cell.json")
    fitted = read_json(directory / "fit.json")
    execution = job["execution"]
    cli = UnblendCLI(args=arguments(job["config"], {**execution, "devices": 1}, directory / "scoring"), run=False)
    method, data = cli.model, cli.datamodule
    checkpoint = directory / fitted["checkpoint"] if fitted["checkpoint"] else None
    if checkpoint is not None:
        method.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
    scored = score_images(
        method,
        data,
        seed=job["config"]["seed_everything"],
        folder=directory / "scoring",
        accelerator=execution["accelerator"],
        devices=execution["devices"],
        nodes=execution.get("nodes", 1),
        precision=job["config"]["trainer"]["precision"],
        record=Path(job["record"]),
    )
    if scored is None:
        return
    rows, costs, origin = scored
    origin["execution"] = {name: execution[name] for name in HOW if name in execution}
    records.write(
        Path(job["record"]),
        records.Record(
            suite=job["suite"],
            dataset=job["dataset"],
            method=job["method"],
            seed=job["seed"],
            title=method.card.title,
            variant=job["variant"],
            protocol=protocol_name(data),
            fit_hash=job["fit_hash"],
            score_hash=job["score_hash"],
            data_digest=read_json(directory / "data.json")["digest"],
            checkpoint_sha256=digests.of_file(checkpoint) if checkpoint else None,
            spec=dict(data.spec),
            config=fitted["config"],
            training=fitted["training"],
            cost=costs,
            provenance=origin,
            latent=latent.report(method, data, directory / "latent.png"),
            rows=rows,
        ),
    )
