"""Names that become folders: of suites, data sets and methods."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from benchmark.errors import UserError

STORE = "store"
"""Folder of all cells among those of the suites: no suite has this name."""

LONGEST = 100
"""Signs of a name, at most."""

_NAME = re.compile(rf"\w[\w .,()+=-]{{0,{LONGEST - 1}}}")
_SLUG = re.compile(r"[a-z0-9_]+([.-][a-z0-9_]+)*")


def safe_name(where: str, kind: str, name: Any) -> str:
    """A name that may become a folder: letters, digits, spaces and ``_ . , ( ) + = -``, not a dot first, at most 100.

    Args:
        where: it stands, for the message.
        kind: of thing that it names.
        name: to check.

    Raises:
        UserError: it might lead out of its folder, could not be a folder everywhere, or is a suite's and the store's.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        raise UserError(
            f"{where}: {kind} {name!r} cannot name a folder: use at most 100 letters, digits, spaces and _.,()+=-, "
            "beginning with a letter or digit."
        )
    if kind == "suite" and name.lower() == STORE:
        raise UserError(f"{where}: a suite cannot be called {name}: that is the folder of all cells.")
    return name


def slug(where: str, kind: str, title: Any) -> str:
    """The folder of a title: small letters, digits, ``_`` and single dots and hyphens, such as ``rice-i-own-pairs``.

    Args:
        where: it stands, for the message.
        kind: of thing that it names.
        title: for people, such as ``RICE-I, own pairs``.

    Raises:
        UserError: nothing of it could name a folder, or too much.
    """
    if not isinstance(title, str) or not 0 < len(title) <= LONGEST or not title.isprintable():
        raise UserError(f"{where}: {kind} {title!r}: give a text of at most {LONGEST} signs in one line.")
    plain = unicodedata.normalize("NFKD", title.lower()).encode("ascii", "ignore").decode()
    found = re.sub(r"[^a-z0-9_.]+", "-", plain)
    found = re.sub(r"[.-]*-[.-]*|\.{2,}", "-", found).strip(".-")
    if not found:
        raise UserError(f"{where}: {kind} {title!r} cannot name a folder: use letters from a to z, or digits, too.")
    return found


def check_slug(where: str, kind: str, name: Any) -> str:
    """A name that is a slug already.

    Args:
        where: it stands, for the message.
        kind: of thing that it names.
        name: to check.

    Raises:
        UserError: it is none.
    """
    if not isinstance(name, str) or len(name) > 2 * LONGEST or not _SLUG.fullmatch(name):
        raise UserError(
            f"{where}: {kind} {name!r} cannot name a folder: small letters, digits, _ and single . and - can."
        )
    return name
