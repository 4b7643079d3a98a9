"""Where a number comes from: commit, versions, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.plan.catalogue import ROOT
from benchmark.plan.execution import Provenance
from benchmark.results.records import Record

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "jsonargparse",
    "numpy",
    "scikit-learn",
    "scikit-image",
    "pillow",
)


def versions() -> dict[str, str]:
    """Installed versions of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str | None:
    """The project's commit, with ``+`` where the working tree differs; None outside a checkout."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def processor() -> str:
    """Model of the CPU, and how many cores this process may use."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {cores()} cores"


def collect(device: str, world: int) -> Provenance:
    """What is recorded with each result.

    Args:
        device: name of the device that scored.
        world: number of processes that scored.
    """
    return {
        "commit": commit(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "processor": processor(),
        "device": device,
        "processes": world,
    }


def learnt_from(record: Record) -> str:
    """The data that a method learnt from, as far as they are known; empty where it learnt from none."""
    if record.supplied:
        return ", ".join(record.provenance.get("trained_on", [])) or "not told"
    return _trained_on(record) if record.training["images_seen"] else ""


def outputs(record: Record) -> str:
    """Who made the pictures that were scored."""
    if not record.supplied:
        return "made here"
    return "supplied by its author" if record.provenance.get("by_its_author") else "supplied"


def _trained_on(record: Record) -> str:
    """The data that a record's method was trained on: a data set's class and, where it has some, its source."""
    data = record.config.get("data", {})
    given = data.get("init_args", {})
    source = given.get("train_source") or given.get("source")
    if isinstance(source, dict):
        source = " + ".join(f"{weight:g} {one}" for one, weight in source.items())
    name = str(data.get("class_path", record.dataset)).rpartition(".")[2]
    return f"{name}{f', {source}' if source else ''}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
