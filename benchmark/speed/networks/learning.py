"""Quality against time: what each method has learnt of its own task after some minutes of one core.

``python -m benchmark.speed.networks.learning [--methods UNet NAFNet …] [--minutes 1 2 5 10 20] [--out runs/learning]``

Each point is a training of its own, planned for so many minutes of processor time on one thread, data included: how
many images that is, is found by timing some steps first. Then the select role's images are separated. What is measured
is kept in a file at once, and a training that was interrupted goes on; the command may be ended and called again, also
with other methods or minutes. It writes a table (``learning.md``) and a chart (``learning.png``).

Where they are at hand, photographs are those of ``$UNBLEND_DATA``: BSDS500 without the images that Rain100L tests, and
shoes and handbags; else pictures are embedded or generated. What has learnt light rain for ten minutes or more is also
tested on Rain100L, which chooses nothing here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer, seed_everything

from benchmark.errors import UserError, unknown
from benchmark.files import read_json, write_json, write_text
from benchmark.metrics.layer_scores import LayerScores
from benchmark.plan import catalogue
from benchmark.plan.execution import Options
from benchmark.plan.precision import low_precision_units, resolve
from benchmark.results.provenance import processor
from benchmark.speed.chart import chart
from benchmark.speed.rows import Row, number, show
from benchmark.training.interruption import Resumable
from benchmark.training.lightning_cli import FiniteLoss
from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch
from methods.base import SeparationMethod
from methods.losses.permutation import best_assignment, pairwise, squared
from methods.networks.resize import enlarge
from methods.networks.start import starting_layers

MINUTES = (1.0, 2.0, 5.0, 10.0, 20.0)
TESTED = 10.0
"""Minutes of training from which a method is worth testing on whole pictures."""

TIMED = 12
"""Steps that tell how long one takes; the first two do not count."""


@dataclass(frozen=True)
class Task:
    """A method on its own task, in a size that suits a core.

    Attributes:
        method: name of its class.
        options: of its constructor.
        dataset: name of the data's class.
        data: options of its constructor.
        batch: images in a step.
    """

    method: str
    options: Options
    dataset: str
    data: Options = field(default_factory=dict)
    batch: int = 8


SMALL_GAN = {"width": 16, "depth": 5, "norm": "instance", "dropout": 0.0, "cosine": True}

TASKS = {
    "UNet": Task("UNet", {"width": 16, "depth": 3, "lr": 2e-3}, "Rain"),
    "NAFNet": Task("NAFNet", {"width": 16, "encoder": [1, 1, 1], "middle": 1, "decoder": [1, 1, 1]}, "Rain"),
    "DMGN": Task(
        "DMGN",
        {"width": 8, "features": "random", "levels": 1, "perceptual": 0.0, "adversarial": 0.0, "lr": 2e-3}
        | {"cosine": True, "warm_up": 0.05, "clip": 1.0, "average": 0.999},
        "Rain",
        batch=4,
    ),
    "LiGT": Task(
        "LiGT", {"width": 0.25, "permutation_invariant": True, "lr": 2e-3, "cosine": True}, "Digits", batch=32
    ),
    "ConvSep": Task(
        "ConvSep",
        {"width": 0.25, "permutation_invariant": True, "train_separators_on": "estimate", "lr": 5e-3, "cosine": True},
        "Digits",
        batch=32,
    ),
    "SILS": Task("SILS", {"width": 8, "average": 0.99, "lr": 2e-3, "cosine": True}, "Shapes", {"pairing": "unpaired"}),
    "PAGAN": Task("CascadeGAN", {"synthesis": "given", "residual": True, **SMALL_GAN}, "ShoesHandbags", batch=4),
}
"""By the name of the row."""


@dataclass(frozen=True)
class Point:
    """What was measured of one training.

    Attributes:
        name: of its task.
        minutes: of one core that it was planned for.
        spent: minutes that it took.
        images: seen in training.
        psnr: mean over the select role's images, of the layers that the task is for, in dB.
        trivial: that of the answer that networks start from.
        precision: of the training.
        processor: that it ran on.
        tested: mean PSNR on Rain100L under its own protocol, in dB; None where that was not measured.
    """

    name: str
    minutes: float
    spent: float
    images: int
    psnr: float
    trivial: float
    precision: str
    processor: str
    tested: float | None = None


class ProcessorTime(Callback):
    """Seconds of this process that training has taken; an interrupted training goes on counting."""

    def __init__(self) -> None:
        self.before = 0.0
        self.begin = time.process_time()

    @property
    def seconds(self) -> float:
        """So far."""
        return self.before + time.process_time() - self.begin

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.begin = time.process_time()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = float(state_dict["seconds"])


class StepTimes(Callback):
    """When each step ended, in seconds of this process."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.process_time())


def data_of(task: Task, images: int) -> LayerDataModule:
    """The task's data, opened, with a budget of so many images."""
    options = dict(task.data)
    if task.dataset != "Digits":
        options |= {"size": 64, "evaluation_images": 48}
    root = Path(os.environ.get("UNBLEND_DATA") or "data").expanduser()
    if task.dataset == "Rain" and (root / "bsds500").is_dir() and (root / "rain100l").is_dir():
        options |= {"source": "rain100l", "train_source": "bsds500"}
    if task.dataset == "ShoesHandbags" and (root / "shoes_handbags").is_dir():
        options |= {"source": "shoes_handbags"}
    made: LayerDataModule = catalogue.dataset(task.dataset).load()(
        images=images, batch_size=task.batch, selections=1, **options
    )
    made.open()
    return made


def train(
    task: Task, images: int, folder: Path, callbacks: Sequence[Callback], asked: str = "auto"
) -> tuple[SeparationMethod, str]:
    """Train a method on so many images; an interrupted training in the same folder goes on.

    Args:
        task: the method and its data.
        images: the budget.
        folder: where a checkpoint is kept meanwhile.
        callbacks: beside those that every training has.
        asked: precision.

    Returns:
        The method, ready to separate, and its precision.
    """
    seed_everything(0, verbose=False)
    stream = data_of(task, images)
    method: SeparationMethod = catalogue.method(task.method).load()(**task.options, spec=stream.spec)
    precision, channels_last = resolve(asked, method.card.low_precision, "cpu")
    if channels_last:
        method.to(memory_format=torch.channels_last)
    resumable = folder / f"{images}.ckpt"
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, limit_val_batches=0, use_distributed_sampler=False, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder,
        precision=precision,  # type: ignore[arg-type]
        callbacks=[*callbacks, FiniteLoss(), Resumable(resumable)],
    )  # fmt: skip
    resume = str(resumable) if resumable.is_file() else None
    trainer.fit(method, datamodule=stream, ckpt_path=resume, weights_only=True)
    resumable.unlink(missing_ok=True)
    return method.eval(), precision


def seconds_per_image(task: Task, folder: Path) -> float:
    """Processor time of training, for each image."""
    times = StepTimes()
    train(task, TIMED * task.batch, folder, [times])
    return (times.ends[-1] - times.ends[1]) / (TIMED - 2) / task.batch


@torch.no_grad()
def decibels(stream: LayerDataModule, method: SeparationMethod | None) -> float:
    """Mean PSNR over the select role's images, of the layers that the task is for.

    Args:
        stream: the data.
        method: that separates; None for the answer that networks start from.
    """
    spec: Any = stream.spec
    targets, found = spec.get("target", spec["scored"]), []
    for batch in stream.val_dataloader():
        whole: LayerBatch = batch
        if method is None:
            layers = starting_layers(enlarge(whole.mixture, spec["scale"]), spec)
        else:
            layers = method(whole.mixture)
        count = min(layers.shape[1], len(targets))
        cost = pairwise(layers[:, :count].clamp(0, 1), whole.layers[:, :count], squared)
        error = cost.diagonal(dim1=1, dim2=2) if spec["ordered"] else best_assignment(cost)[1].unsqueeze(1)
        found.append((-10 * error.clamp_min(1e-10).log10()).mean(1))
    return float(torch.cat(found).mean())


@torch.no_grad()
def tested(stream: LayerDataModule, method: SeparationMethod) -> float | None:
    """Mean PSNR in dB on the test role under its protocol, if that is Rain100L.

    Args:
        stream: the data.
        method: that separates.
    """
    spec: Any = stream.spec
    if getattr(stream, "source", None) != "rain100l":
        return None
    scores = LayerScores([spec["protocol"]], ordered=True, metrics=["psnr"])
    for k, batch in enumerate(stream.test_dataloader()):
        count = len(spec["scored"])
        scores.update(method(batch.mixture)[:, :count], batch.layers[:, :count], batch.mask, torch.tensor([k]))
    return round(scores.compute().mean("psnr", layers=[0]), 2)


def measure(name: str, minutes: float, rate: float, folder: Path) -> Point:
    """Train for so long, and look at the select role.

    Args:
        name: of the task.
        minutes: of one core.
        rate: seconds of a training image.
        folder: where a checkpoint is kept meanwhile.
    """
    task, spent = TASKS[name], ProcessorTime()
    images = max(1, round(60 * minutes / rate / task.batch)) * task.batch
    method, precision = train(task, images, folder, [spent])
    used = spent.seconds / 60
    stream = data_of(task, images)
    psnr, trivial = decibels(stream, method), decibels(stream, None)
    found = Point(name, minutes, round(used, 3), images, round(psnr, 2), round(trivial, 2), precision, processor())
    return replace(found, tested=tested(stream, method)) if minutes >= TESTED else found


def run(names: Sequence[str], minutes: Sequence[float], out: Path) -> list[Point]:
    """Measure what is not measured yet; write the table and the chart after each point.

    Args:
        names: of tasks.
        minutes: of one core, for each of them.
        out: folder of the results.

    Returns:
        All points that the folder has.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    held: dict[str, Any] = read_json(out / "learning.json") or {"rates": {}, "points": []}
    for planned in sorted(minutes):
        for name in names:
            if any((point["name"], point["minutes"]) == (name, planned) for point in held["points"]):
                continue
            folder = out / name
            folder.mkdir(exist_ok=True)
            if name not in held["rates"]:
                held["rates"][name] = seconds_per_image(TASKS[name], folder)
                write_json(out / "learning.json", held)
            point = measure(name, planned, held["rates"][name], folder)
            print(f"{name}, {planned:g} min: {point.psnr:.2f} dB (trivial {point.trivial:.2f})", flush=True)
            held["points"].append(asdict(point))
            write_json(out / "learning.json", held)
            write(out, [Point(**one) for one in held["points"]])
    return [Point(**one) for one in held["points"]]


def write(out: Path, points: Sequence[Point]) -> None:
    """The table and the chart of some points."""
    minutes = sorted({point.minutes for point in points})
    header = ["method", "task", "precision", "trivial", *(f"{one:g} min" for one in minutes)]
    lines = [header, ["---"] * 3 + ["---:"] * (1 + len(minutes))]
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, task in TASKS.items():
        own = {point.minutes: point for point in points if point.name == name}
        if own:
            first = next(iter(own.values()))
            cells = [f"{own[one].psnr:.2f}" if one in own else "" for one in minutes]
            lines.append([name, task.dataset, first.precision, f"{first.trivial:.2f}", *cells])
            curves[name] = [(one, point.psnr - point.trivial) for one, point in own.items()]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    where = ", ".join(sorted({point.processor for point in points}))
    text += f"\n\ndB on the select role; {where}, one core.\n"
    real = [
        f"{one.name} after {one.minutes:g} minutes {one.tested:.2f}"
        for one in sorted(points, key=lambda one: (one.name, one.minutes))
        if one.tested is not None
    ]
    write_text(out / "learning.md", text + (f"On Rain100L, in dB: {', '.join(real)}.\n" if real else ""))
    chart(curves, "minutes of one core", "dB above the trivial answer", out / "learning.png")


def main(arguments: Sequence[str] = ()) -> list[Row]:
    """Measure, and give the points as rows.

    Args:
        arguments: of the command line; none for all methods and minutes, some hours.

    Raises:
        UserError: an unknown method, or minutes that are not positive.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.speed.networks.learning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--methods", nargs="+", default=list(TASKS), metavar="NAME", help=", ".join(TASKS))
    parser.add_argument("--minutes", nargs="+", type=float, default=MINUTES, help="of one core; a training for each")
    parser.add_argument("--out", type=Path, default=Path("runs/learning"), help="folder of the results")
    given = parser.parse_args(list(arguments))
    for name in given.methods:
        if name not in TASKS:
            raise unknown("method", name, TASKS)
    if min(given.minutes) <= 0:
        raise UserError(f"--minutes {min(given.minutes):g}: it must be positive.")
    print(f"units for bfloat16: {', '.join(low_precision_units()) or 'none'}")
    points = run(given.methods, given.minutes, given.out)
    chosen = [one for one in points if one.name in given.methods and one.minutes in given.minutes]
    return [
        Row(
            f"{one.name}, {one.minutes:g} min", one.psnr, "dB",
            at_least=one.trivial, note=f"{one.images} images, {number(one.spent)} min, {one.precision}",
        )
        for one in chosen
    ]  # fmt: skip


if __name__ == "__main__":
    try:
        show(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmark.speed.networks.learning: error: {error}", file=sys.stderr)
        sys.exit(2)
