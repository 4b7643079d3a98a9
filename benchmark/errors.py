"""Names that nobody knows, and the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from datamodules.errors import UserError

__all__ = ["UserError", "unknown"]


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not known, with the nearest names."""
    names = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."
    return UserError(f"unknown {kind} {name!r}: {hint}")
