"""Runners and cells that die at any moment, disks that take no more, files cut short: nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.files import read_json
from benchmark.plan.suite import load
from benchmark.results import records
from benchmark.running.places import places
from benchmark.running.processes import Process

ROOT = Path(__file__).resolve().parents[2]
LIGHT = Path(__file__).with_name("light.py")


def suite(folder: Path, seeds: int) -> Path:
    path = folder / "light.yaml"
    path.write_text(
        yaml.safe_dump({"seeds": list(range(seeds)), "datasets": ["Digits"], "methods": ["Identity", "HalfMixture"]})
    )
    return path


def start(
    path: Path, runs: Path, jobs: int = 2, *more: str, seconds: float = 0.05, **variables: str
) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LIGHT_SECONDS": str(seconds), "OMP_NUM_THREADS": "1"}
    environment |= variables
    return subprocess.Popen(
        [sys.executable, str(LIGHT), str(path), str(runs), str(jobs), *more],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(runner: subprocess.Popen[str], timeout: float = 200) -> str:
    return runner.communicate(timeout=timeout)[0]


def journals(runs: Path) -> dict[str, list[str]]:
    found = {}
    for path in (runs / "store").rglob("journal"):
        found[str(path.parent)] = [line.split()[0] for line in path.read_text().splitlines()]
    return found


def working(runs: Path) -> list[int]:
    """Processes that work on a cell now."""
    written = (Process.read(read_json(path)) for path in (runs / "store").rglob("process-*.json"))
    return [process.pid for process in written if process is not None and process.alive()]


def two_working(runs: Path) -> list[int]:
    """Processes that work on a cell, once there are two, or after a minute."""
    deadline = time.monotonic() + 60
    while len(working(runs)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return working(runs)


@pytest.mark.slow("test_what_a_killed_runner_left_behind_ends")
def test_fifty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    path, runs, whole = suite(tmp_path, 10), tmp_path / "runs", tmp_path / "whole"
    choose = random.Random(0)
    runners = [start(path, runs, seconds=6) for _ in range(3)]
    kills = {"runner": 0, "cell": 0}
    deadline = time.monotonic() + 300
    while sum(kills.values()) < 50 and time.monotonic() < deadline:
        if not working(runs):  # nothing to disturb
            time.sleep(0.02)
            continue
        time.sleep(choose.uniform(0, 0.6))
        cells = working(runs)
        if cells and choose.random() < 0.6:
            os.kill(choose.choice(cells), signal.SIGKILL)
            kills["cell"] += 1
        else:
            place = choose.randrange(3)
            runners[place].kill()
            runners[place].communicate()
            runners[place] = start(path, runs, seconds=6)
            kills["runner"] += 1
    assert sum(kills.values()) == 50
    said = [finish(runner) for runner in runners]
    again = finish(start(path, runs, 2, "retry"))  # what was killed three times in a row counts as failed
    last = start(path, runs)
    final = finish(last)
    assert last.returncode == 0, (said, again, final)
    assert "20 cells, 20 reused, 0 to run" in final
    told = journals(runs)
    assert len(told) == 20
    for cell, words in told.items():
        assert words.count("finished") <= 1, (cell, words)
        assert "overlap" not in words, (cell, words)
    assert sum(words.count("begin-fit") for words in told.values()) > 20, "nothing was ever interrupted"
    assert len(records.find(runs / "light/records")) == 20
    left = [Process.read(read_json(path)) for path in (runs / "store").rglob("process-*.json")]
    assert not any(process.alive() for process in left if process is not None)
    assert finish(start(path, whole, seconds=0.01))
    for name in ("README.md", "results.csv"):
        assert (runs / "light" / name).read_bytes() == (whole / "light" / name).read_bytes()


def test_what_a_killed_runner_left_behind_ends(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 2), tmp_path / "runs"
    runner = start(path, runs, seconds=600)
    orphans = two_working(runs)
    assert len(orphans) == 2
    runner.kill()
    runner.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in orphans)
    assert "4 to run" in finish(start(path, runs, seconds=0.01))


def test_an_interrupted_runner_says_so_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    runner = start(path, runs, seconds=600)
    two_working(runs)
    runner.send_signal(signal.SIGINT)
    said = finish(runner)
    assert runner.returncode == 2, said
    assert "interrupted: run the same command again" in said
    assert not working(runs)
    assert not list(runs.rglob("failure.json"))
    assert "2 to run" in finish(start(path, runs, seconds=0.01))
    assert len(records.find(runs / "light/records")) == 2


def test_a_failed_rescoring_is_told_though_an_old_record_stands(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    finish(start(path, runs, seconds=0.01))
    for stored in list(runs.glob("store/*/scores/*.*")):
        stored.rename(stored.with_stem("of-other-metrics"))
    cells = load(str(path))
    assert ["scored again, not trained" in place.state().word for place in places(cells, runs)] == [True, True]
    runner = start(path, runs, LIGHT_RAISES="broken on purpose")
    said = finish(runner)
    assert runner.returncode == 1
    assert "score: RuntimeError: broken on purpose" in said
    assert len(records.find(runs / "light/records")) == 2


def test_a_record_cut_short_is_made_again_and_no_other(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 2), tmp_path / "runs"
    finish(start(path, runs))
    found = sorted((runs / "light/records").rglob("*.json"))
    before = {file: file.read_bytes() for file in found}
    stored = sorted(runs.glob("store/*/scores/*.json"))
    times = {file: file.stat().st_mtime_ns for file in stored}
    spoilt = stored[1]
    spoilt.write_text(spoilt.read_text()[:300])
    found[0].write_bytes(before[found[0]][:300])
    other = next(file.parents[1] for file in stored if file != spoilt)
    for name in ("fit.json", "cell.json"):
        (other / name).write_text((other / name).read_text()[:40])
    said = finish(start(path, runs))
    assert "4 cells, 2 reused, 2 to run" in said, "a copy in the suite's view is mended from the store"
    assert {file: file.read_bytes() for file in found} == before
    assert [file.stat().st_mtime_ns == times[file] for file in stored].count(True) == 2


def test_arrays_cut_short_are_made_again(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    finish(start(path, runs))
    spoilt = min(runs.glob("store/*/scores/*.safetensors"))
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[: len(whole) // 2])
    said = finish(start(path, runs))
    assert "2 cells, 1 reused, 1 to run" in said
    assert spoilt.read_bytes() == whole


@pytest.mark.slow("test_a_suite_of_another_ones_cells_runs_nothing")
def test_suites_that_share_cells_train_each_once_whoever_dies(tmp_path: Path) -> None:
    """Two runners on each of two suites with the same cells, killed twenty times."""
    first, runs = suite(tmp_path, 6), tmp_path / "runs"
    second = tmp_path / "other.yaml"
    second.write_text(first.read_text())
    choose = random.Random(1)
    runners = [start(path, runs, seconds=6) for path in (first, second)]
    kills, deadline = 0, time.monotonic() + 240
    while kills < 20 and time.monotonic() < deadline:
        if not working(runs):
            time.sleep(0.02)
            continue
        time.sleep(choose.uniform(0, 0.6))
        cells = working(runs)
        if cells and choose.random() < 0.6:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(choose.choice(cells), signal.SIGKILL)
        else:
            place = choose.randrange(2)
            runners[place].kill()
            runners[place].communicate()
            runners[place] = start((first, second)[place], runs, seconds=6)
        kills += 1
    assert kills == 20
    said = [finish(runner) for runner in runners]
    again = [finish(start(path, runs, 2, "retry")) for path in (first, second)]
    last = [start(path, runs) for path in (first, second)]
    final = [finish(runner) for runner in last]
    assert [runner.returncode for runner in last] == [0, 0], (said, again, final)
    assert all("12 cells, 12 reused, 0 to run" in text for text in final)
    told = journals(runs)
    assert len(told) == 12, "two suites, one store"
    for cell, words in told.items():
        assert words.count("finished") == 1, (cell, words)
        assert "overlap" not in words, (cell, words)
    views = [sorted(records.find(runs / name / "records"), key=lambda one: one.key) for name in ("light", "other")]
    assert [one.score_key for one in views[0]] == [one.score_key for one in views[1]]
    assert {one.suite for one in views[1]} == {"other"}
    command = [sys.executable, "-m", "benchmark", "status", str(second), "--runs", str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "250"}
    status = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    ran_by = [read_json(path)["suite"] for path in runs.glob("store/*/cell.json")]
    assert status.count("from suite light") == ran_by.count("light")
    assert ran_by.count("light") > 0


def test_a_suite_of_another_ones_cells_runs_nothing(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 2), tmp_path / "runs"
    finish(start(path, runs))
    second = tmp_path / "second.yaml"
    second.write_text(
        yaml.safe_dump({"seeds": [1], "datasets": ["Digits"], "methods": [{"name": "Identity", "variant": "again"}]})
    )
    said = finish(start(second, runs))
    assert "1 cells, 1 reused, 0 to run" in said
    (record,) = records.find(runs / "second/records")
    assert (record.suite, record.method, record.variant) == ("second", "identity-again", "again")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def test_a_full_disk_is_told_and_what_is_finished_is_kept(small_disk: Path, tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 4), small_disk / "runs"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"0" * 900 * 1024)
    runner = start(path, runs, 1)
    said = finish(runner)
    assert runner.returncode == 2, said
    errors = [line for line in said.splitlines() if line.startswith("unblend: error")]
    assert len(errors) == 1, said
    assert "no space left on its disk" in errors[0]
    finished = {file: file.read_bytes() for file in runs.glob("store/*/scores/*.json")}
    assert 0 < len(finished) < 8
    assert all(records.read(file) for file in finished)
    assert not list(runs.rglob("failure.json")), "a full disk is no cell's fault"
    ballast.unlink()
    runner = start(path, runs, 1)
    said = finish(runner)
    assert runner.returncode == 0, said
    assert f"8 cells, {len(finished)} reused" in said
    assert all(file.read_bytes() == before for file, before in finished.items())


def test_an_unwritable_folder_is_told(small_disk: Path, tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), small_disk / "runs"
    finish(start(path, runs))
    finished = {file: file.read_bytes() for file in (runs / "light/records").rglob("*.json")}
    assert len(finished) == 2
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    runner = start(suite(tmp_path, 2), runs)
    said = finish(runner)
    assert runner.returncode == 2, said
    assert "Read-only file system. Make it writable" in said
    assert {file: file.read_bytes() for file in (runs / "light/records").rglob("*.json")} == finished
    blocked = tmp_path / "file"
    blocked.write_text("")
    runner = start(path, blocked / "runs")
    said = finish(runner)
    assert runner.returncode == 2
    assert "Not a directory" in said


def test_status_tells_who_runs_what_and_whose_runner_is_gone(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    runner = start(path, runs, seconds=600)
    two_working(runs)

    def status() -> str:
        command = [sys.executable, "-m", "benchmark", "status", str(path), "--runs", str(runs)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "250"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    said = status()
    assert "2 running" in said
    assert f"process {runner.pid}, since" in said
    runner.kill()
    runner.communicate()
    said = status()
    assert "2 stale" in said
    assert "any run goes on with it" in said


def test_a_cell_killed_again_and_again_fails_and_retry_runs_it(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    runner = start(path, runs, 1, seconds=20)
    killed: set[int] = set()
    deadline = time.monotonic() + 180
    while not list(runs.rglob("failure.json")) and time.monotonic() < deadline:
        for pid in set(working(runs)) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.02)
    runner.send_signal(signal.SIGTERM)
    said = finish(runner)
    failures = list((runs / "store").rglob("failure.json"))
    assert len(failures) == 1, said
    assert len(killed) == 3
    failure = json.loads(failures[0].read_text())
    assert failure["kind"] == "killed"
    assert "signal 9" in failure["error"]
    runner = start(path, runs)
    said = finish(runner)
    assert runner.returncode == 1
    assert "1 failed before: the same command with --only failed" in said
    runner = start(path, runs, 1, "retry")
    said = finish(runner)
    assert runner.returncode == 0, said
    assert len(records.find(runs / "light/records")) == 2


def test_a_cell_has_a_time_limit_and_retry_gives_it_another(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    runner = start(path, runs, 2, seconds=600, LIGHT_LIMIT="0.02")
    said = finish(runner)
    assert runner.returncode == 1, said
    for file in (runs / "store").rglob("failure.json"):
        failure = json.loads(file.read_text())
        assert failure["kind"] == "time_limit"
        assert "its time limit of 0.02 min is over: give more with --time_limit" in failure["error"]
    assert said.count("failed digits") == 2
    assert not working(runs)
    runner = start(path, runs, 2, "retry", LIGHT_LIMIT="10")
    assert "finished" in finish(runner)
    assert runner.returncode == 0


def test_too_little_memory_is_told_with_the_batch_that_failed(tmp_path: Path) -> None:
    path, runs = suite(tmp_path, 1), tmp_path / "runs"
    runner = start(path, runs, LIGHT_RAISES="CUDA out of memory. Tried to allocate 20 MiB.")
    said = finish(runner)
    assert runner.returncode == 1
    assert "out of memory with a batch of 32 images, 16 of them at once: more --accumulate or --devices" in said
    failures = [json.loads(file.read_text()) for file in (runs / "store").rglob("failure.json")]
    assert [(one["kind"], one["batch_size"], one["images_at_once"]) for one in failures] == [
        ("out_of_memory", 32, 16)
    ] * 2
    assert "Traceback" in said, "the last lines of its log"
    runner = start(path, runs, LIGHT_RAISES="something else")
    assert "2 failed before: the same command with --only failed" in finish(runner)
