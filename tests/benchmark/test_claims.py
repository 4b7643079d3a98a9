"""One owner for each cell, whatever clocks say; free again when its owner is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark.running import claims
from benchmark.running.processes import Process, host

ROOT = Path(__file__).resolve().parents[2]


def acquire(folder: Path, watch: claims.Watch | None = None, work: str = "work") -> claims.Claim | None:
    return claims.acquire(watch or claims.Watch(folder, stale=0.5), work)


def taken(folder: Path) -> claims.Claim:
    claim = acquire(folder)
    assert claim is not None
    return claim


def from_elsewhere(folder: Path) -> Path:
    """Make the claim look as if its owner were on another machine, where nobody can see whether it lives."""
    _, path = claims.newest(folder)
    assert path is not None
    path.write_text(path.read_text().replace(host(), "x" * len(host())))
    return path


def test_a_claim_is_one_owners_until_it_is_given_back(tmp_path: Path) -> None:
    first = taken(tmp_path)
    assert acquire(tmp_path) is None
    assert claims.held(tmp_path, first.token)
    first.give_back(finished=False)
    assert not claims.held(tmp_path, first.token)
    second = taken(tmp_path)
    assert second.token != first.token
    second.give_back(finished=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_of_many_that_want_a_cell_one_gets_it(tmp_path: Path) -> None:
    for _ in range(20):
        start, got = threading.Barrier(8), list[claims.Claim]()

        def want(start: threading.Barrier = start, got: list[claims.Claim] = got) -> None:
            start.wait()
            claim = acquire(tmp_path)
            if claim is not None:
                got.append(claim)

        threads = [threading.Thread(target=want) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        got[0].give_back(finished=False)
        assert len(list(tmp_path.iterdir())) == 1


def test_a_dead_owners_claim_is_free_at_once_and_its_time_counts_on(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from benchmark.running import claims;"
        "claim = claims.acquire(claims.Watch(Path(sys.argv[1])), sys.argv[2]);"
        "claim._begin -= 100; claim.beat(); print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "work"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    assert acquire(tmp_path) is None
    owner.kill()
    owner.communicate()
    claim = taken(tmp_path)
    assert claim.spent > 100
    claim.give_back(finished=False)
    other = acquire(tmp_path, work="other code")
    assert other is not None
    assert other.spent < 1


@pytest.mark.parametrize("jump", [-1e6, 0.0, 1e6])
def test_no_clock_takes_a_claim_away_and_none_keeps_it(tmp_path: Path, monkeypatch: Any, jump: float) -> None:
    claim = taken(tmp_path)
    path = from_elsewhere(tmp_path)
    claim._head = path.read_text().split("\n")[0] + "\n"
    keeper, watch = claims.Keeper(every=0.1), claims.Watch(tmp_path, stale=0.5)
    keeper.add(claim)
    true = time.time
    for step in range(10):  # a second, twice as long as it takes to be stale
        monkeypatch.setattr(time, "time", lambda step=step: true() + jump * step)
        os.utime(path, (true() - jump * step, true() - jump * step))
        assert watch.next() is None
        time.sleep(0.1)
    keeper.remove(claim)
    deadline = time.monotonic() + 20
    while watch.next() is None and time.monotonic() < deadline:
        os.utime(path, (true() + jump, true() + jump))  # a newer time alone is no sign of life
        time.sleep(0.05)
    taker = acquire(tmp_path, watch)
    assert taker is not None
    claim.beat()
    assert claim.lost.is_set()
    claim.give_back(finished=True)  # of an owner that was asleep: nothing happens
    assert claims.held(tmp_path, taker.token)


def test_an_empty_claim_is_waited_for_and_then_taken(tmp_path: Path) -> None:
    (tmp_path / "claim-4").write_text("")  # its owner died before it wrote
    watch = claims.Watch(tmp_path, stale=0.2)
    assert acquire(tmp_path, watch) is None
    time.sleep(0.3)
    claim = acquire(tmp_path, watch)
    assert claim is not None
    assert claim.path.name == "claim-5"


def test_what_a_dead_owner_started_ends_before_its_successor_begins(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(claims, "PATIENCE", 0.2)
    first = taken(tmp_path)
    code = (
        "import sys, time; from pathlib import Path; from benchmark.running import claims;"
        "print(claims.join(Path(sys.argv[1]), sys.argv[2], 'fit-0'), flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def worker(token: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", code, str(tmp_path), token]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline()

    left, joined = worker(first.token)
    assert joined == "True\n"
    first.give_back(finished=False)
    second = taken(tmp_path)
    assert left.poll() is not None or left.wait(1) is not None
    left.communicate()
    late, joined = worker(first.token)
    assert joined == "False\n"
    late.kill()
    late.communicate()
    second.give_back(finished=True)


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*names: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    claim = taken(tmp_path)
    assert acquire(tmp_path) is None
    claim.give_back(finished=True)


def test_a_process_is_known_by_more_than_its_number() -> None:
    this = Process.this()
    assert this.alive() is True
    assert Process.read(this.written()) == this
    assert Process(this.host, this.pid, this.started - 1).alive() is False
    assert Process("another machine", this.pid, this.started).alive() is None
    assert Process.read({"pid": 3}) is None
