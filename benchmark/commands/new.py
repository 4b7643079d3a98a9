"""``unblend new method|data NAME``: one working file to begin with, and its test."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Literal

from benchmark.errors import UserError
from benchmark.plan import catalogue

TEMPLATES = Path(__file__).parent / "templates"

Kind = Literal["method", "data"]

PACKAGES: dict[Kind, str] = {"method": "methods", "data": "datamodules"}


def write(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Write a class's file and its test; the test of one in the project's own package goes to the package's tests.

    Args:
        kind: of the class.
        name: of the class.
        folder: of the file.

    Returns:
        Both paths.

    Raises:
        UserError: a name that is no class's, or a file that is there already.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,60}", name) or keyword.iskeyword(name):
        raise UserError(f"name {name!r}: a class's name is letters and digits, the first a capital, such as MyNet.")
    what, known = ("method", catalogue.methods()) if kind == "method" else ("data set", catalogue.datasets())
    if name in known:
        raise UserError(f"name {name}: the project has a {what} of this name ({known[name].class_path}).")
    stem = snake(name)
    tests = catalogue.ROOT / "tests" / PACKAGES[kind] if _inside(kind, folder) else folder
    paths = [folder / f"{stem}.py", tests / f"test_{stem}.py"]
    for path in paths:
        if path.exists():
            raise UserError(f"{path} is there already: choose another name, or another --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, template in zip(paths, (f"{kind}.py.txt", f"test_{kind}.py.txt"), strict=True):
        text = (TEMPLATES / template).read_text()
        path.write_text(text.replace("MODULE", module_of(kind, name, folder)).replace("NAME", name))
    return paths


def next_steps(kind: Kind, name: str, folder: Path) -> str:
    """What to do with a file that was written.

    Args:
        kind: of the class.
        name: of the class.
        folder: of its file.
    """
    tests = f"tests/{PACKAGES[kind]}/" if _inside(kind, folder) else ""
    class_path = f"{module_of(kind, name, folder)}.{name}"
    then = f"bench quick --model {class_path}" if kind == "method" else f"show {class_path}"
    page = f"\n  docs/methods/{snake(name)}.md wants its idea and a diagram: see CONTRIBUTING.md"
    told = page if kind == "method" and _inside(kind, folder) else ""
    return f"\nNext:\n  python -m pytest {tests}test_{snake(name)}.py\n  unblend {then}{told}"


def snake(name: str) -> str:
    """``MyNet`` -> ``my_net``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def module_of(kind: Kind, name: str, folder: Path) -> str:
    """Import path of a new class's file."""
    return f"{PACKAGES[kind]}.{snake(name)}" if _inside(kind, folder) else snake(name)


def _inside(kind: Kind, folder: Path) -> bool:
    return folder.resolve() == catalogue.ROOT / PACKAGES[kind]
