"""Quality against time: points are measured once, kept at once, and shown as a table and a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.speed.chart import COLOURS, chart
from benchmark.speed.networks import learning, rounding
from benchmark.speed.networks.learning import ProcessorTime, Task, decibels, main


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {
        "U-Net": Task("UNet", {"width": 8, "depth": 1, "lr": 5e-3}, "Digits"),
        "LiGT": Task("LiGT", {"width": 0.125, "permutation_invariant": True}, "Digits"),
    }
    monkeypatch.setattr(learning, "TASKS", tasks)


def test_points_are_measured_once_and_kept(tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--methods", "U-Net", "--minutes", "0.004", "0.02", "--out", str(tmp_path)]
    rows = main(arguments)
    assert [row.what for row in rows] == ["U-Net, 0.004 min", "U-Net, 0.02 min"]
    held = read_json(tmp_path / "learning.json")
    short, long = held["points"]
    assert long["images"] == pytest.approx(5 * short["images"], rel=0.05)
    assert 0.008 < long["spent"] < 0.2, "processor time, as planned but for the machine's moods"
    assert long["psnr"] > long["trivial"] + 0.2
    table = (tmp_path / "learning.md").read_text()
    assert f"| U-Net | Digits | {long['precision']} | {long['trivial']:.2f} | {short['psnr']:.2f} |" in table
    with Image.open(tmp_path / "learning.png") as image:
        assert image.size == (720, 420)
    assert not list((tmp_path / "U-Net").glob("*.ckpt"))
    again = []
    monkeypatch.setattr(learning, "measure", lambda name, minutes, rate, folder: again.append((name, minutes)) or 1 / 0)
    assert main(arguments) == rows
    with pytest.raises(ZeroDivisionError):
        main([*arguments[:2], "LiGT", *arguments[2:]])
    assert again == [("LiGT", 0.004)], "only what is missing"


def test_the_trivial_answer_is_where_networks_start(tiny: None) -> None:
    stream = learning.data_of(learning.TASKS["U-Net"], 8)
    torch.manual_seed(0)
    method = learning.train(Task("UNet", {"width": 8}, "Digits"), 8, Path("/nonexistent"), [])[0]
    for weight in method.parameters():
        torch.nn.init.zeros_(weight)
    assert decibels(stream, method) == pytest.approx(decibels(stream, None), abs=1e-4)


def test_time_goes_on_where_a_training_was_interrupted() -> None:
    spent = ProcessorTime()
    spent.load_state_dict({"seconds": 100.0})
    assert 100 <= spent.seconds < 110
    assert spent.state_dict()["seconds"] >= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--methods", "Unet"], "unknown method 'Unet': did you mean U-Net"), (["--minutes", "0"], "it must be positive")],
)
def test_what_cannot_be_measured_is_told(tiny: None, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(arguments)


def test_each_curve_has_its_colour_and_rises(tmp_path: Path) -> None:
    curves = {"one": [(1.0, 2.0), (2.0, 4.0), (5.0, 7.0)], "other": [(1.0, 3.0), (5.0, 1.0)]}
    path = tmp_path / "curves.png"
    chart(curves, "minutes", "dB", path)
    with Image.open(path) as image:
        pixels: Any = image.convert("RGB").load()
        width, height = image.size
    for colour, rises in zip(COLOURS, (True, False), strict=False):
        wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        close = [
            (x, y) for x in range(width - 150) for y in range(height)
            if max(abs(a - b) for a, b in zip(pixels[x, y], wanted, strict=True)) < 24
        ]  # fmt: skip
        first, last = min(close), max(close)
        assert last[0] - first[0] > 450
        assert (last[1] < first[1]) == rises
    assert path.stat().st_size < 30_000


@pytest.mark.parametrize("name", rounding.METHODS)
def test_the_data_of_each_task_open_without_any_photographs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNBLEND_DATA", raising=False)
    task = rounding.METHODS[name]
    next(iter(learning.data_of(task, task.batch).train_dataloader()))


def test_two_precisions_train_on_the_same_images_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Task("UNet", {"width": 8, "depth": 1, "lr": 5e-3}, "Digits")
    monkeypatch.setattr(rounding, "METHODS", {"U-Net": tiny})
    arguments = ["--methods", "U-Net", "--minutes", "0.008", "--out", str(tmp_path)]
    (row,) = rounding.main(arguments)
    (pair,) = read_json(tmp_path / "rounding.json").values()
    assert pair["full"] > pair["trivial"]
    assert pair["low"] > pair["trivial"]
    assert row.figure == pytest.approx(pair["low"] - pair["full"])
    monkeypatch.setattr(rounding, "measure", lambda *_: 1 / 0)
    assert rounding.main(arguments) == [row]
    with pytest.raises(UserError, match="must be positive"):
        rounding.main(["--minutes", "-1"])
