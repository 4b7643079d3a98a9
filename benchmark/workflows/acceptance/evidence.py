"""Whether changed components compute what the accepted ones did: the same steps in both, and the regression's bands."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.plan import catalogue, contents, suite
from benchmark.plan.catalogue import ROOT
from benchmark.plan.execution import Config
from benchmark.plan.identity import Component, Kind
from benchmark.plan.lock import Locked
from benchmark.plan.suite import Cell
from benchmark.workflows import regression
from benchmark.workflows.acceptance.past import Past

if TYPE_CHECKING:
    from benchmark.workflows.acceptance.worker import Found

STEPS = 20
"""Optimiser steps that a method is compared over."""

STEPS_TOLERANCE = 1e-4
"""Relative: of losses, weights and layers after so many steps; rounding alone stays far below."""

TOLERANCE = 1e-6
"""Of samples; and of scores, relative where they are above 1."""

FIRST_SUITES = ("smoke", "quick", "rivals")
"""Need no data, and hold every method and data set; where they do not, the other suites are looked into."""


@dataclass
class Evidence:
    """What was found about one component.

    Attributes:
        said: what was compared, and how far apart it was.
        against: what does not fit; nothing, if all does.
    """

    said: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)


Say = Callable[[str], None]


def gather(
    components: Sequence[Component], locked: dict[str, Locked], runs: Path, jobs: int | None, say: Say
) -> dict[str, Evidence]:
    """Compare changed components with what was accepted.

    Args:
        components: each with an entry in the lock.
        locked: what ``versions.lock`` holds.
        runs: folder for the regression suite's cells.
        jobs: cells at a time.
        say: tells a person how far it is.

    Returns:
        Name -> evidence. Where the steps already differ, the regression suite is not run.

    Raises:
        UserError: a component has no accepted code to be compared with, or a process failed.
        SystemExit: a cell of the regression suite failed.
    """
    found = {component.name: Evidence() for component in components}
    with tempfile.TemporaryDirectory() as folder:
        past = Past(Path(folder, "past"))
        groups: dict[tuple[str, Kind], list[Component]] = {}
        for component in components:
            if component.kind != "training":
                commit = past.commit_of(component, locked[component.name])
                groups.setdefault((commit, component.kind), []).append(component)
        for (commit, kind), group in groups.items():
            say(f"comparing {', '.join(one.name for one in group)} with {commit[:12]}")
            rows = {one.name: _rows(one) for one in group}
            before, after = _run(past.project(commit, kind), kind, rows, Path(folder))
            for one in group:
                _compare(one, rows[one.name], before, after, found[one.name])
    left = [one for one in components if not found[one.name].against]
    _regression(left, found, runs, jobs, say)
    return found


def _rows(component: Component) -> dict[str, Config]:
    """Name -> configuration of each different row of the project's suites that a method or data set has.

    Raises:
        UserError: no suite has it.
    """
    if component.kind == "metrics":
        return {}
    method = component.kind == "method"
    others = [name for name in catalogue.suites() if name not in FIRST_SUITES]
    found: dict[str, dict[str, Any]] = {}
    for names in (FIRST_SUITES, others) if method else ((*FIRST_SUITES, *others),):
        for cell in _cells(names):
            config = cell.config["model" if method else "data"]
            if config["class_path"] == component.class_path:
                row = _short(cell, method)
                key = contents.of_value([row["model"], row["data"]] if method else row["data"])
                found.setdefault(key, {"cell": cell, "config": row})
        if found:
            break
    if not found:
        raise UserError(f"{component.name}: no suite of the project has it: add a row to plan/suites/quick.yaml.")
    return {
        f"{one['cell'].dataset} × {one['cell'].method if method else 'data'} #{place}": one["config"]
        for place, one in enumerate(found.values(), 1)
    }


def _cells(names: Iterable[str]) -> Iterator[Cell]:
    for name in names:
        yield from suite.load(name)


def _short(cell: Cell, method: bool) -> Config:
    """A cell's configuration with a budget of a few steps; of a data set's cell, with a model that needs nothing."""
    data = {key: value for key, value in cell.config["data"]["init_args"].items() if key not in suite.BUDGET}
    batch = min(cell.config["data"]["init_args"].get("batch_size", 32), 32) if method else 2
    budget = {"images": STEPS * batch, "batch_size": batch, "selections": 1, "test_images": 2}
    model = cell.config["model"] if method else {"class_path": "methods.identity.Identity", "init_args": {}}
    return {
        **cell.config,
        "seed_everything": 0,
        "model": model,
        "data": {**cell.config["data"], "init_args": {**data, **budget}},
    }


def _run(
    project: Path, kind: Kind, rows: dict[str, dict[str, Config]], folder: Path
) -> tuple[dict[str, Found], dict[str, Found]]:
    """The same work with the accepted code and with today's, at the same time.

    Raises:
        UserError: one of them failed.
    """
    import torch

    every = {f"{name}: {row}": config for name, own in rows.items() for row, config in own.items()}
    job = {"steps": STEPS, "methods": {}, "datasets": {}, "metrics": kind == "metrics"}
    if kind != "metrics":
        job[f"{kind}s"] = every
    write_json(folder / "job.json", job)
    started = []
    for name, root in (("accepted", project), ("changed", ROOT)):
        out = folder / f"{name}.pt"
        out.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmark.workflows.acceptance.worker", str(folder / "job.json"), str(out)]
        log = open(folder / f"{name}.log", "wb")  # noqa: SIM115  the process writes to it
        started.append((name, out, log, subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)))
    results = []
    for name, out, log, process in started:
        process.wait()
        log.close()
        if process.returncode or not out.is_file():
            last = Path(log.name).read_text(errors="replace").strip().rpartition("\n")[2]
            for _, _, _, other in started:
                other.kill()
            raise UserError(f"the {name} code cannot be run: {last}. Raise the version of what changed, or mend it.")
        results.append(torch.load(out, weights_only=True))
    return results[0], results[1]


def _compare(
    component: Component, rows: Iterable[str], before: dict[str, Found], after: dict[str, Found], evidence: Evidence
) -> None:
    limit = STEPS_TOLERANCE if component.kind == "method" else TOLERANCE
    names = ["metrics"] if component.kind == "metrics" else [f"{component.name}: {row}" for row in rows]
    # The data of the others are not here, or the accepted code does not have their options yet.
    ran = [name for name in names if name in before]
    worst: dict[str, float] = {}
    for name in ran:
        row = name.rpartition(": ")[2]
        old, new = before.get(name, {}), after.get(name, {})
        if old.keys() != new.keys():
            lone = min(old.keys() ^ new.keys())
            evidence.against.append(f"{row}: {lone} is in {'the accepted' if lone in old else 'the changed'} code only")
            continue
        for what, difference in differences(old, new, component.kind).items():
            worst[what] = max(worst.get(what, 0.0), difference)
            if difference > limit:
                evidence.against.append(f"{row}: {what} differ by {difference:.2g}, allowed is {limit:g}")
    if not ran:
        evidence.against.append(
            "its rows' data are not here, or their options are new, so nothing could be compared: set UNBLEND_DATA"
        )
    compared = {
        "method": f"{STEPS} steps (layers, where it does not train) of {len(ran)} of {len(names)} rows",
        "dataset": f"first samples of each role of {len(ran)} of {len(names)} rows",
    }.get(component.kind, "seeded pictures under every protocol")
    apart = ", ".join(f"{what} within {value:.1g}" for what, value in sorted(worst.items()))
    evidence.said.append(f"{compared}: {apart}")


def differences(before: Found, after: Found, kind: Kind) -> dict[str, float]:
    """How far two results are apart, for each kind of quantity.

    Args:
        before: of the accepted code.
        after: of the changed code; the same names.
        kind: of component. Of a method, the differences are relative, in the root of the sum of squares: of each
            loss over all steps, and of all weights together. Of the others they are the largest, and of scores
            relative where they are above 1.

    Returns:
        Quantity -> difference; infinite where shapes differ or a number is not finite.
    """
    found: dict[str, float] = {}
    squares: dict[str, tuple[float, float]] = {}
    for name, old in before.items():
        new = after[name]
        head, _, rest = name.partition(" ")
        what = {"loss": "losses", "weight": "weights", "buffer": "buffers"}.get(head, name)
        if kind != "method":
            what = rest.rpartition(": ")[2]
        if old.shape != new.shape:
            found[what] = math.inf
            continue
        gap, old = (new.double() - old.double()).abs(), old.double().abs()
        if kind == "method":
            part = name if what == "losses" else what
            apart, size = squares.get(part, (0.0, 0.0))
            squares[part] = apart + float((gap**2).sum()), size + float((old**2).sum())
        else:
            largest = float((gap / (old.clamp_min(1) if kind == "metrics" else 1)).max())
            found[what] = max(found.get(what, 0.0), largest if math.isfinite(largest) else math.inf)
    for part, (apart, size) in squares.items():
        what = "losses" if part.startswith("loss ") else part
        relative = math.sqrt(apart / max(size, 1e-30)) if math.isfinite(apart) else math.inf
        found[what] = max(found.get(what, 0.0), relative)
    return found


def _regression(
    components: Sequence[Component], found: dict[str, Evidence], runs: Path, jobs: int | None, say: Say
) -> None:
    cells = suite.load(regression.SUITE)
    own = {one.name: [cell for cell in cells if _concerns(one, cell)] for one in components}
    wanted = {(cell.dataset, cell.method) for some in own.values() for cell in some}
    goldens = regression.read()
    records = []
    if wanted:
        say(f"training {len(wanted)} cells of {regression.SUITE}, for their bands")
        records = regression.measure(runs, [0], jobs, fresh=True, only=wanted)
    for one in components:
        keys = [str(cell.path) for cell in own[one.name]]
        evidence = found[one.name]
        evidence.against += regression.check(records, {key: goldens[key] for key in keys if key in goldens}, keys)
        evidence.said.append(f"{len(keys)} cells of {regression.SUITE} in their bands" if keys else "no cell of smoke")


def _concerns(component: Component, cell: Cell) -> bool:
    if component.kind in ("training", "metrics"):
        return True
    part = cell.config["model"] if component.kind == "method" else cell.config["data"]
    return part["class_path"] == component.class_path
