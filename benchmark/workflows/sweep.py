"""Run a suite, and write its leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmark.plan.execution import Execution
from benchmark.plan.suite import Cell
from benchmark.reports import leaderboard, terminal
from benchmark.results import collection
from benchmark.results.records import Record
from benchmark.running.bench import bench
from benchmark.running.machine import Machine


def sweep(
    cells: Sequence[Cell],
    runs: Path,
    machine: Machine,
    execution: Execution,
    *,
    failed_only: bool = False,
    named: str = "",
) -> list[Record]:
    """Run every cell of a suite that has no valid record, then write and print the leaderboard.

    Args:
        cells: of one suite.
        runs: folder of all runs.
        machine: where they run.
        execution: how they are run: what no result depends on.
        failed_only: run again what failed, whatever the reason, and nothing else.
        named: what a person called the suite, who then gets its page and is told what to try next; empty for neither.

    Returns:
        The records of the suite that are finished.

    Raises:
        UserError: the run was interrupted, the disk takes no more, or an option is impossible.
        SystemExit: with status 1, when a cell failed.
    """
    console = Console()
    if execution.root:
        execution = replace(execution, root=str(Path(execution.root).absolute()))  # cells run in folders of their own
    executor = machine.executor(execution, runs / cells[0].suite)
    swept = bench(cells, runs, executor, execution, console, failed_only=failed_only)
    if swept.records:
        leaderboard.write(swept.folder, swept.records)
        leaderboard.show(swept.records, console)
        if named:
            page = leaderboard.page(swept.folder, {record.suite for record in swept.records})
            console.print(f"page: {page}", markup=False, highlight=False, soft_wrap=True)
        if named and not swept.failed:
            following = terminal.following(named, cells[0].suite, collection.lines(swept.records))
            console.print(following, markup=False, highlight=False, soft_wrap=True)
    if swept.failed:
        raise SystemExit(1)
    return swept.records
