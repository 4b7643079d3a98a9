"""Suites: which methods run on which data, how long, with which seeds."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict

import yaml

from benchmark.errors import UserError, unknown
from benchmark.files import read_yaml
from benchmark.plan import catalogue, contents, identity, precision
from benchmark.plan.execution import Config, Options
from benchmark.plan.names import safe_name, slug

PAPER = "-paper"
"""How the names of suites end that have the papers' sizes."""

BUDGET = ("images", "batch_size", "selections", "test_images")
_SUITE_KEYS = {"description", "version", "seeds", "precision", "budget", "datasets", "methods"}
_DATASET_KEYS = {"name", "variant", "init_args", "budget", "devices"}
_METHOD_KEYS = {*_DATASET_KEYS, "only", "precision", "seeds", "note"}


class Row(TypedDict, total=False):
    """A row of a suite's data sets or methods; the keys are those of the YAML file.

    ``variant`` is for people; ``only`` has the data sets' folders.
    """

    name: Required[str]
    variant: str
    init_args: Options
    budget: dict[str, int]
    devices: int
    only: list[str]
    precision: str
    seeds: list[int]
    note: str


class Suite(TypedDict, total=False):
    """What a suite's YAML file holds.

    Attributes:
        description: in a sentence or two.
        version: of the terms on which its rows compete; raised when a budget, a set or a protocol changes.
        seeds: of each row.
        precision: of training.
        budget: of each row.
        datasets: rows of the data.
        methods: rows of the methods.
    """

    description: str
    version: int
    seeds: list[int]
    precision: str
    budget: dict[str, int]
    datasets: list[str | Row]
    methods: list[str | Row]


@dataclass(frozen=True, eq=False)
class Cell:
    """One method on one data set with one seed.

    Attributes:
        suite: name of the suite.
        dataset: folder of the data set in records: its file's name, and its variant's slug.
        method: folder of the method in records, likewise.
        seed: seeds initial weights and the training stream.
        variant: what sets the method's row apart, for people; may be empty.
        data_variant: what sets the data set's row apart, likewise.
        config: what ``unblend fit --config`` takes: model, data, seed_everything, trainer; the
            parts that change a result, and none that do not.
        devices: that it asks for; None for as many as the run gives each cell. No result depends on it.
        note: what a reader of its row must know, in a sentence; may be empty.
    """

    suite: str
    dataset: str
    method: str
    seed: int
    variant: str
    data_variant: str
    config: Config
    devices: int | None = None
    note: str = ""

    @property
    def path(self) -> Path:
        """Where the cell stands in any tree of cells or records."""
        return Path(self.dataset, self.method, f"seed{self.seed}")

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.dataset} × {self.method} × seed {self.seed}"

    def identities(self, *, fresh: bool = False) -> dict[str, str]:
        """What the cell's code is known by, in clear text: ``method``, ``data``, ``training`` and ``metrics``.

        Args:
            fresh: as the source files are now, instead of when they were read first.
        """
        return {
            "method": identity.of_method(self.config["model"]["class_path"], fresh=fresh),
            "data": identity.of_dataset(self.config["data"]["class_path"], fresh=fresh),
            "training": identity.of_training(fresh=fresh),
            "metrics": identity.of_metrics(fresh=fresh),
        }

    def key(self, *, fresh: bool = False) -> str:
        """Digest of all that training depends on: configuration, seed, and the identities of method, data and training.

        Args:
            fresh: as the source files are now, instead of when they were read first.
        """
        known = self.identities(fresh=fresh)
        return contents.of_value([self.config, {part: known[part] for part in ("method", "data", "training")}])

    def score_key(self, data_digest: str) -> str:
        """Digest of all that a record depends on: training, the data's contents, the identity of the metrics."""
        return contents.of_value([self.key(), data_digest, identity.of_metrics()])


def load(name: str) -> list[Cell]:
    """The cells of a suite.

    Args:
        name: of a suite that ships with the project, or the path of a YAML file.

    Raises:
        UserError: an unknown suite, key, method or data set, or a row that stands twice.
    """
    path = catalogue.suites().get(name, Path(name))
    if not path.is_file():
        raise unknown("suite", name, catalogue.suites())
    try:
        suite = read_yaml(path)
    except yaml.YAMLError as error:
        raise UserError(f"suite {path}: not valid YAML: {' '.join(str(error).split())}.") from error
    return cells_of(suite, path.stem, path)


def version(name: str) -> int:
    """The version of a suite that ships with the project: of the terms on which its rows compete.

    Args:
        name: of the suite.

    Raises:
        UserError: it is no whole number above 0.
    """
    found = read_yaml(catalogue.suites()[name]).get("version", 1)
    if type(found) is not int or found < 1:
        raise UserError(f"suite {name}: version {found!r} is no whole number above 0.")
    return found


def terms(name: str) -> dict[str, str]:
    """Row -> digest of the terms on which it competes: its data, and the budget it has of them.

    Args:
        name: of a suite.

    Raises:
        UserError: an unknown suite.
    """
    return {str(cell.path.parent): contents.of_value(cell.config["data"])[:16] for cell in load(name)}


def cells_of(suite: Suite, name: str, path: Path | None = None) -> list[Cell]:
    """The cells of a suite that is no file, or of one that was read.

    Args:
        suite: what a suite's YAML file holds.
        name: that its results get.
        path: of the file, for messages.

    Raises:
        UserError: an unknown key, method or data set, or a row that stands twice.
    """
    path = path or Path(name)
    _check_keys(f"suite {path}", suite, _SUITE_KEYS)
    safe_name(f"suite {path}", "suite", name)
    _check_seeds(f"suite {path}", suite.get("seeds", [0]))
    for key in ("datasets", "methods"):
        if not suite.get(key):
            raise UserError(f"suite {path}: it names no {key}.")
    datasets = [_row(path, row, "dataset") for row in suite["datasets"]]
    methods = [_row(path, row, "method") for row in suite["methods"]]
    folders = [folder(dataset, entry) for dataset, entry in datasets]
    for method, _ in methods:
        for wanted in method.get("only", []):
            if wanted not in folders:
                raise UserError(f"suite {path}: only of {method['name']}: {unknown('data set', str(wanted), folders)}")
    cells: dict[Path, Cell] = {}
    for (dataset, dataset_entry), data_folder in zip(datasets, folders, strict=True):
        for method, method_entry in methods:
            if data_folder not in method.get("only", folders):
                continue
            for seed in method.get("seeds", suite.get("seeds", [0])):
                cell = Cell(
                    name,
                    data_folder,
                    folder(method, method_entry),
                    seed,
                    method.get("variant", ""),
                    dataset.get("variant", ""),
                    _config(suite, dataset, dataset_entry, method, method_entry, seed),
                    method.get("devices", dataset.get("devices")),
                    method.get("note", ""),
                )
                if cell.path in cells:
                    raise UserError(f"suite {path}: {cell.name} stands twice; give one of them another variant.")
                cells[cell.path] = cell
    return list(cells.values())


def folder(row: Row, entry: catalogue.Entry) -> str:
    """Folder of a row in records: the slugs of its file's name and, after a hyphen, of its variant.

    Args:
        row: of a suite's data sets or methods.
        entry: of its class.

    Raises:
        UserError: its variant cannot name a folder.
    """
    base, variant = slug(row["name"], "file", entry.folder), row.get("variant")
    return f"{base}-{slug(row['name'], 'variant', variant)}" if variant else base


def _row(path: Path, row: Any, kind: str) -> tuple[Row, catalogue.Entry]:
    row = {"name": row} if isinstance(row, str) else row
    _check_keys(f"suite {path}: {kind}", row, _METHOD_KEYS if kind == "method" else _DATASET_KEYS)
    if "name" not in row:
        raise UserError(f"suite {path}: a {kind} has no name: {row}.")
    if row.get("variant"):
        slug(f"suite {path}: {kind} {row['name']}", "variant", row["variant"])
    _check_keys(f"suite {path}: budget of {row['name']}", row.get("budget", {}), set(BUDGET))
    _check_seeds(f"suite {path}: {kind} {row['name']}", row.get("seeds", [0]))
    devices = row.get("devices", 1)
    if not isinstance(devices, int) or devices < 1:
        raise UserError(f"suite {path}: {kind} {row['name']}: devices {devices!r}: a number, at least 1.")
    note = row.get("note", "")
    if not isinstance(note, str):
        raise UserError(f"suite {path}: {kind} {row['name']}: note {note!r}: a sentence.")
    return row, catalogue.method(row["name"]) if kind == "method" else catalogue.dataset(row["name"])


def _config(
    suite: Suite,
    dataset: Row,
    dataset_entry: catalogue.Entry,
    method: Row,
    method_entry: catalogue.Entry,
    seed: int,
) -> Config:
    asked = precision.check(method.get("precision", suite.get("precision", precision.FULL)))
    budget = {**suite.get("budget", {}), **dataset.get("budget", {}), **method.get("budget", {})}
    found: Config = {
        "seed_everything": seed,
        "model": {"class_path": method_entry.class_path, "init_args": method.get("init_args", {})},
        "data": {"class_path": dataset_entry.class_path, "init_args": {**dataset.get("init_args", {}), **budget}},
        "trainer": {"precision": asked},
    }
    return copy.deepcopy(found)


def _check_seeds(where: str, seeds: Any) -> None:
    if not isinstance(seeds, list) or not seeds:
        raise UserError(f"{where}: seeds {seeds!r}: give a list, such as [0, 1].")
    for seed in seeds:
        if type(seed) is not int or seed < 0:
            raise UserError(f"{where}: seed {seed!r} is not a whole number.")


def _check_keys(where: str, found: Any, allowed: set[str]) -> None:
    if not isinstance(found, dict):
        raise UserError(f"{where}: expected keys {', '.join(sorted(allowed))}, found {found!r}.")
    for key in found:
        if key not in allowed:
            raise UserError(f"{where}: {unknown('key', str(key), allowed)}")
