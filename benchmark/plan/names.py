"""Names that become folders: of suites, data sets, methods and variants."""

from __future__ import annotations

import re
from typing import Any

from benchmark.errors import UserError

STORE = "store"
"""Folder of all cells among those of the suites: no suite has this name."""

_NAME = re.compile(r"\w[\w .,()+=-]{0,99}")


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
