"""``unblend new | publish | regression | accept``: work on the project itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmark.errors import UserError


def new(kind: Literal["method", "data"], name: str, *, folder: str = ".") -> None:
    """Write a method or a data set to begin with, and its test.

    Args:
        kind: method or data.
        name: of the class, such as MyNet.
        folder: where to; methods/ and datamodules/ are for the project's own.
    """
    from benchmark.commands import new

    for path in new.write(kind, name, Path(folder)):
        print(f"wrote {path}")
    print(new.next_steps(kind, name, Path(folder)))


def publish(
    run: str, *, partial: bool = False, weights: str | None = None, as_: str | None = None, pictures: bool = False
) -> None:
    """Check a run's records and copy them to leaderboards/; or ship --weights, make --pictures.

    Args:
        run: folder of a suite's run, such as runs/quick.
        partial: publish what there is, though cells are missing.
        weights: instead, let the weights of this cell ship: DATASET/METHOD/seedN in the run, or its folder.
        as_: what these weights are called: TASK/NAME, such as rain/dmgn.
        pictures: instead, separate embedded pictures by what is published on data that may not be passed on.
    """
    if (weights is None) != (as_ is None):
        raise UserError("weights ship under a name: give --weights CELL and --as TASK/NAME together.")
    if weights is not None and as_ is not None:
        inside = Path(run, "cells", weights)
        _ship(inside if inside.is_dir() else Path(weights), as_)
        return
    from benchmark.workflows.publish import illustrate, publish

    if pictures:
        illustrate(Path(run), Console(highlight=False))
    elif not publish(Path(run), Console(highlight=False), partial=partial):
        raise SystemExit(1)


def _ship(cell: Path, name: str) -> None:
    from benchmark.results import weights
    from benchmark.workflows.shipping.ship import megabytes, ship

    one = ship(cell, name, os.environ.get("UNBLEND_DATA"))
    size, total = one.path.stat().st_size, sum(other.path.stat().st_size for other in weights.shipped().values())
    together = f"{megabytes(total)} of {megabytes(weights.TOGETHER)}"
    print(f"{one.name} ships with {megabytes(size)}, all together {together}: {one.path}")
    print(f"commit it and its record; `unblend separate PHOTO --from {one.name}` uses it.")


def regression(
    *,
    update: str | None = None,
    keep_bands: bool = False,
    widen: str | None = None,
    runs: str = "runs/regression",
    jobs: int | None = None,
) -> None:
    """Retrain the smoke suite: has a score moved?

    Args:
        update: instead, make today's scores the golden ones, for this reason, which is kept in their log.
        keep_bands: with --update, train one seed, not three, and keep the bands.
        widen: instead, keep the golden scores and let their bands take in today's, for this reason: the same code on
            another processor.
        runs: folder of these runs; without --update it is emptied first.
        jobs: cells at a time.
    """
    from benchmark.workflows import bless, regression

    console = Console(highlight=False)
    if widen is not None:
        if update is not None or keep_bands:
            raise UserError("--widen stands alone: it keeps the golden scores, which --update replaces.")
        bless.widen(widen, Path(runs), jobs, console)
    elif update is not None:
        bless.bless(update, Path(runs), jobs, console, keep_bands=keep_bands)
    elif keep_bands:
        raise UserError("--keep_bands goes with --update REASON.")
    elif not regression.gate(Path(runs), jobs, console):
        raise SystemExit(1)


def accept(
    components: list[str] | None = None,
    *,
    why: str | None = None,
    all_changed: bool = False,
    new: bool = False,
    runs: str = "runs/accept",
    jobs: int | None = None,
) -> None:
    """Let changed code count as the same version, if it computes the same.

    Args:
        components: methods, data sets, training or metrics, such as unet or rain.
        why: the code was changed; kept in benchmark/plan/versions.lock.
        all_changed: every component whose code is not in the lock.
        new: enter new components and raised versions; compares nothing.
        runs: folder that is emptied and written to.
        jobs: cells at a time.
    """
    from benchmark.workflows.acceptance import command

    console = Console(highlight=False, soft_wrap=True)
    if new:
        if components or all_changed:
            raise UserError("--new takes no components: it enters all that are new, and accepts no other change.")
        for line in command.enter_new(why):
            console.print(line, markup=False)
        return
    if bool(components) == all_changed:
        raise UserError("name components, such as `unblend accept unet --why …`, or say --all_changed.")
    if why is None or len(why.split()) < 2:
        raise UserError(f"why {why!r}: say with --why in a few words why the code was changed.")
    command.accept(components or None, why, Path(runs), jobs, console)
