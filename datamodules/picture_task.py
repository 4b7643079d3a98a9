"""The base of the tasks whose layers are pictures: synthesis to train on, synthesis or real pairs to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules.base import EVERY_SCENE, LayerDataModule
from datamodules.mixing import Mixing
from datamodules.pictures.images import say_grey, say_once
from datamodules.pictures.kinds import (
    EMBEDDED,
    GENERATED,
    DeadLeaves,
    Photographs,
    Picture,
    Pictures,
    depth_map,
    photograph_paths,
)
from datamodules.real_pairs import RealPairs
from datamodules.sets.layouts import RealSet
from datamodules.sets.leakage import overlapping
from datamodules.sets.real import SETS
from datamodules.sets.training_sources import TrainingSources
from datamodules.types import ROLES, LayerSpec, Role, Sample, UserError


class PictureTask(LayerDataModule, ABC):
    """Base of a task: its layers' names, its scoring protocol, and how pictures become sources.

    Training draws crops of clean pictures and lets the image-formation model blend them; so do the
    select role and, where ``source`` is not a real set of the task, the test role. A real set tests
    at full size. Trained on itself, a real set is split by image: its split file, the official list, or in
    order of name the first seven tenths train, the next tenth selects, the last fifth tests.

    A training stream may have several sources: each sample's own generator decides which it is from, in
    the ratio of the weights. The images that select are shared out likewise. A real set's pairs that lack
    a layer get it from the image-formation model, where the task knows how (``derive``).

    Training photographs and pairs that show the same as a test image are left out, by content.

    Args:
        source: of the test role: ``embedded`` (photographs that ship with scikit-image and scikit-learn),
            ``dead_leaves`` (generated), a folder of photographs, or a real set of the task.
        train_source: of the train and select roles; default ``source``, or ``dead_leaves`` for a real set. Or several
            with weights, such as ``{real88: 0.3, bsds500: 0.7}``.
        split: name of the split file of a real set that decides which of its images train, select and test; default
            the set's own where it trains and tests.
        size: side of a training crop, and of a generated test image, in pixels.
        train_scale: range of the factor by which training photographs and pairs are reduced before they are cropped,
            for example ``[0.5, 1.0]``; default crops in proportion to the image, as DMGN.
        evaluation_images: generated images in the select and in the test role.
        short_side: resize real test images to this shorter side; default as they are.
        whole: select and test images show photographs' largest squares instead of crops.
        mixing: image-formation model.
        train_mixing: that of the train and select roles, where it is not the test role's: to learn on what the world
            is only thought to be.
        **kwargs: of every data set.

    Raises:
        UserError: a size, number, scale or weight that is impossible, a real set of another task, a split of another
            set, missing or broken files.
    """

    version: ClassVar[int] = 2
    layer_names: tuple[str, ...]
    target_names: ClassVar[tuple[str, ...]] = ()
    """Layers that the task is for; empty for all."""
    derive: ClassVar[staticmethod[[Tensor, Tensor, float], Tensor] | None] = None
    """The second of two layers from a mixture, the first layer and the model's γ; None where nothing gives it."""
    protocol: ClassVar[str] = "rgb"
    citation: ClassVar[str]

    def __init__(
        self,
        source: str = EMBEDDED,
        train_source: dict[str, float] | str | None = None,
        split: str | None = None,
        size: int = 128,
        train_scale: tuple[float, float] | None = None,
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
        if train_scale is not None and not 0 < train_scale[0] <= train_scale[1] <= 1:
            raise UserError(f"train_scale {train_scale}: it must be 0 < low <= high <= 1, where 1 is full size.")
        self.train_mixing = train_mixing or self.mixing
        if (self.train_mixing.scale, self.train_mixing.symmetric) != (self.mixing.scale, self.mixing.symmetric):
            raise UserError(
                f"train_mixing {self.train_mixing.name}: its layers must have the scale and the order of those of "
                f"{self.mixing.name}, which the test images are made with."
            )
        self.source = source
        self.real = self._real_set(source)
        default = GENERATED if self.real else source
        self.training = TrainingSources(default if train_source is None else train_source)
        self.train_source = str(self.training)
        self.real_training = {name: real for name in self.training if (real := self._real_set(name)) is not None}
        self.size, self.evaluation_images, self.short_side, self.whole = size, evaluation_images, short_side, whole
        self.train_scale = train_scale
        self.split = self._known_split(split)
        self._layers = self._training_layers()
        self._opened: dict[Role, dict[str, Any]] = {}

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
        scored = [layer for layer in self._layers if layer in (self.real.scored if self.real else self._layers)]
        lacking = {layer for real in self.real_training.values() for layer in self._layers if layer not in real.scored}
        citation, licence = self._origin(self.source)
        shares = [f"{share:.3g} {name} ({self._origin(name)[0]})" for name, share in self.training.shares.items()]
        learnt = "" if list(self.training) == [self.source] else f"; trained on {' + '.join(shares).removeprefix('1 ')}"
        return self.describe(
            self._layers,
            scored=scored,
            target=[layer for layer in scored if layer in (self.target_names or scored)],
            derived=[layer for layer in self._layers if layer in lacking],
            protocol=self.protocol,
            citation=f"{citation}; {self.citation}{learnt}",
            licence=licence,
        )

    def pictures_of(self, source: str, role: Role, kind: str | None = None) -> Pictures:
        """Clean pictures of one role of a source; photographs that the test role shows are left out of others."""
        if source == GENERATED:
            return DeadLeaves()
        shared = self.source in self.training and (role == "test" or source == self.source)
        paths = photograph_paths(source, role, self.root, shared=shared, kind=kind)
        if role != "test":
            leaked = self._leaked(source, paths)
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
        scale = self.train_scale if role != "test" else None
        photographs = Photographs(paths, self.size, whole=self.whole, scale=scale)
        if source != EMBEDDED:
            say_grey(source, photographs.grey)
        return photographs

    def test_truths(self) -> list[Path]:
        """Clean images of the test role, which no other source's training images may show."""
        if self.real:
            return self._pairs(self.source, "test").clean_files()
        if self.source == GENERATED:
            return []
        return photograph_paths(self.source, "test", self.root, shared=self.source in self.training)

    def files(self) -> list[Path]:
        self.open()
        found: set[Path] = set()
        for opened in self._opened.values():
            for one in opened.values():
                found.update(one.files() if isinstance(one, RealPairs) else _paths(one))
        return sorted(found)

    def open(self) -> None:
        for role in ROLES:
            if role not in self._opened:
                names = [self.source] if role == "test" else self.training
                self._opened[role] = {name: self._open(name, role) for name in names}

    def opened(self, role: Role, source: str | None = None) -> Any:
        """What ``open`` gave for a role: ``RealPairs``, or what ``open_pictures`` returns.

        Args:
            role: of the data.
            source: which, where the role has several; default its first.
        """
        self.open()
        return self._opened[role][source or next(iter(self._opened[role]))]

    def mixing_of(self, role: Role) -> Mixing:
        return self.mixing if role == "test" else self.train_mixing

    def count(self, role: Role) -> int:
        return len(self._evaluated(role))

    def equal_sizes(self, role: Role) -> bool:
        return not any(isinstance(one, RealPairs) for one in self._opened[role].values())

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        opened = self._opened[role]
        if len(opened) == 1:
            source, number = next(iter(opened)), k
        else:
            source, number = (self.training.draw(generator), k) if role == "train" else self._evaluated(role)[k]
        one = opened[source]
        if not isinstance(one, RealPairs):
            sources, name = self.synthesise(role, one, generator, scenes)
            return Sample(sources, f"{k:06d}-{name}")
        sample = one.crop(k, self.size, generator, scenes) if role == "train" else one.whole(number)
        if role == "test":
            return sample
        if role == "select" and len(opened) > 1:
            sample = sample._replace(name=f"{k:06d}-{sample.name}")
        return self._completed(sample)

    def _evaluated(self, role: Role) -> list[tuple[str, int]]:
        """The select or test role, image by image: its source, and which image of the source it is."""
        opened = self._opened[role]
        alone = len(opened) == 1
        asked = self.training.portions(self.evaluation_images)
        numbers = {}
        for name, one in opened.items():
            count = self.evaluation_images if alone else asked[name]
            numbers[name] = (len(one) if alone else min(count, len(one))) if isinstance(one, RealPairs) else count
        return [(name, i) for name, count in numbers.items() for i in range(count)]

    def _completed(self, sample: Sample) -> Sample:
        """A real pair with the layer that it lacks, from the image-formation model."""
        if len(sample.sources) == len(self._layers):
            return sample
        derive = type(self).derive
        assert derive is not None
        assert sample.mixture is not None
        other = derive(sample.mixture, sample.sources[0], self.train_mixing.gamma)
        return sample._replace(sources=torch.cat([sample.sources, other[None]]))

    def _open(self, name: str, role: Role) -> Any:
        if (self.real is not None and name == self.source) or name in self.real_training:
            return self._pairs(name, role)
        known = name in SETS or name in (EMBEDDED, GENERATED)
        if not known and not (self.root / name).is_dir():
            near = get_close_matches(name, [*SETS, EMBEDDED, GENERATED], 1)
            hint = f"Did you mean {near[0]}? Else set" if near else "Set"
            what = "source" if role == "test" else "train_source"
            raise UserError(
                f"{what} {name}: no set of this name is known, and {self.root / name} is no folder. "
                f"{hint} UNBLEND_DATA (or --data.root) to the folder that holds it."
            )
        return self.open_pictures(name, role)

    def _pairs(self, name: str, role: Role) -> RealPairs:
        """The pairs of a role of a real set; opened once."""
        if name in self._opened.get(role, {}):
            opened: RealPairs = self._opened[role][name]
            return opened
        real = SETS[name]
        pairs = RealPairs.open(
            real,
            self.root,
            role,
            shared=name == self.source and name in self.training,
            split=self.split if self.split in real.splits else None,
            short_side=self.short_side if role == "test" else None,
            scale=self.train_scale,
            pairing=self.pairing,
        )
        if role == "test":
            self._opened.setdefault(role, {})[name] = pairs
            return pairs
        leaked = self._leaked(name, pairs.clean_files())
        if leaked:
            say_once(
                f"{len(leaked)} truths of {real.title} show test images of {self.source} (for example "
                f"{min(leaked).name}): their pairs are left out of the {role} role."
            )
        return pairs.without(leaked)

    def _leaked(self, source: str, files: list[Path]) -> dict[Path, Path]:
        """Training images that show a test image; one set that trains and tests is split by image instead."""
        return {} if source == self.source else overlapping(files, self.test_truths())

    def _training_layers(self) -> list[str]:
        """Names of the layers in training.

        Raises:
            UserError: pairs that lack a layer are to be mixed with others that have it, and nothing gives it.
        """
        names = list(self.layer_names)
        for name, real in self.real_training.items():
            if self.train_mixing.scale != 1:
                raise UserError(
                    f"{name} has mixtures of its layers' size, {self.train_mixing.name} makes smaller ones."
                )
            if real.scored == names or (type(self).derive is not None and real.scored == names[:1] and len(names) == 2):
                continue
            if len(self.training) > 1:
                raise UserError(
                    f"train_source: {name} has a truth for {', '.join(real.scored)} alone, which cannot be mixed with "
                    f"sources of {', '.join(names)}: train on {name} alone, or on the others."
                )
            return [layer for layer in names if layer in real.scored]
        return names

    def _known_split(self, split: str | None) -> str | None:
        """The name of a split file, if it is one of a set that is used.

        Raises:
            UserError: it is not.
        """
        used = dict.fromkeys([self.source, *self.training])
        offered = [name for source in used if source in SETS for name in SETS[source].splits]
        if split is not None and split not in offered:
            there = f"they have {', '.join(offered)}" if offered else "they have none"
            raise UserError(f"split {split}: no split file of {' or '.join(used)} has this name; {there}.")
        return split

    @staticmethod
    def _origin(source: str) -> tuple[str, str]:
        """Citation and licence of a source."""
        generated = {
            EMBEDDED: ("photographs of scikit-image and scikit-learn", "public domain, CC0 and CC BY"),
            GENERATED: ("generated: dead leaves", "none needed"),
        }
        if source in SETS:
            return SETS[source].citation, SETS[source].licence
        return generated.get(source, (f"photographs of {source}", "the data set's own terms"))

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
    if not isinstance(pictures, Pictures):
        return [path for each in pictures for path in _paths(each)]
    depths = [depth_map(path) for path in pictures.paths]
    return [*pictures.paths, *(path for path in depths if path is not None)]
