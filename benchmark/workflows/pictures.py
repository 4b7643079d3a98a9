"""Draws docs/data.md's pictures anew: ``python -m benchmark.workflows.pictures [TASK …]``, or ``make pictures``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan import catalogue
from benchmark.scoring.show import sheet
from datamodules.statistics.compare import SUBJECTS, draw

FOLDER = catalogue.ROOT / "docs/pictures"
ROWS, HEIGHT = 2, 128
"""Mixtures in a task's picture, and their height in pixels."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw a contact sheet of each task, and the histograms of those whose generator is compared with the world.

    Args:
        arguments: of the command line.

    Returns:
        Exit status: 2 where a task is unknown.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmark.workflows.pictures", description=main.__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="which; default all")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures; default docs/pictures")
    chosen = parser.parse_args(arguments)
    root = Path(os.environ.get("UNBLEND_DATA") or "data").expanduser()
    try:
        tasks = [catalogue.dataset(name) for name in chosen.tasks] or list(catalogue.datasets().values())
        for task in tasks:
            for path in pictures_of(task, root, chosen.out):
                print(path)
    except UserError as error:
        print(f"pictures: error: {error}", file=sys.stderr)
        return 2
    return 0


def pictures_of(task: catalogue.Entry, root: Path, out: Path) -> list[Path]:
    """Draw one task's pictures, from what is embedded or generated; histograms only where their sets are found.

    Args:
        task: the task.
        root: folder of the data sets.
        out: folder of the pictures.

    Returns:
        The files that were written.

    Raises:
        UserError: broken data.
    """
    out.mkdir(parents=True, exist_ok=True)
    shown = out / f"{task.name}.png"
    sheet(task.load()(), "test", ROWS, HEIGHT).save(shown)
    if task.name not in SUBJECTS:
        return [shown]
    subject = SUBJECTS[task.name](root)
    missing = [name for name in subject.needs if not (root / name).is_dir()]
    if missing:  # a histogram of less would not be the one that the page speaks of
        print(f"{task.name}: no histograms without {', '.join(missing)}: set UNBLEND_DATA.", file=sys.stderr)
        return [shown]
    histograms = out / f"statistics-{task.name.lower()}.png"
    draw(subject.compare(), f"{task.name}: generated beside {subject.origin}", histograms)
    return [shown, histograms]


if __name__ == "__main__":
    sys.exit(main())
