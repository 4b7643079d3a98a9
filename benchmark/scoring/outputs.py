"""A stranger's pictures: found by the names that other projects give them, checked, and read as layers."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn.functional import interpolate

from benchmark.errors import UserError
from datamodules.pictures.images import IMAGE_SUFFIXES, read_photo

TOLD = 5
"""Names that a message lists, at most."""

Place = tuple[str, str]
"""A test image's id, and the name of a layer."""


@dataclass(frozen=True)
class Layout:
    """How a project names what it writes; paths are relative to the folder, without their suffix.

    In a pattern ``{image}`` is a test image's id, ``{layer}`` a layer's name, and ``*`` anything but a slash.

    Attributes:
        title: for people.
        each: pattern of any layer.
        target: pattern of the layer that the task is for.
        other: pattern of the layer that comes after it.
        beside: patterns of what is written beside the layers: truths and inputs.
    """

    title: str
    each: str = ""
    target: str = ""
    other: str = ""
    beside: tuple[str, ...] = ()


LAYOUTS = (
    Layout("a picture for each image", target="{image}"),
    Layout("IMAGE-LAYER, as `unblend separate` writes", each="{image}-{layer}", beside=("{image}-mixture", "*-sheet")),
    Layout("IMAGE_LAYER", each="{image}_{layer}"),
    Layout("a folder for each layer", each="{layer}/{image}"),
    Layout("a folder for each image", each="{image}/{layer}"),
    Layout(
        "DSRNet's evaluation",
        target="{image}/*_t",
        other="{image}/*_r",
        beside=("{image}/*_rr", "{image}/t_label", "{image}/r_label", "{image}/m_input"),
    ),
    Layout("DSRNet's test", target="{image}/*_l", other="{image}/*_r", beside=("{image}/m_input",)),
    Layout("XReflection's", target="{image}/{image}_clean_*", other="{image}/{image}_reflection_*"),
    Layout("MMagic's", target="{image}_*"),
)
"""In the order in which they are tried; the one that most test images are found by is taken.

Source: the code of PReNet (test_PReNet.py: the input's own name), DSRNet (models/dsrnet_model_sirs.py), XReflection
(xreflection/models/base_model.py) and MMagic (its ConcatImageVisualizer: the name and the step).
"""


@dataclass
class Outputs:
    """Pictures, each in its place.

    Attributes:
        folder: that they lie in.
        layout: by which they were recognised, in words.
        layers: that there are pictures of, in the order of the data's.
        pictures: of each place, usually one.
        extra: pictures that belong to no place.
    """

    folder: Path
    layout: str
    layers: tuple[str, ...]
    pictures: dict[Place, list[Path]]
    extra: list[Path]

    def refuse_gaps(self, scored: Sequence[str], ordered: bool) -> None:
        """Check the layers: they are scored from the first on; without an order all are needed, to find which is which.

        Args:
            scored: names of the layers that have a truth.
            ordered: whether their order has a meaning.

        Raises:
            UserError: one is lacking.
        """
        needed = scored[: len(self.layers)] if ordered else scored
        lacking = [name for name in needed if name not in self.layers]
        if lacking:
            why = "scored in the order of the data" if ordered else "without an order, and scored together"
            raise UserError(
                f"{self.folder}: pictures of {' and '.join(self.layers)}, but none of {' and '.join(lacking)}: the "
                f"layers are {why} ({', '.join(scored)}); write those, too."
            )

    def listed(self) -> str:
        """Every picture that is scored with its digest, as ``sha256sum`` writes it: what was judged."""
        paths = sorted(path for found in self.pictures.values() for path in found)
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        names = [path.relative_to(self.folder).as_posix() for path in paths]
        return "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))


def find(
    folder: Path,
    ids: Sequence[str],
    scored: Sequence[str],
    target: Sequence[str],
    layer: str | None = None,
    pattern: str | None = None,
) -> Outputs:
    """Look for the pictures of test images.

    Args:
        folder: that is looked through, with all in it.
        ids: of the test images.
        scored: names of the layers that have a truth.
        target: names of those that the task is for.
        layer: that pictures are of whose names do not say it; default the first that the task is for.
        pattern: of the names, as in ``Layout``; default the layout that fits best.

    Raises:
        UserError: no folder, an unknown layer, a pattern without ``{image}``, or no picture is named like an image.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: name the folder of your network's pictures.")
    if layer is not None and layer not in scored:
        raise UserError(f"layer {layer!r}: these data score {', '.join(scored)}.")
    layer = layer or target[0]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        raise UserError(f"{folder} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    layouts = LAYOUTS if pattern is None else (_own(pattern),)
    found = [_placed(layout, folder, files, ids, scored, layer) for layout in layouts]
    best = max(found, key=lambda outputs: len(outputs.pictures))  # the first of those that find the most
    if not best.pictures:
        raise UserError(
            f"{folder}: none of its {len(files)} pictures, such as {files[0].relative_to(folder)}, is named like a "
            f"test image, such as {ids[0]}.png: say --pattern, as 'rain-{{image}}.png', where {{image}} is {ids[0]}."
        )
    return best


def _own(pattern: str) -> Layout:
    stem = Path(pattern).with_suffix("").as_posix() if Path(pattern).suffix.lower() in IMAGE_SUFFIXES else pattern
    if "{image}" not in stem:
        raise UserError(f"pattern {pattern!r}: it must hold {{image}}, and may hold {{layer}} and *.")
    title = f"the pattern {pattern}"
    return Layout(title, each=stem) if "{layer}" in stem else Layout(title, target=stem)


def _placed(
    layout: Layout, folder: Path, files: Sequence[Path], ids: Sequence[str], scored: Sequence[str], layer: str
) -> Outputs:
    others = [name for name in scored if name != layer]
    patterns = [(layout.each, None), (layout.target, layer), (layout.other, others[0] if others else None)]
    compiled = [(_compiled(text, ids, scored), named) for text, named in patterns if text and (named or layout.each)]
    beside = [_compiled(text, ids, scored) for text in layout.beside]
    pictures: dict[Place, list[Path]] = defaultdict(list)
    extra = []
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        for expression, named in compiled:
            match = expression.fullmatch(name)
            if match:
                pictures[match["image"], named or match["layer"]].append(path)
                break
        else:
            if not any(expression.fullmatch(name) for expression in beside):
                extra.append(path)
    given = {name for _, name in pictures}
    return Outputs(folder, layout.title, tuple(name for name in scored if name in given), dict(pictures), extra)


def _compiled(pattern: str, ids: Sequence[str], scored: Sequence[str]) -> re.Pattern[str]:
    """An expression for a name. Longer ids come first: ``1400_2`` is not image ``1400`` with something behind it."""
    of = {"image": ids, "layer": scored}
    text, seen = "", set()
    for part in re.split(r"(\{image\}|\{layer\}|\*)", pattern):
        name = part.strip("{}")
        if part == "*":
            text += "[^/]*"
        elif name in seen:
            text += f"(?P={name})"
        elif part in ("{image}", "{layer}"):
            seen.add(name)
            text += f"(?P<{name}>{'|'.join(map(re.escape, sorted(of[name], key=len, reverse=True)))})"
        else:
            text += re.escape(part)
    return re.compile(text)


@dataclass
class Reader:
    """Reads the layers of one image after another, and remembers what was wrong or odd with them.

    Attributes:
        outputs: that are read.
        channels: of the data's images.
        resize: pictures of another size than the truth's, by cubic interpolation.
        faults: what forbids a score, a line each.
        sizes: picture, its height and width, the truth's: of those that differ.
        odd: what was mended or is worth a word -> pictures.
    """

    outputs: Outputs
    channels: int
    resize: bool = False
    faults: list[str] = field(default_factory=list)
    sizes: list[tuple[Path, tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    odd: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def layers(self, image: str, mixture: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        """(K', C, H, W) of one image, as ``judge`` asks for them; None where one of them cannot be scored.

        Args:
            image: id of a test image.
            mixture: that nothing is taken from.
            shape: of the truth, (K, C, H, W).
        """
        given = [self.layer(image, name, (shape[-2], shape[-1])) for name in self.outputs.layers]
        layers = [one for one in given if one is not None]
        return torch.stack(layers) if len(layers) == len(given) else None

    def layer(self, image: str, layer: str, size: tuple[int, int]) -> Tensor | None:
        """(C, H, W) float32 in [0, 1]; None where there is no picture that can be scored.

        Args:
            image: id of a test image.
            layer: name.
            size: height and width of the truth, in pixels.
        """
        paths = self.outputs.pictures.get((image, layer), [])
        if len(paths) != 1:
            if paths:
                names = ", ".join(str(path.relative_to(self.outputs.folder)) for path in paths[:TOLD])
                self.faults.append(f"{len(paths)} pictures of {layer} of image {image}: {names}; leave one of them")
            return None
        path = paths[0]
        try:
            with Image.open(path) as opened:
                palette, lossy = opened.mode == "P", opened.format == "JPEG"
            photo = read_photo(path)
        except UserError as error:
            self.faults.append(str(error).removesuffix("."))
            return None
        except (UnidentifiedImageError, OSError) as error:
            self.faults.append(f"cannot read {path}: {error}")
            return None
        for kind, applies in (
            ("16 bits, read at that depth", photo.bits == 16),
            ("grey, given three equal channels", len(photo.pixels) == 1 < self.channels),
            ("in colour, averaged to grey", len(photo.pixels) > self.channels),
            ("a palette, read as the colours that it names", palette),
            ("with an opacity, which is left out", photo.alpha is not None),
            ("JPEG, which loses something: write PNGs", lossy),
        ):
            if applies:
                self.odd[kind].append(path)
        pixels = photo.pixels.mean(0, keepdim=True) if self.channels == 1 else photo.pixels.expand(3, -1, -1)
        own = (int(pixels.shape[1]), int(pixels.shape[2]))
        if own == size:
            return pixels
        self.sizes.append((path, own, size))
        if not self.resize:
            return None
        return interpolate(pixels[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)

    def notes(self) -> list[str]:
        """What was odd, a line for each kind."""
        said = [f"{_some(self.outputs.folder, paths)}: {kind}" for kind, paths in self.odd.items()]
        if self.resize and self.sizes:
            said.append(f"{self._unlike()}: resized to the truth's size")
        if self.outputs.extra:
            said.append(f"{_some(self.outputs.folder, self.outputs.extra)}: of no test image, left out")
        return said

    def wrong(self, ids: Sequence[str]) -> list[str]:
        """What forbids a score, a line each.

        Args:
            ids: of all test images.
        """
        said = []
        for layer in self.outputs.layers:
            missing = [image for image in ids if (image, layer) not in self.outputs.pictures]
            if missing:
                names = ", ".join(missing[:TOLD]) + (" …" if len(missing) > TOLD else "")
                said.append(f"no picture of {layer} for {len(missing)} of the images: {names}")
        if self.sizes and not self.resize:
            said.append(f"{self._unlike()}: not of the truth's size; write them at that size, or say --resize")
        return [*said, *self.faults]

    def _unlike(self) -> str:
        return _some(self.outputs.folder, [path for path, *_ in self.sizes])


def _some(folder: Path, paths: Sequence[Path]) -> str:
    names = ", ".join(str(path.relative_to(folder)) for path in paths[:TOLD])
    return f"{len(paths)} picture{'s' if len(paths) != 1 else ''} ({names}{' …' if len(paths) > TOLD else ''})"
