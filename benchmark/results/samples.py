"""A few test images as pictures beside their record: mixture, true layers, and what a method made of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import read_json, write_json

if TYPE_CHECKING:  # the page and `publish` ask for folders only
    from torch import Tensor

COUNT = 20
"""The first so many test images."""

PUBLISHED = 6
"""Of them, the first so many are passed on with the project: whoever clones it gets them."""

FREE = ("none needed", "public domain", "CC0", "CC BY 4.0")
"""How licences begin under which pictures may be passed on; those of research data may not."""

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


def free(spec: dict[str, Any]) -> bool:
    """Whether pictures of such data may be passed on.

    Args:
        spec: of a record.
    """
    return str(spec.get("licence", "")).startswith(FREE)


def stands_for(shown: Path, key: str) -> bool:
    """Whether a folder holds embedded pictures that a record's method separated, in the place of its test images.

    Args:
        shown: the folder.
        key: of the record.
    """
    notes = [read_json(path) for path in shown.glob("*.json")]
    return any(isinstance(note, dict) and note.get("stands_for") == key for note in notes)


def pass_on(here: Path, there: Path) -> None:
    """Copy the first images of a record to where it is published.

    Args:
        here: folder of its samples; it need not be there.
        there: folder that is written to.
    """
    for place in range(PUBLISHED):
        for path in [here / f"{place}.json", *here.glob(f"{place}-*")]:
            if path.is_file():
                there.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, there / path.name)


class SampleWriter:
    """Writes the first test images that pass through scoring, on whichever process they come.

    Args:
        where: folder of these samples.
        layers: names of the scored layers.
        count: of images that are written, at most.
    """

    def __init__(self, where: Path, layers: list[str], count: int = COUNT) -> None:
        self.where, self.layers, self.count = where, layers, count

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
        if place >= self.count:
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
