"""Training samples per second, per task and stage: ``python -m benchmark.speed.data [SECONDS [FILE.json]]``.

The figure is what a run sees, through a DataLoader with two workers. *drawn* is one process reading or generating
sources and parameters; *mixed* is the image-formation model on batches of 16 (on the first GPU where there is one), and
what it takes of a batch's time. Samples are 256×256 (Digits: 28×28).

Data must never be what training waits for: one process makes at least 1.3 times as many samples a second, drawn and
mixed, as the fastest networks take (``RACES``) on as many cores, both by turns. Where it does not,
``crops_per_picture`` decodes less, and ``num_workers`` shares the work. The file keeps the medians, which docs/data.md
shows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmark.files import write_text
from benchmark.plan import catalogue
from benchmark.plan.execution import Options
from benchmark.plan.precision import AUTO, FULL, resolve
from benchmark.results import provenance
from benchmark.speed.networks.methods import training_step
from benchmark.speed.rows import Row, by_turns, quotients, row, show
from datamodules.base import LayerDataModule, sample_generator
from datamodules.mixing import HeavyRain
from datamodules.types import LayerBatch
from methods.base import SeparationMethod
from methods.nafnet import NAFNet
from methods.unet import UNet

SIZE, BATCH, WORKERS, SLICES = 256, 16, 2, 5
STEP, ROUNDS = 8, 15
"""Crops of a training step, and rounds at most."""


class Race(NamedTuple):
    """A network that data must be faster than.

    Attributes:
        title: of the network, for people.
        network: of a spec.
        crop: side of its training crops, in pixels.
        precision: of its training.
    """

    title: str
    network: Callable[..., SeparationMethod]
    crop: int
    precision: str


RACES = (
    Race("U-Net, 64×64", partial(UNet, width=16), 64, AUTO),
    Race("NAFNet, 128×128", partial(NAFNet, width=16, encoder=(1,) * 4, middle=1, decoder=(1,) * 4), 128, FULL),
    Race("U-Net, 192×192", partial(UNet, width=16, depth=4), 192, FULL),
)
"""What small suites train with; the first in the arithmetic that pays on this machine, the others in float32."""

CASES: list[tuple[str, str, Options]] = [
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


class Stages(NamedTuple):
    """Images per second of a task, slice by slice.

    Attributes:
        drawn: by one process.
        mixed: by the image-formation model.
        received: by training.
    """

    drawn: list[float]
    mixed: list[float]
    received: list[float]


def main(seconds: float = 2.0, out: Path | None = None) -> list[Row]:
    """Images per second that training receives; each stage of each task runs for about so many seconds.

    Args:
        seconds: for each figure.
        out: file that keeps the medians, with the processor and how busy it was.
    """
    torch.set_num_threads(1)
    found = {label: stages(name, options, seconds) for label, name, options in CASES}
    raced = ratios(seconds)
    if out is not None:
        by_task = {label: {title: round(one.figure, 2) for title, one in own.items()} for label, own in raced.items()}
        kept = {
            "processor": provenance.processor(),
            "load": round(os.getloadavg()[2], 1),
            "stages": {label: [round(median(each), 1) for each in one] for label, one in found.items()},
            "ratios": by_task,
        }
        write_text(out, json.dumps(kept, indent=1) + "\n")
    rows = []
    for label, one in found.items():
        draw, mix, train = map(median, one)
        note = f"{draw:,.0f} /s drawn, {mix:,.0f} /s mixed: {train / mix:.0%} of the time"
        rows.append(row(label, one.received, "/s", note=note))
    return [*rows, *(each for own in raced.values() for each in own.values())]


def stages(name: str, options: Options, seconds: float) -> Stages:
    """Measure a task's stages."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = {} if name == "Digits" else {"size": SIZE}
    data = _data(name, batch_size=BATCH, num_workers=WORKERS, **size, **options)
    data.setup()
    return Stages(*(rates(stage(data, device), seconds) for stage in (drawn, mixed, trained)))


def ratios(seconds: float) -> dict[str, dict[str, Row]]:
    """Samples per second of one process over those that networks take, for each task and network."""
    return {
        label: {
            race.title: ratio(label, name, options, race, seconds)
            for race in (RACES[:1] if name == "Digits" else RACES)  # digits have one size
        }
        for label, name, options in CASES
    }


def ratio(label: str, name: str, options: Options, race: Race, seconds: float) -> Row:
    """One task's samples per second over those that one network takes."""
    size = {} if name == "Digits" else {"size": race.crop}
    data = _data(name, batch_size=STEP, **size, **options)
    data.setup()
    batches = drawn_and_mixed(data)
    network = network_step(data, race)
    times = by_turns({"data": partial(next, batches), "network": network}, ROUNDS, seconds=seconds)
    made, taken = (1000 * STEP / row("", times[each]).figure for each in ("data", "network"))
    note = f"{made:,.0f} /s made, {taken:,.0f} /s taken"
    return row(f"{label}: data / {race.title}", quotients(times["network"], times["data"]), note=note, at_least=1.3)


def drawn_and_mixed(data: LayerDataModule) -> Iterator[LayerBatch]:
    """Batches that one process draws and mixes, as a training without workers has them."""
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(batch, 0)


def network_step(data: LayerDataModule, race: Race) -> Callable[[], object]:
    """A training step of a network on a batch of the data."""
    torch.manual_seed(0)
    method = race.network(cosine=False, warm_up=0.0, spec=data.spec).train()
    precision, channels_last = resolve(race.precision, method.card.low_precision, "cpu")
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
    parser = argparse.ArgumentParser(prog="python -m benchmark.speed.data", description=main.__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=2.0)
    parser.add_argument("out", type=Path, nargs="?")
    show(main(**vars(parser.parse_args())))
