"""What the site shows that is not written in docs/: methods' pages, CONTRIBUTING's instructions, what was measured."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from benchmark.plan import catalogue
from benchmark.reports import method_pages
from benchmark.reports.claims import text as claims
from benchmark.results import collection
from benchmark.results.records import Record
from benchmark.results.statistics import Line

ROOT = Path(__file__).resolve().parents[1]

SECTIONS = {
    "add_a_method.md": "Add a method",
    "add_a_data_set.md": "Add a data set",
    "joining.md": "From an idea to a statement",
    "what_keeps_the_numbers_right.md": "What keeps the numbers right",
}
"""Page -> section of CONTRIBUTING.md that it shows."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    made = {name: method_pages.section(contributing, title) for name, title in SECTIONS.items()}
    made["claims.md"] = claims.path().read_text()
    published = [one for records in committed().values() for one in records]
    for entry in catalogue.methods().values():
        made[f"methods/{entry.folder}_{entry.name}.md"] = method_pages.page(entry, published)
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


@cache
def committed() -> dict[str, list[Record]]:
    """Suite -> its published records."""
    found: dict[str, list[Record]] = {}
    for one in collection.collect(collection.folders_of(collection.COMMITTED)):
        found.setdefault(one.suite_folder.name, []).append(one.record)
    return found


@cache
def lines() -> dict[str, dict[str, list[Line]]]:
    """Suite -> data set -> its lines."""
    return {suite: collection.lines(records) for suite, records in committed().items()}


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put what was measured of a task where its page has the mark."""
    return re.sub(r"<!-- measured: (\w+) -->", lambda mark: method_pages.measured_on(mark[1], lines()), markdown)
