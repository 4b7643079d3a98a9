"""Run a method of your own through a suite, and see where it stands."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.errors import UserError, unknown
from benchmark.files import read_yaml
from benchmark.metrics.scales import SCALES
from benchmark.plan import catalogue, suite
from benchmark.plan.execution import Execution
from benchmark.reports import compare, leaderboard, notes
from benchmark.reports.tables import judged_by
from benchmark.results import collection
from benchmark.results.resampling import holm
from benchmark.running.machine import Machine
from benchmark.workflows.sweep import sweep


def join(
    name: str,
    row: suite.Row,
    runs: Path,
    machine: Machine,
    execution: Execution,
    console: Console,
    *,
    images: int | None = None,
    failed_only: bool = False,
) -> None:
    """Run a method through a suite beside what is published.

    Args:
        name: of the suite, or its file.
        row: the method's, as in a suite.
        runs: folder of all runs.
        machine: where cells run.
        execution: how they are run.
        console: to tell where it stands.
        images: training images; default as many as any row of the suite sees.
        failed_only: run again what failed, and nothing else.

    Raises:
        UserError: an unknown method, suite or option.
        SystemExit: with status 1, when a cell failed.
    """
    row = {**row, "name": catalogue.method(row["name"]).class_path}
    cells = suite.cells_of(with_method(name, row, images), Path(name).stem)
    sweep(cells, runs, machine, execution, failed_only=failed_only)
    folder = runs / cells[0].suite
    console.print(f"page: {leaderboard.page(folder, {cells[0].suite})}", soft_wrap=True)
    standing(cells[0].method, folder, console)


def with_method(name: str, row: suite.Row, images: int | None) -> suite.Suite:
    """A suite with one method instead of its own, on the same data, with the same seeds.

    Args:
        name: of the suite, or its file.
        row: the method's.
        images: training images; default for each data set as many as the suite gives any of its methods, and where
            none of them is trained, the least that it gives for another data set.

    Raises:
        UserError: an unknown suite, or a budget below 1.
    """
    path = catalogue.suites().get(name, Path(name))
    cells = suite.load(name)  # checks it, too
    if images is not None and images < 1:
        raise UserError(f"images {images}: it must be at least 1.")
    held: suite.Suite = read_yaml(path)
    most: dict[str, int] = {}
    for cell in cells:
        budget = cell.config["data"]["init_args"].get("images")
        if budget:
            most[cell.dataset] = max(budget, most.get(cell.dataset, 0))
    rows: list[str | suite.Row] = []
    for named in held["datasets"]:
        dataset: suite.Row = {"name": named} if isinstance(named, str) else named
        folder = suite.folder(dataset, catalogue.dataset(dataset["name"]))
        budget = images or most.get(folder) or min(most.values(), default=None)
        if budget:
            dataset = {**dataset, "budget": {**dataset.get("budget", {}), "images": budget}}
        rows.append(dataset)
    return {**held, "datasets": rows, "methods": [row]}


def standing(method: str, folder: Path, console: Console) -> None:
    """Print a method's rank on each data set, and its difference from every other row.

    Args:
        method: name in records.
        folder: of the suite's run; what is published of the same suite stands beside it.
        console: to print on.

    Raises:
        UserError: the method has no record.
    """
    beside = [path for path in collection.folders_of(collection.COMMITTED) if path.name == folder.name]
    found = [one.record for one in collection.collect([*beside, folder])]
    methods = {record.method for record in found}
    if method not in methods:
        raise unknown("method in records", method, methods)
    groups: dict[str, compare.Groups] = {}
    for record in found:
        groups.setdefault(record.method, {}).setdefault((record.suite, record.dataset), []).append(record)
    for lines in collection.lines(found).values():
        own = next((line for line in lines if line.first.method == method), None)
        if own is None:
            continue
        score, digits = own.judged("psnr"), SCALES["psnr"].digits
        if score and score.rank:
            ranked = sum(line.ranked for line in lines)
            console.print(
                f"{own.first.data_label}: {own.first.label} has {score.text(digits)} dB ({score.interval(digits)}), "
                f"rank {score.rank} of {ranked} by {judged_by(lines)}",
                markup=False,
                soft_wrap=True,
            )
        else:
            console.print(f"{own.first.data_label}: {notes.note(own, lines)}", markup=False, soft_wrap=True)
    results = []
    for other in sorted(methods - {method}):
        for key in sorted(groups[method].keys() & groups[other].keys()):
            try:
                line = compare.compare({key: groups[method][key]}, {key: groups[other][key]})[0]
            except UserError as error:
                print(f"unblend: warning: not compared with {other}: {error}", file=sys.stderr)
                continue
            results.append((groups[other][key][0], line))
    if not results:
        console.print("There is no other row of these data that it can be compared with.")
        return
    corrected = holm([line.result.p for _, line in results])
    table = Table(title="PSNR minus that of each other row (dB)", title_justify="left")
    for name in ("data set", "against", "images", "difference", "95 % interval", "p (Holm)", "wins", ""):
        table.add_column(name, justify="left" if name in ("data set", "against", "") else "right")
    for (record, line), p in sorted(zip(results, corrected, strict=True), key=lambda one: one[0][1].dataset):
        result = line.result
        word = "" if p >= 0.05 else "better" if result.difference > 0 else "worse"
        table.add_row(
            Text(line.dataset), Text(record.label), str(result.images), f"{result.difference:+.2f}",
            f"{result.low:+.2f} … {result.high:+.2f}", f"{p:.2g}", f"{100 * result.wins:.0f} %",
            word or "no difference",
        )  # fmt: skip
    Console(file=console.file, width=max(console.width, 120), highlight=False).print(table)
    seeds = {len(group) for group in groups[method].values()}
    console.print(
        f"p: permutation test over test images, Holm's correction for all {len(results)} comparisons. "
        + ("With a single seed, how much training varies is not known." if seeds == {1} else ""),
        soft_wrap=True,
    )
