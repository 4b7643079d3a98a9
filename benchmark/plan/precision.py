"""``precision: auto``: which arithmetic and layout pay for a method on the device that trains it.

Measured step times of every method are in docs/performance.md (``python -m benchmark.speed precision``). Scores are
float32 whatever a method computes in.
"""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

from benchmark.errors import UserError, unknown

AUTO = "auto"
FULL = "32-true"
LOW = "bf16-mixed"
NAMES = (AUTO, FULL, LOW, "16-mixed", "bf16-true", "16-true", "64-true")
"""What suites and the command line may ask for: ``auto``, or what Lightning calls them."""

UNITS = {
    "avx512_bf16": "avx512_bf16",  # Linux on x86
    "amx_bf16": "amx_bf16",
    "bf16": "arm_bf16",  # Linux on Arm
    "hw.optional.arm.feat_bf16": "arm_bf16",  # macOS
}
"""What an operating system calls the units of a processor that multiply bfloat16, and their names here."""


def check(precision: object) -> str:
    """A precision that a suite or a command line asks for.

    Raises:
        UserError: it is none.
    """
    if not isinstance(precision, str):
        raise UserError(f"precision {precision!r}: one of {', '.join(NAMES)}.")
    if precision not in NAMES:
        raise unknown("precision", precision, NAMES)
    return precision


def resolve(precision: str, low_precision: bool, accelerator: str) -> tuple[str, bool]:
    """The arithmetic and the layout that a method is trained with; call it in the process that trains.

    Args:
        precision: ``auto``, or a precision of Lightning's, which is taken as it is.
        low_precision: whether the method gains by bfloat16 (``MethodCard.low_precision``).
        accelerator: Lightning's name: ``cpu``, ``gpu``, ``cuda``, ``auto``, …; only those that may be a GPU import
            torch, to ask it.

    Returns:
        Lightning's name of the precision, and whether networks are laid out with channels last. What was asked for by
        name keeps torch's own layout.

    Raises:
        UserError: an unknown precision.
    """
    if check(precision) != AUTO:
        return precision, False
    pays = low_precision and bool(low_precision_units() if accelerator == "cpu" else _of_device(accelerator))
    return (LOW, True) if pays else (FULL, False)


@cache
def low_precision_units() -> list[str]:
    """The units of this processor that multiply bfloat16, such as ``avx512_bf16``; empty where there are none."""
    return sorted({UNITS[flag] for flag in _flags() if flag in UNITS})


def _flags() -> set[str]:
    """What the operating system says that the processor can do."""
    if platform.system() == "Darwin":
        asked = [name for name in UNITS if name.startswith("hw.")]
        try:
            told = subprocess.run(["sysctl", *asked], capture_output=True, text=True, check=False).stdout
        except OSError:
            return set()
        return {line.partition(":")[0].lower() for line in told.lower().splitlines() if line.endswith(": 1")}
    return cpuinfo_flags(Path("/proc/cpuinfo"))


def cpuinfo_flags(path: Path) -> set[str]:
    """The flags of a file like Linux's ``/proc/cpuinfo``; empty where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()[2:]}


def _of_device(accelerator: str) -> list[str]:
    """The units of the accelerator that Lightning would take."""
    if accelerator not in ("auto", "gpu", "cuda"):
        return []  # of the others we have measured none
    import torch

    if not torch.cuda.is_available():
        return low_precision_units() if accelerator == "auto" else []
    return ["tensor_cores"] if torch.cuda.get_device_capability() >= (8, 0) else []
