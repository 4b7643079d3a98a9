"""Pictures on the page: which test images are shown, what each method made of them, and how many fit.

A page has a largest size. So pictures are taken in by turns: of every data set the first image by its best method, then
by the others, then the layers that the task is not for, then the second image, until the page is full.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.plan.names import safe_name
from benchmark.reports.page.evidence import Json
from benchmark.results import samples
from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.statistics import Line, per_image, target_layers

LARGEST_SAMPLE = 300_000
"""Bytes of a picture that the page takes in."""

KINDS = {".png": "image/png", ".webp": "image/webp"}

TENS = 10
"""So many images are listed that a method does worst on, and as many that it does best on."""

REFERENCE = 64
"""Bytes, at most, that a data set needs to name a picture, with its score."""


@dataclass
class Image:
    """One image of a data set's samples.

    Attributes:
        id: of the image.
        layers: names.
        made_of: what an embedded picture is made of that stands for the test images; empty of a test image.
        files: ``mixture``, ``truth-0`` …, and ``estimate-0`` … of a row, by row and what; row -1 has the others.
        psnr: row -> PSNR of each layer in dB.
    """

    id: str
    layers: list[str]
    made_of: str
    files: dict[tuple[int, str], Path] = field(default_factory=dict)
    psnr: dict[int, list[float]] = field(default_factory=dict)


@dataclass
class Shown:
    """The images of one data set, and those that have been taken in.

    Attributes:
        table: its lines.
        images: in their order.
        keys: of pictures, by image, row and what.
    """

    table: Sequence[Line]
    images: list[Image]
    keys: dict[tuple[int, int, str], str] = field(default_factory=dict)

    def text(self) -> Json:
        """What the page's script reads."""
        names = {layer: None for image in self.images for layer in image.layers}
        target = target_layers(self.table[0].first)
        ids, psnr = extremes(self.table)
        return {
            "layers": list(names),
            "target": [place for place, layer in enumerate(names) if layer in target],
            "images": [self._image(place, image) for place, image in enumerate(self.images)],
            "ids": ids,
            "psnr": psnr,
        }

    def _image(self, place: int, image: Image) -> Json:
        layers = range(len(image.layers))
        of_rows = {row: [self.keys.get((place, row, f"estimate-{k}")) for k in layers] for row in image.psnr}
        return {
            "id": image.id,
            "from": image.made_of,
            "mixture": self.keys.get((place, -1, "mixture")),
            "truth": [self.keys.get((place, -1, f"truth-{k}")) for k in layers],
            "rows": {row: keys for row, keys in of_rows.items() if any(keys)},
            "psnr": {row: image.psnr[row] for row, keys in of_rows.items() if any(keys)},
        }


def collect(table: Sequence[Line], of_record: dict[tuple[str, str, int], Found]) -> Shown:
    """The sample images of a data set, as they lie beside its records.

    Args:
        table: its lines, whose first seeds' pictures are shown.
        of_record: data set, method and seed -> where a record lies.
    """
    images: dict[str, Image] = {}
    for row, line in enumerate(table):
        first = line.first
        folder = samples.folder(of_record[first.dataset, first.method, first.seed].path)
        scores: dict[str, list[float]] | None = None
        for note in (read_json(path) for path in sorted(folder.glob("*.json"), key=_number)):
            if not _sound(note):
                continue
            if scores is None:
                scores = dict(zip(first.ids, first.values("psnr").tolist(), strict=True))
            image = images.setdefault(note["id"], Image(note["id"], note["layers"], str(note.get("from", ""))))
            if image.layers != note["layers"]:
                continue
            own = note["psnr"] if "stands_for" in note else scores.get(note["id"], [])
            image.psnr[row] = [round(float(value), 2) for value in own]
            for what, name in note["files"].items():
                path = _inside(folder, name)
                number = what.partition("-")[2]
                if path is not None and not (number and int(number) >= len(image.layers)):
                    image.files.setdefault((row if what.startswith("estimate") else -1, what), path)
    return Shown(table, list(images.values()))


def _number(path: Path) -> tuple[int, str]:
    return len(path.stem), path.stem


def _inside(folder: Path, name: object) -> Path | None:
    """The picture that a note names, unless it is none, lies elsewhere, or is too large."""
    try:
        path = folder / safe_name("sample", "file", str(name))
    except UserError:
        return None
    fits = path.suffix in KINDS and path.is_file() and path.stat().st_size <= LARGEST_SAMPLE
    return path if fits else None


def _sound(note: Any) -> bool:
    if not isinstance(note, dict) or not isinstance(note.get("id"), str) or not isinstance(note.get("files"), dict):
        return False
    layers, psnr = note.get("layers"), note.get("psnr", [])
    known = all(
        what == "mixture" or (what.partition("-")[0] in ("truth", "estimate") and what.partition("-")[2].isdigit())
        for what in note["files"]
    )
    numbers = isinstance(psnr, list) and all(isinstance(value, int | float) for value in psnr)
    return known and numbers and isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)


def take_in(every: Sequence[Shown], room: int) -> dict[str, str]:
    """Pictures by their keys, as long as there is room; each data set notes its own.

    Args:
        every: the images of all data sets, in the page's order.
        room: bytes.
    """
    pictures: dict[str, str] = {}
    for shown, place, wanted in _turns(every):
        image = shown.images[place]
        for row, what in wanted:
            path = image.files.get((row, what))
            if path is None:
                continue
            key, text = _encoded(path)
            needed = REFERENCE + (0 if key in pictures else len(text) + len(key) + 6)
            if needed <= room:
                room -= needed
                pictures[key] = text
                shown.keys[place, row, what] = key
    return pictures


def _turns(every: Sequence[Shown]) -> Iterator[tuple[Shown, int, list[tuple[int, str]]]]:
    """Data set, image, and which of its pictures, in the order in which they are taken in."""
    most = max((len(shown.images) for shown in every), default=0)
    for place in range(most):
        here = [shown for shown in every if place < len(shown.images)]
        for turn in range(3):
            for shown in here:
                yield shown, place, _wanted(shown, shown.images[place], turn)


def _wanted(shown: Shown, image: Image, turn: int) -> list[tuple[int, str]]:
    """Rows and pictures of a turn: what the task is for of the best, of the others, and then the other layers."""
    target = target_layers(shown.table[0].first)
    judged = [place for place, layer in enumerate(image.layers) if layer in target]
    beside = [place for place in range(len(image.layers)) if place not in judged]
    rows = sorted(image.psnr)
    if turn == 0:
        return [
            (-1, "mixture"),
            *((-1, f"truth-{k}") for k in judged),
            *((row, f"estimate-{k}") for row in rows[:1] for k in judged),
        ]
    if turn == 1:
        return [(row, f"estimate-{k}") for row in rows[1:] for k in judged]
    return [*((-1, f"truth-{k}") for k in beside), *((row, f"estimate-{k}") for row in rows for k in beside)]


def _encoded(path: Path) -> tuple[str, str]:
    contents = path.read_bytes()
    key = hashlib.blake2b(contents, digest_size=9).hexdigest()
    return key, f"data:{KINDS[path.suffix]};base64,{base64.b64encode(contents).decode()}"


def extremes(table: Sequence[Line]) -> tuple[list[str], list[list[float | None]]]:
    """The images that any method does worst or best on, and every method's PSNR of them.

    Args:
        table: lines; those that do not give all target layers, or of other images, count for nothing.

    Returns:
        ids, and for each line their PSNR, of its first seed, over the target layers in dB; None where there is none.
    """
    scores = [_scores(line.first) if line.ranked else {} for line in table]
    ids: dict[str, None] = {}
    for own in scores:
        ordered = sorted(own, key=lambda name: (own[name], name))
        ids |= dict.fromkeys([*ordered[:TENS], *ordered[-TENS:]])
    return list(ids), [[round(own[name], 2) if name in own else None for name in ids] for own in scores]


def _scores(record: Record) -> dict[str, float]:
    return per_image([record], "psnr", target_layers(record))
