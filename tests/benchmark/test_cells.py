"""Cells for real: trained, interrupted, resumed, scored by one process and by two, reused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmark.files import read_json
from benchmark.plan.execution import Execution, Job
from benchmark.results import records, samples

ROOT = Path(__file__).resolve().parents[2]


def suite(path: Path, methods: list[Any], **budget: int) -> Path:
    value = {
        "budget": {"images": 192, "batch_size": 16, "selections": 2, "test_images": 21, **budget},
        "datasets": ["Digits"],
        "methods": methods,
    }
    path.write_text(yaml.safe_dump(value))
    return path


# Batch normalisation would make two processes differ from one: each sees half of the batch.
UNET = {"name": "UNet", "init_args": {"width": 8, "lr": 0.005, "norm": "group"}}


def sample_ids(record: Path) -> list[str]:
    notes = [read_json(path) for path in sorted(samples.folder(record).glob("*.json"), key=lambda path: int(path.stem))]
    assert all((samples.folder(record) / name).is_file() for note in notes for name in note["files"].values())
    return [note["id"] for note in notes]


def assert_same_scores(one: records.Record, other: records.Record) -> None:
    assert one.ids == other.ids
    assert (one.scores.assignment == other.scores.assignment).all()
    for protocol in one.scores.protocols:
        for metric in records.METRICS:
            assert one.values(metric, protocol) == pytest.approx(other.values(metric, protocol), abs=1e-4)


# Losses of each step over the whole batch, whatever the number of processes that share it.
TOLD = """
import os

from methods.dmgn import DMGN
from methods.unet import UNet


class Told:
    def training_step(self, batch, batch_idx):
        told = super().training_step(batch, batch_idx)
        loss = told["loss"] if isinstance(told, dict) else told
        whole = self.all_gather(loss.detach()).mean()
        if self.trainer.is_global_zero:
            with open(os.environ["LOSSES"], "a") as stream:
                stream.write(f"{float(whole)}\\n")
        return told


class ToldUNet(Told, UNet):
    pass


class ToldDMGN(Told, DMGN):
    pass
"""

SUPERVISED = {
    "budget": {"images": 192, "batch_size": 16, "selections": 2, "test_images": 21},
    "datasets": ["Digits"],
    "methods": [{"name": "told.ToldUNet", "init_args": UNET["init_args"]}],
}
ADVERSARIAL = {
    "budget": {"images": 24, "batch_size": 4, "selections": 1, "test_images": 3},
    "datasets": [{"name": "Rain", "init_args": {"size": 32, "source": "dead_leaves", "evaluation_images": 3}}],
    "methods": [{"name": "told.ToldDMGN", "init_args": {"width": 4, "features": "random", "lr": 0.002}}],
}


@pytest.mark.slow("test_two_processes_select_by_the_same_number_as_one")
@pytest.mark.parametrize(
    ("value", "steps", "tolerance"),
    [(SUPERVISED, 12, 1e-4), (ADVERSARIAL, 6, 1e-3)],
    ids=["supervised", "adversarial"],
)
def test_two_processes_train_and_score_as_one(
    unblend: Any, tmp_path: Path, value: dict[str, Any], steps: int, tolerance: float
) -> None:
    """The same losses with the same batches, to a relative tolerance in the first half; the same scores to 1e-4."""
    (tmp_path / "told.py").write_text(TOLD)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(value))
    python_path = os.pathsep.join([str(ROOT), str(tmp_path)])
    common = ("bench", str(path), "--runs", str(tmp_path / "runs"), "--accelerator", "cpu")
    losses, found = {}, {}
    for name, devices in (("one", "1"), ("two", "2")):
        log = tmp_path / name
        done = unblend(*common, "--devices", devices, "--jobs", "1", PYTHONPATH=python_path, LOSSES=str(log))
        assert done.returncode == 0, done.stdout + done.stderr
        losses[name] = [float(line) for line in log.read_text().splitlines()]
        record = next((tmp_path / "runs/tiny/records").rglob("seed0.json"))
        found[name] = records.read(record)
        assert found[name].provenance["processes"] == int(devices)
        assert found[name].training["images_seen"] == value["budget"]["images"]
        if name == "one":  # scored again, by two, from the same checkpoint: how many score is in no key
            shown = sample_ids(record)
            assert shown == list(found[name].ids[: samples.COUNT])
            shutil.rmtree(next((tmp_path / "runs/store").glob("*/scores")))
            done = unblend(*common, "--devices", "2", "--jobs", "1", PYTHONPATH=python_path, LOSSES=str(log))
            assert done.returncode == 0, done.stdout + done.stderr
            scored = records.read(record)
            assert scored.provenance["processes"] == 2
            assert scored.checkpoint_sha256 == found[name].checkpoint_sha256
            assert (scored.key, scored.score_key) == (found[name].key, found[name].score_key)
            assert_same_scores(found[name], scored)
            assert sample_ids(record) == shown, "the same pictures, whoever scored them"
            assert "1 cells, 1 reused, 0 to run" in unblend(*common, PYTHONPATH=python_path).stdout
            shutil.rmtree(tmp_path / "runs")
    assert len(losses["one"]) == len(losses["two"]) == steps
    # Sums of halves round otherwise than sums of the whole, and training makes that larger from step to step: on a
    # processor without AVX-512 by thirty times in twelve.
    half = steps // 2
    assert losses["two"][:half] == pytest.approx(losses["one"][:half], rel=tolerance)
    assert losses["two"] == pytest.approx(losses["one"], rel=100 * tolerance)
    assert len(set(losses["one"])) == steps
    assert found["two"].key == found["one"].key
    assert found["two"].mean("psnr") == pytest.approx(found["one"].mean("psnr"), abs=0.02)


@pytest.mark.slow("test_two_processes_select_by_the_same_number_as_one")
def test_two_processes_optimise_each_image_as_one_does(unblend: Any, tmp_path: Path) -> None:
    path = tmp_path / "single.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "budget": {"test_images": 3},
                "datasets": [{"name": "Superimposed", "init_args": {"size": 32, "evaluation_images": 3}}],
                # Images that are optimised together differ by rounding, which Adam makes larger.
                "methods": [{"name": "DoubleDIP", "init_args": {"iterations": 4, "images_at_once": 1}}],
            }
        )
    )
    found = {}
    for devices in ("1", "2"):
        runs = tmp_path / devices
        done = unblend("bench", str(path), "--runs", str(runs), "--accelerator", "cpu", "--devices", devices)
        assert done.returncode == 0, done.stdout + done.stderr
        found[devices] = records.read(runs / "single/records/superimposed/double_dip/seed0.json")
    assert len(found["1"].ids) == 3
    assert_same_scores(found["1"], found["2"])


SHAPES = {"name": "Shapes", "init_args": {"size": 64, "scenes": 40, "evaluation_images": 4, "pairing": "unpaired"}}
INSTANCE = {"width": 4, "norm": "instance", "lr": 0.002}  # batch normalisation would see half of the batch


@pytest.mark.slow("test_gathered_gradients_and_another_layout_train_the_same")
@pytest.mark.parametrize(
    "method",
    [
        {"name": "SILS", "init_args": {**INSTANCE, "single_layer": 10, "average": 0.5}},
        {"name": "CycleGAN", "init_args": {**INSTANCE, "replay": 6}},
    ],
    ids=["SILS", "CycleGAN"],
)
def test_generators_and_discriminators_train_in_two_processes_and_in_half_precision(
    method: Any, unblend: Any, tmp_path: Path
) -> None:
    value = {
        "budget": {"images": 24, "batch_size": 4, "selections": 1, "test_images": 2},
        "datasets": [SHAPES],
        "methods": [method],
    }
    scores, weights = {}, {}
    for name, precision, devices in (("one", "32-true", "1"), ("two", "32-true", "2"), ("half", "bf16-mixed", "1")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**value, "precision": precision}))
        # Each in a store of its own: how many processes train is in no key, so that they would share the cell.
        runs = tmp_path / f"runs-{name}"
        done = unblend("bench", str(path), "--runs", str(runs), "--accelerator", "cpu", "--devices", devices)
        assert done.returncode == 0, done.stdout + done.stderr
        (found,) = (runs / name / "records").rglob("seed0.json")
        record = records.read(found)
        assert record.training["images_seen"] == 24
        assert record.training["optimizer_steps"] == 6
        assert record.config["model"]["init_args"].items() >= method["init_args"].items()
        assert [seen for seen, _ in record.training["curve"]] == [24]
        assert record.training["curve"][0][1] == pytest.approx(record.training["select_psnr"], abs=1e-3)
        scores[name] = record.mean("psnr")
        (checkpoint,) = runs.glob("store/*/best.ckpt")
        weights[name] = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert scores["two"] == pytest.approx(scores["one"], abs=0.02)
    assert scores["half"] == pytest.approx(scores["one"], abs=0.3)
    for name, held in weights["one"].items():
        other = weights["two"][name]
        if name.endswith("_extra_state"):  # a pool of older work, of all processes in the order of their samples
            assert held["count"] == other["count"] == 24
            assert float((held["images"] - other["images"]).abs().mean()) < 0.01  # in another order: 0.3
            continue
        # Adam makes full steps of gradients that are rounding errors: single weights may differ, not all.
        assert float((held.float() - other.float()).abs().mean()) < 1e-3, name


def cell(directory: Path, images: int) -> Path:
    config = {
        "seed_everything": 0,
        "model": {"class_path": "methods.unet.UNet", "init_args": {"width": 8}},
        "data": {
            "class_path": "datamodules.digits.Digits",
            "init_args": {"images": images, "batch_size": 16, "selections": 10},
        },
        "trainer": {"precision": "32-true"},
    }
    Job(config, Execution(accelerator="cpu"), "same").write(directory)
    return directory


def start(directory: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "benchmark.running.cell", "fit", str(directory)], env=environment)


@pytest.mark.slow("test_a_training_asked_to_end_goes_on_to_the_same_weights")
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, broken = cell(tmp_path / "whole", 1600), cell(tmp_path / "broken", 1600)
    assert start(whole).wait() == 0
    process = start(broken)
    deadline = time.monotonic() + 120
    while not (broken / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "fit.json").is_file(), "killed too late to show anything"
    held = torch.load(broken / "last.ckpt", weights_only=True)["Digits"]
    assert 0 < held["images_seen"] < 1600
    assert start(broken).wait() == 0
    one, other = (read_json(folder / "fit.json")["training"] for folder in (whole, broken))
    assert one["images_seen"] == other["images_seen"] == 1600
    assert one["optimizer_steps"] == other["optimizer_steps"]
    assert one["select_psnr"] == pytest.approx(other["select_psnr"], abs=1e-5)
    weights = [torch.load(folder / "best.ckpt", weights_only=True)["state_dict"] for folder in (whole, broken)]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-6), name


@pytest.fixture(scope="module")
def mixed(unblend: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder where a suite of one sound method and several others was run, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("mixed")
    methods = [
        {"name": "UNet", "variant": "diverging", "init_args": {"width": 8, "lr": 1.0e30}},
        {"name": "UNet", "variant": "misspelt", "init_args": {"widht": 8}},
        "HalfMixture",
        {"name": "plugin.Picky"},
        {"name": "plugin.Holes", "variant": "holes"},
        {"name": "moving.Moving"},
    ]
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "moving.py").write_text(MOVING)
    path = suite(folder / "mixed.yaml", methods)
    arguments = ("bench", str(path), "--runs", str(folder / "runs"), "--accelerator", "cpu")
    done = unblend(*arguments, PYTHONPATH=os.pathsep.join([str(ROOT), str(folder)]))
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done


def test_failures_are_recorded_and_stop_nothing(mixed: Any, unblend: Any) -> None:
    project, done = mixed
    folder = project / "runs/mixed"
    failure = read_json(folder / "cells/digits/unet-diverging/seed0/failure.json")
    assert failure["half"] == "fit"
    assert "not finite at step 1 (after 16 images)" in failure["error"]
    assert "NonFiniteLoss" in failure["traceback"]
    assert "widht" in read_json(folder / "cells/digits/unet-misspelt/seed0/failure.json")["error"]
    holes = read_json(folder / "cells/digits/plugin-holes/seed0/failure.json")
    assert "values that are not finite" in holes["error"]
    assert "Picky takes 3 channels, the data have 1" in done.stdout
    assert records.read(folder / "records/digits/half_mixture/seed0.json").mean("psnr") > 10
    assert len(list((folder / "records").rglob("*.json"))) == 1
    again = unblend(
        "status", str(project / "mixed.yaml"), "--runs", str(project / "runs"),
        PYTHONPATH=os.pathsep.join([str(ROOT), str(project)]), COLUMNS="200",
    )  # fmt: skip
    cells = [line.split() for line in again.stdout.splitlines()[1:] if line.startswith("digits")]
    states = {method: state for _, method, _, state, *_ in cells}
    assert states.pop("moving") == "queued", "its source is another one now"
    assert sorted(states.values()) == ["failed", "failed", "failed", "finished", "skipped"]


def test_a_result_whose_source_changed_meanwhile_is_not_kept(mixed: Any) -> None:
    project, done = mixed
    assert "its source files changed while it ran: run the suite again" in done.stdout
    assert (project / "moving.py").read_text() != MOVING
    assert "moving" not in " ".join(path.parent.name for path in (project / "runs").rglob("seed0.json"))


PLUGIN = """
import torch
from methods.base import MethodCard, SeparationMethod


class Picky(SeparationMethod):
    card = MethodCard(title="Picky", paper="none", year=2026, supervision="none", channels=(3,))

    def __init__(self, spec: dict | None = None) -> None:
        super().__init__()

    def separate(self, mixture, seeds):
        return mixture[:, None]


class Holes(SeparationMethod):
    card = MethodCard(title="Holes", paper="none", year=2026, supervision="none")
    scale = 2

    def __init__(self) -> None:
        super().__init__()

    def separate(self, mixture, seeds):
        return torch.full((len(mixture), 2, 1, 28, 28), float("nan"))
"""


@pytest.mark.slow("test_an_interrupted_runner_says_so_and_the_next_one_goes_on")
def test_an_interrupted_suite_is_not_a_failure(tmp_path: Path) -> None:
    path = suite(tmp_path / "long.yaml", [UNET, "HalfMixture"], images=16_000, selections=20)
    command = [sys.executable, "-m", "benchmark", "bench", str(path), "--runs", str(tmp_path / "runs")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runner = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    folder = tmp_path / "runs/long/cells/digits/unet/seed0"
    deadline = time.monotonic() + 120
    while not (folder / "last.ckpt").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(runner.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 2
    assert "interrupted: run the same command again" in errors
    assert not (folder / "failure.json").exists()
    assert not (folder / "fit.json").exists()
    assert (folder / "last.ckpt").is_file()


MOVING = '''
from methods.base import MethodCard, SeparationMethod
from methods.networks.resize import enlarge


class Moving(SeparationMethod):
    """Stands for an author who edits while the suite runs: it appends to its own file."""

    card = MethodCard(title="Moving", paper="none", year=2026, supervision="none")
    scale = 2

    def __init__(self) -> None:
        super().__init__()

    def separate(self, mixture, seeds):
        with open(__file__, "a") as source:
            source.write("\\nMoving.scale = 2\\n")
        return enlarge(mixture, 2)[:, None].expand(-1, 2, -1, -1, -1)
'''
