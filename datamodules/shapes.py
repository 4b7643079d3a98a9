"""Squares and circles, and triangles where there are three layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.base import EVALUATION_SEED, EVERY_SCENE, LAYER_SCENES, LayerDataModule, sample_generator
from datamodules.mixing import Sum
from datamodules.types import LayerSpec, Role, Sample, UserError

_NAMES = ["square", "circle", "triangle"]


class Shapes(LayerDataModule):
    """A square, a circle and perhaps a triangle, summed: SILS's toy data.

    One filled shape for each layer, on black.

    Size (0.1 + 0.5·u)·W, corner at 0.6·u·W along each axis, colour 50 to 219 of 255 for each channel.
    Two layers are scaled by α and 1 − α, α uniform in [0.2, 0.8]; three are divided by 3. The truths are the
    scaled layers, whose sum is the mixture.

    The training set has ``scenes`` mixtures, which come back once all have been seen, in another order;
    unpaired layers are of as many other scenes. 200 further scenes select and ``evaluation_images`` test.

    Source: SILS, Sec. 5.1 and 5.4; recipe from the authors' code. The canvas's size is unpublished: 128 is assumed.

    Args:
        layers: 2, or 3 for a triangle too.
        size: side of the canvas in pixels.
        scenes: training scenes.
        evaluation_images: test scenes.
        **kwargs: of every data set.

    Raises:
        UserError: another number of layers, a canvas below 16 pixels, or no scenes.
    """

    def __init__(
        self, layers: int = 2, size: int = 128, scenes: int = 4000, evaluation_images: int = 1000, **kwargs: Any
    ) -> None:
        super().__init__(Sum(), **kwargs)
        if layers not in (2, 3) or size < 16 or scenes < 1 or evaluation_images < 1:
            raise UserError(
                f"layers {layers}, size {size}, scenes {scenes}, evaluation_images {evaluation_images}: "
                "layers must be 2 or 3, size at least 16, the others at least 1."
            )
        self.layers, self.size, self.scenes, self.evaluation_images = layers, size, scenes, evaluation_images

    @property
    def spec(self) -> LayerSpec:
        spec = self.describe(
            _NAMES[: self.layers], citation="generated as in Separate In Latent Space (SILS)", licence="none needed"
        )
        # A sum has no order, but a square is no circle.
        return {**spec, "ordered": True}

    def files(self) -> list[Path]:
        return []

    def open(self) -> None:
        """Nothing to read."""

    def count(self, role: Role) -> int:
        return 200 if role == "select" else self.evaluation_images

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        scene = k
        if role == "train":
            epoch, place = divmod(k, self.scenes)
            order = torch.randperm(self.scenes, generator=sample_generator(self.seed, role, -1 - epoch))
            scene = int(order[place])
            if scenes == LAYER_SCENES:
                scene = self.scenes + int(torch.randint(self.scenes, (), generator=generator))
        drawn = self._scene(sample_generator(EVALUATION_SEED, role, scene))
        return Sample(drawn, f"{k:06d}-{scene:05d}")

    def _scene(self, generator: torch.Generator) -> Tensor:
        """(K, 3, size, size) layers of a scene."""
        shapes = torch.rand(self.layers, 6, generator=generator)
        alpha = 0.2 + 0.6 * float(torch.rand((), generator=generator))
        weights = [alpha, 1 - alpha] if self.layers == 2 else [1 / 3] * 3
        axis = torch.arange(self.size, dtype=torch.float32)
        layers = []
        for name, (extent, top, left, *colour), weight in zip(_NAMES, shapes.tolist(), weights, strict=False):
            side = (0.1 + 0.5 * extent) * self.size
            # In units of the shape's own square, from 0 to 1.
            y = ((axis - 0.6 * top * self.size) / side).view(-1, 1)
            x = ((axis - 0.6 * left * self.size) / side).view(1, -1)
            inside = (y >= 0) & (y < 1) & (x >= 0) & (x < 1)
            if name == "circle":
                inside &= (y - 0.5) ** 2 + (x - 0.5) ** 2 <= 0.25
            elif name == "triangle":
                inside &= (x - 0.5).abs() <= y / 2
            shade = (50 + 169 * torch.tensor(colour)).round() / 255
            layers.append(weight * shade.view(3, 1, 1) * inside)
        return torch.stack(layers)
