"""A real Slurm of one node: jobs that are cancelled, requeued, told that their time is over, and spread over tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.files import read_json
from benchmark.results import records

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ROOT / "tests/benchmark"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([ROOT / "tests/slurm/start", folder], capture_output=True, text=True, check=False)
    if started.returncode == 3:
        pytest.skip(f"no Slurm: {started.stdout.strip()}")
    assert started.returncode == 0, started.stdout + started.stderr
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield folder
    for process in started_here:
        process.kill()
    subprocess.run([ROOT / "tests/slurm/stop", folder], check=True)
    os.environ.pop("SLURM_CONF")
    if before is not None:
        os.environ["SLURM_CONF"] = before


started_here: list[subprocess.Popen[str]] = []


def start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(LIGHT)])
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    started_here.append(process)
    return process


def light(path: Path, runs: Path, *more: str, seconds: float = 0.05) -> subprocess.Popen[str]:
    return start([str(LIGHT / "light.py"), str(path), str(runs), "2", *more], LIGHT_SECONDS=str(seconds))


def wait(for_what: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := for_what()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found
    return found


def jobs(runs: Path) -> dict[str, Path]:
    """Jobs -> cells that work now."""
    found = {}
    for path in runs.rglob("process-*.json"):
        job = read_json(path.parent / "job.json")
        if job:
            found[job["job"]] = path.parent
    return found


def hurry(job: str) -> None:
    """Let a requeued job start at once; Slurm would wait two minutes."""
    wait(lambda: "PENDING" in subprocess.run(["squeue", "-hj", job, "-o%T"], capture_output=True, text=True).stdout)
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)


def same(one: Path, other: Path) -> None:
    """The records below two folders are equal, but for where and when."""
    first, second = ({(r.dataset, r.method, r.seed): r for r in records.find(path)} for path in (one, other))
    assert first.keys() == second.keys()
    for name, record in first.items():
        twin = second[name]
        assert (record.key, record.score_key, record.data_digest) == (twin.key, twin.score_key, twin.data_digest)
        assert record.config == twin.config
        assert record.training["images_seen"] == twin.training["images_seen"]
        assert record.training["select_psnr"] == pytest.approx(twin.training["select_psnr"], abs=1e-4)
        assert record.ids == twin.ids
        assert (record.scores.assignment == twin.scores.assignment).all()
        for metric in records.METRICS:
            assert record.values(metric) == pytest.approx(twin.values(metric), abs=1e-4)


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_jobs_that_are_cancelled_or_requeued_lose_and_double_nothing(slurm: Path, tmp_path: Path) -> None:
    path, runs, here = tmp_path / "light.yaml", tmp_path / "runs", tmp_path / "here"
    path.write_text(yaml.safe_dump({"seeds": [0, 1], "datasets": ["Digits"], "methods": ["Identity", "HalfMixture"]}))
    runner = light(path, runs, "slurm", seconds=20)
    first, second = list(wait(lambda: len(found := jobs(runs)) == 2 and found).items())
    wait(lambda: "begin-fit" in (second[1] / "journal").read_text())
    subprocess.run(["scancel", first[0]], check=True)
    subprocess.run(["scontrol", "requeue", second[0]], check=True)
    hurry(second[0])
    said = runner.communicate(timeout=600)[0]
    assert runner.returncode == 1, said
    assert "its job ended before it did" in said
    assert len(records.find(runs / "light/records")) == 3
    assert not list((first[1] / "scores").glob("*.json"))
    log = "".join(file.read_text() for file in (runs / "light/slurm").glob(f"{second[0]}_*.out"))
    assert log.count("Starting with JobEnvironment") == 2, "it was requeued"
    runner = light(path, runs, "slurm")
    said = runner.communicate(timeout=600)[0]
    assert runner.returncode == 0, said
    assert "4 cells, 3 reused, 1 to run" in said
    for journal in runs.glob("store/*/journal"):
        words = [line.split()[0] for line in journal.read_text().splitlines()]
        assert words.count("finished") == 1
        assert "overlap" not in words
    assert light(path, here).wait() == 0
    same(runs / "light/records", here / "light/records")
    assert (runs / "light/results.csv").read_bytes() == (here / "light/results.csv").read_bytes()


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_whoever_submitted_may_leave_and_find_the_jobs_again(slurm: Path, tmp_path: Path) -> None:
    path, runs = tmp_path / "light.yaml", tmp_path / "runs"
    path.write_text(yaml.safe_dump({"datasets": ["Digits"], "methods": ["Identity", "HalfMixture"]}))
    runner = light(path, runs, "slurm", seconds=8)
    before = wait(lambda: jobs(runs))
    runner.send_signal(signal.SIGINT)
    said = runner.communicate(timeout=60)[0]
    assert runner.returncode == 2
    assert "Its jobs go on; `scancel --name=unblend-light` ends them." in said
    runner = light(path, runs, "slurm")
    said = runner.communicate(timeout=600)[0]
    assert runner.returncode == 0, said
    assert before
    assert len(list((runs / "light/slurm").glob("*.out"))) == 2, "no cell was submitted twice"
    assert not list(runs.rglob("job.json"))


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_a_job_whose_time_is_over_is_requeued_and_trains_on_to_the_same(slurm: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "budget": {"images": 3200, "batch_size": 16, "selections": 2, "test_images": 5},
                "datasets": ["Digits"],
                "methods": [{"name": "UNet", "init_args": {"width": 8}}],
            }
        )
    )
    common = ["-m", "benchmark", "bench", str(path), "--accelerator", "cpu", "--threads", "1"]
    runner = start([*common, "--runs", str(tmp_path / "there"), "--slurm.partition=main"])
    directory = tmp_path / "there/long/cells/digits/unet/seed0"
    wait(lambda: (read_json(directory / "progress.json") or {}).get("done", 0) > 200, 600)
    job = read_json(directory / "job.json")["job"]
    # What Slurm does when the time limit is near: to the steps of the job, not to the batch script.
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    hurry(job)
    said = runner.communicate(timeout=900)[0]
    assert runner.returncode == 0, said
    log = "".join(file.read_text() for file in (tmp_path / "there/long/slurm").glob(f"{job}_*.out"))
    assert "ending in good order" in log
    assert log.count("Starting with JobEnvironment") == 2
    assert (directory / "log.txt").read_text().count("interrupted: it goes on from") == 1
    alone = start([*common, "--runs", str(tmp_path / "here"), "--jobs", "1"])
    said = alone.communicate(timeout=900)[0]
    assert alone.returncode == 0, said
    same(tmp_path / "there/long/records", tmp_path / "here/long/records")


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_the_smoke_suite_through_sbatch_equals_the_local_executors(slurm: Path, tmp_path: Path) -> None:
    common = ["-m", "benchmark", "bench", "smoke", "--accelerator", "cpu", "--threads", "1"]
    options = ["--slurm.partition=main", "--slurm.per_job=7", "--slurm.time=30"]
    runner = start([*common, "--runs", str(tmp_path / "there"), *options])
    said = runner.communicate(timeout=900)[0]
    assert runner.returncode == 0, said
    local = start([*common, "--runs", str(tmp_path / "here")])
    said = local.communicate(timeout=900)[0]
    assert local.returncode == 0, said
    same(tmp_path / "there/smoke/records", tmp_path / "here/smoke/records")


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_two_tasks_train_as_lightning_expects(slurm: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "budget": {"images": 96, "batch_size": 16, "selections": 1, "test_images": 5},
                # With fewer test images than processes, one of these scores.
                "datasets": ["Digits", {"name": "Digits", "variant": "one image", "budget": {"test_images": 1}}],
                "methods": [{"name": "UNet", "init_args": {"width": 8, "norm": "group"}}],
            }
        )
    )
    options = ["--runs", str(tmp_path), "--slurm.partition=main", "--slurm.tasks_per_node=2"]
    runner = start(["-m", "benchmark", "bench", str(path), "--accelerator", "cpu", *options])
    said = runner.communicate(timeout=900)[0]
    assert runner.returncode == 0, said
    found = records.find(tmp_path / "two/records")
    assert [(record.dataset, record.provenance["processes"]) for record in found] == [
        ("digits", 2), ("digits-one-image", 1),
    ]  # fmt: skip
    assert [record.training["optimizer_steps"] for record in found] == [6, 6]
