"""Where a network's training step spends its time: ``python -m benchmark.speed.profile NAME [STEPS]``.

The operations of a case of ``benchmark.speed.methods`` by torch's profiler, on one thread.
"""

from __future__ import annotations

import sys

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmark.errors import UserError, unknown
from benchmark.speed.methods import CASES, training_step

LINES = 16


def main(name: str, steps: int = 3) -> None:
    """Print the operations that take longest.

    Raises:
        UserError: no method of this name.
    """
    cases = {case.name: case for case in CASES}
    if name not in cases:
        raise unknown("method", name, cases)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    case = cases[name]
    step = training_step(case.make().train(), torch.rand(case.mixture))
    step()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step()
    table = Table("operation", "ms a step", "share", "calls a step", box=None, pad_edge=False)
    averages = sorted(found.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in averages)
    for one in averages[:LINES]:
        took = one.self_cpu_time_total
        table.add_row(one.key, f"{took / 1000 / steps:.1f}", f"{took / total:.1%}", f"{one.count / steps:.0f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:3]))
    except UserError as error:
        sys.exit(f"benchmark.speed.profile: error: {error}")
