"""Digits, embedded or as MNIST's files, and where packages keep the images that they ship with."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.base import missing_data
from datamodules.types import Role, UserError

# SHA-256 of the uncompressed idx files, so that a recompressed copy is as good as the original.
MNIST_IMAGES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}

EMBEDDED_PHOTOGRAPHS: dict[Role, list[tuple[str, str]]] = {
    "train": [
        *(("skimage", f"data/{name}") for name in ("brick.png", "camera.png", "clock_motion.png", "coins.png")),
        *(("skimage", f"data/{name}") for name in ("grass.png", "gravel.png", "ihc.png", "moon.png", "retina.jpg")),
        ("sklearn", "datasets/images/china.jpg"),
    ],
    "select": [
        *(("skimage", f"data/{name}") for name in ("hubble_deep_field.jpg", "motorcycle_left.png")),
        ("sklearn", "datasets/images/flower.jpg"),
    ],
    "test": [("skimage", f"data/{name}") for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")],
}
"""Photographs that ship with scikit-image and scikit-learn, split by photograph."""


def packaged_file(package: str, name: str) -> Path:
    """A data file of an installed package, found without importing it."""
    spec = find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise UserError(f"the package {package} is not installed: run `pip install -e .`.")
    return Path(locations[0]) / name


def embedded_digits_file() -> Path:
    """The file that ``embedded_digits`` reads."""
    return packaged_file("sklearn", "datasets/data/digits.csv.gz")


def embedded_digits() -> Tensor:
    """scikit-learn's 1,797 handwritten digits, brought to MNIST's form.

    Each 8×8 digit is resized to 20×20 (bicubic) and set in the middle of 28×28, as MNIST's are.

    Returns:
        (1797, 1, 28, 28) float32 in [0, 1].
    """
    import numpy

    rows = numpy.loadtxt(embedded_digits_file(), delimiter=",", dtype=numpy.float32)
    digits = torch.from_numpy(rows[:, :64]).view(-1, 1, 8, 8) / 16
    digits = F.interpolate(digits, size=(20, 20), mode="bicubic", align_corners=False).clamp(0, 1)
    return F.pad(digits, (4, 4, 4, 4))


def mnist_files(folder: Path) -> dict[str, Path]:
    """MNIST's two image files, gzipped or not.

    Raises:
        UserError: one of them is not in the folder.
    """
    found = {}
    for name in MNIST_IMAGES:
        candidates = [path for path in (folder / f"{name}.gz", folder / name) if path.is_file()]
        if not candidates:
            layout = " and ".join(f"{stem}.gz" for stem in MNIST_IMAGES)
            missing_data("MNIST", folder, layout, "the MNIST database of LeCun, Cortes and Burges")
        found[name] = candidates[0]
    return found


def mnist(folder: Path) -> tuple[Tensor, Tensor]:
    """MNIST's images, their contents checked by digest.

    Returns:
        (60000, 1, 28, 28) training and (10000, 1, 28, 28) test images, float32 in [0, 1].

    Raises:
        UserError: a file is missing, is not an idx file, or is not the official one.
    """
    train, test = (read_idx(path, MNIST_IMAGES[name]) for name, path in mnist_files(folder).items())
    return train, test


def read_idx(path: Path, sha256: str | None = None) -> Tensor:
    """Images of an idx3-ubyte file, gzipped or not.

    Args:
        path: the file.
        sha256: what the uncompressed contents must hash to, if known.

    Returns:
        (N, 1, H, W) float32 in [0, 1].

    Raises:
        UserError: the file is truncated, of another format, or has another digest.
    """
    again = "fetch the file anew"
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"corrupt idx file {path}: {error}; {again}.") from error
    if len(raw) < 16 or raw[:4] != b"\0\0\x08\x03":
        raise UserError(f"corrupt idx file {path}: it does not start like an idx3-ubyte file; {again}.")
    count, height, width = struct.unpack(">III", raw[4:16])
    if len(raw) != 16 + count * height * width:
        expected = 16 + count * height * width
        raise UserError(f"corrupt idx file {path}: {len(raw)} bytes where its header says {expected}; {again}.")
    if sha256 is not None and hashlib.sha256(raw).hexdigest() != sha256:
        raise UserError(f"corrupt idx file {path}: its digest is not the official one; {again}.")
    return torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).view(count, 1, height, width) / 255
