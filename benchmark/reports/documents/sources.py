"""What a method's file says of it, read without importing it: its docstrings, and its options with their defaults."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry

_SECTIONS = ("Args:", "Attributes:", "Returns:", "Raises:", "Source:")

GIVEN = ("self", "spec")
"""Arguments that nobody sets: the command line fills ``spec`` in from the data."""


@dataclass(frozen=True)
class Option:
    """An argument of a method's constructor.

    Attributes:
        name: of it; ``**recipe`` stands for all of its kind.
        default: as the file has it; empty where it has none.
        meaning: from the docstring.
    """

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Source:
    """What a method's file says.

    Attributes:
        path: of the file, from the project's root.
        text: of the class's docstring without its arguments and errors, as Markdown.
        origin: where it comes from, and what is different here, as Markdown; may be empty.
        options: of the constructor, in their order.
    """

    path: Path
    text: str
    origin: str
    options: list[Option]


def read(entry: Entry) -> Source:
    """What a method's file says.

    Args:
        entry: of the method.
    """
    path = catalogue.ROOT.joinpath(*entry.class_path.split(".")[:-1]).with_suffix(".py")
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    tree = ast.parse(path.read_bytes())
    node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == entry.name)
    own = sections(ast.get_docstring(node) or "")
    of_file = sections(ast.get_docstring(tree) or "")
    return Source(
        path.relative_to(catalogue.ROOT),
        markdown(own[""]),
        "\n\n".join(markdown(part["Source:"]) for part in (of_file, own) if "Source:" in part),
        _options(node, arguments(own.get("Args:", ""))),
    )


def sections(docstring: str) -> dict[str, str]:
    """A Google-style docstring in parts: what comes first is under an empty name, the others under theirs."""
    parts: dict[str, list[str]] = {"": []}
    here = parts[""]
    for line in cleandoc(docstring).splitlines():
        name = next((name for name in _SECTIONS if line.startswith(name)), "")
        if name:
            here = parts.setdefault(name, [])
        here.append(line.removeprefix(name).strip() if name == "Source:" else line if not name else "")
    return {name: cleandoc("\n".join(lines)).strip() for name, lines in parts.items()}


def arguments(section: str) -> dict[str, str]:
    """Name -> meaning, of a docstring's arguments."""
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.startswith(" ") and ":" in line:
            name, _, meaning = line.partition(":")
            found[name] = meaning.strip()
        elif name:
            found[name] += f" {line.strip()}"
    return found


def markdown(text: str) -> str:
    """A docstring's text as Markdown: code has single ticks, and nothing in it is taken for HTML."""
    plain = re.sub(r"^ +", "", text, flags=re.MULTILINE).replace("``", "`")
    return re.sub(r"(?<!\\)([<>])", lambda sign: "&lt;" if sign[1] == "<" else "&gt;", plain)


def _options(node: ast.ClassDef, meanings: dict[str, str]) -> list[Option]:
    made = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
    if made is None:
        return []
    given = [one for one in made.args.args if one.arg not in GIVEN]
    defaults = dict(zip([one.arg for one in made.args.args][::-1], made.args.defaults[::-1], strict=False))
    options = [
        Option(one.arg, ast.unparse(defaults[one.arg]) if one.arg in defaults else "", meanings.get(one.arg, ""))
        for one in given
    ]
    if made.args.kwarg:
        name = f"**{made.args.kwarg.arg}"
        options.append(Option(name, "", meanings.get(name, "")))
    return [Option(one.name, one.default, markdown(one.meaning)) for one in options]
