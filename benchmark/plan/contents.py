"""Digests of values, files and data: what tells whether a result can be reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.files import read_json, write_json


def of_value(value: Any) -> str:
    """Digest of plain values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def of_file(path: Path) -> str:
    """Digest of a file's contents; the file may be larger than memory."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_data_digest(path: Path, files: Iterable[Path]) -> str:
    """Hash data files by content and note their sizes and times, so that a later look is cheap.

    Returns:
        The digest; it depends on names and contents, not on folders.
    """
    seen = {}
    for file in files:
        stat = file.stat()
        seen[str(file.absolute())] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": of_file(file)}
    digest = of_value(sorted((Path(name).name, entry["sha256"]) for name, entry in seen.items()))
    write_json(path, {"digest": digest, "files": seen})
    return digest


def read_data_digest(path: Path) -> str | None:
    """The digest written before, if the files still hold the same; else None."""
    written = read_json(path)
    if written is None:
        return None
    for name, entry in written["files"].items():
        file = Path(name)
        if not file.is_file():
            return None
        stat = file.stat()
        untouched = (stat.st_size, stat.st_mtime_ns) == (entry["size"], entry["mtime_ns"])
        if not untouched and of_file(file) != entry["sha256"]:
            return None
    digest: str = written["digest"]
    return digest
