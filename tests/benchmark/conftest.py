"""Running the command line as a user does, in processes of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Unblend = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def unblend() -> Unblend:
    """``unblend(*arguments, cwd=…) -> completed process``."""

    def run(*arguments: str, cwd: Path = ROOT, timeout: float = 600, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(cwd), **env}
        environment.pop("UNBLEND_DATA", None)
        command = [sys.executable, "-m", "benchmark", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


def _git(folder: Path, *arguments: str) -> None:
    own = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)


SUITE = """
budget: {images: 64, batch_size: 16, selections: 1, test_images: 6}
datasets:
  - Digits
  - {name: Digits, variant: fewer}
  - {name: Rain, init_args: {size: 32, evaluation_images: 6}}
methods:
  - {name: UNet, only: [digits], init_args: {width: 8}}
  - {name: UNet, variant: wide, only: [digits], init_args: {width: 24, depth: 4}}
  - {name: UNet, variant: small, only: [digits-fewer], init_args: {width: 8}, seeds: [1], budget: {images: 48}}
  - {name: CascadeGAN, only: [rain], init_args: {synthesis: given, width: 4, depth: 4}}
  - {name: HalfMixture, only: [digits]}
  - Identity
"""


@pytest.fixture(scope="session")
def finished(unblend: Unblend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose suite ``tiny`` was run from a clean commit: to be copied, not changed; one for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "finished"
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits, and finds it
        if not (folder / "runs/tiny/index.html").is_file():
            _finish(folder, unblend)
    return folder


def _finish(folder: Path, unblend: Unblend) -> None:
    for package in ("benchmark", "methods", "datamodules"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "leaderboards" / "published", folder / "leaderboards" / "published")
    (folder / "benchmark/plan/suites/tiny.yaml").write_text(SUITE)
    (folder / ".gitignore").write_text("runs/\n__pycache__/\n")
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "all")
    done = unblend("bench", "tiny", cwd=folder, timeout=600, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that project, which the tests of a module may change."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("project") / "own", symlinks=True)
