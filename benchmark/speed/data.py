"""Training samples per second, per task and stage: ``python -m benchmark.speed.data [SECONDS]``.

*draw* is one process reading or generating sources and parameters; *mix* is the image-formation model on
batches of 16 (on the first GPU where there is one); *train* is both, through a DataLoader with two workers,
as a run sees them. *share* is what mixing takes of a batch's time. Samples are 256×256 (Digits: 28×28).
"""

from __future__ import annotations

import importlib
import sys
import time
from itertools import islice
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmark import catalogue
from datamodules.base import LayerDataModule, sample_generator
from datamodules.mixing import HeavyRain

SIZE, BATCH, WORKERS = 256, 16, 2

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


def main(seconds: float = 3.0) -> None:
    """Print the table; each stage of each task runs for about so many seconds."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    table = Table(
        "task", "draw /s", "mix /s", f"train /s, {WORKERS} workers", "share of mixing", box=None, pad_edge=False
    )
    for label, name, options in CASES:
        module, _, class_name = catalogue.dataset(name).class_path.rpartition(".")
        size = {} if name == "Digits" else {"size": SIZE}
        data: LayerDataModule = getattr(importlib.import_module(module), class_name)(
            images=10_000_000, batch_size=BATCH, num_workers=WORKERS, **size, **options
        )
        data.setup()
        draw, mix, train = (stage(data, seconds, device) for stage in (drawn, mixed, trained))
        table.add_row(label, f"{draw:.0f}", f"{mix:.0f}", f"{train:.0f}", f"{train / mix:.0%}")
    Console().print(table)


def drawn(data: LayerDataModule, seconds: float, device: torch.device) -> float:
    """Samples per second of one process, unmixed."""
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        generator = sample_generator(0, "train", done)
        sample = data.draw("train", done, generator)
        data.mixing.draw(generator, sample.sources.shape)
        done += 1
    return done / (time.perf_counter() - begin)


def mixed(data: LayerDataModule, seconds: float, device: torch.device) -> float:
    """Images per second of the image-formation model."""
    data.num_workers, workers = 0, data.num_workers
    batch = data.transfer_batch_to_device(next(iter(data.train_dataloader())), device, 0)
    data.num_workers = workers
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        mixture = data.on_after_batch_transfer(batch, 0).mixture
        done += len(mixture)
        if device.type == "cuda":
            torch.cuda.synchronize()
    return done / (time.perf_counter() - begin)


def trained(data: LayerDataModule, seconds: float, device: torch.device) -> float:
    """Images per second as training would get them, once the workers run."""
    batches = iter(data.train_dataloader())
    for _ in islice(batches, 2 * WORKERS + 1):  # what was made before the clock started
        pass
    done, begin = 0, time.perf_counter()
    for batch in batches:
        moved = data.transfer_batch_to_device(batch, device, 0)
        done += len(data.on_after_batch_transfer(moved, 0).mixture)
        if time.perf_counter() - begin > seconds:
            break
    return done / (time.perf_counter() - begin)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
