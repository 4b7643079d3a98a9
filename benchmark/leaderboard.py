"""Records -> leaderboards. What is written is a pure function of the records: building twice changes no byte."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark import checks, statistics, tables
from benchmark.catalogue import ROOT
from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.metrics.protocols import protocol as protocol_of
from benchmark.records import Record
from benchmark.statistics import Line

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
        for dataset, groups in _groups(records).items()
        if protocol is None or protocol in statistics.protocols(groups)
    }


def under_each_protocol(records: Sequence[Record]) -> dict[str, dict[str, list[Line]]]:
    """Data set -> protocol -> its lines, the task's own protocol first; records of one suite."""
    return {
        dataset: {protocol: statistics.table(groups, protocol) for protocol in statistics.protocols(groups)}
        for dataset, groups in _groups(records).items()
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


def _groups(records: Sequence[Record]) -> dict[str, list[tuple[Record, ...]]]:
    """Data set -> the records of each method."""
    grouped: dict[str, dict[str, list[Record]]] = {}
    for record in sorted(records, key=lambda record: (record.dataset, record.method, record.seed)):
        grouped.setdefault(record.dataset, {}).setdefault(record.method, []).append(record)
    return {dataset: [tuple(group) for group in methods.values()] for dataset, methods in grouped.items()}


def write(folder: Path, records: Sequence[Record], *, latex: bool = False) -> None:
    """Write ``README.md``, ``results.csv`` and ``results.json`` of a suite's folder; ``results.tex`` on demand.

    Args:
        folder: of a suite.
        records: of that suite.
        latex: write tables for LaTeX, too.
    """
    suite, under = records[0].suite, under_each_protocol(records)
    found = {dataset: next(iter(tables_of_set.values())) for dataset, tables_of_set in under.items()}
    write_text(folder / "README.md", tables.markdown(suite, found))
    write_text(folder / "results.csv", tables.results_csv(found))
    write_text(folder / "results.json", tables.results_json(suite, under))
    if latex:
        write_text(folder / "results.tex", tables.latex(found))


def show(records: Sequence[Record], console: Console, protocol: str | None = None) -> None:
    """Print the leaderboard; wrapped columns are unreadable, so lines may be longer than the terminal.

    Args:
        records: of one suite.
        console: to print on.
        protocol: full name; default each task's own.
    """
    wide = Console(file=console.file, width=max(console.width, 400))
    for dataset, lines_of_set in lines(records, protocol).items():
        title = f"{dataset}, judged by {tables.judged_by(lines_of_set)}; {tables.protocol_text(lines_of_set)}"
        layers = tables.beside(lines_of_set)
        layers = layers if lines_of_set[0].first.spec["ordered"] else []
        table = Table(title=Text(title), title_justify="left")
        for name in (*tables.HEADER, *(f"of the {layer} (dB)" for layer in layers)):
            table.add_column(Text(name), justify="left" if name in ("method", "variant") else "right", no_wrap=True)
        for line in lines_of_set:
            alone = [tables.text(line.score(layer, "psnr"), "psnr") for layer in layers]
            table.add_row(*(Text(cell) for cell in (*tables.cells(line), *alone)))
        wide.print(table)
        for note in tables.notes(lines_of_set):
            console.print(note, markup=False, soft_wrap=True)


def main(arguments: list[str]) -> None:
    """``unblend leaderboard [FOLDER]``.

    Raises:
        UserError: no records, or none under the protocol.
    """
    parser = ArgumentParser(
        prog="unblend leaderboard", description="Build tables and the page from records.", exit_on_error=False
    )
    parser.add_argument(
        "folder", nargs="?", type=str, help="of a suite, such as runs/quick; default all of leaderboards/"
    )
    parser.add_argument("--latex", action="store_true", help="write results.tex (booktabs), too")
    parser.add_argument(
        "--protocol",
        type=str,
        help="print the tables under this protocol, such as y or rgb@1; files keep each task's own, but results.tex",
    )
    options = parser.parse_args(arguments)
    folders = folders_of(COMMITTED) if options.folder is None else [Path(options.folder)]
    found = collect(folders)
    if not found and options.folder is None:
        raise UserError(f"no records in {COMMITTED}: run `unblend publish runs/SUITE` first.")
    if not found:
        raise UserError(f"no records in {folders[0] / 'records'}: run `unblend bench SUITE` first.")
    of_suites: dict[Path, list[Record]] = {}
    for one in found:
        of_suites.setdefault(one.suite_folder, []).append(one.record)
    console = Console(highlight=False)
    if options.protocol is not None:
        _under(stored_protocol(options.protocol, [one.record for one in found]), of_suites, console, options.latex)
        return
    for folder, records in of_suites.items():
        write(folder, records, latex=options.latex)
    from benchmark import front, gallery

    if options.folder is None:
        shown = {folder.name: lines(records) for folder, records in of_suites.items()}
        front.write(shown, COMMITTED.parent / "README.md")
        page = gallery.build(found, COMMITTED)
    else:
        show([one.record for one in found], console)
        suites = {one.record.suite for one in found}
        published = [path for path in folders_of(COMMITTED) if path.name in suites]
        page = gallery.build(collect([*published, *folders]), folders[0])
    console.print(f"page: {page}", soft_wrap=True)


def _under(protocol: str, of_suites: dict[Path, list[Record]], console: Console, latex: bool) -> None:
    """Print the tables of suites under one protocol, and name what is not stored under it."""
    for folder, records in of_suites.items():
        groups = _groups(records)
        without = [dataset for dataset in groups if protocol not in statistics.protocols(groups[dataset])]
        if len(of_suites) > 1 and len(without) < len(groups):
            console.print(f"suite {records[0].suite}", markup=False)
        show(records, console, protocol)
        for dataset in without:
            stored = ", ".join(statistics.protocols(groups[dataset]))
            console.print(f"{dataset}: not stored under {protocol}, only under {stored}", markup=False, soft_wrap=True)
        if latex and len(without) < len(groups):
            write_text(folder / "results.tex", tables.latex(lines(records, protocol)))
