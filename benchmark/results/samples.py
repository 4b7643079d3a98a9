"""A few test images as pictures beside their record: mixture, true layers, and what a method made of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.files import write_json

if TYPE_CHECKING:  # the page and `publish` ask for folders only
    from torch import Tensor

COUNT = 3
"""The first so many test images."""

SIDE = 256
"""Pixels of a picture's longer side, at most."""

LOSSLESS = 96 * 96
"""Pixels up to which a picture is kept as it is."""


def folder(record: Path) -> Path:
    """Where the samples of a record lie: ``SUITE/samples/…`` beside ``SUITE/records/…``.

    Args:
        record: ``SUITE/records/DATASET/METHOD/seedN.json``.
    """
    return record.parents[3] / "samples" / record.parent.parent.name / record.parent.name / record.stem


class SampleWriter:
    """Writes the first test images that pass through scoring, on whichever process they come.

    Args:
        where: folder of these samples.
        layers: names of the scored layers.
    """

    def __init__(self, where: Path, layers: list[str]) -> None:
        self.where, self.layers = where, layers

    def clear(self) -> None:
        """Remove what an earlier run wrote."""
        shutil.rmtree(self.where, ignore_errors=True)

    def write(self, place: int, name: str, mixture: Tensor, truth: Tensor, estimates: Tensor) -> None:
        """Write one image, if it is one of the first.

        Args:
            place: of the image in the test set.
            name: its id.
            mixture: (C, h, w).
            truth: (K, C, H, W) in [0, 1].
            estimates: (K', C, H, W), estimate k of layer k.
        """
        if place >= COUNT:
            return
        self.where.mkdir(parents=True, exist_ok=True)
        pictures = {"mixture": mixture / mixture.max().clamp_min(1)}  # a sum of layers is dimmed to fit
        pictures |= {f"truth-{k}": layer for k, layer in enumerate(truth)}
        pictures |= {f"estimate-{k}": layer for k, layer in enumerate(estimates)}
        files = {what: self._picture(f"{place}-{what}", picture) for what, picture in pictures.items()}
        note: dict[str, object] = {"id": name, "layers": self.layers, "files": files}
        write_json(self.where / f"{place}.json", note)

    def _picture(self, stem: str, image: Tensor) -> str:
        from PIL import Image
        from torchvision.transforms.functional import to_pil_image

        picture = to_pil_image(image.detach().float().clamp(0, 1).cpu())
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        small = picture.width * picture.height <= LOSSLESS
        path = self.where / f"{stem}.{'png' if small else 'webp'}"
        picture.save(path, **({"optimize": True} if small else {"quality": 88, "method": 4}))
        return path.name
