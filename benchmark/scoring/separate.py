"""The layers of any picture, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from benchmark.plan import identity
from benchmark.results import weights
from benchmark.scoring.inference import images_that_fit, separate_image
from benchmark.scoring.score import image_seed
from benchmark.scoring.show import paste, thumbnail
from datamodules.errors import UserError
from datamodules.mixing import Mixing
from datamodules.pictures.images import Photo, read_photo, say_once, write_photo
from datamodules.types import LayerSpec
from methods.base import Lent, SeparationMethod

TOGETHER = 8
"""Pictures of one size that go through a method at once, unless it says otherwise."""


def read(paths: Sequence[Path]) -> tuple[list[str], list[Photo]]:
    """Pictures, and what their layers are called after.

    Args:
        paths: of their files.

    Raises:
        UserError: one cannot be read, is so large that it may be made to fill the memory, or two have one name.
    """
    names = [path.stem for path in paths]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UserError(f"two pictures are called {min(twice)}: their layers would be, too; rename one.")
    photos = []
    for path in paths:
        try:
            photos.append(read_photo(path))
        except Image.DecompressionBombError as error:
            raise UserError(f"{path}: {error}; reduce the picture, or cut it into parts.") from error
    return names, photos


class Separation:
    """Pictures on their way through a method into a folder.

    Args:
        method: ready to separate.
        out: folder that is written to.
        seed: of all pictures; each has its own, of this and its name.
        tile: side of tiles in pixels, at least 16; default as memory allows.
        snapshots: iterations from one intermediate result to the next; default none.
        half: run networks in bfloat16 where torch's autocast does.
    """

    def __init__(
        self,
        method: SeparationMethod,
        out: Path,
        seed: int = 0,
        tile: int | None = None,
        snapshots: int | None = None,
        half: bool = False,
    ) -> None:
        self.half = half
        self.method, self.out, self.seed, self.tile, self.snapshots = method, out, seed, tile, snapshots
        spec: LayerSpec = method.hparams["spec"]
        self.layers, self.ordered, self.channels = spec["layers"], spec["ordered"], spec["channels"]
        out.mkdir(parents=True, exist_ok=True)
        self.workspace = out / ".unfinished" / identity.method_fingerprint(type(method))

    def run(self, names: list[str], photos: list[Photo]) -> None:
        """Separate all pictures; those of one size together."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[remix]}"), console=Console(stderr=True)) as progress:
            task = progress.add_task("pictures", total=len(photos), remix="")
            for group in self._groups(photos):
                own, some = [names[i] for i in group], [photos[i] for i in group]
                for name, photo, layers in zip(own, some, self._layers(own, some, progress), strict=True):
                    self._write(self.out / name, photo, layers)
                    self._sheet(name, photo, layers)
                progress.advance(task, len(group))
        rmtree(self.out / ".unfinished", ignore_errors=True)
        print(f"{', '.join(self.layers)} of {len(photos)} pictures: {self.out}")

    def _groups(self, photos: list[Photo]) -> list[list[int]]:
        """Indices of pictures that go through the method at once."""
        groups: dict[tuple[int, ...], list[list[int]]] = {}
        together = getattr(self.method, "images_at_once", TOGETHER)
        for i, photo in enumerate(photos):
            same = groups.setdefault((i,) if self.tile else tuple(photo.pixels.shape), [[]])
            if len(same[-1]) == together:
                same.append([])
            same[-1].append(i)
        return [group for same in groups.values() for group in same]

    def _layers(self, names: list[str], photos: list[Photo], progress: Progress) -> list[Tensor]:
        """(K, C, H, W) for each of some pictures, which are of one size if they are several."""
        device = next((parameter.device for parameter in self.method.parameters()), self.method.device)
        images = torch.stack([self._as_the_method_wants(photo.pixels) for photo in photos]).to(device)
        seeds = [image_seed(self.seed, name) for name in names]
        bar = progress.add_task(", ".join(names)[:40], total=self.method.iterations, remix="", visible=False)
        found: list[Tensor] = []
        count = 1 if len(images) == 1 else images_that_fit(self.method, images[0])
        for first in range(0, len(images), count):
            part = slice(first, first + count)
            lent = Lent(self.workspace, self._watch(names[part], photos[part], progress, bar))
            with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=self.half):
                if len(images[part]) > 1:
                    found += self.method(images[part], seeds[part], lent)
                else:
                    found.append(self._alone(images[first], seeds[first], lent))
        progress.remove_task(bar)
        if not all(torch.isfinite(layers).all() for layers in found):
            raise UserError(f"{self.method.card.title} gave values that are not finite for {', '.join(names)}.")
        return [self._as_the_picture_was(layers, photo) for layers, photo in zip(found, photos, strict=True)]

    def _alone(self, image: Tensor, seed: int, lent: Lent) -> Tensor:
        return separate_image(self.method, image, seed, tile=self.tile, ordered=self.ordered, lent=lent)

    def _watch(
        self, names: list[str], photos: list[Photo], progress: Progress, bar: Any
    ) -> Callable[[int, int, float, Callable[[], Tensor]], None]:
        last = 0

        def watch(done: int, total: int, psnr: float, layers: Callable[[], Tensor]) -> None:
            nonlocal last
            progress.update(bar, completed=done, total=total, remix=f"remix {psnr:.1f} dB", visible=True)
            if self.snapshots and done // self.snapshots > last // self.snapshots:
                last = done
                (self.out / "snapshots").mkdir(exist_ok=True)
                for name, photo, image in zip(names, photos, layers(), strict=True):
                    height, width = (self.method.scale * side for side in photo.pixels.shape[1:])
                    image = self._as_the_picture_was(image[..., :height, :width], photo)  # without its padding
                    self._write(self.out / "snapshots" / f"{name}-{done:06d}", photo, image)

        return watch

    def _as_the_method_wants(self, pixels: Tensor) -> Tensor:
        if self.channels == 1 and len(pixels) == 3:
            say_once(f"{self.method.card.title} was trained on grey pictures: colour is averaged.")
            return pixels.mean(0, keepdim=True)
        return pixels.expand(self.channels, -1, -1)

    def _as_the_picture_was(self, layers: Tensor, photo: Photo) -> Tensor:
        grey = photo.pixels.shape[0] == 1 and layers.shape[1] == 3
        return (layers.mean(1, keepdim=True) if grey else layers).cpu()

    def _write(self, stem: Path, photo: Photo, layers: Tensor) -> None:
        for layer, image in zip(self.layers, layers, strict=False):
            alpha = photo.alpha if photo.alpha is not None and photo.alpha.shape[1:] == image.shape[1:] else None
            write_photo(stem.with_name(f"{stem.name}-{layer}.png"), Photo(image, alpha, photo.bits))

    def _sheet(self, name: str, photo: Photo, layers: Tensor) -> None:
        height = min(layers.shape[-2], 512)
        images = [thumbnail(image, height) for image in (photo.pixels, *layers.clamp(0, 1))]
        paste(["mixture", *self.layers], [(name, images)], height).save(self.out / f"{name}-sheet.png")


def untrained(
    method_class: type[SeparationMethod], options: Mapping[str, Any], mixing: Mixing, channels: int
) -> SeparationMethod:
    """A method that needs no weights, with the options given.

    Args:
        method_class: of the method.
        options: of its constructor.
        mixing: how the layers were blended.
        channels: of the pictures.

    Raises:
        UserError: it does need weights, or cannot take such pictures.
    """
    if method_class.card.trains:
        raise UserError(
            f"{method_class.card.title} is trained: give --checkpoint, for example runs/fit/best.ckpt, or "
            f"{weights.offer(f'{method_class.__module__}.{method_class.__name__}')}."
        )
    # A prior knows what its layers are, and has an order for them; others only that there are two.
    spec = LayerSpec(
        layers=list(method_class.layer_names), scored=[], target=[], derived=[],
        ordered=method_class.card.ordered_only, channels=channels, scale=1, mixing=mixing.name,
        gain=mixing.gain(2), fusion=mixing.fusion,
        gamma=mixing.gamma, pairing="paired", protocol="rgb", citation="", licence="",
    )  # fmt: skip
    method = method_class(**options, spec=spec)
    reason = method.card.accepts(spec)
    if reason is not None:
        raise UserError(f"{reason}.")
    return method


def on_device(method: SeparationMethod, device: str) -> SeparationMethod:
    """A method, ready to separate.

    Args:
        method: to move.
        device: ``cpu``, ``cuda``, …; ``auto`` for the first GPU, if any.

    Raises:
        UserError: there is no such device.
    """
    device = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return method.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device}: {' '.join(str(error).split())[:200]}") from error
