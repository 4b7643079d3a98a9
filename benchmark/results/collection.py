"""Records of suites: found in folders, grouped by data set and method, and drawn up as the lines of tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.metrics.protocols import protocol as protocol_of
from benchmark.plan.catalogue import ROOT
from benchmark.results import checks, statistics
from benchmark.results.records import Record
from benchmark.results.statistics import Line

COMMITTED = ROOT / "leaderboards"


@dataclass(frozen=True)
class Found:
    """A record and where it lies.

    Attributes:
        record: as read.
        path: of its file, ``SUITE/records/DATASET/METHOD/seedN.json``.
        committed: it lies in ``leaderboards/``, so it was published.
    """

    record: Record
    path: Path
    committed: bool

    @property
    def suite_folder(self) -> Path:
        """The folder of its suite, with ``records``, ``samples`` and ``cells``."""
        return self.path.parents[3]

    @property
    def place(self) -> Path:
        """Where it stands among the cells of its suite."""
        return Path(self.record.dataset, self.record.method, f"seed{self.record.seed}")

    @property
    def cell(self) -> Path:
        """The folder of its cell, with checkpoint and log; it need not be there."""
        return self.suite_folder / "cells" / self.place


def collect(folders: Sequence[Path]) -> list[Found]:
    """Sound records of suites' folders; others are skipped, with a warning on stderr.

    Where two folders have a method's row of the same suite and data set, the later folder's seeds replace the
    earlier one's: seeds of different code do not mix.

    Args:
        folders: of suites, with ``records`` in each.
    """
    rows: dict[tuple[str, str, str], list[Found]] = {}
    for folder in folders:
        committed = COMMITTED in (folder / "records").resolve().parents
        here: dict[tuple[str, str, str], list[Found]] = {}
        for path in sorted((folder / "records").glob("*/*/seed*.json")):
            try:
                record = checks.read(path)
            except UserError as error:
                print(f"unblend: warning: skipped: {error}", file=sys.stderr)
                continue
            here.setdefault((record.suite, record.dataset, record.method), []).append(Found(record, path, committed))
        rows |= here
    ordered = sorted(rows.items())
    return [one for _, row in ordered for one in sorted(row, key=lambda one: one.record.seed)]


def folders_of(*roots: Path) -> list[Path]:
    """Folders of suites below folders such as ``runs`` and ``leaderboards``."""
    return [folder.parent for root in roots for folder in sorted(root.glob("*/records"))]


def everything(runs: Path) -> list[Record]:
    """All sound records: committed ones, and those of this machine's runs."""
    return [one.record for one in collect(folders_of(COMMITTED, runs))]


def lines(records: Sequence[Record], protocol: str | None = None) -> dict[str, list[Line]]:
    """Data set -> its lines, best PSNR first; records of one suite.

    Args:
        records: of one suite.
        protocol: full name; data sets without scores under it are left out. Default each task's own.
    """
    return {
        dataset: statistics.table(groups, protocol)
        for dataset, groups in groups_of(records).items()
        if protocol is None or protocol in statistics.protocols(groups)
    }


def under_each_protocol(records: Sequence[Record]) -> dict[str, dict[str, list[Line]]]:
    """Data set -> protocol -> its lines, the task's own protocol first; records of one suite."""
    return {
        dataset: {protocol: statistics.table(groups, protocol) for protocol in statistics.protocols(groups)}
        for dataset, groups in groups_of(records).items()
    }


def stored_protocol(name: str, records: Sequence[Record]) -> str:
    """The full name of a protocol that some records have scores under.

    Args:
        name: with or without its version.
        records: in question.

    Raises:
        UserError: there is no such protocol, or none of the records is stored under it.
    """
    stored = {protocol for record in records for protocol in record.scores.protocols}
    # In their usual order, so that the message is the same each time.
    listed = ", ".join([known for known in PROTOCOLS if known in stored]) or "none"
    try:
        full = protocol_of(name).name
    except UserError as error:
        raise UserError(f"{str(error).removesuffix('.')}; these records are stored under {listed}.") from None
    if full not in stored:
        raise UserError(f"protocol {name}: nothing is stored under {full}; these records are stored under {listed}.")
    return full


def groups_of(records: Sequence[Record]) -> dict[str, list[tuple[Record, ...]]]:
    """Data set -> the records of each method."""
    grouped: dict[str, dict[str, list[Record]]] = {}
    for record in sorted(records, key=lambda record: (record.dataset, record.method, record.seed)):
        grouped.setdefault(record.dataset, {}).setdefault(record.method, []).append(record)
    return {dataset: [tuple(group) for group in methods.values()] for dataset, methods in grouped.items()}
