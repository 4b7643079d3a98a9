"""The page: one file that shows leaderboards, pictures, plots, papers and where every number comes from.

It loads nothing from elsewhere and works from ``file://``. A pure function of the records, their samples and logs, and
of ``leaderboards/published``. Python writes what is shown as data; the page's script draws a view when it is opened, so
that a page of many data sets opens as fast as one of few.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.files import write_text
from benchmark.reports.claims import text
from benchmark.reports.claims.verdicts import Verdict
from benchmark.reports.page import papers, pictures, tasks, views
from benchmark.reports.page.evidence import Json, key_of, provenance
from benchmark.results import collection
from benchmark.results.collection import Found

TEMPLATES = Path(__file__).parent

SCRIPTS = ("base.js", "tables.js", "look.js", "views.js")
"""In the order in which they are read; one function around all."""

LARGEST = 8_000_000
"""Bytes of a page: pictures are taken in as long as there is room."""

LOGS = 1_000_000
"""Bytes of all logs together; each has its share, the end of it."""


def build(found: Sequence[Found], folder: Path, said: Sequence[Verdict] = ()) -> Path:
    """Write ``index.html``.

    Args:
        found: records of all suites.
        folder: where the page is written to.
        said: verdicts on claims of papers.
    """
    path = folder / "index.html"
    write_text(path, render(found, said))
    return path


def render(found: Sequence[Found], said: Sequence[Verdict] = ()) -> str:
    """The page's text.

    Args:
        found: records of all suites.
        said: verdicts on claims of papers.
    """
    data, images = _data(found, said)
    skeleton = _page(data)
    data["pictures"] = pictures.take_in(list(images.values()), LARGEST - len(skeleton.encode()))
    for name, shown in images.items():
        data["views"][name]["pictures"] = shown.text()
    return _page(data)


def _data(found: Sequence[Found], said: Sequence[Verdict]) -> tuple[Json, dict[str, pictures.Shown]]:
    """All that the page's script reads but pictures, and the images that there are of each data set."""
    of_suites: dict[str, list[Found]] = {}
    for one in found:
        of_suites.setdefault(one.record.suite, []).append(one)
    names = [(one.record.suite, one.record.dataset) for one in found]
    suites_with = {dataset: len({suite for suite, other in names if other == dataset}) for _, dataset in names}
    share = LOGS // max(1, len(found))
    drawn: list[tuple[tasks.Task, Json, pictures.Shown]] = []
    lines: list[dict[str, object]] = []
    for suite in sorted(of_suites):
        own = of_suites[suite]
        of_record = {key_of(one.record): one for one in own}
        for dataset, under in collection.under_each_protocol([one.record for one in own]).items():
            table = next(iter(under.values()))
            task = tasks.of(table[0].first)
            view = views.view(suite, dataset, task, under, suites_with[dataset] > 1)
            behind = [[of_record[key_of(record)] for record in line.records] for line in table]
            published = [all(one.committed for one in records) for records in behind]
            # Only beside published rows is it worth a word.
            view["published"] = published if any(published) else [True] * len(table)
            view["claims"] = text.lines(said, suite, dataset)
            view["lines"] = list(range(len(lines), len(lines) + len(table)))
            lines += [provenance(line, records, share) for line, records in zip(table, behind, strict=True)]
            shown = pictures.collect(table, of_record)
            view["pictures"] = shown.text()
            drawn.append((task, view, shown))
    drawn.sort(key=lambda one: tasks.place(one[0]))
    here = list(dict.fromkeys(task for task, _, _ in drawn))
    data = {
        "tasks": [{**vars(task), "views": [view["id"] for own, view, _ in drawn if own == task]} for task in here],
        "without": [task.title for task in tasks.TASKS if task not in here],
        "views": {view["id"]: view for _, view, _ in drawn},
        "lines": lines,
        "papers": papers.every([one.record for one in found]),
        "pictures": {},
    }
    return data, {view["id"]: shown for _, view, shown in drawn}


def _page(data: Json) -> str:
    style = (TEMPLATES / "style.css").read_text()
    parts = "\n".join((TEMPLATES / name).read_text() for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Inside <script>, only this could end it.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return environment.get_template("index.html.j2").render(
        tasks=data["tasks"],
        views=data["views"],
        without=data["without"],
        style=Markup(style),
        script=Markup(script),
        script_hash=digest,
        data=Markup(text),
        matrix="Of the layer that the task is for, or the mean over those that it is for.",
    )
