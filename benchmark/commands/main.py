"""The one command line: ``unblend``.

Commands that only look at files import nothing heavy; those that train come from LightningCLI.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, auto_cli
from rich.console import Console
from rich.table import Table

from benchmark.errors import UserError, one_line, told, unknown
from benchmark.plan import catalogue
from benchmark.plan.execution import Execution
from benchmark.running.slurm import Slurm
from datamodules.errors import DataNotice

RUNS = "runs"
TRAINING = ("fit", "validate", "predict", "evaluate")

# Commands with options of their own, imported when they are called.
MODULES = {
    "show": "benchmark.scoring.show",
    "separate": "benchmark.scoring.separate",
    "leaderboard": "benchmark.reports.leaderboard",
    "paper": "benchmark.reports.published",
    "compare": "benchmark.reports.compare",
    "new-method": "benchmark.commands.new_method",
    "join": "benchmark.workflows.join",
    "publish": "benchmark.workflows.publish",
    "ship": "benchmark.workflows.ship",
    "reproduce": "benchmark.workflows.reproduce",
    "regression": "benchmark.workflows.regression",
    "bless": "benchmark.workflows.bless",
    "accept": "benchmark.workflows.acceptance.command",
}


def bench(
    suite: str,
    jobs: int | None = None,
    runs: str = RUNS,
    root: str | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    per_device: int = 1,
    threads: int | None = None,
    num_workers: int = 0,
    accumulate: int = 1,
    compile: bool = False,
    channels_last: bool = False,
    logger: Literal["csv", "wandb"] = "csv",
    time_limit: float | None = None,
    slurm: Slurm | None = None,
) -> None:
    """Run a suite and write its leaderboard; finished cells are reused, failed ones left to `retry`.

    Args:
        suite: name (see `unblend list suites`) or path of a YAML file.
        jobs: cells at a time; default one for each GPU, or for each core where there is none.
        runs: folder of all runs; several runners, also on other machines, may share it.
        root: folder of the data sets; default $UNBLEND_DATA.
        accelerator: of Lightning's Trainer.
        devices: devices that each cell spans, unless the suite says otherwise for it.
        per_device: cells that share a GPU.
        threads: cores that each cell uses, on the CPU; default an equal share.
        num_workers: processes that prepare samples, for each cell.
        accumulate: parts that each device's batch is cut into, to save memory; batch_size stays what it is.
        compile: the networks with torch.compile, for training.
        channels_last: lay out the networks so, for training; convolutions may be faster.
        logger: wandb: curves, sample sheets and scores there, too; CSV files are always written.
        time_limit: minutes that a cell may take, over all its interruptions.
        slurm: run the cells as jobs of Slurm, for example with --slurm.partition=gpu --slurm.gpus_per_node=1.
    """
    _run(**locals(), failed_only=False)


def retry(
    suite: str,
    jobs: int | None = None,
    runs: str = RUNS,
    root: str | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    per_device: int = 1,
    threads: int | None = None,
    num_workers: int = 0,
    accumulate: int = 1,
    compile: bool = False,
    channels_last: bool = False,
    logger: Literal["csv", "wandb"] = "csv",
    time_limit: float | None = None,
    slurm: Slurm | None = None,
) -> None:
    """Run the cells of a suite again that failed, whatever the reason; the options are those of `bench`."""
    _run(**locals(), failed_only=True)


def _run(
    suite: str,
    jobs: int | None,
    runs: str,
    failed_only: bool,
    per_device: int,
    threads: int | None,
    slurm: Slurm | None,
    **how: Any,
) -> None:
    from benchmark.plan.suite import load
    from benchmark.running.machine import Machine
    from benchmark.workflows.sweep import sweep

    machine = Machine(jobs, per_device, threads, slurm)
    sweep(load(suite), Path(runs), machine, Execution(**how), failed_only=failed_only)


def status(suite: str, runs: str = RUNS) -> None:
    """Show where every cell of a suite stands.

    Args:
        suite: name or path of a YAML file.
        runs: folder of all runs.
    """
    from benchmark.plan.suite import load
    from benchmark.running.bench import status

    Console().print(status(load(suite), Path(runs)))


def list_(what: Literal["methods", "datasets", "suites", "weights"], root: str | None = None) -> None:
    """List what there is.

    Args:
        what: methods, datasets, suites, or weights that ship trained.
        root: folder of the data sets; default $UNBLEND_DATA.
    """
    table, note = Table(box=None, pad_edge=False), ""
    if what == "methods":
        for column in ("method", "year", "supervision", "title", "paper"):
            table.add_column(column, overflow="fold")
        for entry in catalogue.methods().values():
            card = entry.card
            table.add_row(entry.name, str(card["year"]), card["supervision"], card["title"], card["paper"])
    elif what == "datasets":
        from datamodules.sets.layouts import match
        from datamodules.sets.real import PHOTOGRAPHS, SETS

        folder = data_root(root)
        for column in ("data set", "", "real sets (--source)", "found", "official"):
            table.add_column(column, overflow="fold")
        tasks = {entry.name: entry.summary for entry in catalogue.datasets().values()}
        tasks[PHOTOGRAPHS] = "Clean pictures that any task may blend, and train on (--train_source)."
        for name, summary in tasks.items():
            sets = [data for data in SETS.values() if data.task == name]
            found = [len(match(data, folder / data.name)) for data in sets]
            table.add_row(
                name,
                summary,
                "\n".join(data.name for data in sets),
                "\n".join(str(count or "–") for count in found),
                "\n".join(str(data.count) for data in sets),
            )
        note = "Each runs at once on embedded or generated data. "
        note += f"Real sets are looked for in {folder}; mnist counts its files."
    elif what == "weights":
        from benchmark.results import weights

        for column in weights.HEADER:
            table.add_column(column, overflow="fold", justify="right" if "(" in column else "left")
        rows = weights.rows()
        for row in rows:
            table.add_row(*row)
        note = "`unblend separate PHOTO --from NAME` uses them." if rows else f"None ship: {weights.FOLDER} is empty."
    else:
        import yaml

        table.add_column("suite")
        table.add_column("")
        for name, path in catalogue.suites().items():
            table.add_row(name, " ".join(str(yaml.safe_load(path.read_text()).get("description", "")).split()))
    Console(width=max(Console().width, 120)).print(table)  # narrower, cells fold into columns of syllables
    if note:
        Console(highlight=False, soft_wrap=True).print(f"\n{note}", markup=False)


def verify(arguments: list[str]) -> None:
    """Read real data sets and report what is missing or differs.

    Args:
        arguments: of the command.
    """
    from datamodules.sets.real import SETS
    from datamodules.sets.verify import verify

    parser = _OneLineParser(prog="unblend verify", description="Read real data sets and report what differs.")
    parser.add_argument("names", nargs="*", help="of the sets; default all that are found")
    parser.add_argument("--root", type=str, help="folder of the data sets; default $UNBLEND_DATA")
    parser.add_argument(
        "--statistics", type=str, metavar="TASK", help="compare its generated mixtures with the world's"
    )
    parser.add_argument("--out", type=str, default="statistics", help="folder of the histograms; default statistics")
    options = parser.parse_args(arguments)
    names, folder = options.names, data_root(options.root)
    if options.statistics:
        _statistics(options.statistics, folder, Path(options.out))
        return
    for name in names:
        if name not in SETS:
            raise unknown("data set", name, SETS)
    chosen = names or [name for name in SETS if (folder / name).is_dir()]
    if not chosen:
        raise UserError(f"no real data set in {folder}: set UNBLEND_DATA, or give --root. They are {', '.join(SETS)}.")
    console = Console(highlight=False, soft_wrap=True)
    sound = True
    for name in chosen:
        report = verify(SETS[name], folder)
        sound &= not report.problems
        console.print(f"{name:18} {report.found} of {report.data.count}  {'ok' if not report.problems else 'PROBLEMS'}")
        for line in [*report.problems[:20], *report.notes]:
            console.print(f"    {line}", markup=False)
        if len(report.problems) > 20:
            console.print(f"    … and {len(report.problems) - 20} more")
        if report.digest:
            console.print(f"    digest {report.digest}")
        console.print(f"    {report.data.citation}. Licence: {report.data.licence}.", markup=False)
    if not sound:
        raise SystemExit(1)


def _statistics(task: str, folder: Path, out: Path) -> None:
    """Print how near a task's generated mixtures are to the world's, and draw the histograms."""
    from datamodules.statistics.compare import SUBJECTS, draw

    if task not in SUBJECTS:
        raise unknown("task", task, SUBJECTS)
    subject = SUBJECTS[task](folder)
    statistics = subject.compare()
    page = out / f"{task}.png"
    draw(statistics, f"{task}: generated beside {subject.origin}", page)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{task}: generated mixtures beside {subject.origin}", markup=False)
    for one in statistics:
        console.print(f"    {one.line()}", markup=False)
    console.print(f"    histograms in {page}", markup=False)


def data_root(root: str | None) -> Path:
    """The folder of the data sets."""
    return Path(root or os.environ.get("UNBLEND_DATA") or "data").expanduser()


def doctor(root: str | None = None) -> None:
    """Report versions, devices, data found, and files that cannot be imported.

    Args:
        root: folder of the data sets; default $UNBLEND_DATA.
    """
    from benchmark.commands.doctor import report

    if not report(Console(), root):
        raise SystemExit(1)


COMMANDS: dict[str, Any] = {
    "bench": bench,
    "retry": retry,
    "status": status,
    "list": list_,
    "doctor": doctor,
}

HELP = """usage: unblend COMMAND ...

  bench SUITE                     run a suite, resume it, write its leaderboard
  retry SUITE                     run again what failed
  status SUITE                    where every cell of a suite stands
  list methods|datasets|suites|weights    what there is
  show DATASET [--source S]       a picture of mixtures and their layers
  verify [NAMES]                  are real data sets what they should be? --statistics TASK: are generated ones like it?
  separate IMAGE… --from WEIGHTS  the layers of any picture, as PNG; or --model M
  leaderboard [FOLDER]            tables and the page from records
  compare A B [--suite S]         is A better than B, by how much, beyond noise?
  paper [TABLE]                   a paper's table beside what was measured
  new-method NAME                 write a method to begin with, and its test
  join --model M --suite S        run your own method through a suite, and see where it stands
  publish FOLDER                  check a run's records and copy them to leaderboards/
  ship CELL --as TASK/NAME        let a cell's trained weights ship with the project
  reproduce RECORD…               run published cells again: is the PSNR the same?
  regression                      retrain the smoke suite: has a score moved?
  bless --reason R                make what regression measured the new golden values
  accept COMPONENT… --why W       let changed code count as the same version, if it computes the same
  doctor                          versions, devices, data found

  fit       --model M --data D    train one method (Lightning's options; --print_config)
  validate  --model M --data D --ckpt_path C     its score on the select role
  predict   --model M --data D --ckpt_path C     write its layers of the test images as PNG
  evaluate  --model M --data D [--checkpoint C] [--out R]     score it: one record

`unblend COMMAND --help` explains each."""


def _tell(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
    """A notice about data in one line; other warnings as always."""
    text = f"unblend: note: {message}\n" if issubclass(category, DataNotice) else None
    sys.stderr.write(text or warnings.formatwarning(message, category, *place[:2]))


class _OneLineParser(ArgumentParser):
    """A parser whose errors can be caught and told in one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "exit_on_error": False})


def main(arguments: list[str] | None = None) -> None:
    """Run ``unblend``; what a person can mend ends in one line on stderr and exit status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.showwarning = _tell
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # so that `--model my_net.MyNet` finds my_net.py here
    try:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(HELP)
        elif arguments[0] in TRAINING:
            from benchmark.commands.lightning import main as train

            train(arguments)
        elif arguments[0] in MODULES:
            importlib.import_module(MODULES[arguments[0]]).main(arguments[1:])
        elif arguments[0] == "verify":
            verify(arguments[1:])
        elif arguments[0] in COMMANDS:
            auto_cli(COMMANDS, args=arguments, parser_class=_OneLineParser)
        else:
            raise unknown("command", arguments[0], [*COMMANDS, *TRAINING, *MODULES, "verify"])
    except Exception as error:
        if not isinstance(error, ArgumentError) and told(error) is None:
            raise
        print(f"unblend: error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
