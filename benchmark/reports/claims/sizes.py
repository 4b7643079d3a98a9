"""In what a row differs from its paper's: the options of its method, and the size of its pictures.

What the paper has is what the constructor's defaults say, and over them the row of the same name in the suite that ends
in ``-paper``. How steps are taken does not count, nor how many images were seen: a row whose curve still rises is not
judged at all, and one whose curve is flat has seen enough.
"""

from __future__ import annotations

import ast
import contextlib
import json
from functools import cache
from typing import Any, Literal

from benchmark.plan import catalogue, fingerprint, suite
from benchmark.plan.execution import Config, Options
from benchmark.plan.suite import PAPER, Cell
from benchmark.results.records import Record

STEPS = frozenset(
    {
        "lr", "cosine", "warm_up", "clip", "weight_decay", "average", "momentum", "milestones", "fall", "power",
        "images_at_once", "checkpointing", "stop_psnr", "spec",
    }
)  # fmt: skip
"""Options that say how steps are taken, what memory they have, and what the data are."""


def differences(record: Record) -> tuple[str, ...]:
    """In what a record's row differs from its paper's, each in a few words with the paper's value in brackets.

    Args:
        record: of a suite that ships with the project.
    """
    class_path, options = _part(record.config, "model")
    if class_path not in {entry.class_path for entry in catalogue.methods().values()}:
        return ("its class is not here",)
    cells = _paper_cells(record)
    named = (cell.config["model"]["init_args"] for cell in cells if cell.method == record.method)
    wanted = {**defaults(class_path), **next(named, {})}
    found = [
        f"{name} {_text(value)} ({_text(wanted[name])})"
        for name, value in options.items()
        if name in wanted and name not in STEPS and _text(value) != _text(wanted[name])
    ]
    if not cells:
        return *found, "no suite has these data at the paper's size"
    own, size = _part(record.config, "data")[1].get("size"), cells[0].config["data"]["init_args"].get("size")
    if own and size and own < size and _sized(record, own):
        found.append(f"{own}×{own} pixels ({size}×{size})")
    return tuple(found)


def _part(config: Config, name: Literal["model", "data"]) -> tuple[str, Options]:
    """Class and options of a part of a configuration, which may be a stranger's."""
    part: Any = config.get(name)
    held = part if isinstance(part, dict) else {}
    options = held.get("init_args")
    return str(held.get("class_path")), options if isinstance(options, dict) else {}


def _sized(record: Record, side: int) -> bool:
    """Whether a record's number depends on the side of crops: it learnt from them, or its test pictures have it."""
    return bool(record.training["images_seen"]) or list(record.cost.get("image", []))[-2:] == [side, side]


def _paper_cells(record: Record) -> list[Cell]:
    """What the suite with the papers' sizes has on a record's data: of the same name, or else of the same source."""
    class_path, options = _part(record.config, "data")
    source = options.get("source")
    found = []
    for cell in _cells(record.suite.removesuffix(PAPER) + PAPER):
        held = cell.config["data"]
        if held["class_path"] == class_path and held["init_args"].get("source", source) == source:
            found.append(cell)
    return sorted(found, key=lambda cell: cell.dataset != record.dataset)


@cache
def _cells(name: str) -> tuple[Cell, ...]:
    """The cells of a suite; none where there is no such suite."""
    return tuple(suite.load(name)) if name in catalogue.suites() else ()


def defaults(class_path: str) -> Options:
    """The defaults of a method's constructor, read from its source: those that are written as plain values.

    Args:
        class_path: of a method of the project.
    """
    module, _, name = class_path.rpartition(".")
    source = fingerprint.module(module, [catalogue.ROOT])
    body = source.tree.body if source else []
    kind = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == name), None)
    starts = [node for node in (kind.body if kind else []) if isinstance(node, ast.FunctionDef)]
    start = next((node for node in starts if node.name == "__init__"), None)
    if start is None:
        return {}
    given = start.args
    positional = zip(reversed(given.args), reversed(given.defaults), strict=False)
    found = {}
    for parameter, value in (*positional, *zip(given.kwonlyargs, given.kw_defaults, strict=True)):
        with contextlib.suppress(ValueError):  # what is computed, such as 30 / 255, is no plain value
            found.update({parameter.arg: ast.literal_eval(value)} if value else {})
    return found


def _text(value: Any) -> str:
    """A value as YAML has it; equal values have equal texts, whether they are tuples or lists, 10 or 10.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value).strip('"')
