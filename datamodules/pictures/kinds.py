"""Where clean pictures come from: photographs in folders or shipped with packages, and generated ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from datamodules.base import EVERY_SCENE, missing_data, scene_generator
from datamodules.errors import UserError
from datamodules.pictures import sources
from datamodules.pictures.dead_leaves import dead_leaves, product_picture
from datamodules.pictures.images import IMAGE_SUFFIXES, depth_size, open_photograph, read_depth, read_header, to_tensor
from datamodules.pictures.memory import Recent
from datamodules.sets.layouts import files_below, match
from datamodules.sets.real import SETS
from datamodules.types import Role

GENERATED = "dead_leaves"
EMBEDDED = "embedded"

TRAINING_ZOOM = (1.25, 1.875)
"""A crop's photograph is resized so that its shorter side is the crop's side times this: 320 to 480 for 256 (DMGN)."""

FIXED_ZOOM = 0.4
"""Where between the ends of its range the scale of a crop lies that is not augmented."""

HELD_IN_MEMORY = 512 * 2**20
"""Bytes of decoded photographs that one process keeps."""


def crop_side(shorter: int, size: int, place: float, scale: tuple[float, float] | None) -> float:
    """Side of a training crop in its photograph's pixels.

    Args:
        shorter: side of the photograph.
        size: of the crop once it is resized.
        place: in [0, 1], between the ends of the range.
        scale: range of the factor by which the photograph is reduced, 1 for not at all; None for
            ``TRAINING_ZOOM``, in proportion to the photograph.
    """
    low, high = TRAINING_ZOOM if scale is None else scale
    factor = low + (high - low) * place
    return shorter / factor if scale is None else min(shorter, size / factor)


class Picture(NamedTuple):
    """A clean picture.

    Attributes:
        pixels: (3, H, W) float32 in [0, 1].
        name: of the photograph or generator.
        depth: (1, H, W) in [0, 1], larger is farther; None where nothing is known.
    """

    pixels: Tensor
    name: str
    depth: Tensor | None = None


class Pictures(ABC):
    """A source of clean pictures for one role."""

    paths: Sequence[Path] = ()

    @abstractmethod
    def draw(
        self, count: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE, *, augment: bool
    ) -> list[Picture]:
        """Square crops of different pictures.

        Args:
            count: how many.
            size: their side in pixels.
            generator: decides which, and where they are cropped.
            scenes: which of the source's pictures may be used.
            augment: vary scale and flip, as for training; otherwise only the place of the crop varies.
        """


class DeadLeaves(Pictures):
    """Generated pictures; each is a new one."""

    def draw(
        self, count: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE, *, augment: bool
    ) -> list[Picture]:
        return [Picture(dead_leaves(generator, size), "leaves") for _ in range(count)]


class Products(Pictures):
    """Generated pictures of one kind of product on white; each is a new one.

    Args:
        kind: ``shoe`` or ``handbag``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def draw(
        self, count: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE, *, augment: bool
    ) -> list[Picture]:
        return [Picture(product_picture(generator, size, self.kind), self.kind) for _ in range(count)]


class Photographs(Pictures):
    """Photographs on disk, decoded when first used.

    Args:
        paths: of the files; their headers are read at once.
        size: side of the largest crop that will be asked for.
        whole: take the largest square around the middle where a crop is not augmented.
        scale: range of the factor by which photographs are reduced before they are cropped, 1 for full size; None for
            crops in proportion to the photograph (``TRAINING_ZOOM``).

    Raises:
        UserError: a file that is no image, or too small, or a depth map that has another shape than its photograph.

    Attributes:
        grey: photographs without colour; they get three equal channels.
    """

    def __init__(
        self, paths: Sequence[Path], size: int, *, whole: bool = False, scale: tuple[float, float] | None = None
    ) -> None:
        self.paths, self.whole, self.scale = paths, whole, scale
        headers = {path: read_header(path) for path in paths}
        self.grey = [path for path, header in headers.items() if header.grey]
        for path, header in headers.items():
            check_depth(path, header.size)
        self.short_side = round(2 * size) if scale is None else None
        self._recent: Recent[tuple[Image.Image, Image.Image | None]] = Recent(_bytes, HELD_IN_MEMORY)

    def draw(
        self, count: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE, *, augment: bool
    ) -> list[Picture]:
        allowed = self.paths[scenes]
        if len(allowed) < count:
            raise UserError(
                f"{len(allowed)} photographs where a mixture needs {count} different ones: add photographs, "
                "or train on another source (train_source)."
            )
        chosen = torch.randperm(len(allowed), generator=scene_generator(generator))[:count].tolist()
        return [self._crop(allowed[i], size, generator, augment) for i in chosen]

    def _crop(self, path: Path, size: int, generator: torch.Generator, augment: bool) -> Picture:
        image, depth = self._open(path)
        where, flip, scale = torch.rand(2, generator=generator).tolist(), *torch.rand(2, generator=generator).tolist()
        side = crop_side(min(image.size), size, scale if augment else FIXED_ZOOM, self.scale)
        if self.whole and not augment:
            where, side = [0.5, 0.5], float(min(image.size))
        left, top = (place * (extent - side) for place, extent in zip(where, image.size, strict=True))
        box = (left, top, left + side, top + side)
        pixels = to_tensor(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
        far = None
        if depth is not None:
            across, down = depth.width / image.width, depth.height / image.height
            box = (left * across, top * down, (left + side) * across, (top + side) * down)
            far = pil_to_tensor(depth.resize((size, size), Image.Resampling.BILINEAR, box=box)).clamp(0, 1)
        if augment and flip < 0.5:
            pixels, far = pixels.flip(-1), None if far is None else far.flip(-1)
        return Picture(pixels, path.stem, far)

    def _open(self, path: Path) -> tuple[Image.Image, Image.Image | None]:
        return self._recent.get(path, lambda: (open_photograph(path, self.short_side), _depth_of(path)))


def _bytes(decoded: tuple[Image.Image, Image.Image | None]) -> int:
    """Of a photograph, a byte for each colour, and of its depth map, four for each value."""
    image, depth = decoded
    return 3 * image.width * image.height + (4 * depth.width * depth.height if depth is not None else 0)


def depth_map(photograph: Path) -> Path | None:
    """The file of a photograph's depth map, None where there is none.

    It is ``depth/NAME.png`` (or ``.npy``) beside the photograph; in RESIDE's layout, where the photograph is
    ``clear/NAME.png``, it is ``trans/NAME_1.png``, the transmission of its first haze.
    """
    for suffix in (".png", ".npy", ".npz"):
        candidate = photograph.parent / "depth" / (photograph.stem + suffix)
        if candidate.is_file():
            return candidate
    transmission = photograph.parent.parent / "trans" / f"{photograph.stem}_1.png"
    return transmission if photograph.parent.name == "clear" and transmission.is_file() else None


def is_transmission(depth: Path) -> bool:
    """Whether a depth map's file holds RESIDE's transmission instead."""
    return depth.parent.name == "trans"


def check_depth(photograph: Path, size: tuple[int, int]) -> None:
    """Check from the headers that a photograph's depth map, where there is one, has the photograph's shape.

    Args:
        photograph: the file.
        size: its (height, width).

    Raises:
        UserError: sides in another ratio, by more than a pixel of the map.
    """
    found = depth_map(photograph)
    if found is None:
        return
    height, width = size
    down, right = depth_size(found)
    if abs(down * width - right * height) > max(height, width):
        raise UserError(
            f"the depth map {found} has {down}×{right} pixels and its photograph {photograph} {height}×{width}: it "
            "is of another scene, or cut differently; replace or remove it."
        )


def _depth_of(path: Path) -> Image.Image | None:
    """The depth map that belongs to a photograph, its largest value 1."""
    if path.name == "motorcycle_left.png" and path.parent.name == "data":
        return _motorcycle(path.with_name("motorcycle_disp.npz"))
    found = depth_map(path)
    return None if found is None else read_depth(found, transmission=is_transmission(found))


def _motorcycle(path: Path) -> Image.Image | None:
    """Depth of scikit-image's stereo photograph, from its disparity; what no camera saw is as far as its left."""
    if not path.is_file():
        return None
    with numpy.load(path) as loaded:
        disparity = loaded[loaded.files[0]]
    known = numpy.isfinite(disparity) & (disparity > 0)
    column = numpy.where(known, numpy.arange(disparity.shape[1]), 0)
    nearest = numpy.maximum.accumulate(column, axis=1)
    filled = numpy.take_along_axis(numpy.where(known, disparity, disparity[known].min()), nearest, axis=1)
    depth = disparity[known].min() / filled
    return Image.fromarray(depth.astype(numpy.float32), mode="F")


def photograph_paths(
    source: str, role: Role, root: Path, *, shared: bool = True, kind: str | None = None
) -> list[Path]:
    """Photographs that play a role.

    ``embedded``: those that ship with scikit-image and scikit-learn. A folder with ``train``, ``val``
    and ``test`` inside plays the three roles with them; where another set tests, ``test`` trains too.
    Where only ``train`` and ``val`` (or ``test``) are there, the last tenth of ``train`` selects and the
    other tests. In a flat folder the last fifth tests and the fifth before it selects, in order of name.

    Args:
        source: ``embedded`` or the name of a folder below ``root``.
        role: of the data.
        root: folder of the data sets.
        shared: whether one flat folder must do for training and testing; if not, all of it tests, or
            all but the last fifth, which selects, trains.
        kind: only those in a folder of this name.

    Raises:
        UserError: a missing folder, or no photograph in it.
    """
    if source == EMBEDDED:
        return [sources.packaged_file(*name) for name in sources.EMBEDDED_PHOTOGRAPHS[role]]
    folder = root / source
    if source in SETS:
        known = SETS[source]
        pairs = match(known, folder)
        names = [Path(pair.image).relative_to(folder) for pair in pairs]
        shallow = [pair for pair in pairs if pair.depth and not Path(pair.depth).is_file()]
        if shallow:
            raise UserError(
                f"{known.title}: {len(shallow)} of {len(pairs)} photographs have no depth map (for example "
                f"{shallow[0].depth}): add them, or put the photographs into a folder of another name."
            )
        title, layout, origin = known.title, known.expected(), known.origin
    else:
        names = [Path(name) for name in files_below(folder)] if folder.is_dir() else []
        names = [
            name for name in names if name.suffix.lower() in IMAGE_SUFFIXES and not {"depth", "trans"} & set(name.parts)
        ]
        title, layout, origin = source, "image files, or folders train, val and test of them", "its authors"
    if kind is not None:
        names = [name for name in names if kind in name.parts]
    if not names:
        missing_data(title, folder, layout, origin)
    parts: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    for name in sorted(names):
        for part in set(name.parts[:-1]) & set(parts):
            parts[part].append(folder / name)
    if not parts["train"]:
        flat = [folder / name for name in sorted(names)]
        held = max(2, len(flat) // 5)
        if role == "test":
            return flat[-held:] if shared else flat
        rest = flat[:-held] if shared else flat
        return rest[:-held] if role == "train" else rest[-held:]
    if parts["val"] and parts["test"]:
        if role == "train":
            # Where another set tests, these photographs need not be kept for it.
            return parts["train"] + ([] if shared else parts["test"])
        return parts["val" if role == "select" else "test"]
    if role == "test":
        return parts["test"] or parts["val"]
    held = max(2, len(parts["train"]) // 10)
    return parts["train"][:-held] if role == "train" else parts["train"][-held:]
