"""Curves are kept, also where a logger fails; wandb works without a network."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.plan.execution import Execution, Fitted, Job
from benchmark.running import cell
from benchmark.training import wandb_run
from benchmark.training.loggers import Tolerant


def make(directory: Path, record: Path, images: int = 960, **execution: Any) -> Job:
    config = {
        "seed_everything": 3,
        "model": {"class_path": "methods.unet.UNet", "init_args": {"width": 8}},
        "data": {
            "class_path": "datamodules.digits.Digits",
            "init_args": {"images": images, "batch_size": 16, "selections": 2, "test_images": 2},
        },
        "trainer": {"precision": "32-true"},
    }
    how = Execution(accelerator="cpu", **execution)
    job = Job(config, how, "f" * 64, "5" * 64, str(record), {}, "tiny", "digits", "unet", 3)
    job.write(directory)
    return job


def entries(data: bytes) -> Iterator[bytes]:
    """What an offline run's file holds: LevelDB's log format, blocks of 32 KiB, after a header of 7 bytes."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        if -place % 2**15 < 7 and place % 2**15:
            place += -place % 2**15
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_wandb_keeps_a_run_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    job = make(tmp_path / "cell", tmp_path / "seed3.json", logger="wandb")
    for half in ("fit", "score"):
        cell.work(half, tmp_path / "cell", job)
    kinds: set[str] = set()
    keys: set[str] = set()
    told: dict[str, Any] = {}
    for file in (tmp_path / "cell/wandb").rglob("*.wandb"):
        for data in entries(file.read_bytes()):
            found = wandb_internal_pb2.Record()
            found.ParseFromString(data)
            kinds.add(str(found.WhichOneof("record_type")))
            keys |= {item.key or item.nested_key[0] for item in found.history.item}
            if found.WhichOneof("record_type") == "run":
                told = {"project": found.run.project, "group": found.run.run_group}
                told["config"] = {item.key: json.loads(item.value_json) for item in found.run.config.update}
    assert told["project"] == "unblend"
    assert told["group"] == "tiny"
    assert told["config"]["seed_everything"] == 3
    assert {"train/loss", "select/psnr", "select/sheets", "test/psnr"} <= keys
    assert list((tmp_path / "cell/wandb").rglob("*.png")), "sample sheets"
    curve = (tmp_path / "cell/metrics.csv").read_text()
    assert "train/loss" in curve
    assert "select/psnr" in curve


def test_a_logger_that_fails_fails_no_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    job = make(tmp_path / "cell", tmp_path / "seed3.json", images=96, logger="wandb")

    def broken(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(wandb_run.WandbLogger, "__init__", broken)
    cell.work("fit", tmp_path / "cell", job)
    fitted = Fitted.read(tmp_path / "cell")
    assert fitted is not None
    assert fitted.skipped is None
    assert (tmp_path / "cell/metrics.csv").is_file()
    said = capsys.readouterr().err
    assert said.count("wandb failed, the training goes on without: nobody there") == 1


def test_what_a_logger_raises_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    made = []

    class Broken:
        def log_metrics(self, metrics: dict[str, float], step: int | None) -> None:
            made.append(step)
            if step == 2:
                raise OSError("disk full")

    logger = Tolerant("a logger", lambda: Broken())  # type: ignore[arg-type, return-value]
    for step in range(5):
        logger.log_metrics({"loss": 1.0}, step)
    assert made == [0, 1, 2]
    assert capsys.readouterr().err.count("a logger failed") == 1


def test_a_sheet_shows_the_mixture_beside_its_layers() -> None:
    sheet = wandb_run.sheet(torch.rand(1, 4, 4), torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
    assert sheet.shape == (8, 5 * 8, 3)
    assert sheet.dtype.name == "uint8"
