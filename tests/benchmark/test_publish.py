"""What is published is complete, from a clean commit, and what its hashes say."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.metrics.scores import Scores
from benchmark.plan import suite
from benchmark.results import collection, records, samples
from benchmark.scoring import stand_ins
from benchmark.speed import made
from benchmark.workflows import publish as publishing
from datamodules.haze import Haze
from datamodules.superimposed import Superimposed

Publish = Callable[..., tuple[int, str]]


@pytest.fixture
def publish(project: Path, unblend: Any) -> Publish:
    def run(*more: str) -> tuple[int, str]:
        done = unblend("publish", "runs/tiny", *more, cwd=project, COLUMNS="200")
        return done.returncode, done.stdout + done.stderr

    return run


def spoil(project: Path, method: str, **changes: Any) -> Callable[[], None]:
    """Change fields of a record; returns what puts it right again."""
    path = project / f"runs/tiny/records/digits/{method}/seed0.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), **changes}))

    def restore() -> None:
        path.write_text(before)

    return restore


def test_spoilt_records_are_refused_each_with_its_reason_and_nothing_is_copied(project: Path, publish: Publish) -> None:
    record = json.loads((project / "runs/tiny/records/digits/unet/seed0.json").read_text())
    dirty = {**record["provenance"], "commit": record["provenance"]["commit"] + "+"}
    strange = {**record["provenance"], "commit": "0" * 40}
    other = {**record["identities"], "method": "unet@9"}
    for changes, message in (
        ({"provenance": dirty}, "with changes that were not committed"),
        ({"provenance": strange}, "its commit 000000000000 is not in this branch's history"),
        ({"provenance": {**strange, "commit": None}}, "made outside a checkout"),
        ({"identities": other}, f"its method is unet@9, this checkout's {record['identities']['method']}: run the"),
        ({"key": "0" * 64}, "its key is not that of this checkout's suite"),
        ({"score_key": "0" * 64}, "its score key is not that of its data and of this checkout's metrics"),
        ({"data_digest": "0" * 64}, "its score key is not that of its data"),
        ({"checkpoint_sha256": "0" * 64}, "its weights are others than those that were scored"),
        ({"protocols": ["mine@1"]}, "unknown protocol 'mine@1'"),
        ({"arrays": {**record["arrays"], "sha256": "0" * 64}}, "its checksum does not fit seed0.safetensors"),
        ({"schema": 2}, "schema 2, this version reads 4"),
        ({"suite": "elsewhere"}, "suite elsewhere is not one of the project's"),
    ):
        restore = spoil(project, "unet", **changes)
        status, said = publish()
        restore()
        assert status == 1, message
        assert message in " ".join(said.split()), said
        assert "nothing was published" in said
        assert not (project / "leaderboards/tiny").exists()


def test_a_record_without_an_image_that_others_have_is_refused(project: Path, publish: Publish) -> None:
    path = project / "runs/tiny/records/digits/unet/seed0.json"
    held = [path.with_suffix(suffix).read_bytes() for suffix in (".json", ".safetensors")]
    whole = records.read(path)
    protocols = {
        protocol: {metric: of[:-1] for metric, of in metrics.items()}
        for protocol, metrics in whole.scores.values.items()
    }
    part = Scores(whole.scores.protocols, whole.scores.assignment[:-1], protocols)
    records.write(path, dataclasses.replace(whole, scores=part, ids=whole.ids[:-1]))
    status, said = publish()
    for suffix, contents in zip((".json", ".safetensors"), held, strict=True):
        path.with_suffix(suffix).write_bytes(contents)
    assert status == 1
    assert "5 of 6 test images: the others are missing" in said


def test_a_missing_cell_an_outside_method_and_changed_code_are_refused(project: Path, publish: Publish) -> None:
    folder = project / "runs/tiny/records/digits"
    shutil.move(folder / "identity", project / "aside")
    status, said = publish()
    shutil.move(project / "aside", folder / "identity")
    assert status == 1
    assert "digits × identity × seed 0: no record; finish the suite, or say --partial." in said
    shutil.copytree(folder / "identity", folder / "mine")
    path = folder / "mine/seed0.json"
    path.write_text(path.read_text().replace('"method": "identity"', '"method": "mine"', 1))
    status, said = publish()
    shutil.rmtree(folder / "mine")
    assert status == 1
    assert "suite tiny has no such cell: outside methods are drawn beside the leaderboard" in said
    metrics = project / "benchmark/metrics/functional.py"
    before = metrics.read_text()
    metrics.write_text(before + "# changed\n")
    assert publish()[0] == 0, "a comment changes nothing"
    shutil.rmtree(project / "leaderboards/tiny")
    metrics.write_text(before.replace('{"gaussian": 11', '{"gaussian": 9'))
    status, said = publish()
    metrics.write_text(before)
    assert status == 1
    cells = len(list((project / "runs/tiny/records").rglob("seed*.json")))
    assert len(re.findall(r"its metrics is metrics\S+, this checkout's metrics\S+: run the suite again", said)) == cells


def test_code_that_no_version_stands_for_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one, *_) = (found for found in collection.collect([project / "runs/tiny"]) if found.record.method == "unet")
    known = {**one.record.identities, "method": "unet:0123456789abcdef"}
    record = dataclasses.replace(one.record, suite="smoke", identities=known)
    monkeypatch.setattr(suite.Cell, "identities", lambda self, fresh=False: known)
    said = list(publishing.problems(dataclasses.replace(one, record=record)))
    assert [line for line in said if "its method" in line] == [
        "its method is known by a fingerprint alone (unet:0123456789abcdef): `unblend accept` enters it in "
        "versions.lock"
    ]


def test_sound_records_are_copied_with_pictures_and_logs_and_shown(project: Path, publish: Publish) -> None:
    log = project / "runs/tiny/cells/digits/unet/seed0/log.txt"
    log.write_text(f"read {project}/somewhere\n")
    target, run = project / "leaderboards/tiny", project / "runs/tiny"
    (target / "images").mkdir(parents=True)
    (target / "images/old.txt").write_text("of test images that no record has any more\n")
    status, said = publish()
    assert status == 0, said
    listed = list((target / "images").iterdir())
    assert [path.read_text().count("\n") for path in listed] == [6, 6], "of digits and of rain"
    for method in ("unet", "identity", "half_mixture"):
        place = Path("records/digits", method, "seed0.json")
        for suffix in (".json", ".safetensors"):
            name = place.with_suffix(suffix)
            assert (target / name).read_bytes() == (run / name).read_bytes()
        assert (target / place).stat().st_size <= 4096, "a header is for people"
        same = json.loads((target / place).read_text())["arrays"]["same"]
        assert {f"rgb-uniform@1/{metric}" for metric in ("psnr", "lmse", "mse")} == same.keys(), "of grey images"
        assert (target / "samples/digits" / method / "seed0/0-mixture.png").is_file()
    assert (target / "logs/digits/unet/seed0.txt").read_text() == "read ./somewhere\n"
    assert {"README.md", "results.csv", "results.json"} <= {path.name for path in target.iterdir()}
    page = project / "leaderboards/index.html"
    assert "U-Net" in page.read_text()
    before = page.read_bytes()
    assert publish()[0] == 0
    assert page.read_bytes() == before


def test_a_log_names_no_folder_of_the_machine_though_runs_is_a_link(project: Path, publish: Publish) -> None:
    elsewhere = project.with_name("elsewhere")
    elsewhere.mkdir()
    (project / "runs").rename(elsewhere / "runs")
    (project / "runs").symlink_to(elsewhere / "runs")
    log = project / "runs/tiny/cells/digits/identity/seed0/log.txt"
    log.write_text(f"read {elsewhere}/somewhere and {project}/else\n/an/other/datamodules/haze.py:54: seen\n")
    status, said = publish()
    (project / "runs").unlink()
    (elsewhere / "runs").rename(project / "runs")
    assert status == 0, said
    published = (project / "leaderboards/tiny/logs/digits/identity/seed0.txt").read_text()
    assert published == "read ./somewhere and ./else\n./datamodules/haze.py:54: seen\n"


def test_pictures_of_research_data_stay_where_they_are(project: Path, publish: Publish) -> None:
    spec = json.loads((project / "runs/tiny/records/digits/unet/seed0.json").read_text())["spec"]
    restore = spoil(project, "unet", spec={**spec, "licence": "research only"})
    status, said = publish()
    restore()
    assert status == 0, said
    assert (project / "leaderboards/tiny/records/digits/unet/seed0.json").is_file()
    assert not (project / "leaderboards/tiny/samples/digits/unet/seed0").exists()
    assert (project / "leaderboards/tiny/samples/digits/identity/seed0/0-mixture.png").is_file()


def test_a_method_separates_embedded_pictures_in_the_place_of_a_real_set(tmp_path: Path) -> None:
    record = real_set()
    notes = [json.loads(path.read_text()) for path in stand_ins.separate(record, None, tmp_path / "shown")]
    assert len(notes) == samples.PUBLISHED
    assert all(note["stands_for"] == record.key and note["from"].startswith("Alpaydin") for note in notes)
    assert all(len(note["psnr"]) == 2 for note in notes)
    trained = dataclasses.replace(record, checkpoint_sha256="c" * 64)
    with pytest.raises(UserError, match="its weights are not here"):
        stand_ins.separate(trained, None, tmp_path / "none")


@pytest.mark.parametrize(("source", "mixing"), [("shoes_handbags", "YellowHaze"), ("sots_indoor", None)])
def test_stand_ins_keep_the_image_formation_that_their_source_calls_for(source: str, mixing: str | None) -> None:
    kept = stand_ins._embedded(Haze, {"source": source, "mixing": None, "size": 64})
    assert kept == {"size": stand_ins.SIZE} | ({"mixing": mixing} if mixing else {})
    assert stand_ins._embedded(Superimposed, {"source": "set5", "size": 128}) == {"size": stand_ins.SIZE}
    unpaired = stand_ins._embedded(Haze, {"source": source, "mixing": None, "pairing": "unpaired"})
    assert unpaired["pairing"] == "unpaired", "a method of unpaired data takes no other"


def real_set() -> records.Record:
    """A record of a method that is not trained, on a set whose pictures may not be passed on."""
    data = {"class_path": "datamodules.digits.Digits", "init_args": {"source": "mnist", "test_images": None}}
    model = {"class_path": "methods.half_mixture.HalfMixture", "init_args": {}}
    return made.record(config={"seed_everything": 0, "model": model, "data": data, "trainer": {"precision": "32-true"}})


@pytest.mark.slow("test_a_method_separates_embedded_pictures_in_the_place_of_a_real_set")
def test_embedded_pictures_stand_for_those_of_research_data(project: Path, publish: Publish) -> None:
    spec = json.loads((project / "runs/tiny/records/digits/unet/seed0.json").read_text())["spec"]
    restore = [spoil(project, method, spec={**spec, "licence": "research only"}) for method in ("unet", "identity")]
    status, said = publish()
    assert status == 0, said
    assert "2 lack pictures that may be passed on: `unblend publish runs/tiny --pictures` makes them" in said
    status, said = publish("--pictures")
    assert status == 0, said
    for method in ("unet", "identity"):
        notes = sorted((project / f"leaderboards/tiny/samples/digits/{method}/seed0").glob("*.json"))
        assert len(notes) == samples.PUBLISHED
        note = json.loads(notes[0].read_text())
        assert note["from"].startswith("Alpaydin")
        assert len(note["psnr"]) == 2
    assert "data:image/png" in (project / "leaderboards/index.html").read_text()
    status, said = publish()
    assert "lack pictures" not in said, "the same record keeps them"
    for one in restore:
        one()


def test_published_rows_compete_on_the_terms_that_they_were_published_on() -> None:
    changes = (collection.COMMITTED / "CHANGELOG.md").read_text()
    held = json.loads(publishing.TERMS.read_text())
    for folder in collection.COMMITTED.glob("*/records"):
        name = folder.parent.name
        now = f"{name}@{suite.version(name)}"
        assert not publishing.moved(name), f"{now}: raise its version, and say why in leaderboards/CHANGELOG.md"
        assert now in changes
        rows = {f"{path.parent.parent.name}/{path.parent.name}" for path in folder.glob("*/*/seed*.json")}
        assert rows == held[now].keys()


def test_moved_terms_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(publishing, "TERMS", tmp_path / "suites.json")
    assert publishing.moved("rain") == []
    publishing.enter(["rain"])
    assert publishing.moved("rain") == []
    terms = suite.terms("rain")
    first = "rain-rain100l/nafnet"
    monkeypatch.setattr(suite, "terms", lambda name: {**terms, first: "else", "rain-else/new": "0"})
    assert publishing.moved("rain") == [first]  # a new row is no change of terms
