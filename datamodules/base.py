"""What every data set is: a LightningDataModule that plays three roles that never mix.

*train* is a stream: sample k of a run (k = images seen so far) is drawn from a generator seeded by
(seed, role, k), so that neither workers, ranks nor an interruption change what is learnt from.
*select* chooses the checkpoint. *test* is scored once, and is the same for every seed.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.batches import Mixed, Unmixed, Unpaired, collate_scenes, collate_unpaired
from datamodules.mixing import Mixing
from datamodules.types import (
    LayerBatch,
    LayerSpec,
    Pairing,
    Role,
    Sample,
    SceneBatch,
    UnmixedBatch,
    UnpairedBatch,
    UserError,
    WovenBatch,
)

EVALUATION_SEED = 0
"""Seeds the select and test roles, whatever the run's own seed: every run is judged on the same images."""

EVERY_SCENE = slice(None)
MIXTURE_SCENES = slice(0, None, 2)
LAYER_SCENES = slice(1, None, 2)
"""Which of a role's scenes a sample may come from: unpaired mixtures and layers share none."""


class SampleGenerator(torch.Generator):
    """A sample's generator; where the sample shares its pictures with others, ``scene`` is what picks them."""

    scene: torch.Generator | None = None


def sample_generator(seed: int, role: Role, k: int, part: int = 0) -> SampleGenerator:
    """The generator of one sample; samples are independent and need no predecessor.

    Args:
        seed: of the run.
        role: of the data.
        k: which sample.
        part: 0 for the mixture; in unpaired data 1 + i for layer i.
    """
    text = f"{seed}/{role}/{k}/{part}" if part else f"{seed}/{role}/{k}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    generator = SampleGenerator()
    generator.manual_seed(int.from_bytes(digest, "big") >> 1)
    return generator


def scene_generator(generator: torch.Generator) -> torch.Generator:
    """What picks a sample's pictures; all else about it (crop, flip, mixing) is the sample's own generator's.

    Args:
        generator: of the sample.
    """
    return getattr(generator, "scene", None) or generator


def missing_data(dataset: str, folder: Path, layout: str, origin: str) -> NoReturn:
    """Say that a data set is not on disk, what it should look like and where it comes from.

    Raises:
        UserError: always.
    """
    raise UserError(
        f"{dataset}: no data in {folder}. Expected {layout}. Get it from {origin}, "
        "then set UNBLEND_DATA (or --data.root) to the folder that holds it."
    )


class RankSampler(Sampler[int]):
    """The one sampler of all runs: of samples ``start`` … ``stop`` − 1, rank r of W takes those with k ≡ r (mod W).

    It neither shuffles nor pads. Its length is that of the whole run, also where it starts in the
    middle: a resumed loop counts from the beginning.

    Args:
        stop: number of samples in all.
        rank: this process.
        world: number of processes.
        start: samples that all processes together have seen already.
    """

    def __init__(self, stop: int, rank: int = 0, world: int = 1, start: int = 0) -> None:
        self.stop, self.rank, self.world, self.start = stop, rank, world, start

    def __iter__(self) -> Iterator[int]:
        first = self.start + (self.rank - self.start) % self.world
        return iter(range(first, self.stop, self.world))

    def __len__(self) -> int:
        return len(range(self.rank, self.stop, self.world))


def images_seen(trainer: Trainer, batch_size: int) -> int:
    """Training images that all processes together have seen, whatever the number of optimisers."""
    processed: int = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
    return processed * batch_size // trainer.accumulate_grad_batches


class _Samples(Dataset[Unmixed | Mixed | Unpaired]):
    """A role of a datamodule, sample by sample: unmixed where it is mixed here, else whole."""

    def __init__(self, data: LayerDataModule, role: Role) -> None:
        self.data, self.role = data, role

    def __getitem__(self, k: int) -> Unmixed | Mixed | Unpaired:
        if self.role != "train" or self.data.pairing == "paired":
            return self._scene(k, 0, EVERY_SCENE)
        layers = range(len(self.data.spec["layers"]))
        return Unpaired(self._scene(k, 0, MIXTURE_SCENES), [self._scene(k, 1 + i, LAYER_SCENES) for i in layers])

    def _scene(self, k: int, part: int, scenes: slice) -> Unmixed | Mixed:
        data, role = self.data, self.role
        generator = sample_generator(data.seed if role == "train" else EVALUATION_SEED, role, k, part)
        if role == "train" and data.crops_per_picture > 1:
            generator.scene = sample_generator(data.seed, role, data.first_of_scene(k), part)
        sample = data.draw(role, k, generator, scenes)
        mask = sample.mask
        if mask is None:
            mask = torch.ones(1, *sample.sources.shape[-2:], dtype=torch.bool)
        if sample.mixture is not None:
            return Mixed(sample.mixture, sample.sources, mask, sample.name)
        parameters = data.mixing_of(role).draw(generator, sample.sources.shape)
        return Unmixed(sample.sources, parameters, mask, sample.name)


class LayerDataModule(LightningDataModule, ABC):
    """Base of all data sets.

    A subclass passes its image-formation model to ``super().__init__`` and implements ``spec``,
    ``files``, ``open``, ``count`` and ``draw``.

    Args:
        mixing: image-formation model.
        images: training images of one run (the budget); rounded down to whole batches.
        batch_size: images per optimiser step over all processes together.
        selections: how many times, evenly spread over the run, the select role is consulted.
        test_images: score only so many test images; default all.
        seed: seeds the training stream; the run's own seed on the command line.
        root: folder that holds the data sets on disk; default ``$UNBLEND_DATA``.
        num_workers: processes that prepare samples; the samples do not depend on it.
        crops_per_picture: crops of each training photograph in a batch, so that large sets are decoded so many times
            less often; a batch then shows so many times fewer photographs.
        pairing: ``unpaired``: in training, mixtures and layers come from disjoint scenes, and no layer of
            a batch belongs to one of its mixtures.

    Attributes:
        version: of what the class yields; a class whose samples are moved by a change says the next one.

    Raises:
        UserError: a budget below one batch, or a number below 1.
    """

    version: ClassVar[int] = 1

    def __init__(
        self,
        mixing: Mixing,
        images: int = 20_000,
        batch_size: int = 32,
        selections: int = 10,
        test_images: int | None = None,
        seed: int = 0,
        root: str | None = None,
        num_workers: int = 0,
        pairing: Pairing = "paired",
        crops_per_picture: int = 1,
    ) -> None:
        super().__init__()
        if images < batch_size or batch_size < 1 or selections < 1 or (test_images is not None and test_images < 1):
            raise UserError(
                f"images {images}, batch_size {batch_size}, selections {selections}, test_images {test_images}: "
                "all must be at least 1, and images at least one batch."
            )
        if crops_per_picture < 1 or batch_size % crops_per_picture:
            raise UserError(
                f"crops_per_picture {crops_per_picture}: batch_size {batch_size} must be a multiple of it, and it at "
                "least 1."
            )
        self.mixing = mixing
        self.pairing, self.crops_per_picture = pairing, crops_per_picture
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.test_images = test_images
        self.root = Path(root or os.environ.get("UNBLEND_DATA") or "data").expanduser()
        steps = images // batch_size
        self.select_every = max(1, steps // selections)
        """Optimiser steps from one look at the select role to the next."""
        self.images = batch_size * self.select_every * (steps // self.select_every)
        self._resumed_at = 0

    # What a data set must say of itself ---------------------------------------------------------

    @property
    @abstractmethod
    def spec(self) -> LayerSpec:
        """What a method may know of the data; needs no data on disk."""

    @abstractmethod
    def files(self) -> list[Path]:
        """Every file that the samples are made of; their contents are the data's digest."""

    @abstractmethod
    def open(self) -> None:
        """Read what ``draw`` needs; called once per process, may be called again.

        Raises:
            UserError: data are missing or corrupt.
        """

    @abstractmethod
    def count(self, role: Role) -> int:
        """Images in the select or test role."""

    @abstractmethod
    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        """Sample k of a role.

        Args:
            role: what it is for.
            k: which.
            generator: the sample's own; all its randomness comes from it.
            scenes: which of the role's scenes may be used; data without a list of scenes may ignore it.
        """

    # What a data set may say of itself ----------------------------------------------------------

    def equal_sizes(self, role: Role) -> bool:
        """Whether all images of a role have one size; otherwise they are judged one at a time."""
        return True

    def describe(
        self,
        layers: list[str],
        *,
        citation: str,
        licence: str,
        scored: list[str] | None = None,
        target: list[str] | None = None,
        derived: list[str] | None = None,
        channels: int = 3,
        protocol: str = "rgb",
    ) -> LayerSpec:
        """A spec with what the image-formation model and the pairing say.

        Args:
            layers: names of the layers in training.
            citation: where the data come from.
            licence: under which terms.
            scored: names of those with a truth in the test role; default all.
            target: names of those that the task is for; default all that are scored.
            derived: names of those whose training truth follows from the mixture and the target; default none.
            channels: colour channels.
            protocol: of scoring.
        """
        scored = layers if scored is None else scored
        return LayerSpec(
            layers=layers,
            scored=scored,
            target=scored if target is None else target,
            derived=derived or [],
            ordered=not self.mixing.symmetric,
            channels=channels,
            scale=self.mixing.scale,
            mixing=self.mixing.name,
            gain=self.mixing.gain(len(layers)),
            fusion=self.mixing.fusion,
            gamma=self.mixing.gamma,
            pairing=self.pairing,
            protocol=protocol,
            citation=citation,
            licence=licence,
        )

    # What follows is the same for all -----------------------------------------------------------

    def setup(self, stage: str | None = None) -> None:
        self.open()

    def train_dataloader(self) -> DataLoader[SceneBatch | UnpairedBatch]:
        rank, world = self._place()
        # Of one optimiser step each process has so many batches; the budget counts images all the same.
        accumulated = self.trainer.accumulate_grad_batches if self.trainer is not None else 1
        parts = world * accumulated
        if self.batch_size % parts:
            among = f"{world} processes" if accumulated == 1 else f"{world} processes × {accumulated} batches"
            raise UserError(
                f"batch_size {self.batch_size} cannot be shared evenly by {among}: "
                f"use a multiple of {parts}, or fewer devices."
            )
        sampler = RankSampler(self.images, rank, world, start=self._resumed_at)
        collate = collate_scenes if self.pairing == "paired" else collate_unpaired
        return self._loader("train", sampler, self.batch_size // parts, collate)

    def val_dataloader(self) -> DataLoader[LayerBatch]:
        rank, world = self._place()
        # The same number on every rank: a validation pass synchronises buffers at each batch.
        return self._evaluation_loader("select", self.count("select") // world * world, rank, world)

    def test_dataloader(self) -> DataLoader[LayerBatch]:
        rank, world = self._place()
        return self._evaluation_loader("test", self.test_count, rank, world)

    predict_dataloader = test_dataloader

    @property
    def test_count(self) -> int:
        """Images that are scored."""
        return min(self.count("test"), self.test_images or self.count("test"))

    def mixing_of(self, role: Role) -> Mixing:
        """The image-formation model of a role's mixtures."""
        return self.mixing

    def on_after_batch_transfer(self, batch: SceneBatch | UnpairedBatch, dataloader_idx: int) -> LayerBatch:
        """Blend a training batch where it will be used; those of the other roles come mixed."""
        if isinstance(batch, UnpairedBatch):
            mixtures = self._mix(batch.mixtures, "train")
            foreign = [self._mix(scenes, "train").layers[:, i] for i, scenes in enumerate(batch.layers)]
            return mixtures._replace(layers=torch.stack(foreign, 1))
        return self._mix(batch, "train")

    def first_of_scene(self, k: int) -> int:
        """The first training sample that shows the same pictures as sample k, in the same batch.

        They stand batch_size / crops_per_picture samples apart, so that ranks share a batch by its scenes as far as
        their number divides that: each then decodes only what it shows.
        """
        place = k % self.batch_size
        return k - place + place % (self.batch_size // self.crops_per_picture)

    def state_dict(self) -> dict[str, int]:
        """Images seen, so that a resumed run goes on with the next one."""
        trainer = self.trainer
        if trainer is None:
            return {"images_seen": self._resumed_at}
        return {"images_seen": images_seen(trainer, self.batch_size)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._resumed_at = state_dict["images_seen"]

    def __getstate__(self) -> dict[str, Any]:
        """For the processes that prepare samples: the trainer, and by it the method, stays here."""
        return {**self.__dict__, "trainer": None}

    def _place(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)

    def _evaluation_loader(self, role: Role, count: int, rank: int, world: int) -> DataLoader[Any]:
        batch_size = 16 if self.equal_sizes(role) else 1
        return self._loader(role, RankSampler(count, rank, world), batch_size, partial(self._collate_mixed, role))

    def _loader(self, role: Role, sampler: RankSampler, batch_size: int, collate: Any) -> DataLoader[Any]:
        return DataLoader(
            _Samples(self, role),
            batch_size=batch_size,
            sampler=sampler,
            collate_fn=collate,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _collate_mixed(self, role: Role, items: Sequence[Unmixed | Mixed]) -> LayerBatch:
        return self._mix(collate_scenes(items), role)

    def _mix(self, batch: SceneBatch, role: Role) -> LayerBatch:
        match batch:
            case LayerBatch():
                return batch
            case UnmixedBatch(sources, parameters, mask, ids):
                mixing = self.mixing_of(role)
                layers = mixing.render(sources, parameters)
                return LayerBatch(mixing.forward(layers, parameters), layers, mask, ids)
            case WovenBatch(unmixed, given, order):
                blended = self._mix(unmixed, role)
                ids = blended.ids + given.ids
                places = torch.tensor(order, device=blended.mixture.device)
                mixture, layers, mask = (torch.cat(pair)[places] for pair in zip(blended[:3], given[:3], strict=True))
                return LayerBatch(mixture, layers, mask, [ids[i] for i in order])
