"""Which methods and data sets there are, read from their source files without importing them.

Importing torch and Lightning takes seconds; listing, checking a suite and reusing finished cells
must not. A file that cannot be parsed or imported does not hide the others.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, unknown
from benchmark.plan import contents, fingerprint

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Entry:
    """A method or data set.

    Attributes:
        name: class name.
        class_path: import path of the class.
        folder: name of its file, which names its folder of records.
        summary: first line of its docstring.
        version: that it declares, or else the nearest of its bases in the package.
        card: the literal fields of its ``MethodCard``; empty for a data set.
    """

    name: str
    class_path: str
    folder: str
    summary: str
    version: int = 1
    card: dict[str, Any] = field(default_factory=dict, hash=False)

    def load(self) -> Any:
        """Its class, imported now."""
        return load(self.class_path)


def load(class_path: str) -> Any:
    """A class by its import path.

    Args:
        class_path: such as ``methods.unet.UNet``.

    Raises:
        ImportError: there is no such module.
        AttributeError: it has no such class.
    """
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@cache
def methods() -> dict[str, Entry]:
    """Class name -> method, for every class in ``methods`` that has a card."""
    found = _classes("methods", "SeparationMethod")
    return {name: entry for name, entry in found.items() if entry.card}


@cache
def datasets() -> dict[str, Entry]:
    """Class name -> data set, for every class in ``datamodules`` that derives from ``LayerDataModule``."""
    return _classes("datamodules", "LayerDataModule")


def suites() -> dict[str, Path]:
    """Name -> file of every suite that ships with the project."""
    return {path.stem: path for path in sorted((ROOT / "benchmark" / "plan" / "suites").glob("*.yaml"))}


def method(name: str) -> Entry:
    """The method of a short name or an import path.

    Raises:
        UserError: there is none; the nearest names are in the message.
    """
    return _entry("method", name, methods())


def dataset(name: str) -> Entry:
    """The data set of a short name or an import path.

    Raises:
        UserError: there is none; the nearest names are in the message.
    """
    return _entry("dataset", name, datasets())


def _entry(kind: str, name: str, known: dict[str, Entry]) -> Entry:
    if name in known:
        return known[name]
    for entry in known.values():
        if entry.class_path == name:
            return entry
    if "." not in name:
        raise unknown(kind, name, known)
    module, _, class_name = name.rpartition(".")
    try:
        present = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        present = False
    if not present:
        raise UserError(f"unknown {kind} {name!r}: there is no module {module}; check PYTHONPATH.")
    return Entry(class_name, name, module.rpartition(".")[2], "")


def _classes(package: str, root_class: str) -> dict[str, Entry]:
    """``_read`` of the source as it is now, which is read anew only where it changed."""
    found = contents.kept(
        ROOT,
        f"classes of {package}",
        lambda: {name: asdict(entry) for name, entry in _read(package, root_class).items()},
    )
    return {name: Entry(**entry) for name, entry in found.items()}


def _read(package: str, root_class: str) -> dict[str, Entry]:
    """Public classes of a package that derive, directly or not, from ``root_class``; bases of others say ``ABC``."""
    bases: dict[str, list[str]] = {}
    declared: dict[str, ast.expr] = {}
    entries: dict[str, Entry] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        relative = path.relative_to(ROOT / package).with_suffix("")
        if relative.parts[0] in ("networks", "losses", "mixing", "__init__"):
            continue
        module = ".".join((package, *(part for part in relative.parts if part != "__init__")))
        try:
            source = fingerprint.module(module, [ROOT])
        except UserError:
            continue  # `unblend doctor` names it
        for node in source.tree.body if source else []:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                declared.update((node.name, value) for name, value in _assigned(node) if name == "version")
                summary = (ast.get_docstring(node) or "").split("\n")[0]
                entries[node.name] = Entry(
                    node.name, f"{module}.{node.name}", relative.parts[0], summary, card=_card(node)
                )

    def derives(name: str) -> bool:
        return any(base == root_class or (base in bases and derives(base)) for base in bases[name])

    def public(name: str) -> bool:
        return not name.startswith("_") and "ABC" not in bases[name] and derives(name)

    def version(name: str) -> int | None:
        if name in declared:
            return _whole(name, declared[name])
        return next(filter(None, map(version, bases.get(name, []))), None)

    return {name: replace(entries[name], version=version(name) or 1) for name in sorted(entries) if public(name)}


def _whole(name: str, value: ast.expr) -> int:
    """The version that a class declares.

    Raises:
        UserError: it is not a whole number, at least 1.
    """
    found = value.value if isinstance(value, ast.Constant) else None
    if type(found) is not int or found < 1:
        raise UserError(f"{name}: version {ast.unparse(value)}: a whole number, at least 1.")
    return found


def _card(node: ast.ClassDef) -> dict[str, Any]:
    for name, value in _assigned(node):
        if name == "card" and isinstance(value, ast.Call):
            return {keyword.arg: ast.literal_eval(keyword.value) for keyword in value.keywords if keyword.arg}
    return {}


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """The names that a class's body gives a value, with that."""
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        if isinstance(value, ast.expr):
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
