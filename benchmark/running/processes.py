"""Processes by identity, not by number alone: which run here, and how they end with whoever started them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any


@cache
def host() -> str:
    """This machine since it was started, and its space of process numbers (containers have their own)."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    except OSError:  # macOS
        pass
    return "/".join(parts)


@dataclass(frozen=True)
class Process:
    """One process, distinct from any later one with the same number.

    Attributes:
        host: where it runs.
        pid: its number there.
        started: clock ticks from the start of the machine to its own; 0 where that is not known.
    """

    host: str
    pid: int
    started: int

    @staticmethod
    def this() -> Process:
        """The calling one."""
        found = _stat(os.getpid())
        return Process(host(), os.getpid(), found[1] if found else 0)

    @staticmethod
    def read(value: Any) -> Process | None:
        """From what ``written`` gave; None where that is something else."""
        try:
            return Process(str(value["host"]), int(value["pid"]), int(value["started"]))
        except (KeyError, TypeError, ValueError):
            return None

    def written(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def alive(self) -> bool | None:
        """Whether it still runs; None where that cannot be seen from here."""
        if self.host != host():
            return None
        found = _stat(self.pid)
        if found is not None:
            return found[0] and found[1] == self.started
        if Path("/proc/self/stat").is_file():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def end(self, patience: float) -> None:
        """Wait until it is gone; kill it when patience (seconds) is at its end."""
        deadline = time.monotonic() + patience
        while self.alive():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.02)


def _stat(pid: int) -> tuple[bool, int] | None:
    """Whether a process runs, and its start; None where there is none, or no /proc.

    One whose first thread has ended may have others that still work.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0] not in "ZX" or int(fields[17]) > 1, int(fields[19])


def end_with_parent(parent: int, owner: Process | None = None) -> None:
    """Let this process end, at once on Linux and within a second elsewhere, when its parent does.

    Args:
        parent: number of the parent.
        owner: another process with which it ends: the parent may have died before this was called.
    """
    if sys.platform == "linux":
        # PR_SET_PDEATHSIG; a process that is killed cannot do anything about its children.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)

    def follow() -> None:
        while os.getppid() == parent and (owner is None or owner.alive() is not False):
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def kernel_killed() -> int:
    """How many processes the kernel has ended on this machine for want of memory; 0 where it does not say."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except OSError:
        pass
    return 0
