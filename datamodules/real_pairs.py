"""Real mixtures with their truths, as they lie on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import EVERY_SCENE, MIXTURE_SCENES, missing_data
from datamodules.errors import UserError
from datamodules.images import read_array, read_header, read_image, say_grey
from datamodules.layouts import Pair, RealSet, match
from datamodules.pictures import TRAINING_ZOOM
from datamodules.types import Pairing, Role, Sample


class RealPairs:
    """Pairs of one role of a real set.

    Args:
        data: the set.
        pairs: those of the role.
        short_side: resize whole images to this shorter side; None for as they are.
    """

    def __init__(self, data: RealSet, pairs: Sequence[Pair], short_side: int | None = None) -> None:
        self.data, self.pairs, self.short_side = data, pairs, short_side

    @classmethod
    def open(
        cls,
        data: RealSet,
        root: Path,
        role: Role,
        *,
        shared: bool,
        short_side: int | None = None,
        pairing: Pairing = "paired",
    ) -> RealPairs:
        """Find a role's pairs and check that they are whole; their headers are read.

        Args:
            data: the set.
            root: folder of the data sets.
            role: of the data.
            shared: whether the set must do for training and testing; if not, all of it tests, or all but
                the last tenth, which selects, trains.
            short_side: see the class.
            pairing: an official list of training images is used up in unpaired training: half of them give mixtures,
                whose truths, which training does not see, select; the other half gives layers.

        Raises:
            UserError: no data, a mixture without its truth, sizes that differ, a file that is no image.
        """
        folder = root / data.name
        pairs = match(data, folder)
        if not pairs:
            missing_data(data.title, folder, data.expected(), data.origin)
        pairs = _split(data, pairs, shared, pairing)[role]
        if not pairs:
            raise UserError(f"{data.title}: too few pairs for the {role} role: add pairs, or train on another set.")
        for pair in pairs:
            check(data, pair)
        mixtures = [Path(pair.image) for pair in pairs if "#" not in pair.image]
        say_grey(data.title, [path for path in mixtures if read_header(path).grey])
        return cls(data, pairs, short_side)

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
        return RealPairs(self.data, kept, self.short_side)

    def whole(self, k: int) -> Sample:
        """Pair k at its full size, or with the given shorter side."""
        name, mixture, layers, mask = self._read(self.pairs[k])
        if self.short_side is not None and self.short_side != min(mixture.shape[-2:]):
            ratio = self.short_side / min(mixture.shape[-2:])
            height, width = (max(self.short_side, round(side * ratio)) for side in mixture.shape[-2:])
            mixture, layers = _resize(mixture, height, width), _resize(layers, height, width)
            mask = F.interpolate(mask[None].float(), size=(height, width), mode="nearest")[0] > 0.5
        return Sample(layers, name, mixture, mask)

    def crop(self, k: int, size: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        """A training crop: the same random part, scale and flip of mixture and layers."""
        allowed = self.pairs[scenes]
        name, mixture, layers, mask = self._read(allowed[int(torch.randint(len(allowed), (), generator=generator))])
        down, right, scale, flip = torch.rand(4, generator=generator).tolist()
        height, width = mixture.shape[-2:]
        low, high = TRAINING_ZOOM
        side = max(1, round(min(height, width) / (low + (high - low) * scale)))
        top, left = round(down * (height - side)), round(right * (width - side))
        stack = torch.cat([mixture, layers.flatten(0, 1), mask.float()])[:, top : top + side, left : left + side]
        stack = _resize(stack, size, size)
        if flip < 0.5:
            stack = stack.flip(-1)
        channels = mixture.shape[0]
        parts = stack[channels:-1].view(-1, channels, size, size)
        return Sample(parts, f"{k:06d}-{name}", stack[:channels], stack[-1:] > 0.99)

    def _read(self, pair: Pair) -> tuple[str, Tensor, Tensor, Tensor]:
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
        return pair.name, mixture, torch.stack(layers), mask


def check(data: RealSet, pair: Pair) -> None:
    """Check that a pair's files are there, are images, and go together, from their headers.

    Raises:
        UserError: they are not.
    """
    for path in pair.files:
        if not path.is_file():
            raise UserError(f"{data.title}: {pair.image} has no partner {path}: add it, or remove the mixture.")
    if "#" in pair.image:
        return
    size = read_header(Path(pair.image)).size
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


def _split(data: RealSet, pairs: list[Pair], shared: bool, pairing: Pairing) -> dict[Role, list[Pair]]:
    """Pairs of the three roles of a set that trains, tests, or must do both."""
    training, test = pairs, pairs
    if shared and data.train:
        training = [pair for pair in pairs if pair.name in data.train]
        test = [pair for pair in pairs if pair.name not in data.train]
    elif shared:
        last = max(1, len(pairs) // 5)
        training, test = pairs[:-last], pairs[-last:]
    if shared and data.train and pairing == "unpaired":
        return {"train": training, "select": training[MIXTURE_SCENES], "test": test}
    held = max(1, len(pairs) // 10)
    return {"train": training[:-held], "select": training[-held:], "test": test}


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
