"""What the documentation is made of: one page for each method, and what was measured on each task."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from inspect import cleandoc

from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry
from benchmark.reports import notes, published, tables
from benchmark.results.records import Record
from benchmark.results.statistics import Line

_SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Source:")


def page(entry: Entry, found: Sequence[Record]) -> str:
    """A method's page as Markdown.

    Args:
        entry: of the method.
        found: records that are published.
    """
    path = catalogue.ROOT.joinpath(*entry.class_path.split(".")[:-1]).with_suffix(".py")
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    tree = ast.parse(path.read_bytes())
    node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == entry.name)
    card = entry.card
    parts = [
        f"# {card['title']}",
        "",
        f"{card['paper']} ({card['year']}); supervision: {card['supervision']}. "
        f"`--model {entry.name}`, `{path.relative_to(catalogue.ROOT)}`.",
        "",
        prose(ast.get_docstring(tree) or ""),
        "",
        "## What it does",
        "",
        prose(ast.get_docstring(node) or ""),
        "",
        "## What was reconstructed",
        "",
    ]
    guesses = str(card.get("reconstructed", ""))
    parts += [
        f"{guesses[:1].upper()}{guesses[1:]}." if guesses else "Nothing is marked as reconstructed on its card.",
        "",
        "## Measured against published",
        "",
    ]
    tables = [table for table in published.tables().values() if any(row.method == entry.name for row in table.rows)]
    if not tables:
        parts += ["None of the five papers has numbers of it.", ""]
    for table in tables:
        parts += _against(entry, table, found)
    return "\n".join(parts) + "\n"


def prose(docstring: str) -> str:
    """A Google-style docstring as Markdown: sections become headings, arguments a list."""
    lines, section = [], ""
    for line in cleandoc(docstring).splitlines():
        name = next((name for name in _SECTIONS if line.startswith(name)), "")
        if name:
            section = name
            lines += ["", f"**{name.removesuffix(':')}**", "", line.removeprefix(name).strip()]
        elif section and re.match(r" {4}\S", line) and section != "Source:":
            option, colon, meaning = line.strip().partition(":")
            lines.append(f"- `{option}`:{meaning}" if colon else f"- {line.strip()}")
        elif section:
            lines.append(f"  {line.strip()}" if section != "Source:" else line.strip())
        else:
            lines.append(line)
    text = "\n".join(lines).replace("``", "`")
    return re.sub(r"(?<!\\)([<>])", lambda sign: "&lt;" if sign[1] == "<" else "&gt;", text)


def _against(entry: Entry, table: published.Table, found: Sequence[Record]) -> list[str]:
    header = ["row", *(column.title for column in table.columns)]
    parts = [f"**{table.name}** of {table.paper}: {table.caption} `unblend leaderboard --paper {table.id}`", ""]
    parts += [_row(header), _row(["---", *("---:" for _ in table.columns)])]
    for row in table.rows:
        if row.method == entry.name:
            parts.append(_row([f"{row.name}, published", *table.printed(row)]))
            parts += [_row([label, *cells]) for label, cells in published.measured(table, row, list(found))]
    parts += ["", table.known]
    if table.damaged:
        parts.append(table.damaged)
    return [*parts, ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


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


def measured_on(task: str, suites: Mapping[str, Mapping[str, Sequence[Line]]]) -> str:
    """What is published of a task, as Markdown: a table for each of its data sets.

    Args:
        task: class name of its data set.
        suites: that are published: name -> data set -> its lines, the best first.
    """
    parts = ["## What was measured", ""]
    for suite, datasets in suites.items():
        for dataset, lines in datasets.items():
            if str(lines[0].first.config["data"]["class_path"]).rpartition(".")[2] != task:
                continue
            bar = notes.trivial(lines)
            beyond = "over what looks at nothing (dB)"
            parts += [f"**{dataset}** ({tables.protocol_text(lines)}; judged by {tables.judged_by(lines)})", ""]
            parts += [_row(["method", "PSNR (dB)", beyond, "SSIM"]), _row(["---", "---:", "---:", "---:"])]
            for line in lines:
                gain = f"{notes.psnr(line) - notes.psnr(bar):+.2f}" if bar and line.ranked else ""
                scores = (tables.text(line.judged(measure), measure) for measure in ("psnr", "ssim"))
                psnr, ssim = scores
                parts.append(_row([line.first.label, psnr, gain, ssim]))
            parts += ["", f"All of it: `leaderboards/{suite}/README.md`.", ""]
    if len(parts) == 2:
        parts += ["Nothing is published of this task yet: `leaderboards/QUEUE.md` says what is to run.", ""]
    return "\n".join(parts)
