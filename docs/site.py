"""What the site shows that is not written in docs/: CONTRIBUTING's instructions, diagrams, what was measured."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from benchmark.plan import catalogue
from benchmark.reports.claims import text as claims
from benchmark.reports.documents import diagram, measured, method_pages, overview
from benchmark.reports.documents.measured import Made
from benchmark.results import collection
from benchmark.results.collection import Found
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
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    method_pages.check(method_pages.written())
    pictures = {place: path for one in of_methods().values() for place, path in one.pictures.items()}
    for place, path in pictures.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


@cache
def committed() -> list[Found]:
    """All published records."""
    return collection.collect(collection.folders_of(collection.COMMITTED))


@cache
def lines() -> dict[str, dict[str, list[Line]]]:
    """Suite -> data set -> its lines."""
    suites = dict.fromkeys(one.suite_folder.name for one in committed())
    of_suites = {name: [one.record for one in committed() if one.suite_folder.name == name] for name in suites}
    return {name: collection.lines(records) for name, records in of_suites.items()}


@cache
def of_methods() -> dict[str, Made]:
    """Class name of a method -> what its page shows beside what is written."""
    sizes = overview.sizes()
    return {
        name: method_pages.results(entry, sizes.get(name), lines(), committed())
        for name, entry in catalogue.methods().items()
    }


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Draw diagrams, and put what was measured of a task or a method where its page has the mark."""
    drawn = diagram.in_markdown(markdown)
    if page.file.src_uri.startswith("methods/"):
        return method_pages.filled(drawn, of_methods())
    return re.sub(r"<!-- measured: (\w+) -->", lambda mark: measured.of_task(mark[1], lines()), drawn)
