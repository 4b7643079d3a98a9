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
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets.leakage import overlapping

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "cat", "immunohistochemistry", "retina", "camera")


def photograph(name: str, size: tuple[int, int] = (161, 241)) -> Image.Image:
    """A photograph of BSDS500's shape at half its size."""
    image = Image.fromarray(getattr(photographs, name)()).convert("RGB")
    return image.resize((size[1], size[0]), Image.Resampling.BICUBIC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``photos`` with eight JPEGs; ``rain100l`` with PNG crops of two of them under other names, a mirrored one of a
    third, and another picture."""
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
    assert {path.stem: other.stem for path, other in found.items()} == {"coffee": "1", "camera": "2", "astronaut": "3"}
    assert overlapping(training, []) == overlapping([], test) == {}


def copies(picture: Image.Image) -> dict[str, Image.Image]:
    """Copies as data sets have them: mirrored, cut to parts, resized, brighter."""
    width, height = picture.size
    part = picture.crop((width // 5, height // 8, width * 17 // 20, height * 7 // 8))
    return {
        "whole": picture,
        "across": picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "down": picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        "turned": picture.transpose(Image.Transpose.ROTATE_180),
        "part": part,
        "square": picture.crop((width - height, 0, width, height)),
        "corner": picture.crop((width // 3, height // 4, width, height)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "small": part.resize((part.width * 7 // 10, part.height * 7 // 10), Image.Resampling.BICUBIC),
        "bright": picture.point(lambda value: min(255, round(1.2 * value + 10))),
    }


@pytest.mark.parametrize("which", ["training", "test"])
@pytest.mark.parametrize("quality", [None, 60])
def test_mirrored_cut_and_recompressed_copies_are_found(tmp_path: Path, which: str, quality: int | None) -> None:
    """Whichever side holds the part of the other; and every copy is told from the other pictures."""
    names = ("coffee", "chelsea")
    originals, made = tmp_path / "originals", tmp_path / "copies"
    for folder in (originals, made):
        folder.mkdir()
    for name in (*names, "rocket", "camera"):
        picture = photograph(name, (321, 481))
        picture.save(originals / f"{name}.png")
        if name in names:
            for kind, copy in copies(picture).items():
                path = made / f"{name}-{kind}"
                copy.save(path.with_suffix(".png" if quality is None else ".jpg"), quality=quality or 95)
    one, other = sorted(originals.iterdir()), sorted(made.iterdir())
    if which == "test":
        found = {copy.stem: path.stem for copy, path in overlapping(other, one).items()}
        assert found == {path.stem: path.stem.partition("-")[0] for path in other}
    else:
        assert {path.stem for path in overlapping(one, other)} == set(names)


def test_pictures_of_one_kind_are_no_copies(tmp_path: Path) -> None:
    """Parts of one photograph that do not overlap, and pictures of the same make."""
    picture = photograph("coffee", (321, 481))
    picture.crop((0, 0, 240, 321)).save(tmp_path / "left.png")
    picture.crop((241, 0, 481, 321)).save(tmp_path / "right.png")
    for name in ("brick", "grass", "gravel"):
        photograph(name, (321, 481)).save(tmp_path / f"{name}.png")
    files = sorted(tmp_path.iterdir())
    for path in files:
        assert overlapping([path], [other for other in files if other != path]) == {}


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
    assert used == set(NAMES) - {"coffee", "camera", "astronaut"}
    notices = [str(warning.message) for warning in said if issubclass(warning.category, DataNotice)]
    assert any("photographs of photos show test images of rain100l" in text for text in notices)
    assert not {"coffee", "camera"} & {path.stem for path in data.files() if path.parent.name == "photos"}


def test_nothing_left_to_train_on_is_an_error(root: Path) -> None:
    for path in (root / "photos").iterdir():
        if path.stem not in ("coffee", "camera", "astronaut"):
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


def test_a_training_pair_that_shows_a_test_scene_is_refused_by_content(tmp_path: Path) -> None:
    """As no. 77 of the usual real pairs does: here its test image is cut and mirrored, under that name."""
    others = [name for name in NAMES if name not in ("coffee", "chelsea", "cat")]  # two names of one photograph
    pictures = {f"real20/{{}}/{name}.png": photograph(name, (321, 481)) for name in ("coffee", "chelsea")}
    for i in range(12):
        pictures[f"real88/{{}}/{800 + i}.jpg"] = photograph(others[i % len(others)], (161, 241 - i))
    pictures["real88/{}/77.jpg"] = copies(photograph("coffee", (321, 481)))["corner"]
    for path, picture in pictures.items():
        for part in ("blended", "transmission"):
            file = tmp_path / path.format(part)
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file, quality=90)
    data = Reflection(source="real20", train_source="real88", root=str(tmp_path), size=16)
    with pytest.warns(DataNotice, match=r"1 truths of Real88 .* show test images of real20 \(for example 77\.jpg\)"):
        data.setup()
    kept = {pair.name for role in ("train", "select") for pair in data.opened(role).pairs}
    assert kept == {str(800 + i) for i in range(12)}
