"""``versions.lock``: which fingerprints count as which version of a component, why, and how that was shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError
from benchmark.files import read_yaml, write_text
from benchmark.plan.syntax import DIGITS

LOCK = Path(__file__).parent / "versions.lock"

_HEADER = """\
# The code that counts as each component's version, by its fingerprint. Written by `unblend accept`.
"""
_FINGERPRINT = re.compile(rf"[0-9a-f]{{{DIGITS}}}")


@dataclass(frozen=True)
class Accepted:
    """A fingerprint that counts as a component's version.

    Attributes:
        fingerprint: of the code.
        date: of its acceptance.
        why: the code was changed.
        evidence: that it computes the same as the code before.
    """

    fingerprint: str
    date: str
    why: str
    evidence: str


@dataclass(frozen=True)
class Locked:
    """A component's version.

    Attributes:
        version: as its source declares it.
        fingerprints: that count as it, the oldest first.
    """

    version: int
    fingerprints: tuple[Accepted, ...]

    def holds(self, fingerprint: str) -> bool:
        """Whether a fingerprint counts as this version."""
        return any(one.fingerprint == fingerprint for one in self.fingerprints)

    def with_one_more(self, accepted: Accepted) -> Locked:
        """The same version, with another fingerprint."""
        return replace(self, fingerprints=(*self.fingerprints, accepted))


def read(path: Path | None = None) -> dict[str, Locked]:
    """Component's name -> its version; empty where there is no file.

    Args:
        path: of the file; default the project's.

    Raises:
        UserError: the file is not what it should be.
    """
    path = path or LOCK
    if not path.is_file():
        return {}
    try:
        held = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}. Take it from git anew.") from error
    if held is None:
        return {}
    try:
        locked = {name: _locked(name, value) for name, value in _mapping(held, "the file").items()}
        seen: dict[str, str] = {}
        for name, one in locked.items():
            for accepted in one.fingerprints:
                if accepted.fingerprint in seen:
                    other = seen[accepted.fingerprint]
                    raise _Malformed(f"fingerprint {accepted.fingerprint} stands twice, for {other} and for {name}")
                seen[accepted.fingerprint] = name
    except _Malformed as error:
        raise UserError(f"{path}: {error}. Mend it, or take it from git anew.") from None
    return locked


def write(locked: Mapping[str, Locked], path: Path | None = None) -> None:
    """Write all versions, sorted by name; the same versions give the same bytes.

    Args:
        locked: component's name -> its version.
        path: of the file; default the project's.
    """
    held = {
        name: {"version": one.version, "fingerprints": [asdict(accepted) for accepted in one.fingerprints]}
        for name, one in sorted(locked.items())
    }
    write_text(path or LOCK, _HEADER + yaml.safe_dump(held, sort_keys=False, allow_unicode=True, width=120))


class _Malformed(Exception):
    """What is wrong with the file."""


def _locked(name: Any, value: Any) -> Locked:
    entry = _mapping(value, name)
    if set(entry) != {"version", "fingerprints"}:
        raise _Malformed(f"{name}: expected version and fingerprints, found {', '.join(map(str, entry)) or 'nothing'}")
    version, fingerprints = entry["version"], entry["fingerprints"]
    if type(version) is not int or version < 1:
        raise _Malformed(f"{name}: version {version!r} is not a whole number, at least 1")
    if not isinstance(fingerprints, list) or not fingerprints:
        raise _Malformed(f"{name}: it lists no fingerprints")
    return Locked(version, tuple(_accepted(name, one) for one in fingerprints))


def _accepted(name: Any, value: Any) -> Accepted:
    entry = _mapping(value, f"a fingerprint of {name}")
    wanted = [field.name for field in fields(Accepted)]
    if sorted(entry) != sorted(wanted):
        raise _Malformed(f"a fingerprint of {name}: expected {', '.join(wanted)}, found {', '.join(map(str, entry))}")
    texts = {key: str(value) for key, value in entry.items()}  # YAML makes dates of dates
    if not _FINGERPRINT.fullmatch(texts["fingerprint"]):
        raise _Malformed(f"{name}: {texts['fingerprint']!r} is no fingerprint of {DIGITS} hexadecimal digits")
    return Accepted(**texts)


def _mapping(value: Any, what: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _Malformed(f"{what}: expected keys with values, found {value!r}")
    return value
