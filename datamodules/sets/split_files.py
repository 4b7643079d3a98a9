"""Published splits: which image of a set trains, selects, tests or is left out, by the digest of its file.

A split ``NAME`` is the file ``splits/NAME.txt``: a line for each image, ``SHA-256  ROLE  NAME``, where the digest is of
the file of the mixture; lines that start with ``#`` say what the split is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import UserError
from datamodules.sets.layouts import Pair
from datamodules.types import ROLES, Role

FOLDER = Path(__file__).parents[1] / "splits"
LEFT_OUT = "left-out"
"""The role of images that no run may use, for example because they show a scene of a test set."""

_LINE = re.compile(rf"([0-9a-f]{{64}})  ({'|'.join([*ROLES, LEFT_OUT])})  (\S+)")


class Line(NamedTuple):
    """One image of a split.

    Attributes:
        digest: SHA-256 of the file of the mixture.
        role: train, select, test or left-out.
        name: of the pair.
    """

    digest: str
    role: str
    name: str


def published() -> list[str]:
    """Names of all splits."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(name: str) -> list[Line]:
    """The images of a split.

    Raises:
        UserError: no such split, or a line of another form.
    """
    path = FOLDER / f"{name}.txt"
    if not path.is_file():
        raise UserError(f"no split {name}: they are {', '.join(published())}.")
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if text.startswith("#") or not text.strip():
            continue
        found = _LINE.fullmatch(text.strip())
        if found is None:
            raise UserError(
                f"{path}, line {number}: it must be SHA-256, role and name, two spaces apart; mend the file."
            )
        lines.append(Line(*found.groups()))
    return lines


def digest(path: Path) -> str:
    """SHA-256 of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Split:
    """A split, and the pairs of a folder that it names.

    Args:
        name: of the split.
        pairs: of the folder.

    Attributes:
        missing: images that the split names and the folder lacks.

    Raises:
        UserError: no such split, or a broken file.
    """

    def __init__(self, name: str, pairs: Sequence[Pair]) -> None:
        self.name = name
        self.lines = read(name)
        of_digest = {digest(Path(pair.image)): pair for pair in pairs}
        self.missing = [line for line in self.lines if line.digest not in of_digest]
        self._found = [(line.role, of_digest[line.digest]) for line in self.lines if line.digest in of_digest]

    def __contains__(self, role: str) -> bool:
        return any(line.role == role for line in self.lines)

    def roles(self) -> dict[Role, list[Pair]]:
        """The pairs of each role, in order of name."""
        return {
            role: sorted((pair for own, pair in self._found if own == role), key=lambda pair: pair.name)
            for role in ROLES
        }

    def require_whole(self, title: str, folder: Path) -> None:
        """Check that every image of the split is there.

        Raises:
            UserError: one is missing.
        """
        if self.missing:
            first = self.missing[0]
            raise UserError(
                f"{title}: the split {self.name} names {len(self.lines)} images, of which {len(self.missing)} are not "
                f"in {folder} (for example {first.name}, SHA-256 {first.digest[:12]}…): use the copy that it was made "
                "of, or another split."
            )

    def without_left_out(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Pairs of another copy of the set, without those that have the name of a left-out image."""
        left_out = {line.name for line in self.lines if line.role == LEFT_OUT}
        return [pair for pair in pairs if pair.name not in left_out]
