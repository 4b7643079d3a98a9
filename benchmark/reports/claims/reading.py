"""What the papers claim: ``leaderboards/claims.yaml``, each claim with the rows of a suite that decide it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmark.errors import UserError, unknown
from benchmark.files import read_yaml
from benchmark.metrics.scales import METRICS
from benchmark.plan import catalogue, suite
from benchmark.reports import published
from benchmark.results import collection

PARAMETERS = "parameters"
"""A metric that is no score: how many a method has; fewer are better."""

TESTS = ("greater", "within", "untestable")
"""Of these keys a claim has one."""

_NEEDED = {"id", "paper", "place", "says"}
_KEYS = {*_NEEDED, "table", "data", "metric", "target", *TESTS}


@dataclass(frozen=True)
class Greater:
    """One row is better than others.

    Attributes:
        better: method's folder of the row that is to be better.
        than: folders of the others.
    """

    better: str
    than: tuple[str, ...]


@dataclass(frozen=True)
class Within:
    """A row scores what the paper prints.

    Attributes:
        row: method's folder.
        value: that is printed, in the metric's unit.
        tolerance: how far from it a score may be.
    """

    row: str
    value: float
    tolerance: float


@dataclass(frozen=True)
class Untestable:
    """What nobody can measure here.

    Attributes:
        reason: why not.
    """

    reason: str


@dataclass(frozen=True)
class Claim:
    """What a paper says.

    Attributes:
        id: that no other claim has.
        paper: its file in ``leaderboards/published``, without ``.yaml``.
        place: in the paper.
        table: id of the published table that it is from; empty for none.
        says: what, in this project's words.
        suite: whose records decide it; empty where it is untestable.
        dataset: folder of the data set, likewise.
        metric: that is compared.
        target: layer that is compared; None for those that the task is for.
        test: what must be so for the claim to hold.
    """

    id: str
    paper: str
    place: str
    table: str
    says: str
    suite: str
    dataset: str
    metric: str
    target: str | None
    test: Greater | Within | Untestable

    @property
    def rows(self) -> tuple[str, ...]:
        """Folders of the methods that decide it."""
        if isinstance(self.test, Greater):
            return self.test.better, *self.test.than
        return (self.test.row,) if isinstance(self.test, Within) else ()

    @property
    def task(self) -> str:
        """File name of the task in ``datamodules``; empty where no data set is named."""
        return self.dataset.partition("-")[0]


class _Data(NamedTuple):
    """A data set of a suite, and the rows that it has there."""

    suite: str
    dataset: str
    rows: Sequence[str]


class _Where(NamedTuple):
    """The file and the claim that a message is about."""

    path: Path
    id: str

    def error(self, what: object) -> UserError:
        return UserError(f"{self.path}: claim {self.id}: {what}")


def path() -> Path:
    """The file of the claims; it need not be there."""
    return collection.COMMITTED / "claims.yaml"


def papers() -> dict[str, str]:
    """Paper's file name, without ``.yaml`` -> its citation, in the order of the files."""
    return {table.id.rpartition("-")[0]: table.paper for table in published.tables().values()}


def read(file: Path) -> list[Claim]:
    """The claims of a file, in its order.

    Args:
        file: such as ``leaderboards/claims.yaml``.

    Raises:
        UserError: it is no list of claims, or a claim is not what it should be; the message has the claim's id.
    """
    try:
        held = read_yaml(file)
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{file}: it cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(held, list):
        raise UserError(f"{file}: expected a list of claims, found {type(held).__name__}.")
    claims: dict[str, Claim] = {}
    for number, given in enumerate(held, start=1):
        claim = _claim(file, number, given)
        if claim.id in claims:
            raise _Where(file, claim.id).error("it stands twice: rename one of them.")
        claims[claim.id] = claim
    return list(claims.values())


def _claim(file: Path, number: int, given: Any) -> Claim:
    named = given.get("id") if isinstance(given, dict) else None
    where = _Where(file, str(named or f"number {number}"))
    if not isinstance(given, dict) or not _NEEDED <= set(given) <= _KEYS:
        raise where.error(f"needs the keys {', '.join(sorted(_NEEDED))}, may have {', '.join(sorted(_KEYS))}.")
    texts = {key: given[key] for key in given if key not in TESTS}
    for key, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            raise where.error(f"{key} {value!r} is no text.")
    if given["paper"] not in papers():
        raise where.error(unknown("paper", given["paper"], papers()))
    table = texts.get("table", "")
    if table and table not in published.tables():
        raise where.error(unknown("table", table, published.tables()))
    present = [key for key in TESTS if key in given]
    if len(present) != 1:
        raise where.error(f"needs one of {', '.join(TESTS)}, has {' and '.join(present) or 'none'}.")
    test, data, metric = _test(where, given)
    return Claim(
        id=texts["id"],
        paper=texts["paper"],
        place=texts["place"],
        table=table,
        says=" ".join(texts["says"].split()),
        suite=data.suite,
        dataset=data.dataset,
        metric=metric,
        target=texts.get("target"),
        test=test,
    )


def _test(where: _Where, given: dict[str, Any]) -> tuple[Greater | Within | Untestable, _Data, str]:
    """What must be so for a claim to hold, on which data, by which metric."""
    if "untestable" in given:
        if not {"metric", "target"}.isdisjoint(given):
            raise where.error("what is untestable has neither metric nor target.")
        data = _data(where, given["data"]) if "data" in given else _Data("", "", ())
        return _untestable(where, given["untestable"]), data, ""
    metric = given.get("metric", "psnr")
    if metric not in (*METRICS, PARAMETERS):
        raise where.error(unknown("metric", metric, (*METRICS, PARAMETERS)))
    data = _data(where, given.get("data", ""))
    if "greater" in given:
        return _greater(where, data, given["greater"]), data, metric
    if metric == PARAMETERS:
        raise where.error("parameters are compared with another row's, not with a printed number.")
    return _within(where, data, given["within"]), data, metric


def _data(where: _Where, data: str) -> _Data:
    name, slash, dataset = data.partition("/")
    if not slash:
        raise where.error(f"data {data!r}: name a suite and one of its data sets, such as rain/rain-rain100l.")
    if name not in catalogue.suites():
        raise where.error(unknown("suite", name, catalogue.suites()))
    held = rows_of(name)
    if dataset not in held:
        raise where.error(unknown(f"data set of suite {name}", dataset, held))
    return _Data(name, dataset, held[dataset])


@cache
def rows_of(name: str) -> dict[str, list[str]]:
    """Data set -> its rows, of a suite that ships with the project."""
    found: dict[str, list[str]] = {}
    for cell in suite.load(name):
        rows = found.setdefault(cell.dataset, [])
        if cell.method not in rows:
            rows.append(cell.method)
    return found


def _greater(where: _Where, data: _Data, given: Any) -> Greater:
    if not isinstance(given, dict) or set(given) != {"better", "than"}:
        raise where.error("greater needs the keys better and than.")
    than = given["than"] if isinstance(given["than"], list) else [given["than"]]
    better, *others = [_row(where, data, row) for row in (given["better"], *than)]
    if not others or better in others or len(set(others)) < len(others):
        raise where.error("greater needs a row, and others than it, each of them once.")
    return Greater(better, tuple(others))


def _within(where: _Where, data: _Data, given: Any) -> Within:
    if not isinstance(given, dict) or set(given) != {"row", "value", "tolerance"}:
        raise where.error("within needs the keys row, value and tolerance.")
    value, tolerance = given["value"], given["tolerance"]
    if not all(type(number) in (int, float) for number in (value, tolerance)) or tolerance <= 0:
        raise where.error(f"within: value {value!r}, tolerance {tolerance!r}: two numbers, the second above 0.")
    return Within(_row(where, data, given["row"]), float(value), float(tolerance))


def _untestable(where: _Where, given: Any) -> Untestable:
    if not isinstance(given, str) or not given.strip():
        raise where.error("untestable needs the reason.")
    return Untestable(" ".join(given.split()))


def _row(where: _Where, data: _Data, row: Any) -> str:
    if row not in data.rows:
        raise where.error(unknown(f"row of {data.suite}/{data.dataset}", str(row), data.rows))
    return str(row)
