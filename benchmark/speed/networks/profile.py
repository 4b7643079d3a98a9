"""Where a network's training step spends its time: ``python -m benchmark.speed.networks.profile NAME [STEPS]``.

Operations of one of ``methods``' cases by torch's profiler, on one thread: in the step, in its floor, and what the step
has beside it, the largest first. The clock is the wall's: what else runs on the machine is in it.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmark.errors import UserError, unknown
from benchmark.speed.networks.bare import floor, keep_memory
from benchmark.speed.networks.methods import CASES, training_step

LINES = 16


def main(name: str, steps: int = 5) -> None:
    """Print the operations that cost most beside the floor.

    Args:
        name: of a case.
        steps: profiled.

    Raises:
        UserError: there is none of this name.
    """
    cases = {case.name: case for case in CASES}
    if name not in cases:
        raise unknown("method", name, cases)
    torch.set_num_threads(1)
    keep_memory()
    torch.manual_seed(0)
    case = cases[name]
    step = training_step(case.make().train(), torch.rand(case.mixture))
    step()
    calls = {"step": step, "floor": floor(step)}
    times: dict[str, dict[str, float]] = {which: defaultdict(float) for which in calls}
    counts: dict[str, float] = defaultdict(float)
    for _ in range(steps):
        for which, call in calls.items():
            with profile(activities=[ProfilerActivity.CPU]) as found:
                call()
            for one in found.key_averages():
                times[which][one.key] += one.self_cpu_time_total / 1000 / steps
                counts[one.key] += one.count / steps if which == "step" else 0
    beside = {key: took - times["floor"][key] for key, took in times["step"].items()}
    table = Table(box=None, pad_edge=False)
    for column in ("operation", "ms in the step", "ms in the floor", "ms beside", "calls in the step"):
        table.add_column(column, justify="left" if column == "operation" else "right", no_wrap=True)
    whole, bare = (sum(found.values()) for found in times.values())
    table.add_row("all", f"{whole:.1f}", f"{bare:.1f}", f"{whole - bare:.1f}", "")
    for key in sorted(beside, key=lambda key: -beside[key])[:LINES]:
        numbers = (times["step"][key], times["floor"][key], beside[key])
        table.add_row(key[:60], *(f"{number:.1f}" for number in numbers), f"{counts[key]:.0f}")
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    console.print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:3]))
    except UserError as error:
        sys.exit(f"benchmark.speed.networks.profile: error: {error}")
