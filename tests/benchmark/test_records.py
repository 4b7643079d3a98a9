"""Records and leaderboards."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest

from benchmark import leaderboard, records
from benchmark.errors import UserError
from benchmark.files import write_json


def record(method: str = "unet", seed: int = 0, psnr: float = 20.0, **changes: Any) -> records.Record:
    row = {"assignment": [1, 0], "psnr": [psnr, psnr + 2], "ssim": [0.5, 0.7], "lmse": [0.1, 0.3], "mse": [0.01, 0.02]}
    made = records.Record(
        suite="quick", dataset="digits", method=method, seed=seed, title=method.upper(), variant="", protocol="rgb",
        fit_hash="f" * 64, score_hash="5" * 64, data_digest="d", checkpoint_sha256=None,
        spec={"layers": ["a", "b"], "scored": ["a", "b"], "ordered": False, "mixing": "sum", "citation": "A | B"},
        config={}, training={"images_seen": 640, "seconds": 3.2, "peak_memory_mib": 1.0},
        cost={"parameters": 1234567, "flops": None, "latency_s": 0.0021, "latency_threads": 1, "peak_memory_mib": 5.0},
        provenance={"commit": "abc", "processor": "some CPU, 2 cores", "device": "cpu"},
        latent={},
        rows=[{"id": "0", **row}, {"id": "1", **row, "psnr": [psnr + 4, psnr + 6]}],
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_a_record_comes_back(tmp_path: Path) -> None:
    records.write(tmp_path / "a/b/seed0.json", record())
    assert records.read(tmp_path / "a/b/seed0.json") == record()
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["seed0.json"], "no temporary file is left"


def test_means_are_over_images_of_means_over_layers() -> None:
    assert record().mean("psnr") == pytest.approx(23)
    assert record().layer_means("psnr") == pytest.approx([22, 24])


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    with pytest.raises(ValueError, match="JSON"):
        records.write(path, record(psnr=float("nan")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "not whole"),
        (lambda text: "[]", "not whole"),
        (lambda text: text.replace('"schema": 2', '"schema": 99'), "schema 99, this version reads 2"),
        (lambda text: text.replace('"method"', '"mehtod"'), "fields mehtod, method"),
        (lambda text: text.replace('"ssim"', '"sism"', 1), "row of image 0 is not whole"),
    ],
)
def test_a_record_that_is_not_whole_is_named(tmp_path: Path, spoil: Any, message: str) -> None:
    path = tmp_path / "seed0.json"
    records.write(path, record())
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UserError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value)


def test_leaderboards_are_sorted_and_built_twice_the_same(tmp_path: Path) -> None:
    found = [record("nmf", psnr=10), record("unet", 0, 20), record("unet", 1, 21)]
    leaderboard.write(tmp_path, found)
    first = [(tmp_path / name).read_bytes() for name in ("README.md", "results.csv")]
    leaderboard.write(tmp_path, found[::-1])
    assert first == [(tmp_path / name).read_bytes() for name in ("README.md", "results.csv")]
    text = first[0].decode()
    assert text.index("| UNET |") < text.index("| NMF |")
    assert "23.50 ± 0.71" in text
    assert "1,234,567" in text
    table = list(csv.DictReader(io.StringIO(first[1].decode())))
    assert [(line["method"], line["seed"]) for line in table] == [("unet", "0"), ("unet", "1"), ("nmf", "0")]
    assert float(table[0]["psnr"]) == 23


def test_find_reads_all_below(tmp_path: Path) -> None:
    for made in (record("unet", 1), record("nmf"), record("unet", 0)):
        records.write(tmp_path / made.dataset / made.method / f"seed{made.seed}.json", made)
    write_json(tmp_path / "else.json", {})
    assert [(made.method, made.seed) for made in records.find(tmp_path)] == [("nmf", 0), ("unet", 0), ("unet", 1)]
    assert json.loads((tmp_path / "else.json").read_text()) == {}
