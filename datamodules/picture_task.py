"""The base of the tasks whose layers are pictures: synthesis to train on, synthesis or real pairs to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules.base import EVERY_SCENE, LayerDataModule
from datamodules.images import say_grey, say_once
from datamodules.layouts import RealSet
from datamodules.leakage import overlapping
from datamodules.mixing import Mixing
from datamodules.pictures import EMBEDDED, GENERATED, DeadLeaves, Photographs, Picture, Pictures, photograph_paths
from datamodules.real_pairs import RealPairs
from datamodules.sets import SETS
from datamodules.types import ROLES, LayerSpec, Role, Sample, UserError


class PictureTask(LayerDataModule, ABC):
    """Base of a task: its layers' names, its scoring protocol, and how pictures become sources.

    Training draws crops of clean pictures and lets the image-formation model blend them; so do the
    select role and, where ``source`` is not a real set of the task, the test role. A real set tests
    at full size. Trained on itself, a real set is split by image: the official list, or in order of
    name the first seven tenths train, the next tenth selects, the last fifth tests.

    Training photographs that show the same as a test image are left out, by content.

    Args:
        source: of the test role: ``embedded`` (photographs that ship with scikit-image and scikit-learn),
            ``dead_leaves`` (generated), a folder of photographs, or a real set of the task.
        train_source: of the train and select roles; default ``source``, or ``dead_leaves`` for a real set.
        size: side of a training crop, and of a generated test image, in pixels.
        evaluation_images: generated images in the select and in the test role.
        short_side: resize real test images to this shorter side; default as they are.
        whole: select and test images show photographs' largest squares instead of crops.
        mixing: image-formation model.
        train_mixing: that of the train and select roles, where it is not the test role's: to learn on what the world
            is only thought to be.
        **kwargs: of every data set.

    Raises:
        UserError: a size or number that is too small, a real set of another task, missing or broken files.
    """

    layer_names: tuple[str, ...]
    target_names: ClassVar[tuple[str, ...]] = ()
    """Layers that the task is for; empty for all."""
    protocol: ClassVar[str] = "rgb"
    citation: ClassVar[str]

    def __init__(
        self,
        source: str = EMBEDDED,
        train_source: str | None = None,
        size: int = 128,
        evaluation_images: int = 24,
        short_side: int | None = None,
        whole: bool = False,
        mixing: Mixing | None = None,
        train_mixing: Mixing | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mixing or self.default_mixing(source), **kwargs)
        if size < 16 or evaluation_images < 1 or (short_side is not None and short_side < 16):
            raise UserError(
                f"size {size}, evaluation_images {evaluation_images}, short_side {short_side}: "
                "sizes must be at least 16 pixels, and evaluation_images at least 1."
            )
        self.train_mixing = train_mixing or self.mixing
        if (self.train_mixing.scale, self.train_mixing.symmetric) != (self.mixing.scale, self.mixing.symmetric):
            raise UserError(
                f"train_mixing {self.train_mixing.name}: its layers must have the scale and the order of those of "
                f"{self.mixing.name}, which the test images are made with."
            )
        self.source = source
        self.real = self._real_set(source)
        self.train_source = train_source or (GENERATED if self.real else source)
        self.real_training = self._real_set(self.train_source)
        self.size, self.evaluation_images, self.short_side, self.whole = size, evaluation_images, short_side, whole
        self._pictures: dict[Role, Any] = {}
        self._pairs: dict[Role, RealPairs] = {}

    # What a task says of itself -----------------------------------------------------------------

    @staticmethod
    @abstractmethod
    def default_mixing(source: str) -> Mixing:
        """The task's image-formation model, as the source calls for it."""

    pictures_in_a_mixture: int = 1

    def synthesise(self, role: Role, pictures: Any, generator: torch.Generator, scenes: slice) -> tuple[Tensor, str]:
        """Sources for the image-formation model; so many different pictures as make a mixture.

        Args:
            role: training augments its crops.
            pictures: what ``open_pictures`` gave for the role.
            generator: of the sample.
            scenes: which pictures may be used.

        Returns:
            (S, 3, size, size) in [0, 1], and the pictures' names.
        """
        return self.stack(self.crops(role, pictures, generator, scenes))

    def open_pictures(self, source: str, role: Role) -> Any:
        """Clean pictures of a role; a task with two kinds of them returns both."""
        return self.pictures_of(source, role)

    def crops(self, role: Role, pictures: Pictures, generator: torch.Generator, scenes: slice) -> list[Picture]:
        """Crops of so many different pictures as make a mixture, augmented for training."""
        return pictures.draw(self.pictures_in_a_mixture, self.size, generator, scenes, augment=role == "train")

    @staticmethod
    def stack(pictures: Sequence[Picture]) -> tuple[Tensor, str]:
        """Pictures as sources, with their names."""
        return torch.stack([one.pixels for one in pictures]), "+".join(one.name for one in pictures)

    # What follows from it -----------------------------------------------------------------------

    @property
    def spec(self) -> LayerSpec:
        training = self.real_training.scored if self.real_training else list(self.layer_names)
        known = self.real or SETS.get(self.source)
        generated = {
            EMBEDDED: ("photographs of scikit-image and scikit-learn", "public domain, CC0 and CC BY"),
            GENERATED: ("generated: dead leaves", "none needed"),
        }
        citation, licence = generated.get(self.source, (f"photographs of {self.source}", "the data set's own terms"))
        if known:
            citation, licence = known.citation, known.licence
        scored = self.real.scored if self.real else training
        return self.describe(
            training,
            scored=[layer for layer in training if layer in scored],
            target=[layer for layer in training if layer in scored and layer in (self.target_names or scored)],
            protocol=self.protocol,
            citation=f"{citation}; {self.citation}",
            licence=licence,
        )

    def pictures_of(self, source: str, role: Role, kind: str | None = None) -> Pictures:
        """Clean pictures of one role of a source; photographs that the test role shows are left out of others."""
        if source == GENERATED:
            return DeadLeaves()
        paths = photograph_paths(source, role, self.root, shared=self.train_source == self.source, kind=kind)
        if role != "test":
            leaked = overlapping(paths, self.test_truths())
            if leaked:
                say_once(
                    f"{len(leaked)} of {len(paths)} photographs of {source} show test images of {self.source} "
                    f"(for example {min(leaked).name}): they are left out of the {role} role."
                )
                paths = [path for path in paths if path not in leaked]
        if len(paths) < self.pictures_in_a_mixture:
            raise UserError(
                f"{len(paths)} photographs of {source} for the {role} role, a mixture of "
                f"{self.pictures_in_a_mixture} needs as many: add photographs, or train on another set (train_source)."
            )
        photographs = Photographs(paths, self.size, whole=self.whole)
        if source != EMBEDDED:
            say_grey(source, photographs.grey)
        return photographs

    def test_truths(self) -> list[Path]:
        """Clean images of the test role, where it may share some with the training photographs."""
        if self.train_source == self.source:
            return []  # one folder, split by photograph
        if self.real:
            return self._real("test").clean_files()
        if self.source == GENERATED:
            return []
        return photograph_paths(self.source, "test", self.root, shared=False)

    def files(self) -> list[Path]:
        self.open()
        found = {path for pictures in self._pictures.values() for path in _paths(pictures)}
        return sorted(found | {path for pairs in self._pairs.values() for path in pairs.files()})

    def open(self) -> None:
        for role in ROLES:
            real = self.real if role == "test" else self.real_training
            if real:
                self._real(role)
            elif role not in self._pictures:
                self._pictures[role] = self.open_pictures(self.source if role == "test" else self.train_source, role)

    def mixing_of(self, role: Role) -> Mixing:
        return self.mixing if role == "test" else self.train_mixing

    def count(self, role: Role) -> int:
        pairs = self._pairs.get(role)
        return len(pairs) if pairs else self.evaluation_images

    def equal_sizes(self, role: Role) -> bool:
        return role not in self._pairs

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        pairs = self._pairs.get(role)
        if pairs and role == "train":
            return pairs.crop(k, self.size, generator, scenes)
        if pairs:
            return pairs.whole(k)
        sources, name = self.synthesise(role, self._pictures[role], generator, scenes)
        return Sample(sources, f"{k:06d}-{name}")

    def _real(self, role: Role) -> RealPairs:
        """The pairs of a role of a real set, opened once."""
        if role not in self._pairs:
            real = self.real if role == "test" else self.real_training
            assert real is not None
            itself = self.real is self.real_training
            short_side = self.short_side if role == "test" else None
            pairs = RealPairs.open(real, self.root, role, shared=itself, short_side=short_side, pairing=self.pairing)
            if not itself and role != "test" and self.real is not None:
                pairs = pairs.without(overlapping(pairs.clean_files(), self._real("test").clean_files()))
            self._pairs[role] = pairs
        return self._pairs[role]

    def _real_set(self, source: str) -> RealSet | None:
        """The real set of pairs that a source names, if it does."""
        known = SETS.get(source)
        if known is None or not known.scored:
            return None
        task = type(self).__name__
        if known.task != task:
            ours = [name for name, data in SETS.items() if data.task == task and data.scored]
            raise UserError(
                f"{source} is a set of the task {known.task}: {task} takes "
                + ", ".join([EMBEDDED, GENERATED, *ours, "or a folder of photographs"])
                + "."
            )
        return known


def _paths(pictures: Any) -> list[Path]:
    if isinstance(pictures, Pictures):
        return list(pictures.paths)
    return [path for each in pictures for path in each.paths]
