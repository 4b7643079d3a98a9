"""Run published cells again from their records' configurations, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.errors import UserError
from benchmark.plan import suite
from benchmark.plan.execution import Execution, Options
from benchmark.plan.suite import BUDGET
from benchmark.results import checks, records
from benchmark.results.records import Record
from benchmark.running.machine import Machine
from benchmark.workflows.sweep import sweep

LINKED = {"model": "spec", "data": "seed"}
"""What a complete configuration holds and the command line fills in by itself."""


@dataclass(frozen=True)
class Pair:
    """A published record, and that of the same configuration run again."""

    published: Record
    again: Record

    @property
    def difference(self) -> float:
        """Mean PSNR of the second minus that of the first, in dB."""
        return self.again.mean("psnr") - self.published.mean("psnr")

    @property
    def remark(self) -> str:
        """What else differs than the time: versions, the data's contents, the machine, the training's precision."""
        before, now = self.published.provenance, self.again.provenance
        old, new = self.published.identities, self.again.identities
        found = [f"{old[part]} before, {new.get(part)} now" for part in old if old[part] != new.get(part)]
        if self.published.data_digest != self.again.data_digest:
            found.append("other data")
        if before["device"] != now["device"]:
            found.append(f"on {before['device']} before")
        elif now["device"] == "cpu" and before["processor"] != now["processor"]:
            found.append(f"on {before['processor']} before")
        trained = [made.training.get("precision") for made in (self.published, self.again)]
        if trained[0] != trained[1]:
            found.append(f"trained in {trained[0]} before, in {trained[1]} now")
        torch = [made["versions"].get("torch") for made in (before, now)]
        if torch[0] != torch[1]:
            found.append(f"torch {torch[0]} before, {torch[1]} now")
        return ", ".join(found)


def reproduce(
    paths: Sequence[Path], tolerance: float, runs: Path, machine: Machine, execution: Execution, console: Console
) -> bool:
    """Run the cells of some records again and print both results.

    Args:
        paths: of the records.
        tolerance: dB by which a mean PSNR may differ.
        runs: folder of these runs.
        machine: where they run; where it names no threads, a cell uses as many as before.
        execution: how they are run.
        console: to print on.

    Returns:
        Whether every mean PSNR is what it was.

    Raises:
        UserError: a file that is no record, or records that cannot be told apart.
        SystemExit: with status 1, when a cell failed.
    """
    if not tolerance > 0:
        raise UserError(f"tolerance {tolerance}: it must be more than 0 dB.")
    paths = list(dict.fromkeys(paths))
    for path in paths:
        if not path.is_file():
            raise UserError(f"no record {path}: give files, such as leaderboards/quick/records/digits/unet/seed0.json.")
    published = [checks.sound(path) for path in paths]
    groups: dict[tuple[str, int | None], list[Record]] = {}
    for record in published:
        share = threads(record) if machine.threads is None else machine.threads
        groups.setdefault((record.suite, share), []).append(record)
    pairs = []
    for (name, share), own in groups.items():
        pairs += run_again(name, own, runs, replace(machine, threads=share), execution)
    Console(file=console.file, width=max(console.width, 120), highlight=False).print(table(pairs))
    moved = [pair for pair in pairs if not abs(pair.difference) <= tolerance]
    console.print(f"{len(pairs) - len(moved)} of {len(pairs)} within {tolerance} dB of what is published")
    return not moved


def threads(record: Record) -> int | None:
    """Cores that a record's cell used on the CPU: with others sums round otherwise, and trainings drift apart."""
    found: int | None = record.cost.get("latency_threads")
    return found


def run_again(name: str, published: Sequence[Record], runs: Path, machine: Machine, execution: Execution) -> list[Pair]:
    """Run the cells of some records of one suite.

    Args:
        name: of the suite.
        published: its records.
        runs: folder of these runs; finished cells in it are reused.
        machine: where they run.
        execution: how they are run.

    Returns:
        Each record with its second.

    Raises:
        UserError: two records are of the same cell.
        SystemExit: with status 1, when a cell failed.
    """
    cells = {cell.path: cell for cell in suite.cells_of(as_suite(published), name)}
    sweep(list(cells.values()), runs, machine, execution)
    pairs = []
    for record in published:
        cell = cells[Path(record.dataset, record.method, f"seed{record.seed}")]
        again = runs / name / "records" / cell.path.with_suffix(".json")
        if not again.is_file():
            raise UserError(f"{cell.name}: it was skipped; this version of the method does not take the data.")
        pairs.append(Pair(record, records.read(again)))
    return pairs


def as_suite(published: Sequence[Record]) -> suite.Suite:
    """A suite of the cells of some records, each with its own configuration.

    Raises:
        UserError: two of them are of one data set's name and differ in its options, or a configuration is not whole.
    """
    datasets: dict[str, suite.Row] = {}
    methods: list[str | suite.Row] = []
    for record in published:
        try:
            model, data = record.config["model"], record.config["data"]
            parts = {"model": dict(model["init_args"]), "data": dict(data["init_args"])}
            paths = {"model": str(model["class_path"]), "data": str(data["class_path"])}
            precision = record.config["trainer"]["precision"]
        except (KeyError, TypeError, ValueError) as error:
            name = f"{record.suite}, {record.dataset}, {record.method}, seed {record.seed}"
            raise UserError(f"record of {name}: its configuration is not whole ({error}): get it anew.") from error
        for part, linked in LINKED.items():
            parts[part].pop(linked, None)
        budget = {key: parts["data"].pop(key) for key in BUDGET if key in parts["data"]}
        budget = {key: value for key, value in budget.items() if value is not None}
        dataset = _row(paths["data"], record.data_variant, parts["data"])
        if datasets.setdefault(record.dataset, dataset) != dataset:
            raise UserError(f"records of {record.dataset} differ in the data's options: reproduce them one by one.")
        method = _row(paths["model"], record.variant, parts["model"])
        methods.append(
            {**method, "only": [record.dataset], "seeds": [record.seed], "precision": precision, "budget": budget}
        )
    return {"datasets": list(datasets.values()), "methods": methods}


def _row(class_path: str, variant: str, options: Options) -> suite.Row:
    """A suite's row that gets a record's folder."""
    row = suite.Row(name=class_path, init_args=options)
    return {**row, "variant": variant} if variant else row


def table(pairs: Sequence[Pair]) -> Table:
    """What was published beside what came out now."""
    found = Table(title="mean PSNR (dB)", title_justify="left")
    for name in ("suite", "data set", "method", "seed", "published", "again", "difference", ""):
        number = name in ("seed", "published", "again", "difference")
        found.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for pair in pairs:
        one = pair.published
        found.add_row(
            Text(one.suite), Text(one.dataset), Text(one.method), str(one.seed), f"{one.mean('psnr'):.3f}",
            f"{pair.again.mean('psnr'):.3f}", f"{pair.difference:+.3f}", Text(pair.remark),
        )  # fmt: skip
    return found
