"""Reading image files: 8 and 16 bits, grey and colour, and what is said of a file that is no image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.functional import pil_to_tensor

from datamodules.errors import DataNotice, UserError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}

SMALLEST = 16
"""Pixels of the shorter side below which an image is refused: the scores' windows would not fit."""

_COLOUR_MODES = {"RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV", "LAB"}
_said: set[str] = set()


def say_once(text: str) -> None:
    """Warn of something that is mended by itself, once in a process."""
    if text not in _said:
        _said.add(text)
        warnings.warn(text, DataNotice, stacklevel=3)


class Header(NamedTuple):
    """What the first bytes of an image file say: (height, width) in pixels, and whether it has no colour."""

    size: tuple[int, int]
    grey: bool


def read_header(path: Path) -> Header:
    """The header of an image file; a PNG must have its end too.

    Raises:
        UserError: no permission, not an image, or too small.
    """
    try:
        with Image.open(path) as image:
            width, height, grey = *image.size, image.mode not in _COLOUR_MODES
            whole = image.format != "PNG" or _ends_as_png(path)
    except PermissionError as error:
        raise UserError(f"no permission to read {path}: change its mode, or ask its owner.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error
    if min(height, width) < SMALLEST:
        raise UserError(f"{path} has {height}×{width} pixels, at least {SMALLEST}×{SMALLEST} are needed: remove it.")
    if not whole:
        raise UserError(f"cannot read {path}: the file is truncated; replace or remove the file.")
    return Header((height, width), grey)


def say_grey(what: str, files: Sequence[Path]) -> None:
    """Tell once that some images of a set are grey where colour is expected."""
    if files:
        say_once(f"{what}: {len(files)} images are grey (for example {files[0]}); they get three equal channels.")


def open_photograph(path: Path, short_side: int | None = None) -> Image.Image:
    """A photograph as 8-bit colour.

    Args:
        path: of the file.
        short_side: shrink to this shorter side, where it is larger (antialiased).

    Returns:
        A decoded image in the mode RGB.

    Raises:
        UserError: the file cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            if short_side is not None:
                image.draft("RGB", (2 * short_side, 2 * short_side))  # a JPEG can be decoded at a fraction of its size
            colour = _eight_bits(image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error
    if short_side is not None and min(colour.size) > short_side:
        ratio = short_side / min(colour.size)
        width, height = (max(short_side, round(side * ratio)) for side in colour.size)
        colour = colour.resize((width, height), Image.Resampling.BICUBIC)
    return colour


def to_tensor(image: Image.Image) -> Tensor:
    """(C, H, W) float32 in [0, 1] of an 8-bit image."""
    pixels: Tensor = pil_to_tensor(image)
    return pixels.float() / 255


def read_image(path: Path, channels: int = 3) -> Tensor:
    """An image at the full depth of its file: 16-bit PNGs keep their 65,536 levels.

    Args:
        path: of the file.
        channels: 3 (grey is repeated) or 1 (colour is averaged).

    Returns:
        (channels, H, W) float32 in [0, 1].

    Raises:
        UserError: the file cannot be decoded.
    """
    try:
        raw = path.read_bytes()
        if _is_png16(raw):
            # Pillow reads 16-bit colour as 8-bit. Alpha, if any, is dropped.
            pixels = decode_image(torch.frombuffer(bytearray(raw), dtype=torch.uint8), ImageReadMode.UNCHANGED)
            image = pixels[: 3 if pixels.shape[0] >= 3 else 1].float() / 65535
        else:
            with Image.open(path) as opened:
                grey = opened.mode not in _COLOUR_MODES
                image = to_tensor(_eight_bits(opened).convert("L" if grey else "RGB"))
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if channels == 1:
        grey_image: Tensor = image.mean(0, keepdim=True)
        return grey_image
    colour: Tensor = image.expand(3, -1, -1)
    return colour


class Photo(NamedTuple):
    """A picture as it is in its file.

    Attributes:
        pixels: (C, H, W) float32 in [0, 1]; C is 1 for grey and 3 for colour.
        alpha: (1, H, W) opacity in [0, 1]; None where the file has none.
        bits: 8 or 16, of each value in the file.
    """

    pixels: Tensor
    alpha: Tensor | None
    bits: int


def read_photo(path: Path) -> Photo:
    """A picture with its depth, its opacity, and without colour if it has none.

    Raises:
        UserError: the file cannot be read, is no image, or is too small.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name the pictures in it.")
    if not path.is_file():
        raise UserError(f"no picture {path}: check the path.")
    read_header(path)
    try:
        raw = path.read_bytes()
        if _is_png16(raw):
            values = decode_image(torch.frombuffer(bytearray(raw), dtype=torch.uint8), ImageReadMode.UNCHANGED)
            image, bits = values.float() / 65535, 16
        else:
            with Image.open(path) as opened:
                transparent = "A" in opened.mode or "transparency" in opened.info
                bits = 16 if opened.mode.startswith("I") else 8
                if bits == 16:
                    image = torch.from_numpy(numpy.asarray(opened).astype(numpy.float32))[None] / 65535
                else:
                    mode = "L" if opened.mode in ("1", "L", "LA") else "RGB"
                    image = to_tensor(opened.convert(mode))
                    if transparent:
                        image = torch.cat([image, to_tensor(opened.convert("RGBA").getchannel("A"))])
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    colours = 3 if image.shape[0] >= 3 else 1
    return Photo(image[:colours], image[colours:] if image.shape[0] > colours else None, bits)


def write_photo(path: Path, photo: Photo) -> None:
    """A PNG of a picture, with its depth and opacity.

    Args:
        path: of the file.
        photo: values outside [0, 1] are clipped.
    """
    pixels = photo.pixels.cpu()
    if photo.alpha is not None:  # a grey picture with opacity is written as colour
        pixels = torch.cat([pixels.expand(3, -1, -1), photo.alpha])
    levels = 2**photo.bits - 1
    rows = (pixels.clamp(0, 1) * levels).round().permute(1, 2, 0).contiguous().numpy()
    if photo.bits == 16:
        from kornia_rs.io import write_image_png_u16

        write_image_png_u16(str(path), rows.astype(numpy.uint16), {1: "mono", 3: "rgb", 4: "rgba"}[rows.shape[2]])
    else:
        eight = rows.astype(numpy.uint8)
        Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight).save(path)


def read_array(path: Path, key: str) -> Tensor:
    """An image of an HDF5 file.

    Args:
        path: of the file.
        key: of a (H, W, 3) array, in [0, 1] or of 8 bits.

    Returns:
        (3, H, W) float32 in [0, 1].

    Raises:
        UserError: the file cannot be read or lacks the array.
    """
    import h5py  # one data set of many needs it

    try:
        with h5py.File(path) as file:
            array = numpy.asarray(file[key])
    except (OSError, KeyError) as error:
        raise _unreadable(path, error) from error
    image = torch.from_numpy(array.astype(numpy.float32)).permute(2, 0, 1)
    return image / 255 if array.dtype == numpy.uint8 else image.clamp(0, 1)


def depth_size(path: Path) -> tuple[int, int]:
    """(height, width) of a depth map.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix not in (".npy", ".npz"):
        return read_header(path).size
    height, width = _array(path).shape
    return height, width


def read_depth(path: Path, *, transmission: bool = False) -> Image.Image:
    """A depth map, scaled so that its largest value is 1.

    Args:
        path: of a grey PNG of 8 or 16 bits, or a NumPy file; larger is farther.
        transmission: whether the file holds the transmission t = exp(−β·d) instead; then d is log t in units of the
            smallest log t, whatever β was.

    Returns:
        An image of the mode F, values in [0, 1].

    Raises:
        UserError: the file cannot be read, or is zero everywhere.
    """
    depth = _array(path) if path.suffix in (".npy", ".npz") else read_image(path, channels=1)[0].numpy()
    if transmission:
        depth = -numpy.log(depth.clip(1 / 255, 1))
    depth = numpy.where(numpy.isfinite(depth), depth, 0)
    if depth.max() <= 0:
        raise UserError(f"the depth map {path} is zero everywhere: replace or remove it.")
    return Image.fromarray(depth / depth.max(), mode="F")


def _array(path: Path) -> numpy.ndarray:
    """The first array of a NumPy file, as (H, W) float32."""
    try:
        loaded = numpy.load(path)
        array = numpy.asarray(loaded if path.suffix == ".npy" else loaded[loaded.files[0]], dtype=numpy.float32)
    except (OSError, ValueError, IndexError) as error:
        raise _unreadable(path, error) from error
    if array.ndim != 2:
        raise UserError(f"the depth map {path} has the shape {array.shape}: it must have two sides.")
    return array


def _is_png16(raw: bytes) -> bool:
    return raw[:4] == b"\x89PNG" and len(raw) > 25 and raw[24] == 16


def _ends_as_png(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-12, os.SEEK_END)
        return b"IEND" in file.read()


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would clip, as 8-bit grey."""
    if image.mode.startswith("I"):
        return Image.fromarray((numpy.asarray(image) / 257).round().clip(0, 255).astype(numpy.uint8))
    return image


def _unreadable(path: Path, error: Exception) -> UserError:
    what = "it is no image file" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
    return UserError(f"cannot read {path}: {what}; replace or remove the file.")
