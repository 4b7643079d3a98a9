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

from benchmark import checks, tables
from benchmark.catalogue import ROOT
from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.records import Record
from benchmark.statistics import Line
from benchmark.statistics import table as statistics_of

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


def collect(folders: Sequence[Path]) -> list[Found]:
    """Sound records of suites' folders; others are skipped, with a warning on stderr.

    Where two folders have a method's row of the same suite and data set, the later folder's seeds replace the
    earlier one's: seeds of different code do not mix.

    Args:
        folders: of suites, with ``records`` in each.
    """
    rows: dict[tuple[str, str, str], list[Found]] = {}
    for folder in folders:
        here: dict[tuple[str, str, str], list[Found]] = {}
        for path in sorted((folder / "records").glob("*/*/seed*.json")):
            try:
                record = checks.read(path)
            except UserError as error:
                print(f"unblend: warning: skipped: {error}", file=sys.stderr)
                continue
            committed = COMMITTED in path.resolve().parents
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


def lines(records: Sequence[Record]) -> dict[str, list[Line]]:
    """Data set -> its lines, best PSNR first; records of one suite."""
    grouped: dict[str, dict[str, list[Record]]] = {}
    for record in sorted(records, key=lambda record: (record.dataset, record.method, record.seed)):
        grouped.setdefault(record.dataset, {}).setdefault(record.method, []).append(record)
    return {
        dataset: statistics_of([tuple(group) for group in methods.values()]) for dataset, methods in grouped.items()
    }


def write(folder: Path, records: Sequence[Record], *, latex: bool = False) -> None:
    """Write ``README.md``, ``results.csv`` and ``results.json`` of a suite's folder; ``results.tex`` on demand.

    Args:
        folder: of a suite.
        records: of that suite.
        latex: write tables for LaTeX, too.
    """
    suite, found = records[0].suite, lines(records)
    write_text(folder / "README.md", tables.markdown(suite, found))
    write_text(folder / "results.csv", tables.results_csv(found))
    write_text(folder / "results.json", tables.results_json(suite, found))
    if latex:
        write_text(folder / "results.tex", tables.latex(found))


def show(records: Sequence[Record], console: Console) -> None:
    """Print the leaderboard; wrapped columns are unreadable, so lines may be longer than the terminal."""
    wide = Console(file=console.file, width=max(console.width, 220))
    for dataset, lines_of_set in lines(records).items():
        layers = tables.scored_layers(lines_of_set)
        layers = layers if len(layers) > 1 and lines_of_set[0].first.spec["ordered"] else []
        table = Table(title=Text(dataset), title_justify="left")
        for name in (*tables.HEADER, *(f"{layer} (dB)" for layer in layers)):
            table.add_column(Text(name), justify="left" if name in ("method", "variant") else "right", no_wrap=True)
        for line in lines_of_set:
            alone = [tables.text(line.score(layer, "psnr"), "psnr") for layer in layers]
            table.add_row(*(Text(cell) for cell in (*tables.cells(line), *alone)))
        wide.print(table)


def main(arguments: list[str]) -> None:
    """``unblend leaderboard [FOLDER]``.

    Raises:
        UserError: no records.
    """
    parser = ArgumentParser(
        prog="unblend leaderboard", description="Build tables and the page from records.", exit_on_error=False
    )
    parser.add_argument(
        "folder", nargs="?", type=str, help="of a suite, such as runs/quick; default all of leaderboards/"
    )
    parser.add_argument("--latex", action="store_true", help="write results.tex (booktabs), too")
    options = parser.parse_args(arguments)
    from benchmark import gallery

    console = Console(highlight=False)
    if options.folder is None:
        found = collect(folders_of(COMMITTED))
        if not found:
            raise UserError(f"no records in {COMMITTED}: run `unblend publish runs/SUITE` first.")
        for folder in {one.suite_folder for one in found}:
            write(folder, [one.record for one in found if one.suite_folder == folder], latex=options.latex)
        page = gallery.build(found, COMMITTED)
    else:
        folder = Path(options.folder)
        own = collect([folder])
        if not own:
            raise UserError(f"no records in {folder / 'records'}: run `unblend bench SUITE` first.")
        write(folder, [one.record for one in own], latex=options.latex)
        show([one.record for one in own], console)
        suites = {one.record.suite for one in own}
        beside = [path for path in folders_of(COMMITTED) if path.name in suites]
        page = gallery.build(collect([*beside, folder]), folder)
    console.print(f"page: {page}", soft_wrap=True)
