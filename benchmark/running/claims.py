"""Who runs a cell: one claim in its folder, kept fresh by its owner and free again when its owner is gone.

Several runners, on one machine or on many with a shared file system, agree through these files alone:

- A claim is the file ``claim-N`` with the highest N. It is created under its name whole, by a hard link, which
  only one process can do. To take over is to create ``claim-N+1``; nobody ever changes or removes a claim that
  another process might still own.
- Its owner rewrites a counter in it every few seconds. A claim is free when its owner gave it back; when its owner
  ran on this machine and is dead; or when whoever wants it has watched it for long, by a clock that cannot jump,
  and has not seen it change. No file time is compared with any clock.
- An owner that was asleep too long finds ``claim-N+1`` and stops its work.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.files import read_json, write_json
from benchmark.running.processes import Process

BEAT = 10.0
"""Seconds from one sign of life to the next."""

STALE = 90.0
"""Seconds without one, seen from one place, after which a claim on another machine is free."""

PATIENCE = 10.0
"""Seconds that the processes of a dead owner have to end by themselves."""


def now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps where there is such a one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Sign:
    """What a claim's file says.

    Attributes:
        owner: process that made it.
        token: tells it from any other claim.
        since: when it was made, by its owner's clock; for people.
        work: what its owner set out to do: the cell's hash.
        held: False once its owner gave it back.
        spent: seconds that this work has taken, this owner's and those before it.
    """

    owner: Process | None
    token: str
    since: str
    work: str
    held: bool
    spent: float

    @staticmethod
    def read(text: str) -> Sign | None:
        """From a file's text; None where that is not whole."""
        first, _, second = text.partition("\n")
        try:
            value, (_, spent, state) = json.loads(first), second.split()
            return Sign(
                Process.read(value["owner"]), value["token"], value["since"], value["work"], state == "held",
                float(spent),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            return None


def newest(folder: Path) -> tuple[int, Path | None]:
    """The claim that counts: its number and file; 0 and None where there never was one."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith("claim-")]
    except FileNotFoundError:
        return 0, None
    numbers = [int(number) for name in names if (number := name.removeprefix("claim-")).isdigit()]
    return (max(numbers), folder / f"claim-{max(numbers)}") if numbers else (0, None)


def look(folder: Path) -> Sign | None:
    """What the claim that counts says; None where there is none."""
    _, path = newest(folder)
    try:
        return Sign.read(path.read_text()) if path else None
    except OSError:
        return None


class Watch:
    """Watches the claims on one cell until they are free.

    Args:
        folder: of the cell.
        stale: seconds without a change after which an owner on another machine counts as gone.
    """

    def __init__(self, folder: Path, stale: float | None = None) -> None:
        self.folder, self.stale = folder, STALE if stale is None else stale
        self._seen: tuple[str, str] | None = None
        self._when = 0.0
        self._lives = False

    def next(self) -> tuple[int, Sign | None] | None:
        """The number of the claim that would be the next, and the one before it; None while that is held."""
        number, path = newest(self.folder)
        if path is None:
            return 1, None
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None  # given back this moment: look again
        sign = Sign.read(text)
        if sign is not None and not sign.held:
            return number + 1, sign
        alive = sign.owner.alive() if sign is not None and sign.owner is not None else None
        self._lives = alive is True
        if alive is None:
            if self._seen != (path.name, text):
                self._lives = self._seen is not None
                self._seen, self._when = (path.name, text), now()
            alive = now() - self._when <= self.stale
        return None if alive else (number + 1, sign)

    def owner_lives(self) -> bool:
        """Whether the last look has seen a sign of life, and not only no sign of death."""
        return self._lives


class Claim:
    """A claim that this process owns.

    Attributes:
        path: its file.
        lost: set when another process took over, or could believe that this one is gone.
    """

    def __init__(self, path: Path, number: int, token: str, work: str, spent: float) -> None:
        self.path, self.token, self.lost = path, token, threading.Event()
        self._successor = path.with_name(f"claim-{number + 1}")
        self._beats, self._spent, self._begin = 0, spent, now()
        self._last = now()
        owner = {"owner": Process.this().written(), "token": token, "work": work}
        self._head = json.dumps({**owner, "since": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n"
        self._file: int | None = None
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """Seconds that this work has taken so far."""
        return self._spent + now() - self._begin

    def text(self, state: str = "held") -> str:
        """What the file holds; always of the same length, so that no new block on disk is needed."""
        return f"{self._head}{self._beats:012d} {self.spent:012.1f} {state}\n"

    def beat(self) -> None:
        """Show a sign of life, or find that the claim is lost."""
        with self._lock:
            if self._file is None:
                return
            try:
                mine = os.stat(self.path).st_ino == os.fstat(self._file).st_ino
                if not mine or self._successor.exists():
                    self.lost.set()
                    return
                self._beats += 1
                os.pwrite(self._file, self.text().encode(), 0)
                os.fsync(self._file)
                self._last = now()
            except FileNotFoundError:
                self.lost.set()
            except OSError:  # a file system that does not answer; others see no sign of life meanwhile
                if now() - self._last > STALE / 2:
                    self.lost.set()

    def give_back(self, *, finished: bool) -> None:
        """Let the cell be claimed again.

        Args:
            finished: its work is over, well or not; else the seconds spent so far are kept.
        """
        with self._lock:
            if self._file is None:
                return
            try:
                if finished and held(self.path.parent, self.token):
                    self.path.unlink(missing_ok=True)
                elif not self.lost.is_set():
                    os.pwrite(self._file, self.text("free").encode(), 0)
                    os.fsync(self._file)
            finally:
                os.close(self._file)
                self._file = None

    def open(self) -> None:
        """Keep the file at hand: what is written later goes to this claim, never to a successor's."""
        self._file = os.open(self.path, os.O_RDWR)


def acquire(watch: Watch, work: str) -> Claim | None:
    """Claim a cell, if it is free.

    What a dead owner's processes were doing has ended when this returns.

    Args:
        watch: that watched the cell before, where its owner is on another machine.
        work: what is going to be done: the cell's hash.

    Returns:
        The claim; None where another process has the cell.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = watch.folder
    folder.mkdir(parents=True, exist_ok=True)
    free = watch.next()
    if free is None:
        return None
    number, before = free
    token = uuid.uuid4().hex
    spent = before.spent if before is not None and before.work == work else 0.0
    claim = Claim(folder / f"claim-{number}", number, token, work, spent)
    if not _create(claim.path, claim.text(), token):
        return None
    claim.open()
    if newest(folder)[0] > number:  # seen too late: the one that was free is history
        claim.path.unlink(missing_ok=True)
        claim.lost.set()
        claim.give_back(finished=False)
        return None
    for name in os.listdir(folder):
        number_of = name.removeprefix("claim-")
        left = number_of.isdigit() and int(number_of) < number
        if left or (name.startswith(".claim-") and token not in name):
            (folder / name).unlink(missing_ok=True)
    for path in folder.glob("process-*.json"):
        process = Process.read(read_json(path))
        if process is not None and process.alive():
            process.end(PATIENCE)
        path.unlink(missing_ok=True)
    return claim


def _create(path: Path, text: str, token: str) -> bool:
    """Create a file whole, if it is not there."""
    beside = path.with_name(f".{path.name}.{token}")
    try:
        with open(beside, "x") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(beside, path)
    except (FileExistsError, FileNotFoundError):  # another's by now, who cleared away what he found
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        return _create_without_links(path, text)
    finally:
        beside.unlink(missing_ok=True)
    return True


def _create_without_links(path: Path, text: str) -> bool:
    """The same on file systems that know no hard links; whoever looks in between waits."""
    try:
        with open(path, "x") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True


def join(folder: Path, token: str | None, name: str) -> bool:
    """Enter this process as one that works on a cell, unless the claim that it works for is no longer the one.

    Written first and asked afterwards: a new owner either finds the entry and waits, or has made its claim
    before, and this process sees that.

    Args:
        folder: of the cell.
        token: of the claim; None where there is none.
        name: of the process among those of the cell.
    """
    if token is None:
        return True
    write_json(folder / f"process-{name}.json", Process.this().written())
    return held(folder, token)


def held(folder: Path, token: str | None) -> bool:
    """Whether a claim is still the one that counts."""
    if token is None:
        return True
    sign = look(folder)
    return sign is not None and sign.held and sign.token == token


class Keeper:
    """Keeps the claims of this process fresh, from one thread.

    Args:
        every: seconds from one sign of life to the next.
    """

    def __init__(self, every: float | None = None) -> None:
        self.every = BEAT if every is None else every
        self._claims: set[Claim] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._keep, daemon=True).start()

    def add(self, claim: Claim) -> None:
        """From now on."""
        with self._lock:
            self._claims.add(claim)

    def remove(self, claim: Claim) -> None:
        """No longer."""
        with self._lock:
            self._claims.discard(claim)

    def _keep(self) -> None:
        while True:
            time.sleep(self.every)
            with self._lock:
                claims = list(self._claims)
            for claim in claims:
                claim.beat()


def state_of(folder: Path) -> dict[str, Any] | None:
    """For people: who has a cell, since when, and whether there is a doubt about it.

    Seconds since the last sign of life come from the file's time and this machine's clock: good enough to
    tell a person, never enough to take a claim away.
    """
    _, path = newest(folder)
    sign = look(folder)
    if path is None or sign is None or not sign.held or sign.owner is None:
        return None
    alive = sign.owner.alive()
    try:
        silent = time.time() - path.stat().st_mtime
    except OSError:
        return None
    stale = not alive if alive is not None else silent > STALE
    return {
        "host": sign.owner.host.partition("/")[0],
        "pid": sign.owner.pid,
        "since": sign.since,
        "silent": silent,
        "stale": stale,
    }
