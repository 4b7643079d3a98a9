"""Fingerprints of components: digests of the code that what they compute depends on.

A component is a class, and all that it reaches in its own package: the definitions that it names, those that these
name, and so on, through imports as well, those within functions included. Definitions that nothing reaches do not
count, so that a new function beside others changes nobody. What runs when a module is imported always counts, and so
does a class that derives from one that counts, in a module that is imported: a configuration may name it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan import syntax

ALL = "*"
"""Stands for all names of a module."""

_PURE = {
    "cache", "contextlib", "contextmanager", "dataclass", "dataclasses", "final", "functools", "lru_cache", "overload",
    "runtime_checkable",
}  # fmt: skip
"""Decorators that tell nobody else of what they decorate."""

_DYNAMIC = {"__getattr__", "eval", "exec", "globals"}
"""A module that uses one of these may reach any of its definitions."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement at the top level of a module, or one name that an import there brings.

    Attributes:
        node: its syntax.
        binds: names that it gives to the module.
        imports: modules that it imports, each with the name it takes from them; those within functions, too.
        uses: names that it mentions, each with the attributes that are taken of it, such as ``a.b``, or ``ALL``.
        alone: whether it counts only where one of its names is reached; the others run on import, and may do anything.
    """

    node: ast.stmt
    binds: frozenset[str]
    imports: tuple[tuple[str, str], ...]
    uses: frozenset[tuple[str, str]] = frozenset()
    alone: bool = True

    @property
    def imported(self) -> bool:
        """Whether it is an import."""
        return isinstance(self.node, ast.Import | ast.ImportFrom)

    @cached_property
    def digest(self) -> str:
        """Of its normal form; of an imported name, where it comes from."""
        return syntax.fingerprint((sorted(self.binds), self.imports) if self.imported else syntax.normal(self.node))

    @cached_property
    def bases(self) -> set[str]:
        """Names of the classes that a class derives from."""
        if not isinstance(self.node, ast.ClassDef):
            return set()
        return {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in self.node.bases}


@dataclass(frozen=True, eq=False)
class Module:
    """A source file.

    Attributes:
        name: of the module.
        path: of its file.
        tree: its syntax.
    """

    name: str
    path: Path
    tree: ast.Module

    @cached_property
    def statements(self) -> list[Statement]:
        """What it consists of."""
        return [statement for node in _running(self.tree.body) for statement in self._statements(node)]

    @cached_property
    def bound(self) -> dict[str, list[Statement]]:
        """Name -> the statements that give it to the module."""
        found: dict[str, list[Statement]] = {}
        for statement in self.statements:
            for name in statement.binds:
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def dynamic(self) -> bool:
        """Whether any of its definitions may be reached by a name that is made at run time."""
        return bool(_DYNAMIC & {*self.bound, *(name for one in self.statements for name, _ in one.uses)})

    def _statements(self, node: ast.stmt) -> Iterator[Statement]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias, source in zip(node.names, self._imported(node), strict=True):
                bound = alias.asname or (alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0])
                yield Statement(node, frozenset({bound}), (source,), alone=alias.name != ALL)
            return
        uses, inner = _mentioned(node)
        imports = tuple(source for one in inner for source in self._imported(one))
        yield Statement(node, _bound(node), imports, uses, _alone(node))

    def _imported(self, node: ast.Import | ast.ImportFrom) -> list[tuple[str, str]]:
        if isinstance(node, ast.Import):
            return [(alias.name, ALL) for alias in node.names]
        above = self.name.split(".")
        if node.level:
            above = above[: len(above) - node.level + (self.path.name == "__init__.py")]
        base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
        return [(base, alias.name) for alias in node.names]


def _running(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for node in body:
        if syntax.for_type_checkers(node):
            yield from _running(node.orelse)  # type: ignore[attr-defined]
        elif not syntax.idle(node) and not (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)):
            yield node


def _mentioned(root: ast.stmt) -> tuple[frozenset[tuple[str, str]], list[ast.Import | ast.ImportFrom]]:
    """Names below a node, each with the attributes that are taken of it or ``ALL``, and the imports there."""
    names: set[tuple[str, str]] = set()
    imports: list[ast.Import | ast.ImportFrom] = []
    stack: list[ast.AST] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            names.add((node.id, ALL))
        elif isinstance(node, ast.Attribute):
            attributes, head = [node.attr], node.value
            while isinstance(head, ast.Attribute):
                attributes.append(head.attr)
                head = head.value
            if isinstance(head, ast.Name):
                names.add((head.id, ".".join(reversed(attributes))))
            else:
                stack.append(head)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):  # an annotation in quotes, or a name that is looked up
                names.add((node.value, ALL))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif syntax.for_type_checkers(node):
            stack += node.orelse  # type: ignore[attr-defined]
        else:
            for value in vars(node).values():
                parts = value if isinstance(value, list) else (value,)
                stack += [part for part in parts if isinstance(part, ast.AST)]
    return frozenset(names), imports


def _bound(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, _DEFINITIONS):
        return frozenset({node.name})
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return frozenset(names | {one.name for one in ast.walk(node) if isinstance(one, _DEFINITIONS)})


def _alone(node: ast.stmt) -> bool:
    if isinstance(node, _DEFINITIONS):
        heads = {ast.unparse(one).partition("(")[0].split(".")[0] for one in node.decorator_list}
        return heads <= _PURE and not getattr(node, "keywords", [])
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        working = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)
        return all(isinstance(one, ast.Name) for one in targets) and not any(
            isinstance(one, working) for one in ast.walk(node)
        )
    return type(node).__name__ == "TypeAlias"


_read: dict[Path, tuple[tuple[int, int, int], Module]] = {}


def module(name: str, roots: Iterable[Path]) -> Module | None:
    """A module's source as it is now; its file is read again only where it was written since.

    Args:
        name: of the module.
        roots: folders that its top-level package may lie in.

    Raises:
        UserError: it is not Python.
    """
    for root in roots:
        stem = root.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            if path not in _read or _read[path][0] != stamp:
                _read[path] = stamp, Module(name, path, syntax.parse(path.read_bytes(), path))
            return _read[path][1]
    return None


def roots_of(package: str) -> list[Path]:
    """The folders that hold a top-level package or module, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(folder).parent for folder in spec.submodule_search_locations]
    return [Path(spec.origin).parent] if spec.origin and spec.origin.endswith(".py") else []


class _Reach:
    """Follows names from definition to definition.

    Args:
        packages: top-level package -> folders that may hold it; names lead into no other.
    """

    def __init__(self, packages: dict[str, list[Path]]) -> None:
        self.packages = packages
        self.entered: dict[str, Module | None] = {}
        self.reached: set[Statement] = set()
        self._asked: set[tuple[str, str]] = set()
        self._queue: list[tuple[str, str]] = []

    def follow(self, starts: Iterable[tuple[str, str]]) -> None:
        """Reach names of modules, and all that these reach."""
        self._queue += starts
        while self._queue:
            while self._queue:
                self._ask(*self._queue.pop())
            self._derived()

    def digest(self) -> str:
        """Of what was reached: for each module its statements, in their order."""
        found = [
            (name, tuple(one.digest for one in source.statements if one in self.reached))
            for name, source in sorted(self.entered.items())
            if source is not None
        ]
        return syntax.fingerprint(tuple((name, digests) for name, digests in found if digests))

    def _ask(self, name: str, wanted: str) -> None:
        if (name, wanted) in self._asked:
            return
        self._asked.add((name, wanted))
        source = self._enter(name)
        if source is None:
            return
        if wanted == ALL or source.dynamic:
            statements = source.statements
        else:
            statements = source.bound.get(wanted, [])
            if not statements:
                self._queue.append((f"{name}.{wanted}", ALL))  # perhaps it is a module
        for statement in statements:
            self._reach(source, statement)

    def _enter(self, name: str) -> Module | None:
        """A module, with what runs when it is imported; None where there is none, or it is of another package."""
        if name in self.entered:
            return self.entered[name]
        roots = self.packages.get(name.partition(".")[0])
        source = self.entered[name] = module(name, roots) if roots else None
        if source is None:
            return None
        if "." in name:
            self._enter(name.rpartition(".")[0])
        for statement in source.statements:
            if not statement.alone:
                self._reach(source, statement)
            if statement.imported:
                base, taken = statement.imports[0]
                if self._enter(base) and taken != ALL:
                    self._enter(f"{base}.{taken}")
        return source

    def _reach(self, source: Module, statement: Statement) -> None:
        if statement in self.reached:
            return
        self.reached.add(statement)
        self._queue += statement.imports
        for name, attributes in statement.uses:
            for other in source.bound.get(name, ()):
                self._take(source, other, name, attributes)
            head, _, last = name.rpartition(".")
            if attributes == ALL and name.partition(".")[0] in self.packages and name.replace(".", "").isidentifier():
                self._queue += [(name, ALL), (head, last)]  # an import path in quotes, such as a default class

    def _take(self, source: Module, statement: Statement, name: str, attributes: str) -> None:
        """Reach a name that a statement binds, or no more of it than the attributes that are taken."""
        if not statement.imported:
            self._queue.append((source.name, name))
            return
        base, taken = statement.imports[0]
        first, *more = attributes.split(".")
        if taken != ALL and first != ALL and self._enter(f"{base}.{taken}"):
            self.reached.add(statement)  # of a module, no more than this name
            self._queue.append((f"{base}.{taken}", first))
            return
        self._queue.append((source.name, name))
        if taken == ALL and first != ALL:  # `import a` or `import a.b`, and then a.b.c.d: any of them may be a module
            inner = name if base.split(".")[0] == name else base
            for part in (first, *more):
                inner = f"{inner}.{part}"
                self._queue.append((inner, ALL))

    def _derived(self) -> None:
        """Reach the classes that derive from those that are reached."""
        names = {one.node.name for one in self.reached if isinstance(one.node, ast.ClassDef)}
        for source in filter(None, self.entered.values()):
            for statement in source.statements:
                if statement not in self.reached and statement.bases & names:
                    self._queue += [(source.name, name) for name in statement.binds]


def of_names(starts: Iterable[tuple[str, str]], packages: dict[str, list[Path]]) -> str:
    """Fingerprint of names of modules and all that they reach.

    Args:
        starts: modules, each with a name in it, or with ``ALL``.
        packages: top-level package -> folders that may hold it; names lead into no other.

    Raises:
        UserError: a module or a name that is not there, or a file that is not Python.
    """
    starts = list(starts)
    reach = _Reach(packages)
    for name, wanted in starts:
        roots = packages.get(name.partition(".")[0])
        source = module(name, roots) if roots else None
        if source is None or (wanted != ALL and wanted not in source.bound):
            raise UserError(f"{name} has no {wanted}." if source else f"there is no module {name}; check PYTHONPATH.")
    reach.follow(starts)
    return reach.digest()


def of_parts(paths: Iterable[str], roots: list[Path]) -> str:
    """Fingerprint of some functions and methods alone, whatever they call, and wherever they are moved.

    Args:
        paths: of the parts, such as ``benchmark.training.interruption.Resumable.on_train_batch_start``.
        roots: folders that hold their packages.

    Raises:
        UserError: one of them is not there.
    """
    return syntax.fingerprint(tuple(_part(path, roots) for path in paths))


def _part(path: str, roots: list[Path]) -> object:
    names = path.split(".")
    for count in range(len(names) - 1, 0, -1):
        source = module(".".join(names[:count]), roots)
        if source is None:
            continue
        node: ast.AST | None = source.tree
        for name in names[count:]:
            inner = [one for one in getattr(node, "body", []) if isinstance(one, _DEFINITIONS) and one.name == name]
            node = inner[-1] if inner else None
        if node is not None:
            return ".".join(names[count:]), syntax.normal(node)
    raise UserError(
        f"there is no {path}, which an identity names: name what took its place in benchmark/plan/identity.py."
    )
