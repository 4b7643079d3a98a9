"""A record comes back as it was written, and what is wrong with one is told."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.metrics.protocols import stored_for
from benchmark.metrics.scales import METRICS
from benchmark.results import records
from benchmark.speed.made import LAYERS, record, scores

ROOT = Path(__file__).resolve().parents[2]


def same(one: records.Record, other: records.Record) -> bool:
    """Whether two records hold the same."""
    fields = [field.name for field in dataclasses.fields(one) if field.name != "scores"]
    plain = all(getattr(one, name) == getattr(other, name) for name in fields)
    arrays = [made.scores.values[p][m] for made in (one, other) for p in one.scores.protocols for m in METRICS]
    half = len(arrays) // 2
    return (
        plain
        and one.scores.protocols == other.scores.protocols
        and np.array_equal(one.scores.assignment, other.scores.assignment)
        and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(arrays[:half], arrays[half:], strict=True))
    )


def test_a_record_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "records/digits/unet/seed0.json"
    records.write(path, record())
    assert same(records.read(path), record())
    held = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file())
    digest = json.loads(path.read_text())["images"]["digest"]
    assert held == [
        f"images/{digest}.txt", "records/digits/unet/seed0.json", "records/digits/unet/seed0.safetensors"
    ]  # fmt: skip
    assert (tmp_path / f"images/{digest}.txt").read_text() == "000000\n000001\n"


def test_an_assignment_that_is_not_the_given_order_comes_back_too(tmp_path: Path) -> None:
    assignment = np.array([[1, 0], [0, 1]], np.int8)
    turned = dataclasses.replace(record(), scores=record().scores._replace(assignment=assignment))
    records.write(tmp_path / "seed0.json", turned)
    assert same(records.read(tmp_path / "seed0.json"), turned)


def test_the_same_record_has_the_same_bytes_and_again_when_it_was_read(tmp_path: Path) -> None:
    paths = [tmp_path / name / "seed0.json" for name in ("one", "other", "again")]
    records.write(paths[0], record())
    records.write(paths[1], record())
    records.write(paths[2], records.read(paths[0]))
    for suffix in (".json", ".safetensors"):
        assert len({path.with_suffix(suffix).read_bytes() for path in paths}) == 1


def test_means_are_over_images_of_means_over_the_target_layers() -> None:
    assert record().mean("psnr") == pytest.approx(23)
    assert record(target=["reflection"]).mean("psnr") == pytest.approx(24)
    assert record().layer_means("psnr") == pytest.approx([22, 24])
    assert record().layer_means("psnr", "rgb-uniform@1") == pytest.approx([23, 25])
    assert record().layers == record().targets == LAYERS
    one = record(psnr=((20,), (24,)))
    assert (one.layers, one.targets, one.complete) == (LAYERS[:1], LAYERS[:1], False)
    errors = [10**-2.0, 10**-2.4]
    assert record().pooled_psnr("background") == pytest.approx(-10 * np.log10(np.mean(errors)))


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    for bad in (record(psnr=((float("nan"), 1), (2, 3))), record(training={"seconds": float("inf")})):
        with pytest.raises(ValueError, match=r"not finite|JSON"):
            records.write(tmp_path / "seed0.json", bad)
    assert list(tmp_path.rglob("*.json")) == []


def spoilt(text: str, **changes: Any) -> str:
    return json.dumps({**json.loads(text), **changes})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[: len(text) // 2], "missing or not whole"),
        (lambda text: "[]", "missing or not whole"),
        (lambda text: spoilt(text, schema=99), "schema 99, this version reads 4; remove it and run the suite again"),
        (lambda text: spoilt(text, schema=2, rows=[]), "schema 2, this version reads 4; remove it and run the suite"),
        (lambda text: text.replace('"method"', '"mehtod"'), "fields mehtod, method"),
        (lambda text: spoilt(text, images=3), "its fields are not what they should be"),
        (lambda text: spoilt(text, images={"count": 2, "digest": "0" * 32}), "the list of its images, images/000"),
        (lambda text: spoilt(text, protocols=["rgb@1", "mine@7"]), "unknown protocol 'mine@7'"),
        (lambda text: spoilt(text, protocols=["rgb@1", "y@1"]), "the scores y@1/psnr are missing or not whole"),
        (lambda text: spoilt(text, arrays={"sha256": "0" * 64, "same": {}}), "its checksum does not fit"),
    ],
)
def test_a_header_that_is_not_whole_is_told_and_nothing_is_lost(tmp_path: Path, spoil: Any, message: str) -> None:
    path = tmp_path / "seed0.json"
    records.write(path, record())
    text = spoil(path.read_text())
    path.write_text(text)
    before = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}
    with pytest.raises(UserError, match=message) as caught:
        records.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda held: held[: len(held) // 2], "its checksum does not fit seed0.safetensors"),
        (lambda held: b"", "its checksum does not fit seed0.safetensors"),
        (None, "there is no seed0.safetensors beside it"),
    ],
)
def test_arrays_that_are_not_those_of_the_header_are_told(tmp_path: Path, spoil: Any, message: str) -> None:
    path = tmp_path / "seed0.json"
    records.write(path, record())
    arrays = path.with_suffix(".safetensors")
    if spoil is None:
        arrays.unlink()
    else:
        arrays.write_bytes(spoil(arrays.read_bytes()))
    with pytest.raises(UserError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value)


def test_a_truncated_array_file_is_told_where_it_is_shown(tmp_path: Path) -> None:
    records.write(tmp_path / "seed0.json", record())
    arrays = tmp_path / "seed0.safetensors"
    assert records.table(arrays).splitlines()[1].startswith("0\t")
    arrays.write_bytes(arrays.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"seed0\.safetensors is not whole"):
        records.table(arrays)


def test_find_reads_all_below(tmp_path: Path) -> None:
    for made in (record("unet", 1), record("nmf"), record("unet", 0)):
        records.write(tmp_path / "records" / made.dataset / made.method / f"seed{made.seed}.json", made)
    write_json(tmp_path / "else.json", {})
    assert [(made.method, made.seed) for made in records.find(tmp_path)] == [("nmf", 0), ("unet", 0), ("unet", 1)]


def test_any_name_of_an_image_comes_back(tmp_path: Path) -> None:
    ids = ("a\u2028b", "ü \x0b\x85.png")
    records.write(tmp_path / "seed0.json", record(ids=ids))
    assert records.read(tmp_path / "seed0.json").ids == ids


def test_images_are_listed_once_for_all_records_of_a_test_set(tmp_path: Path) -> None:
    for method in ("unet", "nmf"):
        records.write(tmp_path / f"records/digits/{method}/seed0.json", record(method))
    records.write(tmp_path / "records/rain/unet/seed0.json", record(dataset="rain", ids=("a", "b")))
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_a_record_is_small(tmp_path: Path) -> None:
    """Two layers of 5,000 grey images without an order, under all protocols that are stored for them."""
    protocols = stored_for("rgb", 1)
    assert protocols == ("rgb@1", "rgb-uniform@1")
    generator = np.random.default_rng(0)
    own = scores(generator.normal(20, 3, (5000, 2)), protocols)
    # What is equal for grey images: all but SSIM, whose windows differ.
    uniform = {**own.values["rgb@1"], "ssim": own.values["rgb-uniform@1"]["ssim"]}
    order = np.stack([(first := generator.integers(0, 2, 5000)), 1 - first], 1).astype(np.int8)
    found = own._replace(values={"rgb@1": own.values["rgb@1"], "rgb-uniform@1": uniform}, assignment=order)
    path = tmp_path / "records/digits/unet/seed0.json"
    ids = tuple(f"test-{i:05d}" for i in range(5000))
    records.write(path, dataclasses.replace(record(), scores=found, ids=ids))
    size = sum(path.with_suffix(suffix).stat().st_size for suffix in (".json", ".safetensors"))
    assert size <= 250_000
    assert same(records.read(path), dataclasses.replace(record(), scores=found, ids=ids))


def test_git_shows_a_change_of_scores_as_a_table(tmp_path: Path) -> None:
    """With the attributes and the command of the project, in a repository of its own."""
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (setting,) = re.findall(r'git config diff\.(\S+) "\$\(BIN\)/python (.*)"', (ROOT / "Makefile").read_text())

    def git(*arguments: str) -> str:
        own = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
        done = subprocess.run(["git", *own, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    git("init", "-q")
    git("config", f"diff.{setting[0]}", f"env PYTHONPATH={ROOT} {sys.executable} {setting[1]}")
    folder = tmp_path / "leaderboards"
    paths = [folder / "quick/records/digits/unet/seed0.json", folder / "weights/digits/unet/record.json"]
    for path in paths:
        records.write(path, record())
    git("add", "-A")
    git("commit", "-qm", "one")
    for path in paths:
        records.write(path, record(psnr=((20, 22), (24, 27.5))))
    lines = git("diff").splitlines()
    shown = [line for line in lines if line.startswith(("-1\t", "+1\t", "-0\t", "+0\t"))]
    assert len(shown) == 4, "of each record the line of the second image, before and after"
    assert "24 26" in shown[0]
    assert "24 27.5" in shown[1]
    assert "image\trgb-uniform@1/lmse" in git("show", "--format=", "HEAD")
    arrays = paths[0].with_suffix(".safetensors")
    arrays.write_bytes(arrays.read_bytes()[:-100])
    assert "seed0.safetensors is not whole" in git("diff")


@pytest.mark.parametrize(
    ("variant", "label"),
    [
        ("", "PAGAN"),
        ("PAGAN", "PAGAN"),
        ("correcting", "PAGAN, correcting"),
        ("PAGAN, correcting", "PAGAN, correcting"),
    ],
)
def test_a_label_names_the_method_once(variant: str, label: str) -> None:
    assert record(title="PAGAN", variant=variant).label == label


@pytest.mark.parametrize(("variant", "label"), [("", "Digits"), ("MNIST, few", "Digits, MNIST, few")])
def test_a_label_names_the_data_set(variant: str, label: str) -> None:
    assert record(data_variant=variant).data_label == label
