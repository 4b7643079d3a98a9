"""Digests of source files and data: what decides whether a result can be reused."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.catalogue import ROOT
from benchmark.files import read_json, write_json


def of_value(value: Any) -> str:
    """Digest of plain values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def of_file(path: Path) -> str:
    """Digest of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def of_source(*modules: str) -> str:
    """Digest of the source files of modules and of all that they import from the same packages."""
    return of_value({name: of_file(path) for name, path in _sources(*modules).items()})


def of_source_now(*modules: str) -> str:
    """The same, of the files as they are now; read again only where one of them was written since."""
    before = {path: _stamps[path] for path in _sources(*modules).values()}
    if all(_stamp(path) == stamp for path, stamp in before.items()):
        return of_source(*modules)
    return of_value({name: of_file(path) for name, path in _sources.__wrapped__(*modules).items()})


_stamps: dict[Path, tuple[int, int, int] | None] = {}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@cache
def _sources(*modules: str) -> dict[str, Path]:
    """Module -> source file."""
    files: dict[str, Path] = {}
    queue = list(modules)
    packages = {"datamodules", "methods", *(name.partition(".")[0] for name in modules)}
    while queue:
        name = queue.pop()
        path = _module_file(name)
        if name in files or path is None:
            continue
        files[name] = path
        _stamps.setdefault(path, _stamp(path))
        queue += [imported for imported in _imports(name, path) if imported.partition(".")[0] in packages]
        if "." in name:
            queue.append(name.rpartition(".")[0])
    return files


def _imports(module: str, path: Path) -> set[str]:
    """Names that may be modules, from the import statements of a file (those inside functions too)."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


@cache
def _module_file(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    if module.partition(".")[0] in ("benchmark", "datamodules", "methods"):
        return None  # a name inside a module, not a module
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def write_data_digest(path: Path, files: Iterable[Path]) -> str:
    """Hash data files by content and note their sizes and times, so that a later look is cheap.

    Returns:
        The digest; it depends on names and contents, not on folders.
    """
    seen = {}
    for file in files:
        stat = file.stat()
        contents = of_file(file)
        seen[str(file.absolute())] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": contents}
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
