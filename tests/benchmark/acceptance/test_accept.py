"""Changed code is accepted where it computes the same, and refused in one line where it does not."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.plan import catalogue, identity, lock, suite
from benchmark.plan.identity import Component
from benchmark.workflows import regression
from benchmark.workflows.acceptance import command, evidence, past

ROOT = Path(__file__).resolve().parents[3]
LOCK = "benchmark/plan/versions.lock"


def git(folder: Path, *arguments: str) -> str:
    own = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, what: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", what)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its lock up to date, in a repository of its own: to be copied, not changed."""
    folder = tmp_path_factory.mktemp("untouched") / "project"
    for package in ("benchmark", "methods", "datamodules"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".gitignore").write_text("runs/\n__pycache__/\n")
    locked = {}
    for name, one in identity.components().items():
        accepted = lock.Accepted(one.fingerprint(folder), "2026-11-26", "first code", "none is needed")
        locked[name] = lock.Locked(one.version, (accepted,))
    lock.write(locked, folder / LOCK)
    git(folder, "init", "-q")
    commit(folder, "all")
    return folder


@pytest.fixture
def project(untouched: Path, tmp_path: Path) -> Path:
    """A copy of that project."""
    return shutil.copytree(untouched, tmp_path / "project")


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, where this process takes it for its own project."""
    for module in (catalogue, identity, past, evidence):
        monkeypatch.setattr(module, "ROOT", project)
    monkeypatch.setattr(lock, "LOCK", project / LOCK)
    forget()
    yield project
    forget()


def forget() -> None:
    for cached in (catalogue.methods, catalogue.datasets, past._repository):
        cached.cache_clear()


def edit(folder: Path, file: str, old: str, new: str) -> None:
    source = (folder / file).read_text()
    assert old in source
    (folder / file).write_text(source.replace(old, new, 1))


def accept(names: list[str] | None, why: str = "for a test") -> None:
    command.accept(names, why, Path("runs"), None, Console())


# What is refused before anything runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("accept", "name components, such as `unblend accept unet --why …`, or say --all_changed"),
        ("accept unet --all_changed", "name components"),
        ("accept unet", "why None: say with --why in a few words"),
        ("accept unet --why because", "why 'because': say with --why in a few words"),
        ("accept --new unet", "--new takes no components"),
        ("accept unett --why some_reason here", "unrecognized arguments: here"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(arguments.split(), capsys).count(message) == 1


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_an_unknown_component_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(["accept", "unett", "--why", "some reason"], capsys)
    assert "unknown component 'unett': did you mean unet" in said


def test_a_working_tree_with_changes_is_refused(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inside / LOCK).write_text((inside / LOCK).read_text() + "# the lock alone may differ\n")
    past.refuse_changes()
    (inside / "methods/more.py").write_text("x = 1\n")
    before = (inside / LOCK).read_bytes()
    said = told(["accept", "unet", "--why", "some reason"], capsys)
    assert "the working tree has changes that are not committed (?? methods/more.py): commit or remove" in said
    assert (inside / LOCK).read_bytes() == before


def test_outside_a_repository_there_is_nothing_to_compare_with(inside: Path) -> None:
    shutil.rmtree(inside / ".git")
    with pytest.raises(UserError, match="is no git repository"):
        past.refuse_changes()


def test_a_version_that_went_down_is_refused(inside: Path) -> None:
    edit(inside, LOCK, "unet:\n  version: 2", "unet:\n  version: 3")
    commit(inside, "higher in the lock")
    version = identity.component("unet").version
    with pytest.raises(UserError, match=f"unet: its source says version {version}, versions.lock 3: a version never"):
        accept(["unet"])
    with pytest.raises(UserError, match="a version never goes down"):
        command.enter_new()


def test_what_is_accepted_already_needs_no_evidence(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(inside, "methods/unet.py", '"""', '"""Once more: ')
    commit(inside, "a docstring")
    accept(["unet"])
    assert "unet@2: its code is accepted already\nnothing to accept" in capsys.readouterr().out


def test_without_an_accepted_commit_the_version_must_be_raised(inside: Path) -> None:
    held = yaml.safe_load((inside / LOCK).read_text())
    held["half_mixture"]["fingerprints"][0]["fingerprint"] = "0" * 16
    (inside / LOCK).write_text(yaml.safe_dump(held))
    commit(inside, "a lock from elsewhere")
    with pytest.raises(UserError, match="half_mixture: no commit of this history has code that"):
        accept(["half_mixture"])


# New components and raised versions


def test_new_enters_what_is_new_and_nothing_else(inside: Path) -> None:
    assert command.enter_new() == ["nothing is new"]
    before = (inside / LOCK).read_bytes()
    edit(
        inside,
        "methods/half_mixture.py",
        "class HalfMixture(SeparationMethod):",
        "class HalfMixture(SeparationMethod):\n    odd = 1",
    )
    with pytest.raises(UserError, match="half_mixture: changed code, and the version is as it was: raise it, or `unbl"):
        command.enter_new()
    assert (inside / LOCK).read_bytes() == before
    edit(inside, "methods/half_mixture.py", "    odd = 1", "    version = 2")
    shutil.copy(inside / "methods/identity.py", inside / "methods/same.py")
    edit(inside, "methods/same.py", "class Identity(", "class Same(")
    (inside / "methods/nmf.py").unlink()
    forget()
    assert command.enter_new() == ["half_mixture@2: entered", "same@1: entered", "nmf: removed, it is no more"]
    locked = lock.read()
    assert locked["half_mixture"].version == 2
    assert [one.why for one in locked["half_mixture"].fingerprints] == ["first code of version 2"]
    assert identity.component("same").identity(locked) == "same@1"
    assert "nmf" not in locked
    edit(inside, "methods/half_mixture.py", "    version = 2", "    version = 3")
    commit(inside, "higher")
    forget()
    with pytest.raises(UserError, match="half_mixture: version 3 is new: `unblend accept --new` enters it"):
        accept(["half_mixture"])


# Where the accepted code is found


def test_the_newest_accepted_commit_is_compared_with(inside: Path, tmp_path: Path) -> None:
    first = git(inside, "rev-parse", "HEAD")
    (inside / "README.md").write_text("more\n")
    commit(inside, "elsewhere")
    edit(
        inside,
        "methods/half_mixture.py",
        "class HalfMixture(SeparationMethod):",
        "class HalfMixture(SeparationMethod):\n    odd = 1",
    )
    commit(inside, "another half mixture")
    found = past.Past(tmp_path / "past")
    one = identity.component("half_mixture")
    assert found.commit_of(one, lock.read()["half_mixture"]) == first
    then = found.project(first, "method")
    assert "odd = 1" not in (then / "methods/half_mixture.py").read_text()
    assert "odd = 1" in (inside / "methods/half_mixture.py").read_text()
    assert (then / "benchmark/workflows/acceptance/worker.py").is_file()
    assert one.fingerprint(then) == lock.read()["half_mixture"].fingerprints[0].fingerprint


def test_metrics_that_became_a_package_are_found_as_they_were(inside: Path, tmp_path: Path) -> None:
    shutil.rmtree(inside / "benchmark/metrics", ignore_errors=True)
    (inside / "benchmark/metrics.py").write_text("def score():\n    return 1\n")
    metrics = identity.component("metrics")
    accepted = lock.Locked(1, (lock.Accepted(metrics.fingerprint(), "2026-11-26", "first", "none"),))
    then = commit(inside, "a module")
    (inside / "benchmark/metrics.py").unlink()
    (inside / "benchmark/metrics").mkdir()
    (inside / "benchmark/metrics/__init__.py").write_text("from benchmark.metrics.inner import score\n\nVERSION = 4\n")
    (inside / "benchmark/metrics/inner.py").write_text("def score():\n    return 1\n")
    commit(inside, "a package")
    assert identity.component("metrics").version == 4
    found = past.Past(tmp_path / "past")
    assert found.commit_of(metrics, accepted) == then
    assert (found.project(then, "metrics") / "benchmark/metrics.py").is_file()
    assert not (found.project(then, "metrics") / "benchmark/metrics").exists()


# What is compared


def test_every_method_and_data_set_has_rows_that_need_no_data() -> None:
    for name, one in identity.components().items():
        if one.kind in ("method", "dataset"):
            rows = evidence._rows(one)
            assert rows, name
            for config in rows.values():
                budget = config["data"]["init_args"]
                assert budget["images"] == evidence.STEPS * budget["batch_size"]
    with pytest.raises(UserError, match="other: no suite of the project has it: add a row to plan/suites/quick"):
        evidence._rows(Component("other", "method", 1, "methods.other.Other"))


def test_regression_runs_the_cells_of_a_component_alone() -> None:
    cells = suite.load(regression.SUITE)
    of_unet = [cell for cell in cells if evidence._concerns(identity.component("unet"), cell)]
    assert {cell.method for cell in of_unet} == {"unet"}
    assert {cell.dataset for cell in cells if evidence._concerns(identity.component("rain"), cell)} == {"rain"}
    assert all(evidence._concerns(identity.component("training"), cell) for cell in cells)


def tensors(**values: Any) -> dict[str, torch.Tensor]:
    return {name.replace("_", " "): torch.as_tensor(value) for name, value in values.items()}


def test_methods_are_compared_relatively_and_their_weights_all_together() -> None:
    old = tensors(loss_a=[1.0, 2.0], loss_b=[1e-3, 1e-3], weight_a=[3.0, 4.0], weight_b=[0.0], layers=[0.5])
    new = tensors(loss_a=[1.0, 2.0], loss_b=[1e-3, 2e-3], weight_a=[3.0, 4.0], weight_b=[0.005], layers=[0.5])
    apart = evidence.differences(old, new, "method")
    assert apart == {"losses": pytest.approx(0.5**0.5), "weights": pytest.approx(1e-3), "layers": 0}
    assert evidence.differences(old, {**old, "layers": torch.tensor([math.nan])}, "method")["layers"] == math.inf
    assert evidence.differences(old, {**old, "weight a": torch.zeros(3)}, "method")["weights"] == math.inf


def test_samples_are_compared_absolutely_and_scores_relatively_above_one() -> None:
    old, new = tensors(train_mixture=[0.5, 1.0]), tensors(train_mixture=[0.5, 1.25])
    assert evidence.differences(old, new, "dataset") == {"mixture": 0.25}
    old, new = {"y, ordered: psnr": torch.tensor([40.0, 0.5])}, {"y, ordered: psnr": torch.tensor([44.0, 0.5])}
    assert evidence.differences(old, new, "metrics") == {"psnr": pytest.approx(0.1)}
    assert evidence.differences(old, {"y, ordered: psnr": torch.tensor([math.nan, 0.5])}, "metrics")["psnr"] == math.inf


Unblend = Callable[..., subprocess.CompletedProcess[str]]

TINY = """
budget: {images: 64, batch_size: 16, selections: 1, test_images: 4}
datasets: [Digits]
methods:
  - HalfMixture
  - Identity
  - {name: UNet, init_args: {width: 4}}
"""


@pytest.mark.slow("test_methods_are_compared_relatively_and_their_weights_all_together")
def test_what_computes_the_same_is_accepted_and_what_does_not_is_refused(project: Path, unblend: Unblend) -> None:
    for name in ("smoke", "quick"):
        (project / f"benchmark/plan/suites/{name}.yaml").write_text(TINY)
    golden = regression.read()
    kept = {f"digits/{name}/seed0": golden[f"digits/{name}/seed0"] for name in ("half_mixture", "identity", "unet")}
    kept["digits/unet/seed0"] = {
        metric: [[value, 1e3]] * 2 for metric, ((value, _), _) in kept["digits/unet/seed0"].items()
    }
    (project / "benchmark/workflows/goldens.json").write_text(json.dumps({"suite": "smoke", "log": [], "cells": kept}))
    # The same steps by another line; and half a percent more, which no band of scores would show.
    edit(project, "methods/unet.py", "class UNet(TrainedMethod):", "class UNet(TrainedMethod):\n    two = 2\n")
    edit(
        project,
        "methods/half_mixture.py",
        "def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:",
        "def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:\n        mixture = mixture * 1.005",
    )
    commit(project, "two edits")
    done = unblend("accept", "--all_changed", "--why", "tried in a test", cwd=project, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "half_mixture: digits × half_mixture #1: layers differ by 0.005, allowed is 0.0001" in done.stdout
    assert "half_mixture: the changed code does not compute the same: raise its version" in done.stderr
    assert "unet@2: accepted (20 steps (layers, where it does not train) of 1 of 1 rows: " in done.stdout
    locked = lock.read(project / LOCK)
    assert len(locked["half_mixture"].fingerprints) == 1
    _, second = locked["unet"].fingerprints
    assert second.why == "tried in a test"
    assert "losses within 0" in second.evidence
    assert "1 cells of smoke in their bands" in second.evidence
    assert git(project, "status", "--porcelain") == f"M {LOCK}"
