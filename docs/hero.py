"""The README's picture: three mixtures, and the layers that weights which ship have found in them.

``python docs/hero.py`` draws it again. The photographs ship with scikit-image (the astronaut by NASA, in the public
domain; the cat by Stéfan van der Walt, CC0), the handwritten digits with scikit-learn; rain and haze are generated. No
method was trained on any of them. They were chosen by eye: the README's table says what is to be expected in the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from benchmark.results import weights
from benchmark.scoring.inference import separate_image
from benchmark.scoring.show import thumbnail
from benchmark.training.checkpoints import trained
from datamodules.base import LayerDataModule
from datamodules.digits import Digits
from datamodules.haze import Haze
from datamodules.rain import Rain
from datamodules.types import LayerBatch

PICTURE = Path(__file__).parent / "pictures" / "hero.jpg"
SIDE, GAP, LINE = 288, 8, 30
"""Pixels of a mixture's side, between pictures, and of a line of text."""


@dataclass(frozen=True)
class Panel:
    """One task of the picture.

    Attributes:
        task: in words.
        weights: that separate, as ``unblend list weights`` names them.
        data: that the mixture is of.
        place: of the mixture among the test images.
    """

    task: str
    weights: str
    data: LayerDataModule
    place: int

    def draw(self) -> Image.Image:
        """The mixture, and below it the layers that were found."""
        batch = self._batch()
        method = trained(weights.find(self.weights).path).eval()
        with torch.no_grad():
            layers = separate_image(method, batch.mixture[0]).clamp(0, 1)
        names = [
            f"{self.task}: the mixture",
            *(f"{name.replace('_', ' ')}, found" for name in self.data.spec["layers"]),
        ]
        page = Image.new("RGB", (SIDE, len(names) * (LINE + SIDE)), "white")
        ink = ImageDraw.Draw(page)
        for place, (name, image) in enumerate(zip(names, [batch.mixture[0], *layers], strict=True)):
            top = place * (LINE + SIDE)
            ink.text((1, top + 5), name, "black", ImageFont.load_default(18))
            page.paste(thumbnail(image, SIDE), (0, top + LINE))
        return page

    def _batch(self) -> LayerBatch:
        """The test image, mixed, in a batch of its own."""
        self.data.setup()
        seen = 0
        for loaded in self.data.test_dataloader():
            batch: LayerBatch = self.data.on_after_batch_transfer(loaded, 0)
            if self.place < seen + len(batch.ids):
                within = slice(self.place - seen, self.place - seen + 1)
                return LayerBatch(batch.mixture[within], batch.layers[within], batch.mask[within], batch.ids[within])
            seen += len(batch.ids)
        raise IndexError(f"{self.task} has {seen} test images, none of them is number {self.place}")


def panels() -> list[Panel]:
    """What the picture shows, from left to right."""
    return [
        Panel("Rain", "rain/nafnet", Rain(source="embedded", size=SIDE, evaluation_images=15), 14),
        Panel("Haze", "haze/nafnet", Haze(source="embedded", size=SIDE, evaluation_images=5), 4),
        Panel("Two digits", "digits/unet", Digits(), 4),
    ]


def draw() -> Image.Image:
    """The picture."""
    drawn = [panel.draw() for panel in panels()]
    step = SIDE + 2 * GAP
    page = Image.new("RGB", (step * len(drawn), drawn[0].height + 2 * GAP), "white")
    for place, panel in enumerate(drawn):
        page.paste(panel, (GAP + place * step, GAP))
    return page


if __name__ == "__main__":
    draw().save(PICTURE, quality=90, optimize=True)
    print(f"wrote {PICTURE}")
