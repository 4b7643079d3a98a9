"""Where layers come from, and what is said when they are not there or broken."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.digits import Digits
from datamodules.pictures import sources
from datamodules.pictures.images import open_photograph, read_image
from datamodules.superimposed import Superimposed
from datamodules.types import UserError


def idx(images: np.ndarray) -> bytes:
    return b"\0\0\x08\x03" + struct.pack(">III", *images.shape) + images.tobytes()


def photographs(folder: Path, count: int, size: tuple[int, int] = (60, 50)) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng([i, *map(ord, folder.name)]).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_are_read(tmp_path: Path, zipped: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(idx(images)) if zipped else idx(images))
    assert torch.equal(sources.read_idx(path), torch.from_numpy(images)[:, None] / 255)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: gzip.compress(raw)[:-20], "corrupt idx file"),
        (lambda raw: b"no gzip at all", "corrupt idx file"),
        (lambda raw: gzip.compress(b"PNG" + raw), "does not start like"),
        (lambda raw: gzip.compress(raw[:-1]), "75 bytes where its header says 76"),
        (lambda raw: gzip.compress(raw), "digest is not the official one"),
    ],
)
def test_a_corrupt_idx_file_is_named(tmp_path: Path, spoil: object, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(idx(np.ones((5, 4, 3), np.uint8))))  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught:
        sources.read_idx(path, sha256="0" * 64)
    assert str(path) in str(caught.value)


def test_missing_mnist_says_where_and_what(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train-images-idx3-ubyte") as caught:
        Digits("mnist", root=str(tmp_path)).setup()
    assert str(tmp_path / "mnist") in str(caught.value)
    assert "UNBLEND_DATA" in str(caught.value)


def test_the_data_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNBLEND_DATA", str(tmp_path))
    assert Digits().root == tmp_path
    assert Digits(root="elsewhere").root == Path("elsewhere")


def test_embedded_digits_have_mnist_form() -> None:
    digits = sources.embedded_digits()
    assert digits.shape == (1797, 1, 28, 28)
    assert float(digits.min()) == 0
    assert float(digits.max()) == 1
    assert float(digits[:, :, :4].abs().max()) == 0


def test_roles_share_no_digit_and_no_pair_repeats() -> None:
    data = Digits()
    data.setup()
    used = [int(i) for name in (data.draw("test", k, torch.Generator()).name for k in range(150))
            for i in name.split("-")[1].split("+")]  # fmt: skip
    assert len(used) == len(set(used)) == 300


def test_roles_share_no_photograph(tmp_path: Path) -> None:
    photographs(tmp_path / "flat", 11)
    for data in (Superimposed(size=20), Superimposed(source="flat", size=20, root=str(tmp_path))):
        data.open()
        roles = [set(data.opened(role)[0].paths) for role in ("train", "select", "test")]
        assert all(len(role) >= 2 for role in roles)
        assert sum(map(len, roles)) == len(set.union(*roles))


def test_a_mixture_never_blends_a_photograph_with_itself() -> None:
    data = Superimposed(size=16)
    data.setup()
    for k in range(40):
        names = data.draw("test", k, torch.Generator().manual_seed(k)).name.partition("-")[2].split("+")
        assert len(set(names)) == 2


def test_another_set_trains_and_the_whole_flat_one_tests(tmp_path: Path) -> None:
    photographs(tmp_path / "flat", 5)
    for part in ("train", "val", "test"):
        photographs(tmp_path / "parts" / part, 3)
    data = Superimposed(source="flat", train_source="parts", size=20, root=str(tmp_path))
    data.setup()
    assert len(data.opened("test")[0].paths) == 5
    assert {path.parent.name for path in data.opened("train")[0].paths} == {"train", "test"}
    assert {path.parent.name for path in data.opened("select")[0].paths} == {"val"}


def test_missing_folder_too_few_and_broken_photographs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="UNBLEND_DATA"):
        Superimposed(source="nowhere", root=str(tmp_path)).setup()
    photographs(tmp_path / "few", 3)
    with pytest.raises(UserError, match="photographs of few for the"):
        Superimposed(source="few", root=str(tmp_path)).setup()
    photographs(tmp_path / "broken", 8)
    path = tmp_path / "broken" / "7.png"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cannot read .*7\.png: the file is truncated"):
        Superimposed(source="broken", size=20, root=str(tmp_path)).setup()


def test_grey_photographs_become_colour_and_small_ones_grow(tmp_path: Path) -> None:
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png")
    assert image.shape == (3, 10, 20)
    assert torch.equal(image[0], image[1])
    assert open_photograph(tmp_path / "grey.png", 5).size == (10, 5)
