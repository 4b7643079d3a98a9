"""``unblend new-method NAME``: one working file to begin with, and its test."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from jsonargparse import ArgumentParser

from benchmark.errors import UserError
from benchmark.plan import catalogue

TEMPLATES = Path(__file__).parent / "templates"


def main(arguments: list[str]) -> None:
    """Run the command.

    Raises:
        UserError: a name that is no class's, or a file that is there already.
    """
    parser = ArgumentParser(
        prog="unblend new-method", description="Write a method to begin with, and its test.", exit_on_error=False
    )
    parser.add_argument("name", type=str, help="of the class, such as MyNet")
    parser.add_argument("--folder", type=str, default=".", help="where to; methods/ is for the project's own")
    options = parser.parse_args(arguments)
    for path in write(options.name, Path(options.folder)):
        print(f"wrote {path}")
    stem, module = snake(options.name), module_of(options.name, Path(options.folder))
    print(
        f"\nNext:\n  python -m pytest {'tests/methods/' if module != stem else ''}test_{stem}.py\n"
        f"  unblend join --model {module}.{options.name} --suite quick"
    )


def write(name: str, folder: Path) -> list[Path]:
    """Write a method's file and its test; the test of one in ``methods/`` goes to ``tests/methods/``.

    Args:
        name: of the class.
        folder: of the file.

    Returns:
        Both paths.

    Raises:
        UserError: see ``main``.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,60}", name) or keyword.iskeyword(name):
        raise UserError(f"name {name!r}: a class's name is letters and digits, the first a capital, such as MyNet.")
    if name in catalogue.methods():
        raise UserError(f"name {name}: the project has a method of this name ({catalogue.methods()[name].class_path}).")
    inside = folder.resolve() == catalogue.ROOT / "methods"
    tests = catalogue.ROOT / "tests" / "methods" if inside else folder
    stem = snake(name)
    paths = [folder / f"{stem}.py", tests / f"test_{stem}.py"]
    for path in paths:
        if path.exists():
            raise UserError(f"{path} is there already: choose another name, or another --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for path, template in zip(paths, ("method.py.txt", "test_method.py.txt"), strict=True):
        text = (TEMPLATES / template).read_text()
        path.write_text(text.replace("MODULE", module_of(name, folder)).replace("NAME", name))
    return paths


def snake(name: str) -> str:
    """``MyNet`` -> ``my_net``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def module_of(name: str, folder: Path) -> str:
    """Import path of a new method's file."""
    inside = folder.resolve() == catalogue.ROOT / "methods"
    return f"methods.{snake(name)}" if inside else snake(name)
