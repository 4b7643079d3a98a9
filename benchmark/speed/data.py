"""Training samples per second, per task and stage: ``python -m benchmark.speed.data [SECONDS]``.

The figure is what a run sees, through a DataLoader with two workers. *drawn* is one process reading or generating
sources and parameters; *mixed* is the image-formation model on batches of 16 (on the first GPU where there is one), and
what it takes of a batch's time. Samples are 256×256 (Digits: 28×28).

Data must never be what training waits for: one process makes at least 1.3 times as many samples a second, drawn and
mixed, as the fastest network takes, a U-Net of width 16, on as many cores; both by turns, on 64×64 crops. Where it does
not, ``crops_per_picture`` decodes less, and ``num_workers`` shares the work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from statistics import median
from typing import Any

import torch

from benchmark.plan import catalogue
from benchmark.plan.precision import FULL, resolve
from benchmark.speed.networks.methods import training_step
from benchmark.speed.rows import Row, by_turns, quotients, row, show
from datamodules.base import LayerDataModule, sample_generator
from datamodules.mixing import HeavyRain
from datamodules.types import LayerBatch
from methods.unet import UNet

SIZE, BATCH, WORKERS, SLICES = 256, 16, 2, 5
CROP, STEP, ROUNDS = 64, 8, 15

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
        size = {} if name == "Digits" else {"size": SIZE}
        data = _data(name, batch_size=BATCH, num_workers=WORKERS, **size, **options)
        data.setup()
        draw, mix, train = (rates(stage(data, device), seconds) for stage in (drawn, mixed, trained))
        note = (
            f"{median(draw):,.0f} /s drawn, {median(mix):,.0f} /s mixed: {median(train) / median(mix):.0%} of the time"
        )
        rows.append(row(label, train, "/s", note=note))
    return [*rows, *ratios(seconds)]


def ratios(seconds: float) -> list[Row]:
    """Samples per second of one process over those that the fastest network takes, for each task."""
    rows = []
    for label, name, options in CASES:
        size = {} if name == "Digits" else {"size": CROP}
        data = _data(name, batch_size=STEP, **size, **options)
        data.setup()
        batches = drawn_and_mixed(data)
        network = network_step(data)
        times = by_turns({"data": partial(next, batches), "network": network}, ROUNDS, seconds=seconds)
        made, taken = (1000 * STEP / row("", times[each]).figure for each in ("data", "network"))
        note = f"{made:,.0f} /s made, {taken:,.0f} /s taken"
        what = f"{label}: data / U-Net"
        rows.append(row(what, quotients(times["network"], times["data"]), note=note, at_least=1.3))
    return rows


def drawn_and_mixed(data: LayerDataModule) -> Iterator[LayerBatch]:
    """Batches that one process draws and mixes, as a training without workers has them."""
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(batch, 0)


def network_step(data: LayerDataModule) -> Callable[[], object]:
    """A training step of the fastest network, in the precision that pays here, on a batch of the data."""
    torch.manual_seed(0)
    method = UNet(width=16, cosine=False, warm_up=0.0, spec=data.spec).train()
    precision, channels_last = resolve("auto", method.card.low_precision, "cpu")
    if channels_last:
        method.to(memory_format=torch.channels_last)
    mixture = next(drawn_and_mixed(data)).mixture
    return training_step(method, mixture, low=precision != FULL)


def _data(name: str, **options: Any) -> LayerDataModule:
    made: LayerDataModule = catalogue.dataset(name).load()(images=10_000_000, **options)
    return made


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
