"""What a reader must know of a table: what sets single lines apart, what was still learning, what beats nothing."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.plan import catalogue
from benchmark.plan import suite as suites
from benchmark.plan.precision import FULL
from benchmark.results import marks, provenance
from benchmark.results.records import Record
from benchmark.results.statistics import Line, target_layers

TRIVIAL = {"identity": "the mixture itself", "half_mixture": "half of the mixture"}
"""Methods that look at nothing, and what they answer."""

LEARNING = " ↗"
"""Behind the images that a training saw, which had more to learn."""

LEARNING_MEANS = (
    f"{LEARNING.strip()}: still learning; the select role's score rose by more than {marks.RISE} dB "
    "over the last quarter of the training"
)


def psnr(line: Line) -> float:
    """By which a line is ranked (dB); −∞ where it has none."""
    score = line.judged("psnr")
    return score.mean if score else float("-inf")


def trivial(lines: Sequence[Line]) -> Line | None:
    """The better of the rows that look at nothing, which any method has to beat; None where none was run."""
    ranked = [line for line in lines if line.ranked and line.first.method in TRIVIAL]
    return max(ranked, key=psnr, default=None)


def learning(line: Line) -> bool:
    """Whether the training of any of its seeds was cut off while its curve still rose."""
    return any(marks.still_learning(record) for record in line.records)


def leading(table: Sequence[Line]) -> Line:
    """A line that the table is about, even if none is ranked."""
    return next((line for line in table if not line.unlike), table[0])


def target_of(table: Sequence[Line]) -> tuple[str, ...]:
    """Names of the layers that a table is judged by."""
    return target_layers(leading(table).first)


def note(line: Line, table: Sequence[Line]) -> str:
    """What a reader must know of a line of a table; empty where it is ranked like the others."""
    who = line.first.label
    if line.unlike:
        return f"{who} is not ranked: {line.unlike}."
    if line.first.supplied:
        return f"{who}: {_supplied(line.first)}."
    if not line.target:
        lacking = " and ".join(layer for layer in target_of(table) if layer not in line.layers)
        return f"{who} does not give {lacking}: without every target layer it is ranked layer by layer only."
    return ""


def _supplied(record: Record) -> str:
    """What is known of supplied outputs, in words."""
    by = "its author" if record.provenance.get("by_its_author") else "somebody else"
    return f"{len(record.ids)} images' pictures were supplied by {by}; trained on: {provenance.learnt_from(record)}"


def of(table: Sequence[Line]) -> list[str]:
    """What a reader must know of a table: what is of older code, and what sets single lines apart."""
    first = leading(table).first
    said = [f"The {part} {verb} {of}." for part, verb in _PARTS.items() if (of := marks.older(first, part))]
    for line in table:
        of = marks.older(line.first, "method")
        said += [f"{line.first.label} is {of}."] if of else []
        said += [apart] if (apart := note(line, table)) else []
    return [*said, *below(table), *rising(table), *precisions(table)]


def rising(table: Sequence[Line]) -> list[str]:
    """Which methods had more to learn, in a sentence; none where all had ended."""
    names = [line.first.label for line in table if learning(line)]
    return [f"Still learning when the budget ended: {'; '.join(names)}."] if names else []


def precisions(table: Sequence[Line]) -> list[str]:
    """In which precision methods were trained, a sentence each; none where all were in the same."""
    used: dict[str, list[str]] = {}
    for line in table:
        for record in line.records:
            if record.training["images_seen"]:
                names = used.setdefault(str(record.training.get("precision", FULL)), [])
                if line.first.label not in names:
                    names.append(line.first.label)
    if len(used) < 2:
        return []
    return [f"Trained in {name}: {'; '.join(rows)}." for name, rows in sorted(used.items())]


def below(table: Sequence[Line]) -> list[str]:
    """Which methods do not beat what looks at nothing, and what their suite says of these and of the unranked."""
    bar = trivial(table)
    if bar is None:
        return []
    worse = [line for line in table if line.ranked and psnr(line) < psnr(bar) and line.first.method not in TRIVIAL]
    said = []
    if worse:
        names = "; ".join(line.first.label for line in worse)
        said.append(f"Below {TRIVIAL[bar.first.method]} ({psnr(bar):.2f} dB), which looks at nothing: {names}.")
    unranked = [line for line in table if not line.ranked]
    return said + [f"{line.first.label}: {why}" for line in [*worse, *unranked] if (why := _why(line.first))]


def _why(record: Record) -> str:
    """What the suite's row says of itself; empty for a suite that is not the project's."""
    if record.suite not in catalogue.suites():
        return ""
    here = (record.dataset, record.method)
    return next((cell.note for cell in suites.load(record.suite) if (cell.dataset, cell.method) == here), "")


_PARTS = {"data": "are", "training": "is", "metrics": "are"}
"""What all lines of a table share, and its verb."""
