"""How a real data set lies on disk, and which of its files belong together. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.errors import UserError

PHOTOGRAPH = r"\.(?i:png|jpe?g|bmp|tiff?)"
"""A photograph's file type, in a layout's expression."""


@dataclass(frozen=True)
class Layout:
    """One way in which a set's files may lie.

    Attributes:
        image: regular expression of the path, below the set's folder, of a mixture (or of a clean
            photograph); its group ``id`` is the image's name.
        layers: layer -> path of its truth, with the groups of ``image`` (``{id}``); empty for photographs.
        mask: path of the mask of scored pixels, likewise. ``file#key`` names an array of an HDF5 file.
        depth: path of a photograph's depth map, likewise.
        shown: what the expression stands for, where it is hard to read.
    """

    image: str
    layers: dict[str, str] = field(default_factory=dict)
    mask: str | None = None
    depth: str | None = None
    shown: str = ""

    def text(self) -> str:
        """For people: the paths with their groups in braces, without the archives' own top folders."""
        if self.shown:
            return self.shown
        image = self.image.replace(PHOTOGRAPH, ".png")
        image = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", image)
        image = re.sub(r"\(\?:[^()]*\)\?", "", image).replace("(?:", "").replace(")", "").replace("\\", "")
        paths = [image, *self.layers.values(), *(path for path in (self.mask, self.depth) if path)]
        return " with ".join(path.replace("{top}", "") for path in paths)


@dataclass(frozen=True)
class RealSet:
    """A real data set.

    Attributes:
        name: of its folder under ``$UNBLEND_DATA``, and of the ``source`` that asks for it.
        task: class of the data set that loads it; ``photographs`` for clean images.
        title: its name in the literature.
        layouts: ways in which it may lie; the first that matches is used.
        count: official number of images (pairs, where it has truths).
        size: (height, width) that all images have, either way round; None where they differ.
        citation: whom to cite.
        licence: terms of use.
        origin: where to get it.
        copies: digest of a known copy's files -> what that copy is.
        train: names of the official training images, where the set has such a list.
        splits: names of its split files, the one that is used by default first.
        centre_crop: whether a truth may be larger than its mixture and is then cropped around its centre.
    """

    name: str
    task: str
    title: str
    layouts: tuple[Layout, ...]
    count: int
    size: tuple[int, int] | None
    citation: str
    licence: str
    origin: str
    copies: dict[str, str] = field(default_factory=dict)
    train: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    centre_crop: bool = False

    @property
    def scored(self) -> list[str]:
        """Layers that have a truth."""
        return list(self.layouts[0].layers)

    def expected(self) -> str:
        """For people: what the folder should hold."""
        return ", or ".join(dict.fromkeys(layout.text() for layout in self.layouts))


@dataclass(frozen=True)
class Pair:
    """A mixture (or a clean photograph) on disk with the truths that belong to it.

    Attributes:
        name: unique in the set.
        image: path of the mixture or photograph; ``file#key`` for an array of an HDF5 file.
        layers: layer -> path of its truth.
        mask: path of the mask of scored pixels.
        depth: path of the photograph's depth map.
    """

    name: str
    image: str
    layers: dict[str, str]
    mask: str | None = None
    depth: str | None = None

    @property
    def files(self) -> list[Path]:
        """All files of the pair."""
        paths = [self.image, *self.layers.values(), *(path for path in (self.mask, self.depth) if path)]
        return list(dict.fromkeys(Path(path.partition("#")[0]) for path in paths))


def files_below(folder: Path) -> list[str]:
    """Paths of all files below a folder, sorted, relative to it.

    Raises:
        UserError: the folder may not be read.
    """

    def walk(place: Path) -> Iterator[str]:
        try:
            entries = sorted(place.iterdir())
        except PermissionError as error:
            raise UserError(f"no permission to read the folder {place}: ask its owner, or change its mode.") from error
        for entry in entries:
            if entry.is_dir():
                yield from walk(entry)
            else:
                yield entry.relative_to(folder).as_posix()

    return list(walk(folder))


def match(data: RealSet, folder: Path) -> list[Pair]:
    """The pairs of a set, in the layout that has the most of them whole; some truths may be missing.

    Returns:
        Pairs in order of name; none where the folder is missing or nothing in it matches.
    """
    if not folder.is_dir():
        return []
    files = files_below(folder)
    present = {str(folder / file) for file in files}
    best: list[Pair] = []
    whole = -1
    for layout in data.layouts:
        found = [pair for file in files if (pair := _pair(layout, folder, file)) is not None]
        complete = sum(all(str(path) in present for path in pair.files) for pair in found)
        if found and complete > whole:
            best, whole = found, complete
    return sorted(best, key=lambda pair: pair.name)


def _pair(layout: Layout, folder: Path, file: str) -> Pair | None:
    """The pair whose mixture a file is, or None."""
    groups = re.fullmatch(layout.image, file)
    if groups is None:
        return None
    names = {key: value or "" for key, value in groups.groupdict().items()}
    name = (names["id"] + names.get("rest", "")).replace("/", "-").rstrip("-")
    image = str(folder / file) + ("#haze" if file.endswith(".h5") else "")
    layers = {layer: str(folder / template.format(**names)) for layer, template in layout.layers.items()}
    mask, depth = (str(folder / path.format(**names)) if path else None for path in (layout.mask, layout.depth))
    return Pair(name, image, layers, mask, depth)
