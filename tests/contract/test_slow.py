"""Every slow test names a fast one that shows most of the same faults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def marks(node: ast.FunctionDef) -> Iterator[ast.Call]:
    """The marks ``slow`` of a test."""
    for one in ast.walk(ast.Module([ast.Expr(each) for each in node.decorator_list], [])):
        if isinstance(one, ast.Attribute) and one.attr == "slow":
            raise_unless_called(node, one)
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "slow":
            yield one


def raise_unless_called(node: ast.FunctionDef, mark: ast.Attribute) -> None:
    called = any(
        isinstance(one, ast.Call) and one.func is mark for each in node.decorator_list for one in ast.walk(each)
    )
    assert called, f"{node.name} is marked slow and names no stand-in: @pytest.mark.slow('test_…')"


def test_each_slow_test_names_its_fast_stand_in() -> None:
    functions: dict[str, list[ast.FunctionDef]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                functions.setdefault(node.name, []).append(node)
    slow = {name for name, nodes in functions.items() if any(list(marks(node)) for node in nodes)}
    for name in slow:
        for node in functions[name]:
            for mark in marks(node):
                stand_in = ast.literal_eval(mark.args[0])
                assert stand_in in functions, f"{name}: there is no {stand_in}"
                assert stand_in not in slow, f"{name}: its stand-in {stand_in} is slow, too"
