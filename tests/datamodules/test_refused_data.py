"""Data that cannot be right are refused on the command line: one line that says what to mend, and exit status 2."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmark.commands import main as cli
from datamodules.sets import split_files

Make = Callable[[Path, Callable[..., object]], None]


def reflections(root: Path, save) -> None:
    for i in range(4):
        for name in ("real88", "real20"):
            for part in ("blended", "transmission"):
                save(root / f"{name}/{part}/{i}.png", i, (24, 32))


def another_size(root: Path, save) -> None:
    reflections(root, save)
    save(root / "real20/transmission/2.png", 2, (24, 30))


def a_missing_image(root: Path, save) -> None:
    for i in range(3):
        for part in ("cloudy", "clear"):
            save(root / f"rice1/{part}/{i}.png", i)
    known = hashlib.sha256((root / "rice1/cloudy/0.png").read_bytes()).hexdigest()
    (root / "rice1.txt").write_text(f"{known}  test  0\n{'0' * 64}  test  4711\n")


def another_scenes_depth(root: Path, save) -> None:
    for i in range(10):
        save(root / f"nyu_depth/{i:04d}.jpg", i, (40, 60))
        save(root / f"nyu_depth/depth/{i:04d}.png", i, (20, 30), grey=True)
    Image.new("L", (20, 30), 99).save(root / "nyu_depth/depth/0003.png")


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        (
            reflections,
            "Reflection --source real20 --train_source {real88:-0.3,dead_leaves:1}",
            "train_source: the weight of real88 is -0.3: it must not be negative.",
        ),
        (
            reflections,
            "Reflection --source real20 --train_source {real88:0,dead_leaves:0}",
            "sum is 0: give at least one source a weight above 0, for example {real88: 0.3, bsds500: 0.7}.",
        ),
        (
            a_missing_image,
            "Clouds --source rice1 --split rice1",
            "RICE-I: the split rice1 names 2 images, of which 1 are not in ROOT/rice1 (for example 4711, SHA-256 "
            "000000000000…): use the copy that it was made of, or another split.",
        ),
        (
            another_scenes_depth,
            "Haze --source nyu_depth",
            "the depth map ROOT/nyu_depth/depth/0003.png has 30×20 pixels and its photograph ROOT/nyu_depth/"
            "0003.jpg 40×60: it is of another scene, or cut differently; replace or remove it.",
        ),
        (
            another_size,
            "Reflection --source real20",
            "ROOT/real20/blended/2.png has 24×32 pixels and its partner ROOT/real20/transmission/2.png 24×30: "
            "a pair must have one size; replace or remove it.",
        ),
    ],
    ids=["negative weight", "weights of zero", "missing image", "depth of another scene", "sizes differ"],
)
def test_impossible_data_end_in_one_line(
    make: Make,
    arguments: str,
    said: str,
    tmp_path: Path,
    save,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path, save)
    monkeypatch.setattr(split_files, "FOLDER", tmp_path)
    given = [one.replace(":", ": ").replace(",", ", ") for one in arguments.split()]
    with pytest.raises(SystemExit) as ended:
        cli.main(["show", *given, "--root", str(tmp_path), "--out", str(tmp_path / "sheet.png")])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("unblend: error: ")
    assert told.endswith(said.replace("ROOT", str(tmp_path)) + "\n")
    assert told.count("\n") == 1
    assert not (tmp_path / "sheet.png").exists()
