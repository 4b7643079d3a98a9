"""What holds for all tests: Ctrl-C reaches what they start, whoever is slow says so, and no core idles.

Whoever starts the suite in the background of a shell script ignores Ctrl-C; what the tests start must not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from benchmark.results.provenance import cores

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_SECONDS = 10.0
"""Of processor time that a test without the mark ``slow`` may take, with all processes that it waits for."""


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores, as the tests of faults and of Slurm mostly wait for processes that they started."""
    return cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for Slurm begins first: at the end all other workers would wait for it."""
    items.sort(key=lambda item: item.path.parent.name != "slurm")


@pytest.fixture(autouse=True)
def _in_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """Warn of a test that takes long and does not say so: in processor time, and no failure, as machines differ."""
    before = os.times()
    yield
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    if path := os.environ.get("UNBLEND_TEST_TIMES"):
        with open(path, "a") as stream:
            stream.write(f"{spent:.2f}\t{after.elapsed - before.elapsed:.2f}\t{request.node.nodeid}\n")
    elif spent > MOST_SECONDS and request.node.get_closest_marker("slow") is None:
        told = (
            f"it took {spent:.1f} s of processor time, more than {MOST_SECONDS:g}: make it smaller, or mark it slow "
            "and name its fast stand-in"
        )
        request.node.warn(pytest.PytestWarning(told))
