"""What bfloat16 costs in quality: ``python -m benchmark.speed.networks.rounding [--methods NAME …] [--minutes 1]``.

Each trained method trains twice on the same images, from the same start, on one thread: in ``bf16-mixed`` with its
channels last, as ``precision: auto`` has it where that pays, and in float32. How many images that are is planned for so
many minutes of one core in bfloat16. Then both separate the select role's images. What is measured is kept at once, and
the command may be ended and called again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import UserError, unknown
from benchmark.files import read_json, write_json
from benchmark.plan.precision import FULL, LOW, low_precision_units
from benchmark.results.provenance import processor
from benchmark.speed.networks.learning import SMALL_GAN, TASKS, Task, data_of, decibels, seconds_per_image, train
from benchmark.speed.rows import Row, number, show
from datamodules.mixing import YellowHaze

METHODS = TASKS | {
    "pix2pix": Task("Pix2Pix", SMALL_GAN, "ShoesHandbags", batch=4),
    "UGAN + PAGAN": Task("CascadeGAN", SMALL_GAN, "Haze", {"mixing": YellowHaze(), "pairing": "unpaired"}, 4),
    "CycleGAN": Task("CycleGAN", {"width": 8, "lr": 1e-3, "cosine": True}, "Shapes", {"pairing": "unpaired"}),
    "UNIT": Task("UNIT", {"width": 8, "lr": 1e-3, "cosine": True}, "Shapes", {"pairing": "unpaired"}),
}
"""Every trained method on its own task, by the name of its row."""

WITHIN = 0.1
"""dB that bfloat16 may lose."""


@dataclass(frozen=True)
class Pair:
    """A method after the same training in two precisions.

    Attributes:
        name: of its row.
        images: seen in each training.
        trivial: PSNR of the answer that networks start from, on the select role, in dB.
        full: PSNR after training in float32.
        low: PSNR after training in bf16-mixed.
        processor: that it ran on.
    """

    name: str
    images: int
    trivial: float
    full: float
    low: float
    processor: str


def measure(name: str, minutes: float, folder: Path) -> Pair:
    """Train a method twice.

    Args:
        name: of its row.
        minutes: of one core, in bfloat16.
        folder: where checkpoints are kept meanwhile.
    """
    task = METHODS[name]
    images = max(1, round(60 * minutes / seconds_per_image(task, folder) / task.batch)) * task.batch
    found: dict[str, float] = {}
    stream = data_of(task, images)
    for precision in (LOW, FULL):
        place = folder / precision
        place.mkdir(parents=True, exist_ok=True)
        method, _ = train(task, images, place, [], precision)
        found[precision] = decibels(stream, method)
    trivial = decibels(stream, None)
    return Pair(name, images, round(trivial, 2), round(found[FULL], 2), round(found[LOW], 2), processor())


def main(arguments: Sequence[str] = ()) -> list[Row]:
    """Measure what is not measured yet.

    Args:
        arguments: of the command line; none for all methods and one minute each.

    Raises:
        UserError: an unknown method, or minutes that are not positive.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.speed.networks.rounding", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    parser.add_argument("--minutes", type=float, default=1.0, help="of one core in bfloat16; float32 takes longer")
    parser.add_argument("--out", type=Path, default=Path("runs/rounding"), help="folder of the results")
    given = parser.parse_args(list(arguments))
    for name in given.methods:
        if name not in METHODS:
            raise unknown("method", name, METHODS)
    if given.minutes <= 0:
        raise UserError(f"--minutes {given.minutes:g}: it must be positive.")
    torch.set_num_threads(1)
    print(f"units for bfloat16: {', '.join(low_precision_units()) or 'none'}")
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "rounding.json"
    held: dict[str, dict[str, Any]] = read_json(kept) or {}
    for name in given.methods:
        if name not in held:
            held[name] = asdict(measure(name, given.minutes, given.out / name))
            write_json(kept, held)
            print(held[name], flush=True)
    pairs = [Pair(**held[name]) for name in given.methods]
    return [
        Row(
            f"{one.name}, bfloat16 − float32", one.low - one.full, "dB", at_least=-WITHIN,
            note=f"{one.images} images, {number(one.low)} and {number(one.full)}, trivial {number(one.trivial)}",
        )
        for one in pairs
    ]  # fmt: skip


if __name__ == "__main__":
    try:
        show(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmark.speed.networks.rounding: error: {error}", file=sys.stderr)
        sys.exit(2)
