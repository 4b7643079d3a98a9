"""Digests of values, files, data and our own source: what tells whether a result can be reused."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import marshal
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmark.files import read_json, write_bytes, write_json

PACKAGES = ("benchmark", "datamodules", "methods")
"""All source that a kept value may depend on."""

Stamps = list[tuple[str, int, int, int]]


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


class Kept:
    """Plain values that are worked out from our source, kept from one process to the next in a ``__pycache__``.

    They go by the contents of every source file: whatever is edited, all of them are worked out anew. Working out what
    a suite's cells are known by takes a second; ``unblend status`` takes a third of that.

    Args:
        root: folder that holds the packages.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        source = str(root.absolute() / "benchmark" / "plan" / "contents.py")
        self.path = Path(importlib.util.cache_from_source(source)).with_suffix(".kept")
        self._stamps: Stamps = []
        self._digest = ""
        self._values: dict[str, Any] = {}

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """A value for the source as it is now.

        Args:
            name: of the value.
            make: works it out; called where it is not known.
        """
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps, self._digest, self._values = stamps, self._of_source(stamps), {}
            with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
                digest, values = marshal.loads(self.path.read_bytes())
                self._values = values if digest == self._digest else {}
        if name not in self._values:
            value = make()
            if self._look() != stamps:  # edited meanwhile: nobody knows of which source it is
                return value
            self._values[name] = value
            if self.path.parents[1].is_dir():
                with contextlib.suppress(OSError):
                    write_bytes(self.path, marshal.dumps((self._digest, self._values)))
        return self._values[name]

    def _look(self) -> Stamps:
        """When and how large every source file was written last."""
        found: Stamps = []
        folders = [str(self.root / package) for package in PACKAGES]
        while folders:
            with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        stat = entry.stat()
                        found.append((entry.path, stat.st_mtime_ns, stat.st_size, stat.st_ino))
                    elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                        folders.append(entry.path)
        return sorted(found)

    def _of_source(self, stamps: Stamps) -> str:
        digest = hashlib.sha256(sys.version.encode())
        for name, *_ in stamps:
            path = Path(name)
            digest.update(f"\0{path.relative_to(self.root)}\0".encode())
            with contextlib.suppress(OSError):
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


_kept: dict[Path, Kept] = {}


def kept(root: Path, name: str, make: Callable[[], Any]) -> Any:
    """A plain value that is worked out from nothing but our source; see ``Kept``.

    Args:
        root: folder that holds the packages.
        name: of the value.
        make: works it out.
    """
    return _kept.setdefault(root, Kept(root)).value(name, make)
