"""Running the command line as a user does, in processes of their own."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def ran_project(unblend: Unblend) -> Callable[[Path, str], Path]:
    """``ran_project(folder, suite) -> folder``: a project whose suite ``tiny`` was run from a clean commit."""

    def run(folder: Path, suite: str) -> Path:
        for package in ("benchmark", "methods", "datamodules"):
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "leaderboards" / "published", folder / "leaderboards" / "published")
        (folder / "benchmark/plan/suites/tiny.yaml").write_text(suite)
        (folder / ".gitignore").write_text("runs/\n__pycache__/\n")
        _git(folder, "init", "-q")
        _git(folder, "add", "-A")
        _git(folder, "commit", "-qm", "all")
        done = unblend("bench", "tiny", cwd=folder, timeout=600, PYTHONDONTWRITEBYTECODE="1")
        assert done.returncode == 0, done.stdout + done.stderr
        return folder

    return run
