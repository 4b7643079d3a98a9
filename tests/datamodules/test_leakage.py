"""Training photographs that are test images too are found by what they show, whatever their names."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from datamodules.clouds import Clouds
from datamodules.errors import DataNotice, UserError
from datamodules.leakage import overlapping
from datamodules.rain import Rain

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "cat", "immunohistochemistry", "retina", "camera")


def photograph(name: str, size: tuple[int, int] = (161, 241)) -> Image.Image:
    """A photograph of BSDS500's shape at half its size."""
    image = Image.fromarray(getattr(photographs, name)()).convert("RGB")
    return image.resize((size[1], size[0]), Image.Resampling.BICUBIC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``photos`` with eight JPEGs; ``rain100l`` with PNG crops of two of them under other names, and two others."""
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        photograph(name).save(tmp_path / f"photos/{name}.jpg", quality=85)
    crops = {
        "1": photograph("coffee").crop((0, 0, 240, 160)),
        "2": photograph("camera").crop((1, 1, 241, 161)),
        "3": photograph("astronaut").transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        "4": Image.fromarray(photographs.cell()).convert("RGB").resize((240, 160)),
    }
    for part in ("input", "target"):
        (tmp_path / "rain100l" / part).mkdir(parents=True)
        for name, crop in crops.items():
            crop.crop((0, 0, 240, 160)).save(tmp_path / f"rain100l/{part}/{name}.png")
    return tmp_path


def test_crops_are_found_and_nothing_else(root: Path) -> None:
    training, test = sorted((root / "photos").iterdir()), sorted((root / "rain100l/target").iterdir())
    found = overlapping(training, test)
    assert {path.stem: other.stem for path, other in found.items()} == {"coffee": "1", "camera": "2"}
    assert overlapping(training, []) == overlapping([], test) == {}


def test_a_resized_copy_is_found(root: Path) -> None:
    small = root / "small.png"
    photograph("rocket", (80, 120)).save(small)
    assert [path.stem for path in overlapping(sorted((root / "photos").iterdir()), [small])] == ["rocket"]


def test_training_leaves_them_out_and_says_so(root: Path) -> None:
    data = Rain(source="rain100l", train_source="photos", root=str(root), size=16)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data.setup()
    used = {path.stem for role in ("train", "select") for path in data.opened(role).paths}
    assert used == set(NAMES) - {"coffee", "camera"}
    notices = [str(warning.message) for warning in said if issubclass(warning.category, DataNotice)]
    assert any("photographs of photos show test images of rain100l" in text for text in notices)
    assert not {"coffee", "camera"} & {path.stem for path in data.files() if path.parent.name == "photos"}


def test_nothing_left_to_train_on_is_an_error(root: Path) -> None:
    for path in (root / "photos").iterdir():
        if path.stem not in ("coffee", "camera"):
            path.unlink()
    data = Rain(source="rain100l", train_source="photos", root=str(root), size=16)
    with pytest.raises(UserError, match=r"0 photographs of photos for the (train|select) role.*train_source"):
        data.setup()


def test_pairs_of_another_real_set_are_left_out_too(tmp_path: Path) -> None:
    for source, names in {"rice1": ("coffee", "rocket"), "rice2": NAMES}.items():
        for part in ("cloud", "label"):
            (tmp_path / source / part).mkdir(parents=True)
            for i, name in enumerate(names):
                photograph(name).save(tmp_path / source / part / f"{10 * len(names) + i}.png")
    data = Clouds(source="rice1", train_source="rice2", root=str(tmp_path), size=16)
    data.setup()
    kept = {NAMES[int(pair.name) - 80] for role in ("train", "select") for pair in data.opened(role).pairs}
    assert kept == set(NAMES) - {"coffee", "rocket"}
    single = Clouds(source="rice1", train_source="rice2", root=str(tmp_path), size=16)
    for i, name in enumerate(NAMES):
        if name not in ("coffee", "rocket"):
            for part in ("cloud", "label"):
                (tmp_path / "rice2" / part / f"{80 + i}.png").unlink()
    with pytest.raises(UserError, match="every training pair of RICE-II is a test image too"):
        single.setup()


def test_noise_alone_does_not_make_two_photographs_one(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(generator.integers(100, 140, (40, 60, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    files = sorted(tmp_path.iterdir())
    assert overlapping(files[:1], files[1:]) == {}
    assert list(overlapping(files[:1], files[:1])) == files[:1]
