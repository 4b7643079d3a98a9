"""Records -> leaderboards. What is written is a pure function of the records: building twice changes no byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.reports import export, tables, terminal
from benchmark.results import collection, statistics
from benchmark.results.records import Record


def write(folder: Path, records: Sequence[Record], *, latex: bool = False) -> None:
    """Write ``README.md``, ``results.csv`` and ``results.json`` of a suite's folder; ``results.tex`` on demand.

    Args:
        folder: of a suite.
        records: of that suite.
        latex: write tables for LaTeX, too.
    """
    suite, under = records[0].suite, collection.under_each_protocol(records)
    found = {dataset: next(iter(tables_of_set.values())) for dataset, tables_of_set in under.items()}
    write_text(folder / "README.md", tables.markdown(suite, found))
    write_text(folder / "results.csv", tables.results_csv(found))
    write_text(folder / "results.json", tables.results_json(suite, under))
    if latex:
        write_text(folder / "results.tex", export.latex(found))


def show(records: Sequence[Record], console: Console, protocol: str | None = None) -> None:
    """Print the leaderboard, in the width of a terminal; what does not fit is in the files.

    Args:
        records: of one suite.
        console: to print on.
        protocol: full name; default each task's own.
    """
    terminal.show(collection.lines(records, protocol), console)


def page(folder: Path, suites: set[str]) -> Path:
    """Write the page of a suite's run, beside what is published of the same suites.

    Args:
        folder: of the run.
        suites: names in its records.

    Returns:
        The path of the page.
    """
    from benchmark.reports.claims import verdicts
    from benchmark.reports.page import gallery

    published = [path for path in collection.folders_of(collection.COMMITTED) if path.name in suites]
    found = collection.collect([*published, folder])
    return gallery.build(found, folder, verdicts.current([one.record for one in found]))


def build(folder: Path | None, console: Console, *, latex: bool = False, protocol: str | None = None) -> None:
    """Build tables and the page from records, and print them.

    Args:
        folder: of a suite's run; None for all of ``leaderboards/``.
        console: to print on.
        latex: write ``results.tex``, too.
        protocol: print the tables under this one; files keep each task's own, but ``results.tex``.

    Raises:
        UserError: no records, or none under the protocol.
    """
    folders = collection.folders_of(collection.COMMITTED) if folder is None else [folder]
    found = collection.collect(folders)
    if not found and folder is None:
        raise UserError(f"no records in {collection.COMMITTED}: run `unblend publish runs/SUITE` first.")
    if not found:
        raise UserError(f"no records in {folders[0] / 'records'}: run `unblend bench SUITE` first.")
    of_suites: dict[Path, list[Record]] = {}
    for one in found:
        of_suites.setdefault(one.suite_folder, []).append(one.record)
    if protocol is not None:
        _under(collection.stored_protocol(protocol, [one.record for one in found]), of_suites, console, latex)
        return
    for place, records in of_suites.items():
        write(place, records, latex=latex)
    if folder is None:
        from benchmark.reports import front
        from benchmark.reports.claims import text, verdicts
        from benchmark.reports.page import gallery

        said = verdicts.current([one.record for one in found])
        text.write(said)
        shown = {place.name: collection.lines(records) for place, records in of_suites.items()}
        front.write(shown, collection.COMMITTED.parent / "README.md")
        where = gallery.build(found, collection.COMMITTED, said)
    else:
        show([one.record for one in found], console)
        where = page(folder, {one.record.suite for one in found})
    console.print(f"page: {where}", soft_wrap=True)


def _under(protocol: str, of_suites: dict[Path, list[Record]], console: Console, latex: bool) -> None:
    """Print the tables of suites under one protocol, and name what is not stored under it."""
    for folder, records in of_suites.items():
        groups = collection.groups_of(records)
        without = [dataset for dataset in groups if protocol not in statistics.protocols(groups[dataset])]
        if len(of_suites) > 1 and len(without) < len(groups):
            console.print(f"suite {records[0].suite}", markup=False)
        show(records, console, protocol)
        for dataset in without:
            stored = ", ".join(statistics.protocols(groups[dataset]))
            console.print(f"{dataset}: not stored under {protocol}, only under {stored}", markup=False, soft_wrap=True)
        if latex and len(without) < len(groups):
            write_text(folder / "results.tex", export.latex(collection.lines(records, protocol)))
