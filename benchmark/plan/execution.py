"""What the processes that work on a cell tell each other, through small JSON files in its folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NotRequired, TypedDict, TypeVar

from benchmark.files import read_json, write_json

Options = dict[str, Any]
"""What a class is built with, by the names of its constructor's parameters; values are plain."""


class Part(TypedDict):
    """A class and its options, as jsonargparse writes them.

    Attributes:
        class_path: import path of the class.
        init_args: options of its constructor.
    """

    class_path: str
    init_args: Options


class TrainerPart(TypedDict):
    """What a configuration says of the trainer.

    Attributes:
        precision: of training: a name of Lightning's, or ``auto``.
    """

    precision: str


class Config(TypedDict):
    """All that a cell's result depends on: what ``unblend fit --config`` takes.

    Attributes:
        seed_everything: seed of the run.
        model: the method.
        data: the data set, with its budget.
        trainer: precision.
    """

    seed_everything: int
    model: Part
    data: Part
    trainer: TrainerPart


class Training(TypedDict):
    """What a record says of a training.

    Attributes:
        images_seen: by all processes.
        optimizer_steps: all of them.
        seconds: that it took.
        peak_memory_mib: of the device, or of the process on a CPU.
        select_psnr: of the chosen checkpoint, in dB; None where nothing was trained.
        curve: [images seen, PSNR on the select role] for each look.
        precision: that was used.
        channels_last: whether networks were laid out so.
    """

    images_seen: int
    optimizer_steps: int
    seconds: float
    peak_memory_mib: float
    select_psnr: float | None
    curve: list[list[float]]
    precision: NotRequired[str]
    channels_last: NotRequired[bool]


class Cost(TypedDict):
    """What one call on one test image costs; of supplied outputs nothing is known.

    Attributes:
        parameters: of the networks; None where they are not known.
        flops: a multiply-add is two; None where none ran through torch.
        latency_s: the median; None where it is not known.
        latency_runs: calls that it is the median of.
        latency_threads: on the CPU; else None.
        peak_memory_mib: of the tensors that the call made, at one time; None where it is not known.
        image: the mixture's (C, h, w).
    """

    parameters: int | None
    flops: int | None
    latency_s: float | None
    latency_runs: int
    latency_threads: int | None
    peak_memory_mib: float | None
    image: list[int]


class Provenance(TypedDict):
    """Where a result comes from.

    Attributes:
        commit: of the code; a plus at its end where there were changes.
        time: of scoring, in UTC.
        versions: of Python and the libraries.
        processor: model of the CPU and how many cores.
        device: that scored.
        processes: that scored.
        execution: how the cell was run.
        trained_on: of supplied outputs: data sets that the network learnt from, as whoever supplies them says.
        by_its_author: of supplied outputs: whether the network's author supplies them.
    """

    commit: str | None
    time: str
    versions: dict[str, str]
    processor: str
    device: str
    processes: int
    execution: NotRequired[dict[str, Any]]
    trained_on: NotRequired[list[str]]
    by_its_author: NotRequired[bool]


UNTRAINED = Training(images_seen=0, optimizer_steps=0, seconds=0.0, peak_memory_mib=0.0, select_psnr=None, curve=[])
"""What a record says where nothing was trained."""

UNKNOWN_COST = Cost(
    parameters=None, flops=None, latency_s=None, latency_runs=0, latency_threads=None, peak_memory_mib=None, image=[]
)
"""What a record says where pictures alone are known."""

DIAGNOSIS = "diagnosis.json"
"""In a cell's folder: what the checkpoints of all looks score on the test set."""


class Look(TypedDict):
    """One look of a training at the select role.

    Attributes:
        images_seen: before it.
        test: PSNR in dB of its checkpoint on the test set, under the task's own protocol, of the task's own layers.
    """

    images_seen: int
    test: float


Kind = Literal["error", "out_of_memory", "time_limit", "killed"]


@dataclass(frozen=True)
class Execution:
    """How cells are run: what no result depends on but for rounding.

    Attributes:
        root: folder of the data sets; default $UNBLEND_DATA.
        accelerator: of Lightning's Trainer.
        devices: devices that each cell spans, unless the suite says otherwise for it.
        nodes: that a cell spans, each with so many devices.
        threads: cores of each of a cell's processes, on the CPU.
        num_workers: processes that prepare samples, for each cell.
        accumulate: parts that each device's batch is cut into, to save memory; batch_size stays what it is.
        compile: the networks with torch.compile, for training.
        channels_last: lay out the networks so, for training; convolutions may be faster.
        logger: wandb: curves, sample sheets and scores there, too; CSV files are always written.
        time_limit: minutes that a cell may take, over all its interruptions.
        diagnose: score every look's checkpoint on the test set, too, of cells that are trained now: what a choice
            there would gain goes into a file that no table reads, and `unblend explain` tells it.
    """

    root: str | None = None
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 1
    num_workers: int = 0
    accumulate: int = 1
    compile: bool = False
    channels_last: bool = False
    logger: Literal["csv", "wandb"] = "csv"
    time_limit: float | None = None
    diagnose: bool = False

    DECIDED: ClassVar[tuple[str, ...]] = ("nodes", "threads")
    """What the machine decides for each cell, and nobody is asked."""

    def told(self) -> dict[str, Any]:
        """What a record tells of it; where data lie and who logs is nobody's business."""
        kept = ("accelerator", "devices", "nodes", "threads", "accumulate", "compile", "channels_last")
        return {name: getattr(self, name) for name in kept}


@dataclass(frozen=True)
class Job:
    """What a half of a cell is to do: ``cell.json``.

    Attributes:
        config: what ``unblend fit --config`` takes.
        execution: how it is run.
        key: of the cell.
        score_key: of the record that is to be; None before the data are known.
        record: path of that record; None likewise.
        identities: of method, data, training and metrics.
        suite: that runs the cell.
        dataset: folder of the data set in that suite's records.
        method: folder of the method, likewise.
        seed: of the run.
        variant: what sets the method's row apart, for people.
        data_variant: what sets the data set's row apart, likewise.
    """

    config: Config
    execution: Execution
    key: str
    score_key: str | None = None
    record: str | None = None
    identities: dict[str, str] = field(default_factory=dict)
    suite: str = ""
    dataset: str = ""
    method: str = ""
    seed: int = 0
    variant: str = ""
    data_variant: str = ""

    FILE = "cell.json"

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """The job in a cell's folder; None where there is none that is whole."""
        held = read_json(folder / cls.FILE)
        if not isinstance(held, dict) or not isinstance(held.get("execution"), dict):
            return None
        execution = _made(Execution, held["execution"])
        return _made(cls, {**held, "execution": execution}) if execution else None

    def write(self, folder: Path) -> None:
        """Write it to a cell's folder."""
        _write(folder / self.FILE, self)


@dataclass(frozen=True)
class Fitted:
    """How a cell's training ended: ``fit.json``.

    Attributes:
        key: of the cell.
        skipped: why the method cannot run on the data; None where it can.
        checkpoint: name of the chosen weights' file; None where nothing was trained.
        training: what a record says of it.
        config: complete resolved configuration.
    """

    key: str
    skipped: str | None
    checkpoint: str | None
    training: Training
    config: Config

    FILE = "fit.json"

    @classmethod
    def read(cls, folder: Path) -> Fitted | None:
        """How training ended in a cell's folder; None where that is not told."""
        return _made(cls, read_json(folder / cls.FILE))

    def write(self, folder: Path) -> None:
        """Write it to a cell's folder."""
        _write(folder / self.FILE, self)


@dataclass(frozen=True)
class Failure:
    """Why a cell failed: ``failure.json``.

    Attributes:
        half: that failed.
        key: of the cell.
        score_key: of the record that was to be; None where training failed.
        error: one line for people.
        config: of the job.
        kind: of the reason.
        mendable: whether the user can mend the reason.
        traceback: of the error.
        batch_size: of the training that took too much memory.
        images_at_once: likewise, on one device.
    """

    half: str
    key: str
    score_key: str | None
    error: str
    config: Config
    kind: Kind = "error"
    mendable: bool = False
    traceback: str = ""
    batch_size: int | None = None
    images_at_once: int | None = None

    FILE = "failure.json"

    @classmethod
    def read(cls, folder: Path) -> Failure | None:
        """Why the cell of a folder failed; None where it did not, or that is not told."""
        return _made(cls, read_json(folder / cls.FILE))

    def write(self, folder: Path) -> None:
        """Write it to a cell's folder."""
        _write(folder / self.FILE, self)


Held = TypeVar("Held", Execution, Job, Fitted, Failure)


def _made(kind: type[Held], held: Any) -> Held | None:
    """What a file holds as a type; None where it is not whole."""
    try:
        return kind(**held)
    except TypeError:
        return None


def _write(path: Path, value: Job | Fitted | Failure) -> None:
    write_json(path, dataclasses.asdict(value))
