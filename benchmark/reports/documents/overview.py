"""All methods in one table: ``docs/methods/index.md``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.files import read_json, write_text
from benchmark.plan import catalogue, suite
from benchmark.reports.documents.measured import row
from benchmark.reports.page import tasks

PAGE = catalogue.ROOT / "docs" / "methods" / "index.md"
SIZES = catalogue.ROOT / "docs" / "sizes.json"
BEGIN = "<!-- methods: written by `python -m benchmark.speed.networks.sizes`, do not edit -->"
END = "<!-- /methods -->"

HEADER = (
    "method", "paper", "year", "learns from", "tasks", "parameters", "authors'", "GMACs at 256²", "one core (s)"
)  # fmt: skip


def sizes(path: Path = SIZES) -> dict[str, dict[str, Any]]:
    """Class name -> what was counted and measured of it: ``parameters``, ``authors``, ``macs`` and ``seconds``."""
    held: dict[str, dict[str, Any]] = (read_json(path) or {}).get("methods", {})
    return held


@cache
def tasks_of_suites() -> dict[str, list[str]]:
    """Class name of a method -> titles of the tasks on which a suite has a row of it, in the page's order."""
    folders: dict[str, set[str]] = {}
    entries = {entry.class_path: entry.folder for entry in catalogue.datasets().values()}
    for name in catalogue.suites():
        for cell in suite.load(name):
            method = cell.config["model"]["class_path"].rpartition(".")[2]
            folders.setdefault(method, set()).add(entries[cell.config["data"]["class_path"]])
    return {method: [task.title for task in tasks.TASKS if task.folder in found] for method, found in folders.items()}


def table(held: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, a row for each method in the order of their titles.

    Args:
        held: class name -> its size.
    """
    parts = [row(HEADER), row(["---", "---", "---:", "---", "---", *["---:"] * 4])]
    for entry in sorted(catalogue.methods().values(), key=lambda entry: entry.card["title"].lower()):
        card, size = entry.card, held.get(entry.name)
        figures = ["", "", "", ""]
        if size is not None:
            figures = [
                f"{size['parameters']:,}",
                f"{size['authors']:,}" if size["authors"] else "",
                "" if size["macs"] is None else f"{size['macs'] / 1e9:.3g}",
                "" if size["seconds"] is None else f"{size['seconds']:.2g}",
            ]
        where = ", ".join(tasks_of_suites().get(entry.name, []))
        link = f"[{card['title']}]({entry.folder}.md)"
        parts.append(row([link, card["paper"], str(card["year"]), card["supervision"], where, *figures]))
    return "\n".join(parts) + "\n"


def text(page: str, held: Mapping[str, Any]) -> str:
    """The page with its table made anew.

    Args:
        page: as it is.
        held: what ``docs/sizes.json`` holds: ``methods`` and ``processor``.
    """
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(held['methods'])}\nOne core: {held['processor']}.\n{END}{after}"


def write() -> None:
    """Make the table of the page anew."""
    write_text(PAGE, text(PAGE.read_text(), read_json(SIZES)))
