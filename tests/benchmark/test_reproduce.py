"""A published number comes out again from its record alone, and a number that does not is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.plan import catalogue, suite
from benchmark.results import records
from benchmark.workflows import reproduce


def test_cells_are_trained_again_from_their_records_alone(project: Path, unblend: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "unet.json", tmp_path / "identity.json"]
    found = project / "runs/tiny/records/digits-fewer"
    for path, place in zip(paths, ("unet-small/seed1.json", "identity/seed0.json"), strict=True):
        records.write(path, records.read(found / place))
    environment = {"cwd": project, "COLUMNS": "160", "PYTHONDONTWRITEBYTECODE": "1", "timeout": 600}
    done = unblend("reproduce", *map(str, paths), **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 within 0.1 dB of what is published" in done.stdout
    again = project / "runs/reproduced/tiny/records/digits-fewer"
    for path, name in zip(paths, ("unet-small/seed1.json", "identity/seed0.json"), strict=True):
        first, second = records.read(path), records.read(again / name)
        assert second.mean("psnr") == pytest.approx(first.mean("psnr"), abs=1e-6)
        assert second.training["images_seen"] == first.training["images_seen"]
        assert second.provenance["time"] > first.provenance["time"]

    record = records.read(paths[0])
    own = {**record.scores.values[record.protocol], "psnr": record.scores.values[record.protocol]["psnr"] + 0.2}
    moved = record.scores._replace(values={**record.scores.values, record.protocol: own})
    records.write(paths[0], dataclasses.replace(record, scores=moved))
    done = unblend("reproduce", *map(str, paths), **environment)
    assert done.returncode == 1
    assert "-0.200" in done.stdout
    assert "1 of 2 within 0.1 dB of what is published" in done.stdout
    done = unblend("reproduce", str(paths[0]), "--tolerance", "0.3", **environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_record_was_made_of_is_compared_too(project: Path) -> None:
    first = records.read(project / "runs/tiny/records/digits-fewer/identity/seed0.json")
    versions = {**first.provenance["versions"], "torch": "1.0"}
    other = dataclasses.replace(
        first,
        identities={**first.identities, "method": "identity@0"},
        data_digest="0" * 64,
        provenance={**first.provenance, "device": "a GPU", "versions": versions},
    )
    torch, method = first.provenance["versions"]["torch"], first.identities["method"]
    assert reproduce.Pair(other, first).remark == (
        f"identity@0 before, {method} now, other data, on a GPU before, torch 1.0 before, {torch} now"
    )
    assert reproduce.Pair(first, first).remark == ""
    elsewhere = dataclasses.replace(
        first,
        provenance={**first.provenance, "processor": "a Xeon"},
        training={**first.training, "precision": "bf16-mixed"},
    )
    now = first.training.get("precision")
    assert reproduce.Pair(elsewhere, first).remark == f"on a Xeon before, trained in bf16-mixed before, in {now} now"


def test_a_cell_gets_as_many_threads_as_it_had(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = records.read(project / "runs/tiny/records/digits-fewer/identity/seed0.json")
    given: list[int | None] = []

    def sweep(cells: Any, runs: Path, machine: Any, execution: Any) -> None:
        given.append(machine.threads)
        raise SystemExit(1)

    monkeypatch.setattr(reproduce, "sweep", sweep)
    for number, more, expected in ((3, [], 3), (None, [], None), (3, ["--threads", "2"], 2)):
        records.write(tmp_path / "one.json", dataclasses.replace(first, cost={**first.cost, "latency_threads": number}))
        with pytest.raises(SystemExit):
            cli.main(["reproduce", str(tmp_path / "one.json"), "--runs", str(tmp_path / "runs"), *more])
        assert given.pop() == expected


def test_every_published_record_makes_a_suite_of_its_own_cell(tmp_path: Path) -> None:
    paths = sorted((catalogue.ROOT / "leaderboards").glob("*/records/*/*/seed*.json"))
    if not paths:
        pytest.skip("nothing is published at present")
    for number, path in enumerate(paths):
        record = records.read(path)
        (cell,) = suite.cells_of(reproduce.as_suite([record]), f"suite{number}")
        assert (cell.dataset, cell.method, cell.seed) == (record.dataset, record.method, record.seed)
        for part, linked in reproduce.LINKED.items():
            whole = {key: value for key, value in record.config[part]["init_args"].items() if key != linked}
            given = cell.config[part]["init_args"]
            assert {key: value for key, value in whole.items() if value is not None} == {
                key: value for key, value in given.items() if value is not None
            }
        assert cell.config["trainer"] == record.config["trainer"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line that `unblend reproduce` ends in."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["reproduce", *arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_a_strangers_record_is_checked_before_anything_is_written(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = records.read(project / "runs/tiny/records/digits-fewer/identity/seed0.json")
    for changes, message in (
        ({"suite": "../out"}, "suite '../out' cannot name a folder"),
        ({"config": {**first.config, "model": {}}}, "its configuration is not whole ('init_args')"),
        ({"config": {**first.config, "trainer": None}}, "its configuration is not whole"),
    ):
        records.write(tmp_path / "in/one.json", dataclasses.replace(first, **changes))
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.chdir(tmp_path / "in")
        assert message in refused(capsys, "one.json")
        assert sorted(tmp_path.rglob("*")) == before


def test_bad_input_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.json").write_text("{}")
    assert "record none.json: schema None" in refused(capsys, "none.json")
    for name in ("missing.json", "."):
        assert f"no record {name}: give files, such as" in refused(capsys, name)
    assert "tolerance 0.0: it must be more than 0 dB" in refused(capsys, "none.json", "--tolerance", "0")


def test_two_records_whose_data_differ_are_not_run_as_one(project: Path) -> None:
    first = records.read(project / "runs/tiny/records/digits-fewer/identity/seed0.json")
    data = first.config["data"]
    options = {**data["init_args"], "evaluation_images": 7}
    other = dataclasses.replace(first, config={**first.config, "data": {**data, "init_args": options}})
    with pytest.raises(UserError, match="records of digits-fewer differ in the data's options"):
        reproduce.as_suite([first, other])
