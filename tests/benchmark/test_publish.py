"""What is published is complete, from a clean commit, and what its hashes say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SUITE = """
budget: {images: 320, batch_size: 16, selections: 1, test_images: 6}
datasets: [Digits]
methods: [{name: UNet, init_args: {width: 8}}, Identity, HalfMixture]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, ran_project: Callable[[Path, str], Path]) -> Path:
    return ran_project(tmp_path_factory.mktemp("project"), SUITE)


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
    for changes, message in (
        ({"provenance": dirty}, "with changes that were not committed"),
        ({"provenance": strange}, "its commit 000000000000 is not in this branch's history"),
        ({"provenance": {**strange, "commit": None}}, "made outside a checkout"),
        ({"fit_hash": "0" * 64}, "its training hash is not that of this checkout"),
        ({"data_digest": "0" * 64}, "its score hash is not that of its data"),
        ({"checkpoint_sha256": "0" * 64}, "its weights are others than those that were scored"),
        ({"rows": record["rows"][:-1]}, "5 of 6 test images: the others are missing"),
        ({"protocol": "mine"}, "unknown protocol 'mine'"),
        ({"schema": 0}, "schema 0"),
        ({"suite": "elsewhere"}, "suite elsewhere is not one of the project's"),
    ):
        restore = spoil(project, "unet", **changes)
        status, said = publish()
        restore()
        assert status == 1, message
        assert message in " ".join(said.split()), said
        assert "nothing was published" in said
        assert not (project / "leaderboards/tiny").exists()


def test_a_missing_cell_an_outside_method_and_changed_code_are_refused(project: Path, publish: Publish) -> None:
    records = project / "runs/tiny/records/digits"
    shutil.move(records / "identity", project / "aside")
    status, said = publish()
    shutil.move(project / "aside", records / "identity")
    assert status == 1
    assert "digits × identity × seed 0: no record; finish the suite, or say --partial." in said
    shutil.copytree(records / "identity", records / "mine")
    path = records / "mine/seed0.json"
    path.write_text(path.read_text().replace('"method": "identity"', '"method": "mine"'))
    status, said = publish()
    shutil.rmtree(records / "mine")
    assert status == 1
    assert "suite tiny has no such cell: outside methods are drawn beside the leaderboard" in said
    metrics = project / "benchmark/metrics.py"
    before = metrics.read_text()
    metrics.write_text(before + "# changed\n")
    status, said = publish()
    metrics.write_text(before)
    assert status == 1
    assert said.count("its score hash is not that of its data and this checkout's scoring code") == 3


def test_sound_records_are_copied_with_pictures_and_logs_and_shown(project: Path, publish: Publish) -> None:
    log = project / "runs/tiny/cells/digits/unet/seed0/log.txt"
    log.write_text(f"read {project}/somewhere\n")
    status, said = publish()
    assert status == 0, said
    target = project / "leaderboards/tiny"
    run = project / "runs/tiny"
    for method in ("unet", "identity", "half_mixture"):
        place = Path("records/digits", method, "seed0.json")
        assert (target / place).read_bytes() == (run / place).read_bytes()
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
    log.write_text(f"read {elsewhere}/somewhere and {project}/else\n")
    status, said = publish()
    (project / "runs").unlink()
    (elsewhere / "runs").rename(project / "runs")
    assert status == 0, said
    assert (project / "leaderboards/tiny/logs/digits/identity/seed0.txt").read_text() == "read ./somewhere and ./else\n"


def test_pictures_of_research_data_stay_where_they_are(project: Path, publish: Publish) -> None:
    spec = json.loads((project / "runs/tiny/records/digits/unet/seed0.json").read_text())["spec"]
    restore = spoil(project, "unet", spec={**spec, "licence": "research only"})
    status, said = publish()
    restore()
    assert status == 0, said
    assert (project / "leaderboards/tiny/records/digits/unet/seed0.json").is_file()
    assert not (project / "leaderboards/tiny/samples/digits/unet/seed0").exists()
    assert (project / "leaderboards/tiny/samples/digits/identity/seed0/0-mixture.png").is_file()
