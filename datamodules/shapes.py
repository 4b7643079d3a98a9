"""Squares and circles, and triangles where there are three layers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datamodules.base import EVALUATION_SEED, EVERY_SCENE, LAYER_SCENES, LayerDataModule, sample_generator
from datamodules.mixing import Sum
from datamodules.types import LayerSpec, Role, Sample, UserError

_NAMES = ["square", "circle", "triangle"]


class Shapes(LayerDataModule):
    """A square, a circle and perhaps a triangle, summed: SILS's toy data.

    One filled shape for each layer, on black.

    Size s = (0.1 + 0.5·u)·W, a point at 0.6·u·W along each axis, colour 50 to 219 of 255 for each channel, u uniform in
    [0, 1). A square has the side s and its upper left corner at the point, a circle the radius s around the point, a
    triangle is equilateral, turned at random, s from the point to each corner; what lies beyond the canvas is cut off.
    Two layers are scaled by α and 1 − α, α uniform in [0.2, 0.8]; three are divided by 3. The truths are the
    scaled layers, rounded down to 8 bits, whose sum is the mixture.

    Mean squared error of trivial answers at the default canvas, × 100, expected of the recipe: the mixture 2.8 as the
    square and 1.2 as the circle, half of it 0.84 as either.

    The training set has ``scenes`` mixtures, which come back once all have been seen, in another order;
    unpaired layers are of as many other scenes. 200 further scenes select and ``evaluation_images`` test.

    Source: SILS, Sec. 5.1 and 5.4; recipe from the authors' code. Reconstructed: a canvas of 128 pixels, and values
        used as they are, from 0 to 1; the paper gives neither its size nor how the authors normalise.

    Args:
        layers: 2, or 3 for a triangle too.
        size: side of the canvas in pixels.
        scenes: training scenes.
        evaluation_images: test scenes.
        **kwargs: of every data set.

    Raises:
        UserError: another number of layers, a canvas below 16 pixels, or no scenes.
    """

    version: ClassVar[int] = 2

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
        drawn = torch.rand(self.layers, 6, generator=generator)
        alpha = 0.2 + 0.6 * float(torch.rand((), generator=generator))
        turn = 2 * math.pi * float(torch.rand((), generator=generator))
        weights = [alpha, 1 - alpha] if self.layers == 2 else [1 / 3] * 3
        axis, layers = torch.arange(self.size), []
        for name, (extent, top, left, *colour), weight in zip(_NAMES, drawn.tolist(), weights, strict=False):
            side = int((0.1 + 0.5 * extent) * self.size + 0.5)
            # Pixels down and to the right of the shape's point.
            y = (axis - int(0.6 * top * self.size)).view(-1, 1)
            x = (axis - int(0.6 * left * self.size)).view(1, -1)
            if name == "square":
                inside = (y >= 0) & (y <= side) & (x >= 0) & (x <= side)
            elif name == "circle":
                inside = y**2 + x**2 <= side**2
            else:  # on the inner side of three edges, each half as far from the point as a corner
                ways = [turn + k * 2 * math.pi / 3 for k in range(3)]
                beyond = torch.stack([math.sin(way) * y + math.cos(way) * x for way in ways])
                inside = beyond.amax(0) <= side / 2
            shade = 50 + (170 * torch.tensor(colour)).floor().clamp(max=169)
            layers.append((weight * shade).floor().view(3, 1, 1) / 255 * inside)
        return torch.stack(layers)
