"""From an idea to a statement: a new method's file, its test, a suite, where it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.commands import new
from benchmark.errors import UserError
from benchmark.plan import suite
from benchmark.workflows import join

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow("test_an_own_method_alone_runs_through_a_suite")
def test_a_new_method_is_written_tested_and_joins_a_suite(unblend: Any, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = unblend("new", "method", "MyNet", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"my_net.py", "test_my_net.py"}
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_net.py"],
        cwd=tmp_path, env={**os.environ, **environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout
    (tmp_path / "tiny.yaml").write_text(
        "budget: {images: 640, batch_size: 32, selections: 1, test_images: 10}\n"
        "datasets: [Digits]\nmethods: [Identity, HalfMixture]\n"
    )
    assert unblend("bench", "tiny.yaml", cwd=tmp_path, **environment).returncode == 0
    done = unblend(
        "bench",
        "tiny.yaml",
        "--model",
        "my_net.MyNet",
        "--options",
        "{width: 8}",
        cwd=tmp_path,
        **environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MyNet has " in done.stdout
    assert ", rank " in done.stdout
    assert " of 3 by the mean over " in done.stdout
    assert "Identity" in done.stdout
    page = (tmp_path / "runs/tiny/index.html").read_text()
    assert all(name in page for name in ("MyNet", "Half of the mixture"))
    assert not list((ROOT / "leaderboards").rglob("my_net"))


def test_the_own_row_sees_as_many_images_as_the_best_fed_row(tmp_path: Path) -> None:
    row = {"name": "methods.unet.UNet", "init_args": {"width": 4}}
    held = join.with_method("quick", row, None)
    path = tmp_path / "quick.yaml"
    path.write_text(yaml.safe_dump(held))
    given: dict[str, list[int]] = {}
    for one in suite.load("quick"):
        given.setdefault(one.dataset, []).append(one.config["data"]["init_args"].get("images", 0))
    least = min(max(images) for images in given.values() if max(images))
    assert any(max(images) == 0 for images in given.values()), "on some data nothing is trained"
    for cell in suite.load(str(path)):
        assert cell.config["data"]["init_args"]["images"] == (max(given[cell.dataset]) or least)
        assert cell.suite == "quick"
        assert cell.method == "unet"
    assert join.with_method("quick", row, 64)["datasets"][0]["budget"]["images"] == 64
    with pytest.raises(UserError, match="images 0: it must be at least 1"):
        join.with_method("quick", row, 0)
    with pytest.raises(UserError, match="unknown suite 'quik': did you mean quick"):
        join.with_method("quik", row, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("myNet", "a class's name"),
        ("My-Net", "a class's name"),
        ("../X", "a class's name"),
        ("UNet", "the project has a method"),
    ],
)
def test_names_that_cannot_be_are_told(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        new.write("method", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    new.write("method", "MyNet", tmp_path)
    (tmp_path / "my_net.py").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        new.write("method", "MyNet", tmp_path)
    assert (tmp_path / "my_net.py").read_text() == "mine"


def test_a_method_of_the_project_is_told_of_its_page_and_one_outside_is_not(tmp_path: Path) -> None:
    assert "docs/methods/my_net.md wants its idea" in new.next_steps("method", "MyNet", ROOT / "methods")
    for kind, folder in (("method", tmp_path), ("data", ROOT / "datamodules")):
        assert "docs/methods" not in new.next_steps(kind, "MyNet", folder)  # type: ignore[arg-type]


def test_names_become_files() -> None:
    assert [new.snake(name) for name in ("MyNet", "BITSNet", "LiGT2", "HalfMixture")] == [
        "my_net", "bits_net", "li_gt2", "half_mixture"
    ]  # fmt: skip


def test_the_templates_keep_the_projects_style(tmp_path: Path) -> None:
    paths = new.write("method", "MyNet", tmp_path)
    config = ["--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *config, str(paths[0])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
