"""Photographs superimposed on one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules import sources
from datamodules.base import LayerDataModule
from datamodules.mixing import Mean, Mixing
from datamodules.types import ROLES, LayerSpec, Role, UserError

_NAMES = ("first", "second", "third", "fourth")


class Superimposed(LayerDataModule):
    """Crops of different photographs blended into one.

    Photographs are split by photograph, resized to a shorter side of ``2 · size``, and cropped at
    random (flipped too, in training); crops of the select and test roles are the same in every run.

    A folder with ``train``, ``val`` and ``test`` inside (``bsds500``) plays the three roles with them.
    In a flat folder (``set5``, ``set14``) every photograph tests if ``train_source`` is given;
    otherwise the last fifth tests and the fifth before it selects, in order of name, two at least.

    Args:
        source: ``embedded`` (photographs that ship with scikit-image and scikit-learn), or a folder under ``root``.
        train_source: another source to train and select on; default the same.
        size: side of a layer in pixels.
        layers: photographs in a mixture, 2 to 4.
        evaluation_mixtures: mixtures in the select and in the test role.
        mixing: image-formation model; default the mean.
        **kwargs: of every data set.

    Raises:
        UserError: a missing folder, too few photographs for a role, an undecodable file.
    """

    def __init__(
        self,
        source: str = "embedded",
        train_source: str | None = None,
        size: int = 128,
        layers: int = 2,
        evaluation_mixtures: int = 24,
        mixing: Mixing | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mixing or Mean(), **kwargs)
        if not 2 <= layers <= len(_NAMES):
            raise UserError(f"{layers} layers: a mixture has 2 to {len(_NAMES)}.")
        self.source, self.train_source = source, train_source or source
        self.size, self.layers, self.evaluation_mixtures = size, layers, evaluation_mixtures
        self._photographs: dict[Role, list[Tensor]] = {}
        self._names: dict[Role, list[str]] = {}

    @property
    def spec(self) -> LayerSpec:
        names = list(_NAMES[: self.layers])
        embedded = self.source == "embedded"
        return LayerSpec(
            layers=names,
            scored=names,
            ordered=not self.mixing.symmetric,
            channels=3,
            scale=self.mixing.scale,
            mixing=self.mixing.name,
            gain=self.mixing.gain(self.layers),
            protocol="rgb",
            citation="photographs of scikit-image and scikit-learn" if embedded else f"photographs of {self.source}",
            licence="public domain, CC0 and CC BY" if embedded else "the data set's own terms",
        )

    def files(self) -> list[Path]:
        return sorted({path for role in ROLES for path in self._paths(role)})

    def open(self) -> None:
        if self._photographs:
            return
        photographs = {}
        for role in ROLES:
            paths = self._paths(role)
            if len(paths) < self.layers:
                raise UserError(
                    f"Superimposed: {len(paths)} photographs of {self.source} for the {role} role, a mixture of "
                    f"{self.layers} needs as many: add photographs, or train on another set with train_source."
                )
            photographs[role] = [sources.read_photograph(path, 2 * self.size) for path in paths]
            self._names[role] = [path.stem for path in paths]
        self._photographs = photographs

    def count(self, role: Role) -> int:
        return self.evaluation_mixtures

    def draw_layers(self, role: Role, k: int, generator: torch.Generator) -> tuple[Tensor, str]:
        photographs = self._photographs[role]
        chosen = torch.randperm(len(photographs), generator=generator)[: self.layers].tolist()
        crops = [self._crop(photographs[i], generator, flip=role == "train") for i in chosen]
        return torch.stack(crops), f"{k:06d}-" + "+".join(self._names[role][i] for i in chosen)

    def _crop(self, photograph: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
        _, height, width = photograph.shape
        top = int(torch.randint(height - self.size + 1, (), generator=generator))
        left = int(torch.randint(width - self.size + 1, (), generator=generator))
        crop = photograph[:, top : top + self.size, left : left + self.size]
        if flip and torch.rand((), generator=generator) < 0.5:
            crop = crop.flip(-1)
        return crop / 255

    def _paths(self, role: Role) -> list[Path]:
        source = self.source if role == "test" else self.train_source
        if source == "embedded":
            return [sources.packaged_file(*name) for name in sources.EMBEDDED_PHOTOGRAPHS[role]]
        folder = self.root / source
        part = folder / {"train": "train", "select": "val", "test": "test"}[role]
        if part.is_dir():
            return sources.photographs_in(part, source)
        paths = sources.photographs_in(folder, source)
        if role == "test" and self.train_source != source:
            return paths
        held = max(self.layers, len(paths) // 5)
        if role == "test":
            return paths[-held:]
        # A set that only trains keeps no photograph for testing.
        rest = paths if self.source != source else paths[:-held]
        return rest[-held:] if role == "select" else rest[:-held]
