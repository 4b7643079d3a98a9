"""What components are known by: ``unet@2`` where the code is accepted as version 2, else ``unet:`` and a fingerprint.

Every method and data set class declares a ``version``, which is raised when a change moves results. As long as
``versions.lock`` lists the code's fingerprint for that version, results keep their identity, whatever was edited. A
method that is being edited, or that comes from outside the repository, is known by its fingerprint.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmark.errors import UserError, unknown
from benchmark.plan import catalogue, contents, fingerprint, lock
from benchmark.plan.catalogue import ROOT

Kind = Literal["method", "dataset", "training", "metrics"]
PACKAGES: dict[Kind, str] = {"method": "methods", "dataset": "datamodules"}

TRAINING_VERSION = 2
"""Raised when a change to how methods are trained moves results."""

TRAINING = (
    "benchmark.training.fit.arguments",
    "benchmark.training.interruption.Resumable.on_train_batch_start",
    "benchmark.training.lightning_cli.UnblendCLI.__init__",
    "benchmark.training.lightning_cli.UnblendCLI.instantiate_trainer",
    "benchmark.training.lightning_cli.trainer_defaults",
    "benchmark.scoring.score.image_seed",
    "benchmark.training.selection.Selection",
)
"""All of ``benchmark`` that decides what layers a cell gives, beside methods and data: how a configuration becomes a
trainer, how the noise of each step and of each test image is seeded, which checkpoint is chosen. These are training's
fingerprint, and nothing that they call, so that the rest may be rebuilt at will; what comes to matter must be named
here.
"""

METRICS = "benchmark.metrics"
"""The package that judges. Its ``VERSION`` is raised when a change moves scores."""


@dataclass(frozen=True)
class Component:
    """Something that has a version.

    Attributes:
        name: of its module, in the lock and in identities; with the class where that is not called like the module.
        kind: of component.
        version: that its source declares.
        class_path: import path of the class; empty where it is none.
    """

    name: str
    kind: Kind
    version: int
    class_path: str = ""

    def fingerprint(self, root: Path | None = None) -> str:
        """Of the code as it is now.

        Args:
            root: folder that holds the packages, such as the code of another commit; default the project.

        Raises:
            UserError: the code is not there, or cannot be parsed.
        """
        if root is None:
            name = f"fingerprint of {self.kind} {self.class_path}"
            found: str = contents.kept(ROOT, name, lambda: self.fingerprint(ROOT))
            return found
        if self.kind == "training":
            return fingerprint.of_parts(TRAINING, [root])
        if self.kind == "metrics":
            return fingerprint.of_names([(name, fingerprint.ALL) for name in _metrics(root)], {"benchmark": [root]})
        module, _, name = self.class_path.rpartition(".")
        return fingerprint.of_names([(module, name)], {PACKAGES[self.kind]: [root]})

    def identity(self, locked: dict[str, lock.Locked]) -> str:
        """By which its results are known.

        Args:
            locked: what ``versions.lock`` holds.

        Raises:
            UserError: its version is lower than the lock's.
        """
        now, entry = self.fingerprint(), locked.get(self.name)
        if entry is not None and self.version < entry.version:
            raise UserError(
                f"{self.name}: its source says version {self.version}, versions.lock {entry.version}: a version never "
                f"goes down; say {entry.version} for what counted as that, or {entry.version + 1} for something new."
            )
        accepted = entry is not None and self.version == entry.version and entry.holds(now)
        return f"{self.name}@{self.version}" if accepted else f"{self.name}:{now}"


def components() -> dict[str, Component]:
    """Name -> every component that ships with the project.

    Raises:
        UserError: two have the same name.
    """
    found = [_shipped("dataset", entry) for entry in catalogue.datasets().values()]
    found += [_shipped("method", entry) for entry in catalogue.methods().values()]
    found += [_training(), _metrics_component()]
    named: dict[str, Component] = {}
    for one in found:
        if one.name in named:
            raise UserError(f"two components are called {one.name}: rename the module of one of them.")
        named[one.name] = one
    return named


def component(name: str) -> Component:
    """A component that ships with the project.

    Raises:
        UserError: there is none of that name; the nearest ones are in the message.
    """
    known = components()
    if name not in known:
        raise unknown("component", name, known)
    return known[name]


def of_method(class_path: str, *, fresh: bool = False) -> str:
    """Identity of a method.

    Args:
        class_path: import path of its class.
        fresh: as its source files are now, instead of when they were read first.

    Raises:
        UserError: there is no such class, or its version went down.
    """
    return _now("method", class_path) if fresh else _first("method", class_path)


def of_dataset(class_path: str, *, fresh: bool = False) -> str:
    """Identity of a data set; the arguments are those of ``of_method``."""
    return _now("dataset", class_path) if fresh else _first("dataset", class_path)


def of_training(*, fresh: bool = False) -> str:
    """Identity of how methods are trained; the argument is that of ``of_method``."""
    return _now("training") if fresh else _first("training")


def of_metrics(*, fresh: bool = False) -> str:
    """Identity of the metrics; the argument is that of ``of_method``."""
    return _now("metrics") if fresh else _first("metrics")


def method_fingerprint(method: type) -> str:
    """Fingerprint of a method's code as it is now: for what not even an accepted change may share.

    Args:
        method: its class.

    Raises:
        UserError: its source is not in a file.
    """
    return _outside("method", f"{method.__module__}.{method.__qualname__}").rpartition(":")[2]


@cache
def _first(kind: Kind, class_path: str = "") -> str:
    return _now(kind, class_path)


@cache
def _locked() -> dict[str, lock.Locked]:
    """The lock as it was read first: what is accepted while a suite runs is no change of its code."""
    return lock.read()


def _now(kind: Kind, class_path: str = "") -> str:
    if kind == "training":
        return _training().identity(_locked())
    if kind == "metrics":
        return _metrics_component().identity(_locked())
    for entry in (catalogue.methods() if kind == "method" else catalogue.datasets()).values():
        if entry.class_path == class_path:
            return _shipped(kind, entry).identity(_locked())
    return _outside(kind, class_path)


def _outside(kind: Kind, class_path: str) -> str:
    """Of a class from anywhere; what it takes from our package of its kind counts as well: no lock speaks for it."""
    module, _, name = class_path.rpartition(".")
    top = module.partition(".")[0]
    packages = {PACKAGES[kind]: [ROOT], top: [ROOT] if top == PACKAGES[kind] else fingerprint.roots_of(top)}
    found = fingerprint.of_names([(module, name)], packages)
    return f"{_name(module.rpartition('.')[2], name)}:{found}"


def _shipped(kind: Kind, entry: catalogue.Entry) -> Component:
    return Component(_name(entry.folder, entry.name), kind, entry.version, entry.class_path)


def _name(module: str, class_name: str) -> str:
    # Not by how many classes a module has: a second one must not rename the first.
    alike = module.replace("_", "").lower() == class_name.lower()
    return module.lower() if alike else f"{module.lower()}.{class_name}"


def _training() -> Component:
    return Component("training", "training", TRAINING_VERSION)


def _metrics_component() -> Component:
    source = fingerprint.module(METRICS, [ROOT])
    for statement in source.bound.get("VERSION", []) if source else []:
        value = getattr(statement.node, "value", None)
        if isinstance(value, ast.Constant) and type(value.value) is int:
            return Component("metrics", "metrics", value.value)
    return Component("metrics", "metrics", 1)


def _metrics(root: Path) -> list[str]:
    """The modules of the metrics: of a package all, of a module that one."""
    folder = root.joinpath(*METRICS.split("."))
    inner = [path.relative_to(root).with_suffix("") for path in sorted(folder.rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in inner] or [METRICS]
