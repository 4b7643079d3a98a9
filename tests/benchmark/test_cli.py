"""The command line: what it says when all is well, and when it is not."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import methods
from benchmark.commands import main as cli
from benchmark.errors import one_line
from benchmark.plan.suite import load
from benchmark.training.options import mistaken


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("bench smok", "unknown suite 'smok': did you mean smoke"),
        ("bench smoke --jobs 0", "jobs 0: it must be at least 1."),
        ("bench smoke --jbos 2", "unrecognized arguments: --jbos 2"),
        ("list method", "methods"),
        ("bnech smoke", "unknown command 'bnech': did you mean bench"),
        ("leaderboard nowhere", "no records in nowhere/records"),
        ("fit --model LiGTT --data Digits", "unknown method 'LiGTT': did you mean LiGT"),
        ("fit --model LiGT --data Digit", "unknown dataset 'Digit': did you mean Digits?"),
        ("fit --model=UNett --data Digits", "unknown method 'UNett': did you mean UNet"),
        ("fit --model LiGT --data Digits --model.widht 2", "LiGT: unknown option 'widht': did you mean width"),
        ("fit --model LiGT --data Digits --data.imagse 2", "Digits: unknown option 'imagse': did you mean images"),
        ("fit --model LiGT --data Digits --modle.width 2", "unrecognized arguments: --modle.width"),
        ("fit --model LiGT --data Superimposed", "LiGT takes 1 channels, the data have 3."),
        ("fit --model Identity --data Digits", "Identity needs no training"),
        ("fit --model UNet --data Digits --data.source mnist --data.root /nonexistent", "MNIST: no data in"),
        ("show", "name a data set first"),
        ("show --source rain100l", "name a data set first"),
        ("show Rian", "unknown dataset 'Rian': did you mean Rain"),
        ("show Rain --rows 0", "rows 0, height 192: at least 1 row"),
        ("show Rain --source rain100l", "Rain100L: no data in data/rain100l"),
        ("doctor --data rain100", "unknown data set 'rain100': did you mean rain100"),
        ("doctor --data --root nowhere", "no real data set in nowhere: set UNBLEND_DATA"),
        ("fit --model UNet --data Rain --data.pairing unpaired", "U-Net learns from paired data"),
        ("fit --model SILS --data Shapes", "SILS learns from unpaired data, these are paired: set --data.pairing="),
        ("fit --model UNet --data Rain --data.size 3", "size 3, evaluation_images 24"),
        ("fit --model DMGN --data Rain --model.features nowhere.pth", "no weights nowhere.pth: give timm, random"),
        ("test --model UNet --data Digits", "U-Net is trained: give --checkpoint"),
        ("test --model UNet --data Digits --checkpoint no.ckpt", "no checkpoint no.ckpt"),
    ],
)
def test_errors_are_one_line_and_status_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unblend: error: ")]
    assert len(lines) == 1
    assert message in lines[0]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([])
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in cli.COMMANDS)
    assert max(map(len, text.splitlines())) <= 120


def test_lists(unblend: Any) -> None:
    done = unblend("list", "methods", COLUMNS="200")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("UNet", "ConvSep", "LiGT", "NMF", "FastICA", "Identity"))
    listed = unblend("list", "datasets", COLUMNS="200").stdout
    assert all(name in listed for name in ("Digits", "Shapes", "rain100l", "sots_indoor", "photographs", "bsds500"))
    assert "PictureTask" not in listed
    assert "smoke" in unblend("list", "suites").stdout


def test_status_of_what_never_ran(unblend: Any, tmp_path: Path) -> None:
    done = unblend("status", "smoke", "--runs", str(tmp_path))
    assert done.returncode == 0
    assert f"{len(load('smoke'))} queued" in done.stdout.splitlines()[-1]
    assert done.stdout.count("queued") == len(load("smoke")) + 1


def test_doctor_names_a_broken_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("def (\n")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor"])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert "broken          methods.broken: SyntaxError" in said
    assert "torch" in said


def test_a_broken_file_does_not_hide_the_others(unblend: Any, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    for package in ("benchmark", "methods", "datamodules"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "methods/broken.py").write_text("def (\n")
    assert "UNet" in unblend("list", "methods", cwd=tmp_path, COLUMNS="200").stdout


@pytest.mark.slow("test_test_is_what_evaluate_was")
def test_fit_predict_and_test(unblend: Any, tmp_path: Path) -> None:
    root = f"--trainer.default_root_dir={tmp_path}"
    budget = ("--data.images=96", "--data.batch_size=16", "--data.selections=1", "--data.test_images=3")
    model = ("--model", "UNet", "--model.width=8", "--data", "Digits")
    done = unblend("fit", *model, *budget, root)
    assert done.returncode == 0, done.stderr
    config, checkpoint = str(tmp_path / "config.yaml"), str(tmp_path / "best.ckpt")
    done = unblend("predict", "--config", config, "--ckpt_path", checkpoint)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "layers").glob("*-digit_2.png"))) == 3
    done = unblend("test", "--config", config, "--checkpoint", checkpoint, "--out", str(tmp_path / "scores"))
    assert done.returncode == 0, done.stderr
    from benchmark.results import records

    record = records.read(tmp_path / "scores/records/digits/unet/seed0.json")
    assert len(record.ids) == 3
    assert record.training["images_seen"] == 96
    done = unblend("evaluate", "--config", config, "--checkpoint", checkpoint, "--out", str(tmp_path / "before"))
    assert "unblend: note: 'evaluate' is now 'test'" in done.stderr
    before = records.read(tmp_path / "before/records/digits/unet/seed0.json")
    assert (before.key, before.score_key, before.ids) == (record.key, record.score_key, record.ids)
    assert before.mean("psnr") == record.mean("psnr")
    wrong = unblend("test", "--model", "UNet", "--data", "Digits", "--checkpoint", checkpoint)
    assert wrong.returncode == 2
    assert "does not fit UNet" in wrong.stderr.splitlines()[-1]


def test_an_option_that_no_class_has_is_told_with_the_nearest() -> None:
    text = "Problem with given class_path 'methods.ligt.LiGT':\n  Option 'delte' is not accepted"
    assert str(mistaken(ValueError(text))) == "LiGT: unknown option 'delte': did you mean delta?"
    assert mistaken(ValueError("something else")) is None
    assert one_line(ValueError("two\n lines")) == "two lines"
    assert "methods.ligt" in sys.modules


def test_an_error_in_a_worker_is_told_as_if_there_were_none() -> None:
    text = "Caught UserError in DataLoader worker process 0.\nTraceback …\nUserError: cannot read a.png: bad."
    assert one_line(RuntimeError(text)) == "cannot read a.png: bad."


def test_show_writes_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main(["show", "--help"])
    assert caught.value.code == 0
    assert "unblend show DATASET" in capsys.readouterr().out
    for role in ("train", "select", "test"):
        cli.main(
            ["show", "Rain", "--role", role, "--rows", "2", "--height", "40", "--size=32", f"--out={role}/rain.png"]
        )
    cli.main(["show", "Shapes", "--layers=3", "--rows=1", "--height=40", "--evaluation_images=2"])
    sheets = [Image.open(tmp_path / f"{role}/rain.png") for role in ("train", "select", "test")]
    assert len({sheet.tobytes() for sheet in sheets}) == 3
    assert sheets[0].size == (3 * 40 + 4 * 6, 18 + 12 + 2 * (40 + 18 + 6))
    assert Image.open(tmp_path / "runs/show/shapes.png").size[0] == 4 * 40 + 5 * 6


def test_data_are_checked_and_what_differs_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("input", "target"):
        (tmp_path / "rain100l" / part).mkdir(parents=True)
        Image.new("RGB", (480, 320)).save(tmp_path / f"rain100l/{part}/1.png")
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor", "--data", "--root", str(tmp_path)])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert "rain100l           1 of 100  PROBLEMS" in said
    assert "1 images or pairs, officially 100" in said
    assert "Licence: research use" in said
