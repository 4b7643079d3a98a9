"""Errors for people: names that nobody knows, and those that are near; disks that take no more."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from datamodules.errors import UserError

__all__ = ["DiskError", "UserError", "disk_error", "one_line", "told", "unknown"]

_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EIO, errno.ESTALE}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class DiskError(UserError):
    """A folder that cannot be written: no cell's fault, and no cell's failure."""


NEAR = 0.6
"""How much of a name must agree, in order, with one that is meant: difflib's own measure."""

LISTED = 10
"""Names that a message lists, at most."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known, with the names that are near it, or where none is, with what there is."""
    names = sorted(known)
    given = name.lower()
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(given, lowered, n=3, cutoff=NEAR)
    if len(given) > 2:
        near += [candidate for candidate in lowered if candidate.startswith(given) and candidate not in near]
    if near:
        return UserError(f"unknown {kind} {name!r}: did you mean {' or '.join(lowered[one] for one in near[:3])}?")
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED + 1 else ""
    return UserError(f"unknown {kind} {name!r}: there are {', '.join(names[:LISTED] if more else names)}{more}.")


def told(error: BaseException) -> UserError | None:
    """The error meant for people that an error came from, however often it was raised anew on the way.

    jsonargparse tries each type that an option may have, and reports what a constructor raised as one of them.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop(0)
        if isinstance(one, UserError):
            return one
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            queue += [one.__cause__, one.__context__, *(part for part in one.args if isinstance(part, BaseException))]
    return None


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    text = " ".join(str(told(error) or error).split())
    if "in DataLoader worker process" in text:
        text = text.rpartition("UserError: ")[2]  # the worker's traceback tells a person nothing
    return text


def disk_error(error: BaseException, folder: Path) -> DiskError | None:
    """What an error says of the disk that a folder is on; None where it says nothing of it.

    torch does not name the reason when it cannot write a file, so the disk is asked, too.
    """
    if isinstance(error, DiskError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    full = number in _FULL or ("PytorchStreamWriter" in str(error) and _free_bytes(folder) < 2**20)
    if full:
        return DiskError(
            f"{folder}: no space left on its disk. Free some, or choose another folder with --runs, and run the same "
            "command again: what is finished is kept."
        )
    name = Path(str(error.filename)).absolute() if isinstance(error, OSError) and error.filename else None
    if number in _UNWRITABLE and (name is None or name.is_relative_to(folder.absolute())):
        return DiskError(
            f"{name or folder}: {os.strerror(number or 0)}. Make it writable, or choose another folder with --runs, "
            "and run the same command again: what is finished is kept."
        )
    return None


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
