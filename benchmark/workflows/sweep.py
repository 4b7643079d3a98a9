"""Run a suite and write its leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmark.plan.execution import Execution
from benchmark.plan.suite import Cell
from benchmark.reports import leaderboard
from benchmark.results.records import Record
from benchmark.running.bench import bench
from benchmark.running.machine import Machine


def sweep(
    cells: Sequence[Cell], runs: Path, machine: Machine, execution: Execution, *, failed_only: bool = False
) -> list[Record]:
    """Run every cell of a suite that has no valid record, then write and print the leaderboard.

    Args:
        cells: of one suite.
        runs: folder of all runs.
        machine: where they run.
        execution: how they are run: what no result depends on.
        failed_only: run again what failed, whatever the reason, and nothing else.

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
        console.print(f"records and leaderboard: {swept.folder}", highlight=False)
    if swept.failed:
        raise SystemExit(1)
    return swept.records
