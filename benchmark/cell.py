"""One half of one cell, in a process of its own: ``python -m benchmark.cell fit|score FOLDER``.

Its output goes to ``log.txt`` in the folder; a failure leaves ``failure.json`` and exit status 1.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError

from benchmark.errors import UserError, one_line
from benchmark.files import read_json, write_json


def run(half: str, directory: Path) -> None:
    """Train or score the cell in a folder; any error becomes ``failure.json``.

    Raises:
        SystemExit: with status 1, after a failure.
    """
    job: dict[str, Any] = read_json(directory / "cell.json")
    _log_to(directory / "log.txt")
    try:
        # Imported here, so that a broken file is a failure of this cell with a traceback in its log.
        import torch

        torch.set_num_threads(job["execution"]["threads"])
        # Lightning's advice on workers and GPUs would bury what matters in the log.
        warnings.filterwarnings("ignore", module="lightning")
        getattr(importlib.import_module(f"benchmark.{half}"), half)(directory)
    except Exception as error:
        text = one_line(error)
        mendable = isinstance(error, UserError | ArgumentError)
        failure = {
            "half": half,
            "fit_hash": job["fit_hash"],
            "mendable": mendable,
            "error": text if mendable else f"{type(error).__name__}: {text}",
            "traceback": traceback.format_exc(),
            "config": job["config"],
        }
        traceback.print_exc()
        if os.environ.get("LOCAL_RANK", "0") == "0":
            write_json(directory / "failure.json", failure)
        raise SystemExit(1) from None


def run_forked(half: str, directory: Path, environment: dict[str, str]) -> None:
    """``run``, in a process forked from a preloaded server; it ends with that server."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's: it ends its cells
    server = os.getppid()

    def follow() -> None:
        while os.getppid() == server:
            time.sleep(1)
        os._exit(1)  # the runner is gone: nobody would collect this result

    threading.Thread(target=follow, daemon=True).start()
    run(half, directory)


def _log_to(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
