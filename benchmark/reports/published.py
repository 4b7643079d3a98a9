"""What papers report: ``leaderboards/published/*.yaml``, and beside it what was measured here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table as Printed
from rich.text import Text

from benchmark.errors import UserError, unknown
from benchmark.files import read_yaml
from benchmark.metrics.protocols import protocol as protocol_of
from benchmark.metrics.scales import METRICS, SCALES
from benchmark.plan import catalogue, suite
from benchmark.results.records import Record

FOLDER = catalogue.ROOT / "leaderboards" / "published"

EVERY = "all"
"""Stands for every table."""

_TABLE_KEYS = {"id", "name", "caption", "protocol", "known", "damaged", "missing", "columns", "rows"}
_COLUMN_KEYS = {"title", "data", "layer", "metric", "unit", "protocol"}
_ROW_KEYS = {"name", "method", "absent", "options", "values"}


@dataclass(frozen=True)
class Column:
    """What a column of a published table holds.

    Attributes:
        title: for people.
        metric: one of a record's metrics, or ``parameters``; any other name is of what is not measured here.
        data: class of the data set and options that a record's must have; None where it is not known or not public.
        layer: name of the layer, or ``average`` over all scored layers; None where it is not of a layer.
        unit: one printed unit in units of the record.
        protocol: full name of the project's nearest; None where scores have none.
    """

    title: str
    metric: str
    data: dict[str, Any] | None
    layer: str | None
    unit: float
    protocol: str | None

    @property
    def measurable(self) -> bool:
        """Whether a record could have this number."""
        return self.data is not None and (self.metric in METRICS or self.metric == "parameters")

    def fits(self, record: Record) -> bool:
        """Whether a record is of this column's data."""
        return self.data is not None and of_class(record.config.get("data"), self.data)

    def under(self, group: tuple[Record, ...]) -> str:
        """The protocol that records of one method have this number under: the column's if it is stored, or their own.

        Args:
            group: records of one method on one data set.
        """
        stored = all(self.protocol in record.scores.protocols for record in group)
        return self.protocol if self.protocol and stored else group[0].protocol

    def value(self, group: tuple[Record, ...]) -> float | None:
        """What records of one method measured, mean over their seeds, in the column's units; None without that layer.

        Args:
            group: records of one method on one data set.
        """
        first = group[0]
        if self.metric == "parameters":
            return None if (count := first.cost["parameters"]) is None else count / self.unit
        means = [record.layer_means(self.metric, self.under(group)) for record in group]
        scored = list(first.spec["scored"])
        if self.layer == "average":
            chosen = [fmean(values) for values in means] if len(means[0]) == len(scored) else []
        else:
            place = scored.index(self.layer) if self.layer in scored else len(scored)
            chosen = [values[place] for values in means if place < len(values)]
        return fmean(chosen) / self.unit if chosen else None


@dataclass(frozen=True)
class Row:
    """One method of a published table.

    Attributes:
        name: as printed.
        method: class of this project; None where there is none.
        absent: why there is none; empty where there is one.
        options: what a record's method must have been built with.
        values: one for each column; None where the paper has none.
    """

    name: str
    method: str | None
    absent: str
    options: dict[str, Any]
    values: tuple[float | None, ...]

    def fits(self, record: Record) -> bool:
        """Whether a record is of this row's method."""
        return self.method is not None and of_class(record.config.get("model"), {"class": self.method, **self.options})


@dataclass(frozen=True)
class Table:
    """One published table.

    Attributes:
        id: that ``unblend leaderboard --paper`` takes.
        paper: where it stands.
        name: in the paper.
        caption: what it shows, in this project's words.
        known: what is known of how it was measured.
        damaged: what the text that it was read from has lost; may be empty.
        missing: why it cannot be filled at all; may be empty.
        columns: of the table.
        rows: of the table.
    """

    id: str
    paper: str
    name: str
    caption: str
    known: str
    damaged: str
    missing: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def printed(self, row: Row) -> list[str]:
        """A row's values with as many digits as the paper gives in each column; a dash where it has none."""
        texts = []
        for place, value in enumerate(row.values):
            column = [f"{other.values[place]:.10g}" for other in self.rows if other.values[place] is not None]
            digits = max((len(text.partition(".")[2]) for text in column), default=0)
            texts.append("–" if value is None else f"{value:.{digits}f}")
        return texts


@cache
def tables(folder: Path = FOLDER) -> dict[str, Table]:
    """Id -> table, for every table of every paper.

    Raises:
        UserError: a file that does not keep the schema.
    """
    found: dict[str, Table] = {}
    for path in sorted(folder.glob("*.yaml")):
        paper = read_yaml(path)
        _keys(str(path), paper, {"paper", "methods", "tables"}, {"paper", "tables"})
        for table in paper["tables"]:
            one = _table(str(path), paper["paper"], table)
            if one.id in found:
                raise UserError(f"{path}: two tables are called {one.id}: rename one.")
            found[one.id] = one
    return found


def proposed() -> set[str]:
    """Names of the classes of the methods that the papers propose."""
    return {name for path in FOLDER.glob("*.yaml") for name in read_yaml(path).get("methods", ())}


def of_class(part: Any, wanted: dict[str, Any]) -> bool:
    """Whether ``model`` or ``data`` of a configuration is of a class, with the options that are named.

    Args:
        part: with ``class_path`` and ``init_args``.
        wanted: ``class``, the class's name, and options.
    """
    if not isinstance(part, dict) or str(part.get("class_path", "")).rpartition(".")[2] != wanted["class"]:
        return False
    options = part.get("init_args") or {}
    return all(options.get(name) == value for name, value in wanted.items() if name != "class")


def groups(found: list[Record]) -> list[tuple[Record, ...]]:
    """Records of one suite, method and data set together: those that differ by their seed alone."""
    together: dict[tuple[str, str, str], list[Record]] = {}
    for record in sorted(found, key=lambda record: (record.suite, record.dataset, record.method, record.seed)):
        together.setdefault((record.suite, record.dataset, record.method), []).append(record)
    return [tuple(group) for group in together.values()]


def published_for(record: Record) -> list[tuple[Table, Row, Column, float]]:
    """All that papers report of a record's method on its data."""
    return [
        (table, row, column, value)
        for table in tables().values()
        for row in table.rows
        if row.fits(record)
        for column, value in zip(table.columns, row.values, strict=True)
        if value is not None and column.fits(record)
    ]


def lacking(table: Table, found: list[Record]) -> list[str]:
    """Why each part of a table that nothing measured stands beside is empty, one line for each reason.

    Args:
        table: to fill.
        found: all records there are.
    """
    if table.missing:
        return [table.missing]
    said: list[str] = []
    strangers = [f"{row.name} ({row.absent})" for row in table.rows if row.method is None]
    if strangers:
        said.append(f"no implementation here: {', '.join(strangers)}")
    for column in table.columns:
        if not column.measurable:
            said.append(f"{column.title}: not measured here")
        elif not any(column.fits(record) for record in found):
            said.append(f"{column.title}: no record; {_where(column)}")
        else:
            without = [
                row.name
                for row in table.rows
                if row.method is not None and not any(column.fits(record) and row.fits(record) for record in found)
            ]
            if without:
                said.append(f"{column.title}: no record of {', '.join(without)}")
    return said


def list_all(console: Console) -> None:
    """Print which tables there are.

    Args:
        console: to print on.
    """
    listed = Printed(box=None, pad_edge=False)
    for name in ("table", "", ""):
        listed.add_column(name, overflow="fold")
    for table in tables().values():
        listed.add_row(table.id, f"{table.paper}, {table.name}", table.caption)
    Console(file=console.file, width=max(console.width, 150)).print(listed)


def of_names(names: Sequence[str]) -> list[Table]:
    """The tables of some names; ``all`` stands for every one.

    Raises:
        UserError: an unknown table.
    """
    known = tables()
    for name in names:
        if name not in known and name != EVERY:
            raise unknown("table", name, [*known, EVERY])
    return list(known.values()) if EVERY in names else [known[name] for name in dict.fromkeys(names)]


def show(table: Table, found: list[Record], console: Console) -> None:
    """Print a table, with the rows that were measured here below the paper's, and the differences.

    Args:
        table: of a paper.
        found: all records there are.
        console: to print on.
    """
    plain = Console(file=console.file, width=max(console.width, 120), highlight=False)
    plain.print(f"{table.paper}, {table.name}: {table.caption}", style="bold", markup=False)
    printed = Printed()
    for name in ("row", "", *(column.title for column in table.columns)):
        printed.add_column(name, justify="left" if name in ("row", "") else "right", overflow="fold")
    for row in table.rows:
        printed.add_row(row.name, "published", *table.printed(row))
        for label, cells in measured(table, row, found):
            printed.add_row("", *(Text(cell) for cell in (label, *cells)), style="cyan")
    wide = Console(file=console.file, width=max(console.width, 40 + 22 * len(table.columns)), highlight=False)
    wide.print(printed)
    for title, text in (("known of the protocol", table.known), ("damaged", table.damaged)):
        if text:
            plain.print(f"{title}: {text}", markup=False)
    for line in lacking(table, found):
        plain.print(f"missing: {line}", markup=False)
    plain.print()


def measured(table: Table, row: Row, found: list[Record]) -> list[tuple[str, list[str]]]:
    """What was measured of a row: a label, and for each column value and difference.

    There is one line for each suite and variant; where several data sets of a suite stand for one column, such as those
    that differ in what is trained on, one for each of them.
    """
    lines: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for group in groups([record for record in found if row.fits(record)]):
        first = group[0]
        for place, column in enumerate(table.columns):
            if not column.fits(first):
                continue
            value, printed = column.value(group), row.values[place]
            if value is None:
                continue
            label = (first.suite, first.variant, f"{len(group)} seed{'s' if len(group) > 1 else ''}")
            cells = lines.setdefault(label, {}).setdefault(first.dataset, [""] * len(table.columns))
            difference = "" if printed is None else f" ({value - printed:+.{_digits(column)}f})"
            cells[place] = f"{value:.{_digits(column)}f}{difference}"
            if column.protocol and column.under(group) != column.protocol:
                cells[place] += f" [{column.under(group)}]"
    return [
        (", ".join(part for part in ("here: " + suite, dataset, *more) if part), cells)
        for (suite, *more), by_dataset in lines.items()
        for dataset, cells in _joined(by_dataset)
    ]


def _joined(by_dataset: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Data sets in one line, without a name, where none contradicts another; else a line for each."""
    columns = [list(dict.fromkeys(filter(None, column))) for column in zip(*by_dataset.values(), strict=True)]
    if all(len(column) <= 1 for column in columns):
        return [("", ["".join(column) for column in columns])]
    return list(by_dataset.items())


def _digits(column: Column) -> int:
    """Digits of a value beside which its difference stands; fewer where the unit is small."""
    if column.metric == "parameters":
        return 0
    return SCALES[column.metric].difference_digits + round(math.log10(column.unit))


@cache
def suites_with(class_name: str, options: tuple[tuple[str, Any], ...]) -> list[str]:
    """Suites of the project with such data."""
    wanted = {"class": class_name, **dict(options)}
    return [name for name, held in _data_of_suites().items() if any(of_class(data, wanted) for data in held)]


@cache
def _data_of_suites() -> dict[str, list[Any]]:
    """Suite -> what each of its cells has of data; reading them all takes longer than the rest of the page."""
    return {name: [cell.config["data"] for cell in suite.load(name)] for name in catalogue.suites()}


def _where(column: Column) -> str:
    data = dict(column.data or {})
    names = suites_with(data.pop("class"), tuple(data.items()))
    if names:
        return f"`unblend bench {' or '.join(names)}` makes them"
    return "no suite has these data yet: name them in one"


def _table(where: str, paper: str, table: Any) -> Table:
    _keys(where, table, _TABLE_KEYS, {"id", "name", "caption", "known", "columns", "rows"})
    where = f"{where}: {table['id']}"
    columns = []
    for column in table["columns"]:
        _keys(where, column, _COLUMN_KEYS, {"title", "metric"})
        columns.append(
            Column(
                column["title"],
                column["metric"],
                column.get("data"),
                column.get("layer"),
                float(column.get("unit", 1)),
                _protocol(where, column, table),
            )
        )
    rows = []
    for row in table["rows"]:
        _keys(where, row, _ROW_KEYS, {"name", "values"})
        if len(row["values"]) != len(columns):
            raise UserError(f"{where}: row {row['name']} has {len(row['values'])} values for {len(columns)} columns.")
        if not all(value is None or type(value) in (int, float) for value in row["values"]):
            raise UserError(f"{where}: row {row['name']} has a value that is no number: {row['values']}.")
        if ("method" in row) == ("absent" in row):
            raise UserError(f"{where}: row {row['name']} needs either a method or, under absent, why there is none.")
        given = row.get("method"), row.get("absent", ""), row.get("options", {})
        rows.append(Row(row["name"], *given, tuple(row["values"])))
    texts = {key: " ".join(str(table.get(key, "")).split()) for key in ("known", "damaged", "missing")}
    return Table(table["id"], paper, table["name"], table["caption"], **texts, columns=tuple(columns), rows=tuple(rows))


def _protocol(where: str, column: dict[str, Any], table: dict[str, Any]) -> str | None:
    """The full name of a column's protocol: its own or the table's."""
    name = column.get("protocol", table.get("protocol"))
    if name is None or column["metric"] not in METRICS:
        return None
    try:
        return protocol_of(name).name
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _keys(where: str, found: Any, allowed: set[str], needed: set[str]) -> None:
    if not isinstance(found, dict) or not needed <= set(found) <= allowed:
        raise UserError(f"{where}: needs the keys {', '.join(sorted(needed))}, may have {', '.join(sorted(allowed))}.")
