"""All measurements of speed in one run, and one table: ``python -m benchmark.speed [NAME …]``, or ``make speed``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console

from benchmark.errors import UserError, unknown
from benchmark.speed.rows import Row, measured, show

MODULES = {
    "networks.precision": "training step of each network in float32 against bfloat16 with channels last",
    "networks.methods": "training step and inference of each network against its bare operations",
    "networks.bits_net": "BITS-Net against a plain loop; images optimised together against one by one",
    "networks.priors": "methods without training, one image",
    "networks.lightning": "a training step by Lightning against a bare loop",
    "lmse": "LMSE against a loop over windows",
    "scoring": "all metrics of one image, in each protocol",
    "data": "training images per second of each task",
    "page": "building and sorting a large page",
    "sweep": "what the runner costs per cell",
    "cells": "a sweep of real cells against a bare loop; two workers against one",
    "networks.rounding": "quality after the same training in float32 and in bfloat16; takes an hour",
    "networks.learning": "quality after some minutes of one core; takes hours, so only where it is named",
}
"""Modules of this package, in the order of the table; each has a ``main`` that gives rows."""

NAMES = {module.rpartition(".")[2]: what for module, what in MODULES.items()}
"""What may be named, and what it is."""

LONG = {"learning", "rounding"}
"""Those that are measured only where they are named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Args:
        arguments: of the command line.

    Returns:
        Exit status: 1 where something could not be measured. A target that is missed is no failure: see the table.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.speed",
        description="Measures the project's own speed, side by side in one run. Give names to measure only those.",
        epilog="\n".join(f"  {name:10} {what}" for name, what in NAMES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; default everything")
    chosen = parser.parse_args(arguments).names or [name for name in NAMES if name not in LONG]
    for name in chosen:
        if name not in NAMES:
            raise unknown("measurement", name, NAMES)
    console = Console(highlight=False, stderr=True)
    sections: dict[str, list[Row]] = {}
    failed = []
    for name in chosen:
        begin = time.perf_counter()
        try:
            sections[name] = apart(name)
        except Exception:  # the others can still be measured
            traceback.print_exc()
            failed.append(name)
        console.print(f"{name}: {time.perf_counter() - begin:.0f} s, load of the machine {os.getloadavg()[0]:.1f}")
    show(sections)
    rows = [row for part in sections.values() for row in part]
    with_target = [row for row in rows if row.met is not None]
    missed = [row for row in with_target if not row.met]
    print(f"{len(with_target) - len(missed)} of {len(with_target)} targets met; {os.cpu_count()} cores")
    if failed:
        print(f"not measured: {', '.join(failed)}; see above why", file=sys.stderr)
    return int(bool(failed))


def apart(name: str) -> list[Row]:
    """A module's rows, from a process of its own: no measurement finds another's threads or memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        (module,) = (one for one in MODULES if one.rpartition(".")[2] == name)
        return pool.submit(measured, f"{__package__}.{module}").result()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"benchmark.speed: error: {error}", file=sys.stderr)
        sys.exit(2)
