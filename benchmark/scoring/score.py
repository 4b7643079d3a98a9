"""A cell's second half: checkpoint or untrained method -> layers -> one row per test image -> record."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from benchmark.files import read_json, write_json
from benchmark.metrics import Scores, lmse_window, stored_for
from benchmark.metrics.layer_scores import LayerScores
from benchmark.plan import identity, precision
from benchmark.plan.contents import of_file
from benchmark.plan.execution import DIAGNOSIS, Cost, Fitted, Job, Provenance
from benchmark.results import provenance, records, samples
from benchmark.scoring import cost, diagnosis, latent
from benchmark.training.fit import LOOKS, arguments
from benchmark.training.lightning_cli import UnblendCLI, started_by_slurm
from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import Lent, SeparationMethod

TELL_EVERY = 0.5
"""Seconds from one word on how far scoring is to the next."""


class Scoring(LightningModule):
    """Runs a method on test batches and scores each image on the device, in float32.

    Attributes:
        found: the scores of all processes' images, with their ids; None before the end.
    """

    def __init__(
        self,
        method: SeparationMethod,
        spec: LayerSpec,
        seed: int,
        total: int,
        progress: Path,
        sampler: samples.SampleWriter | None = None,
        lent: Lent | None = None,
    ) -> None:
        super().__init__()
        protocols = stored_for(spec["protocol"], spec["channels"])
        self.method, self.spec, self.seed, self.sampler = method, spec, seed, sampler
        self.scores = LayerScores(protocols, ordered=spec["ordered"], expected=total)
        self.progress, self.total, self.passed, self.told = progress, total, 0, 0.0
        self.names: dict[int, str] = {}
        self.lent = lent
        self.found: tuple[Scores, tuple[str, ...]] | None = None

    def on_predict_start(self) -> None:
        if self.sampler is not None and self.trainer.is_global_zero:
            self.sampler.clear()
        self.trainer.strategy.barrier()

    def predict_step(self, batch: LayerBatch, batch_idx: int) -> None:
        estimates = self.method(batch.mixture, [image_seed(self.seed, name) for name in batch.ids], self.lent)
        truth = batch.layers[:, : len(self.spec["scored"])]
        # Rank r of W has images r, r + W, …
        world, rank = self.trainer.world_size, self.trainer.global_rank
        index = [(self.passed + i) * world + rank for i in range(len(batch.ids))]
        self.scores.update(estimates[:, : truth.shape[1]], truth, batch.mask, torch.tensor(index))
        self.names.update(zip(index, batch.ids, strict=True))
        self.passed += len(index)
        if self.sampler is not None:
            for i, (place, name) in enumerate(zip(index, batch.ids, strict=True)):
                self.sampler.write(place, name, batch.mixture[i], truth[i], estimates[i][self.scores.latest[i]])
        if self.trainer.is_global_zero and time.monotonic() - self.told > TELL_EVERY:
            self.told, done = time.monotonic(), min(self.passed * world, self.total)
            write_json(self.progress, {"half": "score", "done": done, "total": self.total})

    def on_predict_end(self) -> None:
        every: list[dict[int, str]] = [self.names]
        if self.trainer.world_size > 1:
            every = [{} for _ in range(self.trainer.world_size)]
            torch.distributed.all_gather_object(every, self.names)
        names = {place: name for own in every for place, name in own.items()}
        if len(set(names.values())) != self.total:
            raise RuntimeError(f"{self.total} test images, but {len(set(names.values()))} ids: each needs its own.")
        self.found = self.scores.compute(), tuple(names[place] for place in sorted(names))


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


@dataclass(frozen=True)
class Scored:
    """What scoring a method gives.

    Attributes:
        scores: of each test image.
        ids: of the images, in the same order.
        window: the LMSE's, where images are small; else empty.
        cost: of one test image.
        provenance: where the numbers come from.
    """

    scores: Scores
    ids: tuple[str, ...]
    window: str
    cost: Cost
    provenance: Provenance


def score_images(
    method: SeparationMethod,
    data: LayerDataModule,
    *,
    seed: int,
    folder: Path,
    accelerator: str = "auto",
    devices: Any = 1,
    nodes: int = 1,
    used_precision: Any = "32-true",
    shown: Path | None = None,
) -> Scored | None:
    """Score a method on the test role; the only way to a score.

    Args:
        method: ready to separate.
        data: whose test role is scored.
        seed: of the run.
        folder: for progress, and for what an interrupted separation needs to go on.
        accelerator: of Lightning's Trainer.
        devices: of Lightning's Trainer; at most one for each test image is used.
        nodes: each with so many devices.
        used_precision: of the method's own computations; scores are always float32.
        shown: folder of a few images as pictures; None for none.

    Returns:
        None on all processes but the first.

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
        precision=used_precision,
        logger=False,
        use_distributed_sampler=False,
        inference_mode=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    sampler = samples.SampleWriter(shown, data.spec["scored"]) if shown else None
    workspace = folder / "unfinished" / identity.method_fingerprint(type(method))
    lent = Lent(workspace, Iterations(folder / "progress.json", trainer))
    scoring = Scoring(method.eval(), data.spec, seed, total, folder / "progress.json", sampler, lent)
    with torch.no_grad():
        trainer.predict(scoring, datamodule=data, return_predictions=False)
    if not trainer.is_global_zero or scoring.found is None:
        return None
    shutil.rmtree(folder / "unfinished", ignore_errors=True)
    scores, ids = scoring.found
    device = trainer.strategy.root_device
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        costs = cost.measure(method.to(device).eval(), batch.mixture[:1].to(device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    size, step = lmse_window(*batch.layers.shape[-2:])
    window = "" if size == 20 else f"{size}×{size} at step {step}"
    return Scored(scores, ids, window, costs, provenance.collect(name, trainer.world_size))


def score(directory: Path) -> None:
    """Score the cell that ``cell.json`` in a folder describes, from what ``fit`` left there; write its record.

    Raises:
        UserError: what the user can mend.
    """
    job, fitted = Job.read(directory), Fitted.read(directory)
    if job is None or job.record is None or job.score_key is None or fitted is None:
        raise RuntimeError(f"{directory} has no job to score, or was not trained.")
    execution = job.execution
    # A method that trains in whatever pays is judged by what it gives in full precision.
    used = job.config["trainer"]["precision"]
    used = precision.FULL if used == precision.AUTO else used
    here = replace(execution, devices=1)
    cli = UnblendCLI(args=arguments(job.config, here, directory / "scoring", used), run=False)
    method, data = cli.model, cli.datamodule
    checkpoint = directory / fitted.checkpoint if fitted.checkpoint else None
    if checkpoint is not None:
        method.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
    scored = score_images(
        method,
        data,
        seed=job.config["seed_everything"],
        folder=directory / "scoring",
        accelerator=execution.accelerator,
        devices=execution.devices,
        nodes=execution.nodes,
        used_precision=used,
        shown=directory / "samples",
    )
    if scored is None:
        return
    scored.provenance["execution"] = execution.told()
    records.write(
        Path(job.record),
        records.Record(
            suite=job.suite,
            dataset=job.dataset,
            method=job.method,
            seed=job.seed,
            title=method.card.title,
            variant=job.variant,
            data_variant=job.data_variant,
            window=scored.window,
            identities=job.identities,
            key=job.key,
            score_key=job.score_key,
            data_digest=read_json(directory / "data.json")["digest"],
            checkpoint_sha256=of_file(checkpoint) if checkpoint else None,
            spec=dict(data.spec),
            config=fitted.config,
            training=fitted.training,
            cost=scored.cost,
            provenance=scored.provenance,
            latent=latent.report(method, data, directory / "latent.png"),
            ids=scored.ids,
            scores=scored.scores,
        ),
    )
    if execution.diagnose and (directory / LOOKS).is_dir():
        seed, out = job.config["seed_everything"], directory / DIAGNOSIS
        diagnosis.diagnose(method.eval(), data, lambda name: image_seed(seed, name), directory / LOOKS, out)
