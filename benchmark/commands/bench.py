"""``unblend bench | reproduce``: cells that are run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmark.errors import UserError
from benchmark.plan import suite as suites
from benchmark.plan.execution import Execution, Options
from benchmark.running.machine import Machine


def bench(
    suite: str,
    *,
    only: Literal["failed"] | None = None,
    model: str | None = None,
    variant: str = "",
    options: Options | None = None,
    images: int | None = None,
    runs: str = "runs",
    machine: Machine,
    execution: Execution,
) -> None:
    """Run a suite, resume it, and write its leaderboard; or run your own --model in its place.

    Finished cells are reused. Cells that failed for a reason that you could mend are run again; --only failed runs
    all that failed. With --model, your method alone is trained on the suite's data, and you are told where it stands
    beside what is published.

    Args:
        suite: name (see `unblend list suites`) or path of a YAML file.
        only: failed: run again what failed, whatever the reason, and nothing else.
        model: your method instead of the suite's: import path of its class, such as my_net.MyNet.
        variant: what sets the row of --model apart from others of its class.
        options: of the class of --model, such as '{width: 32}'.
        images: training images of --model; default as many as any row of the suite sees.
        runs: folder of all runs; several runners, also on other machines, may share it.
        machine: where cells run.
        execution: how they are run.
    """
    if model is None:
        for name, value in {"variant": variant, "options": options, "images": images}.items():
            if value not in ("", None):
                raise UserError(f"--{name} {value}: it is of your own method: name that with --model.")
        from benchmark.workflows.sweep import sweep

        sweep(suites.load(suite), Path(runs), machine, execution, failed_only=only is not None, named=suite)
        return
    from benchmark.workflows.join import join

    row = suites.Row(name=model, init_args=dict(options or {}))
    if variant:
        row["variant"] = variant
    console = Console(highlight=False)
    join(suite, row, Path(runs), machine, execution, console, images=images, failed_only=only is not None)


def reproduce(
    records: list[str],
    *,
    tolerance: float = 0.1,
    runs: str = "runs/reproduced",
    machine: Machine,
    execution: Execution,
) -> None:
    """Run published cells again from their records: is the PSNR the same?

    Each cell uses as many cores as it did before, unless --threads says otherwise.

    Args:
        records: files, such as leaderboards/quick/records/…/seed0.json.
        tolerance: dB by which the mean PSNR may differ.
        runs: folder of these runs.
        machine: where cells run.
        execution: how they are run.
    """
    from benchmark.workflows import reproduce

    paths = [Path(path) for path in records]
    if not reproduce.reproduce(paths, tolerance, Path(runs), machine, execution, Console(highlight=False)):
        raise SystemExit(1)
