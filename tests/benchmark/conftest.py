"""Running the command line as a user does, in processes of their own."""

from __future__ import annotations

import os
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
