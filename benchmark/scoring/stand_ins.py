"""Pictures that may be passed on, in the place of test images that may not: the same weights on embedded pictures."""

from __future__ import annotations

import shutil
import warnings
from copy import deepcopy
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.plan import catalogue
from benchmark.plan.execution import Execution, Options
from benchmark.plan.precision import FULL
from benchmark.results import samples
from benchmark.results.records import Record
from benchmark.scoring.score import score_images
from benchmark.training.checkpoints import trained
from benchmark.training.fit import arguments
from benchmark.training.lightning_cli import UnblendCLI
from datamodules.base import LayerDataModule
from datamodules.picture_task import PictureTask

KEPT = ("layers", "mixing", "pairing")
"""Options of a data set that say what its task is, whichever pictures it is made of."""

SIZE = 192
"""Pixels of a side, where the task lets it be chosen."""

OPTIONS = {"size": SIZE, "evaluation_images": samples.PUBLISHED, "test_images": samples.PUBLISHED}


def separate(record: Record, checkpoint: Path | None, shown: Path) -> list[Path]:
    """Separate embedded pictures of a record's task with its method; what was in the folder is replaced.

    Args:
        record: of a method on data that may not be passed on.
        checkpoint: its weights; None for a method that needs none.
        shown: folder of the pictures; each gets a note with its scores and with what it stands for.

    Returns:
        The notes.

    Raises:
        UserError: the method is trained and there are no weights, or it cannot take the task's embedded pictures.
    """
    if record.checkpoint_sha256 is not None and checkpoint is None:
        raise UserError(f"{record.title} on {record.dataset}: its weights are not here, so that it cannot be run.")
    config = deepcopy(record.config)
    config["data"]["init_args"] = _embedded(catalogue.load(config["data"]["class_path"]), config["data"]["init_args"])
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, of what is meant: options beside a command line, no `srun`
        cli = UnblendCLI(args=arguments(config, Execution(), Path(folder), FULL), run=False)
        method, data = (trained(checkpoint) if checkpoint else cli.model), cli.datamodule
        there = Path(folder, "samples")
        scored = score_images(
            method, data, seed=record.seed, folder=Path(folder), accelerator="cpu", used_precision=FULL, shown=there
        )
        assert scored is not None  # one process alone: it is the first
        psnr = dict(zip(scored.ids, scored.scores.values[scored.scores.protocols[0]]["psnr"].tolist(), strict=True))
        for path in sorted(there.glob("*.json")):
            note = read_json(path)
            decibels = [round(value, 2) for value in psnr[note["id"]]]
            write_json(path, {**note, "psnr": decibels, "stands_for": record.key, "from": data.spec["citation"]})
        shutil.rmtree(shown, ignore_errors=True)
        shutil.copytree(there, shown)
    return sorted(shown.glob("*.json"))


def _embedded(kind: type[LayerDataModule], given: Options) -> Options:
    """A data set's options with its embedded or generated pictures in the place of a real set's.

    A source may call for an image formation of its own, such as yellow haze on photographs of shoes: its pictures are
    replaced, and that is kept.

    Args:
        kind: of the data set.
        given: complete, so that what a class takes stands in it.
    """
    kept = {name: given[name] for name in KEPT if given.get(name) is not None}
    if issubclass(kind, PictureTask) and "mixing" not in kept:
        # A class that takes no source of its own hands it on to the one that it extends.
        taken = (signature(above).parameters for above in kind.__mro__)
        usual = next(own["source"].default for own in taken if "source" in own)
        formation = type(kind.default_mixing(given["source"]))
        if formation is not type(kind.default_mixing(usual)):
            kept["mixing"] = formation.__name__
    return {**kept, **{name: value for name, value in OPTIONS.items() if name in given}}
