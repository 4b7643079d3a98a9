"""What the README shows of the published records: how far they go, and the matrix of methods and tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from benchmark.files import write_text
from benchmark.plan import catalogue
from benchmark.plan.suite import PAPER
from benchmark.reports import published, tables
from benchmark.reports.notes import LEARNING, LEARNING_MEANS, TRIVIAL, learning, psnr, trivial
from benchmark.reports.page import tasks
from benchmark.results.records import Record
from benchmark.results.statistics import Line

README = catalogue.ROOT / "README.md"
SHOWN = 10
"""Methods in the matrix, at most, beside the trivial ones."""

Suites = Mapping[str, Mapping[str, Sequence[Line]]]
"""Name of a suite -> data set -> its lines, the best first."""


def parts(suites: Suites) -> dict[str, str]:
    """Name -> text of each part of the README that is made from records.

    Args:
        suites: that are published.
    """
    columns = _columns(suites)
    return {"status": status(suites), "matrix": matrix(columns) if columns else NOTHING}


NOTHING = "Nothing is published yet: everything is being measured anew.\n"


def status(suites: Suites) -> str:
    """What was run, at which scale, and what was not, in a few sentences."""
    found = list(_records(suites))
    if not found:
        return NOTHING
    judged = _in_order({tasks.of(record).title for record in found})
    methods = {record.title if record.supplied else record.config["model"]["class_path"] for record in found}
    known = {entry.class_path for entry in catalogue.methods().values()}
    datasets = {(record.suite, record.dataset) for record in found}
    seeds = {len(line.records) for of_suite in suites.values() for lines in of_suite.values() for line in lines}
    seen = sorted(record.training["images_seen"] for record in found if record.training["images_seen"])
    run = [_counted(len(found), "record"), _counted(len(methods), "method"), _counted(len(datasets), "data set")]
    said = [
        f"**What was run**: {run[0]} of {run[1]} on {run[2]} of {_counted(len(judged), 'task')} ({', '.join(judged)}), "
        f"with {_span(sorted(seeds), 'seed')} a row."
    ]
    if seen:
        devices = sorted({str(record.provenance["device"]) for record in found})
        said.append(f"Methods that train saw {_span(seen, 'image')}, on {', '.join(devices)}.")
    lacking = _in_order({task.title for task in tasks.TASKS} - set(judged))
    suites_left = [name for name in catalogue.suites() if name.endswith(PAPER) and name not in suites]
    left = [f"{len(known - methods)} of the {len(known)} methods"] if known - methods else []
    left += [f"the {_counted(len(lacking), 'task')} {', '.join(lacking)}"] if lacking else []
    left += [f"{_counted(len(suites_left), 'suite')} of the papers' sizes (`…{PAPER}`)"] if suites_left else []
    said += [f"**Not run yet**: {'; '.join(left)}."] if left else []
    return " ".join(said) + "\n"


@dataclass
class Column:
    """A task in the matrix.

    Attributes:
        task: its title.
        suite: with the records.
        lines: of the task's data set that most methods were judged on.
        best: title of a method -> the best line of it.
    """

    task: str
    suite: str
    lines: Sequence[Line]
    best: dict[str, Line] = field(init=False)

    def __post_init__(self) -> None:
        ranked = sorted((line for line in self.lines if line.ranked), key=lambda line: -psnr(line))
        self.best = {}
        for line in ranked:
            self.best.setdefault(line.first.title, line)

    @property
    def head(self) -> str:
        """Its heading: the task, and below it what sets the data set apart, and the protocol."""
        below = ", ".join(filter(None, (self.lines[0].first.data_variant, self.lines[0].protocol)))
        return f"[{self.task}](leaderboards/{self.suite}/README.md)<br>{below}"

    def gain(self, title: str) -> float:
        """By how much a method is better than what looks at nothing (dB); 0 where that cannot be said."""
        bar = trivial(self.lines)
        return psnr(self.best[title]) - psnr(bar) if bar and title in self.best else 0.0


def _columns(suites: Suites) -> list[Column]:
    """For each task that has records, the data set of it that most methods were judged on."""
    found: dict[str, Column] = {}
    for suite, datasets in suites.items():
        for lines in datasets.values():
            column = Column(tasks.of(lines[0].first).title, suite, lines)
            known = found.get(column.task)
            if column.best and (known is None or len(column.best) > len(known.best)):
                found[column.task] = column
    return [found[task] for task in _in_order(set(found))]


def matrix(columns: Sequence[Column]) -> str:
    """Methods × tasks: PSNR of the layers that each task is for, the best of each task in bold.

    The first rows are the methods that lead in a task, and those that the papers propose.

    Args:
        columns: the tasks.
    """
    titles = {title: line for column in columns for title, line in column.best.items()}
    blind = [title for title, line in titles.items() if line.first.method in TRIVIAL]

    proposed = published.proposed()

    def order(title: str) -> tuple[bool, int, float, str]:
        held = [column for column in columns if title in column.best]
        leads = any(next(iter(column.best)) == title for column in held)
        own = any(published.of_class(titles[title].first.config.get("model"), {"class": name}) for name in proposed)
        return not (leads or own), -len(held), -fmean(column.gain(title) for column in held), title

    methods = sorted(set(titles) - set(blind), key=order)
    shown = [line for column in columns for line in column.best.values()]
    rows = [
        "PSNR (dB) of the layers that each task is for, under its own protocol: of each method its best variant, "
        "the best of all in bold, nothing where it was not measured; the last rows are answers that look at nothing."
        + (f" {LEARNING_MEANS}." if any(map(learning, shown)) else ""),
        "",
        f"| method | {' | '.join(column.head for column in columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for title in methods[:SHOWN]:
        rows.append(_row(title, title, columns))
    for title in sorted(blind, key=lambda title: list(TRIVIAL).index(titles[title].first.method)):
        rows.append(_row(f"*{TRIVIAL[titles[title].first.method]}*", title, columns))
    if len(methods) > SHOWN:
        rows += ["", f"{len(methods) - SHOWN} more methods stand in the tables of [leaderboards/](leaderboards/)."]
    return "\n".join(rows) + "\n"


def _row(name: str, title: str, columns: Sequence[Column]) -> str:
    cells = []
    for column in columns:
        line = column.best.get(title)
        shown = tables.text(line.judged("psnr"), "psnr") if line else ""
        shown = f"**{shown}**" if line and next(iter(column.best)) == title else shown
        cells.append(shown + (LEARNING if line and learning(line) else ""))
    return f"| {name} | {' | '.join(cells)} |"


def write(suites: Suites, path: Path) -> None:
    """Put the parts into the README, where it has marks for them.

    Args:
        suites: that are published.
        path: of the file.
    """
    text = path.read_text() if path.is_file() else ""
    made = text
    for name, part in parts(suites).items():
        begin, end = marks(name)
        if begin in made and end in made:
            made = f"{made.partition(begin)[0]}{begin}\n{part}{end}{made.partition(end)[2]}"
    if made != text:
        write_text(path, made)


def marks(name: str) -> tuple[str, str]:
    """Where a part begins and ends."""
    return f"<!-- {name}: written by `unblend leaderboard`, do not edit -->", f"<!-- /{name} -->"


def _records(suites: Suites) -> Iterator[Record]:
    for datasets in suites.values():
        for lines in datasets.values():
            for line in lines:
                yield from line.records


def _in_order(titles: set[str]) -> list[str]:
    """Titles of tasks in the page's order; what is not among them comes last."""
    known = [task.title for task in tasks.TASKS]
    return sorted(titles, key=lambda title: (known.index(title) if title in known else len(known), title))


def _span(values: Sequence[int], what: str) -> str:
    """Such as ``1 seed``, or ``20 to 300 images``."""
    low, high = values[0], values[-1]
    return _counted(low, what) if low == high else f"{low:,} to {_counted(high, what)}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
