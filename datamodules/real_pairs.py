"""Real mixtures with their truths, as they lie on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import EVERY_SCENE, MIXTURE_SCENES, missing_data
from datamodules.errors import UserError
from datamodules.pictures.images import read_array, read_header, read_image, say_grey, say_once
from datamodules.pictures.kinds import HELD_IN_MEMORY, check_depth, crop_side
from datamodules.sets.layouts import Pair, RealSet, match
from datamodules.sets.split_files import Split
from datamodules.types import Pairing, Role, Sample


class RealPairs:
    """Pairs of one role of a real set.

    Args:
        data: the set.
        pairs: those of the role.
        short_side: resize whole images to this shorter side; None for as they are.
        scale: range of the factor by which a training crop is reduced; None for crops in proportion to the image.
    """

    def __init__(
        self,
        data: RealSet,
        pairs: Sequence[Pair],
        short_side: int | None = None,
        scale: tuple[float, float] | None = None,
    ) -> None:
        self.data, self.pairs, self.short_side, self.scale = data, pairs, short_side, scale
        self._decoded: dict[str, _Decoded] = {}
        self._held = 0

    @classmethod
    def open(
        cls,
        data: RealSet,
        root: Path,
        role: Role,
        *,
        shared: bool,
        split: str | None = None,
        short_side: int | None = None,
        scale: tuple[float, float] | None = None,
        pairing: Pairing = "paired",
    ) -> RealPairs:
        """Find a role's pairs and check that they are whole; their headers are read.

        Args:
            data: the set.
            root: folder of the data sets.
            role: of the data.
            shared: whether the set must do for training and testing. If not, all of it tests; or the roles of its
                split file train and select, where that tests nothing; or all but the last tenth trains.
            split: name of the split file that decides, whatever ``shared`` is; default the set's own, where it fits.
            short_side: see the class.
            scale: see the class.
            pairing: an official list of training images is used up in unpaired training: half of them give mixtures,
                whose truths, which training does not see, select; the other half gives layers.

        Raises:
            UserError: no data, a mixture without its truth, sizes that differ, a file that is no image, or an image
                of the split that is missing.
        """
        folder = root / data.name
        pairs = match(data, folder)
        if not pairs:
            missing_data(data.title, folder, data.expected(), data.origin)
        pairs = _of_role(data, folder, pairs, role, shared, split, pairing)
        if not pairs:
            raise UserError(
                f"{data.title}: too few pairs for the {role} role: add pairs, or name another set as "
                f"{'source' if role == 'test' else 'train_source'}."
            )
        for pair in pairs:
            check(data, pair)
        mixtures = [Path(pair.image) for pair in pairs if "#" not in pair.image]
        say_grey(data.title, [path for path in mixtures if read_header(path).grey])
        return cls(data, pairs, short_side, scale)

    def __len__(self) -> int:
        return len(self.pairs)

    def files(self) -> list[Path]:
        """Every file of the pairs."""
        return [path for pair in self.pairs for path in pair.files]

    def clean_files(self) -> list[Path]:
        """The truths of the first layer that are image files."""
        first = self.data.scored[0]
        paths = dict.fromkeys(pair.layers[first] for pair in self.pairs)
        return [Path(path) for path in paths if "#" not in path]

    def without(self, clean: Iterable[Path]) -> RealPairs:
        """The pairs whose truth is not among some files.

        Raises:
            UserError: none is left.
        """
        left_out = {str(path) for path in clean}
        first = self.data.scored[0]
        kept = [pair for pair in self.pairs if pair.layers[first] not in left_out]
        if not kept:
            raise UserError(f"every training pair of {self.data.title} is a test image too: train on another set.")
        return RealPairs(self.data, kept, self.short_side, self.scale)

    def whole(self, k: int) -> Sample:
        """Pair k at its full size, or with the given shorter side."""
        mixture, layers, mask = (_unpacked(part) for part in self._read(self.pairs[k]))
        if self.short_side is not None and self.short_side != min(mixture.shape[-2:]):
            ratio = self.short_side / min(mixture.shape[-2:])
            height, width = (max(self.short_side, round(side * ratio)) for side in mixture.shape[-2:])
            mixture, layers = _resize(mixture, height, width), _resize(layers, height, width)
            mask = F.interpolate(mask[None].float(), size=(height, width), mode="nearest")[0] > 0.5
        return Sample(layers, self.pairs[k].name, mixture, mask)

    def crop(self, k: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        """A training crop: the same random part, scale and flip of mixture and layers."""
        allowed = self.pairs[scenes]
        pair = allowed[int(torch.randint(len(allowed), (), generator=generator))]
        decoded = self._kept(pair)
        down, right, scale, flip = torch.rand(4, generator=generator).tolist()
        height, width = decoded.mixture.shape[-2:]
        side = max(1, round(crop_side(min(height, width), size, scale, self.scale)))
        top, left = round(down * (height - side)), round(right * (width - side))
        part = (..., slice(top, top + side), slice(left, left + side))
        mixture, layers, mask = (_unpacked(one[part]) for one in decoded)
        stack = _resize(torch.cat([mixture, layers.flatten(0, 1), mask.float()]), size, size)
        if flip < 0.5:
            stack = stack.flip(-1)
        channels = mixture.shape[0]
        parts = stack[channels:-1].view(-1, channels, size, size)
        return Sample(parts, f"{k:06d}-{pair.name}", stack[:channels], stack[-1:] > 0.99)

    def _kept(self, pair: Pair) -> _Decoded:
        """A pair's images, decoded once as long as there is room for them."""
        found = self._decoded.get(pair.name)
        if found is None:
            found = _Decoded(*(_packed(part) for part in self._read(pair)))
            if self._held < HELD_IN_MEMORY:
                self._held += sum(part.nbytes for part in found)
                self._decoded[pair.name] = found
        return found

    def _read(self, pair: Pair) -> _Decoded:
        mixture = _load(pair.image)
        layers = [_load(path) for path in pair.layers.values()]
        if self.data.centre_crop:
            layers = [_centre(layer, *mixture.shape[-2:]) for layer in layers]
        for path, layer in zip(pair.layers.values(), layers, strict=True):
            if layer.shape != mixture.shape:
                _refuse_sizes(pair.image, mixture.shape[-2:], path, layer.shape[-2:])
        mask = torch.ones(1, *mixture.shape[-2:], dtype=torch.bool)
        if pair.mask:
            mask = read_image(Path(pair.mask), channels=1) > 0.5
        return _Decoded(mixture, torch.stack(layers), mask)


class _Decoded(NamedTuple):
    """A pair's images: (C, H, W), (K, C, H, W) and (1, H, W); float32 in [0, 1], or bytes of 255, and bool."""

    mixture: Tensor
    layers: Tensor
    mask: Tensor


def check(data: RealSet, pair: Pair) -> None:
    """Check that a pair's files are there, are images, and go together, from their headers.

    Raises:
        UserError: they are not.
    """
    for path in pair.files:
        if not path.is_file():
            alone = "mixture" if data.scored else "photograph"
            raise UserError(f"{data.title}: {pair.image} has no partner {path}: add it, or remove the {alone}.")
    if "#" in pair.image:
        return
    size = read_header(Path(pair.image)).size
    if pair.depth:
        check_depth(Path(pair.image), size)
    for partner in [*pair.layers.values(), *([pair.mask] if pair.mask else [])]:
        other = read_header(Path(partner)).size
        larger = data.centre_crop and all(a >= b for a, b in zip(other, size, strict=True))
        if other != size and not larger:
            _refuse_sizes(pair.image, size, partner, other)


def _refuse_sizes(image: str, size: Sequence[int], path: str, other: Sequence[int]) -> None:
    raise UserError(
        f"{image} has {size[0]}×{size[1]} pixels and its partner {path} {other[0]}×{other[1]}: "
        "a pair must have one size; replace or remove it."
    )


def _of_role(
    data: RealSet, folder: Path, pairs: list[Pair], role: Role, shared: bool, split: str | None, pairing: Pairing
) -> list[Pair]:
    """The pairs of a role: as a split file has them, or an official list, or in order of name."""
    name = split or next(iter(data.splits), None)
    if name is not None and (split or shared or role != "test"):
        chosen = Split(name, pairs)
        if split:
            chosen.require_whole(data.title, folder)
        if not chosen.missing and (split or shared or "test" not in chosen):
            return chosen.roles()[role]
        if chosen.missing:
            say_once(
                f"{data.title}: {len(chosen.missing)} of the {len(chosen.lines)} images of the split {name} are not in "
                f"{folder}, so its images are split in order of name."
            )
            pairs = chosen.without_left_out(pairs)
    training, test = pairs, pairs
    if shared and data.train:
        training = [pair for pair in pairs if pair.name in data.train]
        test = [pair for pair in pairs if pair.name not in data.train]
    elif shared:
        training, test = _held_back(pairs, pairs, 5)
    if role == "test":
        return test
    if shared and data.train and pairing == "unpaired":
        return training if role == "train" else training[MIXTURE_SCENES]
    kept, held = _held_back(training, pairs, 10)
    return kept if role == "train" else held


def _held_back(some: list[Pair], every: list[Pair], share: int) -> tuple[list[Pair], list[Pair]]:
    """Some pairs in two, the second of as many scenes as 1 / ``share`` of all; mixtures of a scene stay together."""
    count = max(1, len({_scene(pair) for pair in every}) // share)
    last = set(list(dict.fromkeys(_scene(pair) for pair in some))[-count:])
    return [pair for pair in some if _scene(pair) not in last], [pair for pair in some if _scene(pair) in last]


def _scene(pair: Pair) -> str:
    """What a pair shows: in RESIDE several mixtures have one truth."""
    return next(iter(pair.layers.values()))


def _packed(image: Tensor) -> Tensor:
    """An image as bytes, a quarter of the memory, where nothing is lost by it."""
    if not image.is_floating_point():
        return image
    levels = (image * 255).round()
    return levels.to(torch.uint8) if torch.equal(levels / 255, image) else image


def _unpacked(image: Tensor) -> Tensor:
    return image.float() / 255 if image.dtype == torch.uint8 else image


def _load(path: str) -> Tensor:
    file, _, key = path.partition("#")
    return read_array(Path(file), key) if key else read_image(Path(file))


def _centre(image: Tensor, height: int, width: int) -> Tensor:
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width] if top >= 0 <= left else image


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bicubic, of (..., H, W)."""
    flat = image.reshape(1, -1, *image.shape[-2:])
    resized = F.interpolate(flat, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1).view(*image.shape[:-2], height, width)
