"""Training samples per second, per task and stage: ``python -m benchmark.speed.data [SECONDS]``.

The figure is what a run sees, through a DataLoader with two workers. *drawn* is one process reading or generating
sources and parameters; *mixed* is the image-formation model on batches of 16 (on the first GPU where there is one), and
what it takes of a batch's time. Samples are 256×256 (Digits: 28×28).
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from statistics import median
from typing import Any

import torch

from benchmark import catalogue
from benchmark.speed.rows import Row, row, show
from datamodules.base import LayerDataModule, sample_generator
from datamodules.mixing import HeavyRain

SIZE, BATCH, WORKERS, SLICES = 256, 16, 2, 5

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("Clouds, photographs", "Clouds", {}),
    ("Digits", "Digits", {}),
    ("Haze, photographs", "Haze", {}),
    ("Intrinsic, dead leaves", "Intrinsic", {}),
    ("Rain, photographs", "Rain", {}),
    ("Rain, dead leaves", "Rain", {"source": "dead_leaves"}),
    ("Rain, heavy, dead leaves", "Rain", {"source": "dead_leaves", "mixing": HeavyRain()}),
    ("Reflection, photographs", "Reflection", {}),
    ("Reflection, dead leaves", "Reflection", {"source": "dead_leaves"}),
    ("Shapes", "Shapes", {}),
    ("ShoesHandbags, generated", "ShoesHandbags", {}),
    ("Superimposed, photographs", "Superimposed", {}),
    ("Superimposed, dead leaves", "Superimposed", {"source": "dead_leaves"}),
]


def main(seconds: float = 2.0) -> list[Row]:
    """Images per second that training receives; each stage of each task runs for about so many seconds."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for label, name, options in CASES:
        module, _, class_name = catalogue.dataset(name).class_path.rpartition(".")
        size = {} if name == "Digits" else {"size": SIZE}
        data: LayerDataModule = getattr(importlib.import_module(module), class_name)(
            images=10_000_000, batch_size=BATCH, num_workers=WORKERS, **size, **options
        )
        data.setup()
        draw, mix, train = (rates(stage(data, device), seconds) for stage in (drawn, mixed, trained))
        note = (
            f"{median(draw):,.0f} /s drawn, {median(mix):,.0f} /s mixed: {median(train) / median(mix):.0%} of the time"
        )
        rows.append(row(label, train, "/s", note=note))
    return rows


def rates(made: Iterator[int], seconds: float) -> list[float]:
    """Images per second, in each of some slices of so many seconds.

    Args:
        made: works on some images, and tells how many.
        seconds: in all.
    """
    next(made)  # sets up
    found = []
    for _ in range(SLICES):
        done, begin = 0, time.perf_counter()
        while (took := time.perf_counter() - begin) < seconds / SLICES:
            done += next(made)
        found.append(done / took)
    return found


def drawn(data: LayerDataModule, device: torch.device) -> Iterator[int]:
    """Samples of one process, unmixed."""
    for number in count():
        generator = sample_generator(0, "train", number)
        sample = data.draw("train", number, generator)
        data.mixing.draw(generator, sample.sources.shape)
        yield 1


def mixed(data: LayerDataModule, device: torch.device) -> Iterator[int]:
    """Batches of the image-formation model."""
    data.num_workers, workers = 0, data.num_workers
    batch = data.transfer_batch_to_device(next(iter(data.train_dataloader())), device, 0)
    data.num_workers = workers
    while True:
        mixture = data.on_after_batch_transfer(batch, 0).mixture
        if device.type == "cuda":
            torch.cuda.synchronize()
        yield len(mixture)


def trained(data: LayerDataModule, device: torch.device) -> Iterator[int]:
    """Batches as training would get them, once the workers run."""
    # What was made before the clock started does not count.
    for batch in islice(data.train_dataloader(), 2 * WORKERS + 1, None):
        moved = data.transfer_batch_to_device(batch, device, 0)
        yield len(data.on_after_batch_transfer(moved, 0).mixture)


if __name__ == "__main__":
    show(main(*map(float, sys.argv[1:2])))
