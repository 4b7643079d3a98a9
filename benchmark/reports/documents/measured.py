"""What was measured of a task or of a method, as Markdown for the documentation's site."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from statistics import fmean

from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry
from benchmark.reports import notes, tables
from benchmark.reports.page import pictures, plots, tasks
from benchmark.reports.page.evidence import key_of
from benchmark.reports.page.pictures import Image
from benchmark.results import weights
from benchmark.results.collection import Found
from benchmark.results.marks import curve
from benchmark.results.records import Record
from benchmark.results.statistics import Line

Suites = Mapping[str, Mapping[str, Sequence[Line]]]
"""Name of a suite -> data set -> its lines, the best first."""

PICTURES = "pictures/samples"
"""Folder of the site for pictures from ``leaderboards``; each is there once, by its contents."""


@dataclass
class Made:
    """A part of a page, and what it shows.

    Attributes:
        text: Markdown.
        pictures: place in the site -> file.
    """

    text: str
    pictures: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """What one data set of one suite says of a method.

    Attributes:
        suite: its name.
        lines: all of the data set's, the best first.
        own: places of the method's among them.
    """

    suite: str
    lines: Sequence[Line]
    own: list[int]

    @property
    def label(self) -> str:
        """The data set's name."""
        return tables.escaped(self.lines[0].first.data_label)

    @property
    def title(self) -> str:
        """The data set's name, which leads to its task."""
        folder = tasks.of(self.lines[0].first).folder
        known = any(entry.folder == folder for entry in catalogue.datasets().values())
        return f"[{self.label}](../tasks/{folder}.md)" if known else self.label


def of_task(task: str, suites: Suites) -> str:
    """What is published of a task: a table for each of its data sets.

    Args:
        task: class name of its data set.
        suites: that are published.
    """
    parts = ["## What was measured", ""]
    for suite, datasets in suites.items():
        for lines in datasets.values():
            if class_of(lines[0].first, "data") != task:
                continue
            bar = notes.trivial(lines)
            name = tables.escaped(lines[0].first.data_label)
            parts += [f"**{name}** ({tables.protocol_text(lines)}; judged by {tables.judged_by(lines)})", ""]
            parts += [row(["method", "PSNR (dB)", "over what looks at nothing (dB)", "SSIM"])]
            parts += [row(["---", "---:", "---:", "---:"])]
            for line in lines:
                psnr, ssim = (tables.text(line.judged(measure), measure) for measure in ("psnr", "ssim"))
                parts.append(row([_linked(line.first), psnr, _gain(line, bar), ssim]))
            parts += ["", f"All of it: `leaderboards/{suite}/README.md`.", ""]
    if len(parts) == 2:
        parts += ["Nothing is published of this task yet: `leaderboards/QUEUE.md` says what is to run.", ""]
    return "\n".join(parts)


def of_method(entry: Entry, suites: Suites, found: Sequence[Found]) -> Made:
    """What is published of a method: its rows, its learning curves, and what it made of one picture of each data set.

    Args:
        entry: of the method.
        suites: that are published.
        found: their records, and where these lie.
    """
    made = Made("## What was measured\n\n")
    every = list(_rows(entry, suites))
    if not every:
        made.text += "Nothing of it is published yet: `leaderboards/QUEUE.md` says what is to run.\n"
    else:
        made.text += _table(every) + _curves(every) + _looks(every, found, made.pictures)
    shipped = [name for name, one in weights.shipped().items() if class_of(one.record(), "model") == entry.name]
    if shipped:
        commands = ", ".join(f"`unblend separate PHOTO --from {name}`" for name in shipped)
        made.text += f"\nTrained weights of it ship: {commands}.\n"
    return made


def class_of(record: Record, part: str) -> str:
    """Name of a record's class: of its ``model``, or of its ``data``."""
    return str(record.config[part]["class_path"]).rpartition(".")[2]  # type: ignore[literal-required]


def row(cells: Sequence[str]) -> str:
    """A row of a Markdown table, of cells that are Markdown."""
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def _rows(entry: Entry, suites: Suites) -> Iterator[Rows]:
    """In the page's order of tasks."""
    every = [(suite, lines) for suite, held in suites.items() for lines in held.values()]
    for suite, lines in sorted(every, key=lambda one: tasks.place(tasks.of(one[1][0].first))):
        own = [place for place, line in enumerate(lines) if class_of(line.first, "model") == entry.name]
        if own:
            yield Rows(suite, lines, own)


def _table(every: Sequence[Rows]) -> str:
    header = ["data set", "row", "PSNR (dB)", "trivial (dB)", "gain (dB)", "SSIM", "parameters", "images seen"]
    parts = [
        "PSNR and SSIM are of the layers that a task is for, under its own protocol. The *trivial* answer looks at "
        "nothing: it is the better of the mixture itself and its equal shares; *gain* is what a row is above it.",
        "",
        row(header),
        row(["---", "---", *["---:"] * 6]),
    ]
    for one in every:
        bar = notes.trivial(one.lines)
        for line in (one.lines[place] for place in one.own):
            psnr, ssim = (tables.text(line.judged(measure), measure) for measure in ("psnr", "ssim"))
            seen = round(fmean(record.training["images_seen"] for record in line.records))
            cells = [psnr, tables.text(bar.judged("psnr"), "psnr") if bar else "", _gain(line, bar), ssim]
            parameters = tables.count_text(line.first.cost["parameters"])
            parts.append(row([one.title, tables.escaped(_variant(line)), *cells, parameters, f"{seen:,}"]))
    names = ", ".join(f"`leaderboards/{suite}/README.md`" for suite in dict.fromkeys(one.suite for one in every))
    return "\n".join([*parts, "", f"All rows beside it: {names}.", ""])


def _gain(line: Line, bar: Line | None) -> str:
    """By how much a line is above the trivial answer."""
    return f"{notes.psnr(line) - notes.psnr(bar):+.2f}" if bar and line.ranked else ""


def _variant(line: Line) -> str:
    """What sets a line apart from others of its method."""
    return line.first.variant or line.first.title


def _linked(record: Record) -> str:
    """A row's name, which leads to its method's page where there is one."""
    entry = catalogue.methods().get(class_of(record, "model"))
    name = tables.escaped(record.label)
    return f"[{name}](../methods/{entry.folder}.md)" if entry else name


def _curves(every: Sequence[Rows]) -> str:
    figures = []
    for one in every:
        runs = [
            (_variant(line) + (f", seed {record.seed}" if len(line.records) > 1 else ""), curve(record))
            for line in (one.lines[place] for place in one.own)
            for record in line.records
        ]
        shown = [(name, points) for name, points in runs if points][: plots.COLOURS]
        if shown:
            drawn = plots.curves(shown, "training images seen", "PSNR on the select role (dB)")
            names = "".join(f'<li class="c{place}"><i></i>{escape(name)}</li>' for place, (name, _) in enumerate(shown))
            figures.append(
                f"<figure><figcaption>{escape(one.lines[0].first.data_label)}</figcaption>{drawn}<ul>{names}</ul></figure>"
            )
    if not figures:
        return ""
    said = "PSNR on the select role (dB) against the images seen in training."
    return f'\n### Learning curves\n\n{said}\n\n<div class="curves">{"".join(figures)}</div>\n'


def _looks(every: Sequence[Rows], found: Sequence[Found], shown: dict[str, Path]) -> str:
    """One picture of each data set by the method's best row, with its layers and their truths."""
    parts = []
    for one in every:
        own = {key_of(line.first) for line in one.lines}
        of_record = {key_of(f.record): f for f in found if f.record.suite == one.suite and key_of(f.record) in own}
        images = pictures.collect([line for line in one.lines if key_of(line.first) in of_record], of_record).images
        best = next(((place, image) for place in one.own for image in images if place in image.psnr), None)
        if best and (-1, "mixture") in best[1].files:
            parts += _look(one, *best, shown)
    return "\n### Pictures\n\n" + "\n".join(parts) if parts else ""


def _look(one: Rows, place: int, image: Image, shown: dict[str, Path]) -> list[str]:
    pairs = [(-1, "mixture", "mixture")]
    for k, layer in enumerate(image.layers):
        level = f", {image.psnr[place][k]:.1f} dB" if k < len(image.psnr[place]) else ""
        pairs += [(place, f"estimate-{k}", f"{layer}, found{level}"), (-1, f"truth-{k}", f"{layer}, truth")]
    figures = []
    for whose, what, caption in pairs:
        path = image.files.get((whose, what))
        if path is not None:
            name = f"{PICTURES}/{hashlib.blake2b(path.read_bytes(), digest_size=9).hexdigest()}{path.suffix}"
            shown[name] = path
            said = f"![{tables.escaped(caption)}](../{name})\n<figcaption>{escape(caption)}</figcaption>"
            figures.append(f"<figure markdown>\n{said}\n</figure>")
    instead = f" Test images are not passed on; this is one of embedded pictures ({image.made_of})."
    said = f"{_variant(one.lines[place])}, image {image.id}.{instead if image.made_of else ''}"
    text = f"**{one.label}**, {tables.escaped(said)}"
    return [text, "", '<div class="strip" markdown>', *figures, "</div>", ""]
