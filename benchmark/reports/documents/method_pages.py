"""A method's page: what is written in ``docs/methods/NAME.md``, and what its marks are replaced by.

``NAME`` is the name of the method's file. The mark ``card`` becomes facts of its card, the mark ``results`` options,
size, what was measured, what was reconstructed, and the papers' rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry
from benchmark.reports import published
from benchmark.reports.documents import measured, sources
from benchmark.reports.documents.measured import Made, Suites, row
from benchmark.results.collection import Found
from benchmark.results.records import Record

FOLDER = catalogue.ROOT / "docs" / "methods"
INDEX = "index"

MARK = re.compile(r"<!-- (card|results): (\w+) -->")

LEARNS = {
    "paired": "pairs: each mixture of training comes with its layers",
    "unpaired": "mixtures and layers of different scenes; no mixture comes with its own layers",
    "single-image": "nothing but the picture that it takes apart",
    "none": "nothing: it has no training",
}
"""What a method of each kind of supervision learns from."""


def written(folder: Path = FOLDER) -> dict[str, str]:
    """Name of a method's file -> text of its page, of all pages but the index."""
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.md")) if path.stem != INDEX}


def blocks(text: str) -> list[tuple[str, str]]:
    """What stands between a page's fences: the kind, ``diagram`` or nothing, and the lines; empty ones are left out.

    Args:
        text: of the page.
    """
    found = re.findall(r"^```([^\n`]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [(kind, block) for kind, block in found if block.strip()]


def check(texts: Mapping[str, str]) -> None:
    """See to it that methods and pages belong together.

    Args:
        texts: name of a method's file -> text of its page.

    Raises:
        UserError: a method without a page, a page without a method, or a page that lacks a part.
    """
    entries = {entry.folder: entry for entry in catalogue.methods().values()}
    for name in sorted(entries.keys() - texts.keys()):
        raise UserError(f"{entries[name].name} has no page: write docs/methods/{name}.md, see CONTRIBUTING.md.")
    for name, text in texts.items():
        if name not in entries:
            raise UserError(f"docs/methods/{name}.md: there is no methods/{name}.py; remove the page, or rename it.")
        entry = entries[name]
        begin, end = f"\n<!-- card: {entry.name} -->\n", f"\n<!-- results: {entry.name} -->\n"
        parts = {
            f"the title {entry.card['title']!r}": text.startswith(f"# {entry.card['title']}\n"),
            f"the mark {begin.strip()}": begin in text,
            f"the mark {end.strip()} at its end": text.endswith(end),
            "a diagram or an equation between ``` fences": bool(blocks(text)),
        }
        for what, there in parts.items():
            if not there:
                raise UserError(f"docs/methods/{name}.md lacks {what}: see CONTRIBUTING.md.")


def filled(text: str, made: Mapping[str, Made]) -> str:
    """A page with its marks replaced.

    Args:
        text: as it is written.
        made: class name -> what stands at its mark ``results``.
    """
    known = catalogue.methods()

    def of(mark: re.Match[str]) -> str:
        return card(known[mark[2]]) if mark[1] == "card" else made[mark[2]].text

    return MARK.sub(of, text)


def card(entry: Entry) -> str:
    """What a method's card says, as a list.

    Args:
        entry: of the method.
    """
    held = entry.card
    source = sources.read(entry)
    year = "" if str(held["year"]) in held["paper"] else f" ({held['year']})"
    return "\n".join(
        [
            f"- **Paper**: {held['paper']}{year}.",
            f"- **Learns from** {LEARNS[held['supervision']]} (*{held['supervision']}*).",
            f"- **Takes** {takes(held)}.",
            f"- **Run it**: `--model {entry.name}`; its code is `{source.path}`.",
        ]
    )


def takes(held: Mapping[str, Any]) -> str:
    """Which data a card accepts, in words."""
    channels = {(): "any colours", (1,): "grey pictures", (3,): "pictures in colour"}[tuple(held.get("channels", ()))]
    layers = " or ".join(map(str, held.get("layers", ()))) or "any number of"
    order = "that have an order" if held.get("ordered_only") else "with or without an order"
    scales = tuple(held.get("scales", ()))
    larger = {(): ", at any scale", (1,): ""}.get(scales, f", {' or '.join(map(str, scales))} times as large")
    return f"{channels}; {layers} layers {order}{larger}"


def results(entry: Entry, size: Mapping[str, Any] | None, suites: Suites, found: Sequence[Found]) -> Made:
    """All of a method's page that follows what is written.

    Args:
        entry: of the method.
        size: what ``docs/sizes.json`` has of it; None where it has nothing.
        suites: that are published.
        found: their records, and where these lie.
    """
    made = measured.of_method(entry, suites, found)
    source = sources.read(entry)
    guesses = str(entry.card.get("reconstructed", ""))
    parts = [
        made.text,
        *_size(size),
        *_options(source),
        "## As it is here",
        "",
        source.text,
        "",
        *([f"*Source*: {source.origin}", ""] if source.origin else []),
        "### What was reconstructed",
        "",
        f"{guesses[:1].upper()}{guesses[1:]}." if guesses else "Nothing is marked as reconstructed on its card.",
        "",
        "## Measured against published",
        "",
    ]
    tables = [table for table in published.tables().values() if any(one.method == entry.name for one in table.rows)]
    if not tables:
        parts += ["None of the five papers has numbers of it.", ""]
    for table in tables:
        parts += _against(entry, table, [one.record for one in found])
    return Made("\n".join(parts), made.pictures)


def _size(size: Mapping[str, Any] | None) -> list[str]:
    if size is None:
        return []
    authors = f" ({size['authors']:,} counted from its authors' layers)" if size["authors"] else ""
    return [
        "## Size",
        "",
        f"At its paper's size, what separates has {size['parameters']:,} parameters{authors}, and a picture of 256×256 "
        f"takes {size['macs'] / 1e9:.3g} billion multiply-adds. [All methods](index.md) stand in one table.",
        "",
    ]


def _options(source: sources.Source) -> list[str]:
    if not source.options:
        return []
    parts = ["## Options", "", row(["option", "default", "meaning"]), row(["---", "---", "---"])]
    for one in source.options:
        default = f"`{one.default}`" if one.default else ""
        parts.append(row([f"`{one.name}`", default, one.meaning]))
    return [*parts, ""]


def _against(entry: Entry, table: published.Table, records: list[Record]) -> list[str]:
    header = ["row", *(column.title for column in table.columns)]
    parts = [f"**{table.name}** of {table.paper}: {table.caption} `unblend leaderboard --paper {table.id}`", ""]
    parts += [row(header), row(["---", *("---:" for _ in table.columns)])]
    for own in table.rows:
        if own.method == entry.name:
            parts.append(row([f"{own.name}, published", *table.printed(own)]))
            parts += [row([label, *cells]) for label, cells in published.measured(table, own, records)]
    parts += ["", table.known]
    if table.damaged:
        parts.append(table.damaged)
    return [*parts, ""]


def section(text: str, title: str) -> str:
    """A section of a Markdown file, its heading made the page's.

    Args:
        text: of the file.
        title: of the section, a heading of the second level.

    Raises:
        ValueError: there is no such section.
    """
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    for part in parts[1:]:
        if part.partition("\n")[0].strip() == title:
            return "# " + re.sub(r"^###", "##", part, flags=re.MULTILINE)
    raise ValueError(f"no section {title!r}")
