"""Imports run one way: benchmark knows methods and datamodules, and never the other way round."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {"datamodules": {"datamodules"}, "methods": {"methods", "datamodules"}}
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules.add(node.module or "")
    return modules


def varied(path: Path) -> set[str]:
    """Modules of the methods that a method's class derives from: a variant may import what it varies."""
    tree = ast.parse(path.read_text())
    bases = {ast.unparse(base) for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases}
    return {
        str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} <= bases
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_way_of_the_data(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    modules = imported(path)
    ours = {module.partition(".")[0] for module in modules} & {"benchmark", "methods", "datamodules"}
    assert ours <= ALLOWED[package]
    if package == "methods":
        assert {module for module in modules if module.startswith("datamodules")} <= {"datamodules.types"}
        own = f"methods.{path.stem}"
        others = {module for module in modules if module.startswith("methods.")}
        others -= {own, "methods.base", "methods.chance", "methods.resume", *varied(path)}
        assert all(module.startswith(("methods.networks", "methods.losses")) for module in others)
