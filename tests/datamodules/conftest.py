"""Small pictures on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Save = Callable[..., np.ndarray]


@pytest.fixture
def save() -> Save:
    """Writes a smooth random picture, of a seed, and returns the file's pixels (H, W, 3) or (H, W)."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (24, 32), *, grey: bool = False) -> np.ndarray:
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
        picture = picture.convert("L") if grey else picture
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=95)
        return np.asarray(Image.open(path))

    return write
