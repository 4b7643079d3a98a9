"""What a user of weights wants to know before they try: how long a photograph takes, and whether colours stay true."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.plan import catalogue
from benchmark.results import provenance
from benchmark.results.records import Record
from benchmark.results.weights import MEASURED
from benchmark.scoring import cost
from benchmark.scoring.score import image_seed
from benchmark.training import checkpoints
from datamodules.base import LayerDataModule
from methods.base import SeparationMethod

SIDE = 512
"""Pixels of the square picture that is timed: a quarter of a megapixel, which every network takes without a break."""

RUNS, SECONDS = 3, 10.0
"""At most so many repetitions, and none begins after so many seconds."""


def write(folder: Path, record: Record, root: str | None) -> None:
    """Measure weights in their folder, and write what was found beside them.

    Args:
        folder: with the weights.
        record: of the cell that they come from.
        root: folder of the data sets; where the record's are not there, nothing is said of colours.
    """
    method = checkpoints.trained(folder).eval()
    try:
        colour = cast(method, record, root)
    except UserError:  # the data are not here
        colour = None
    write_json(
        folder / MEASURED,
        {
            "seconds_per_megapixel": round(seconds_per_megapixel(method), 3),
            "processor": provenance.processor(),
            "colour_cast": None if colour is None else round(colour, 4),
        },
    )


def seconds_per_megapixel(method: SeparationMethod) -> float:
    """Seconds of one core for a megapixel: the median of some runs on a smaller picture, by its share of one.

    Args:
        method: with its weights, on the CPU.
    """
    channels = method.hparams["spec"]["channels"]
    picture = torch.rand(1, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            found = cost.measure(method, picture, seconds=SECONDS, runs=RUNS)["latency_s"]
    finally:
        torch.set_num_threads(before)
    assert found is not None  # it has just been measured
    return found * 1e6 / SIDE**2


def cast(method: SeparationMethod, record: Record, root: str | None) -> float:
    """How far the mean colour of what weights give is from the truth's, on a record's test images.

    Args:
        method: with its weights.
        record: that names the test images and the layers.
        root: folder of the data sets.

    Returns:
        Of the channel that is farthest off, the mean over images and target layers, of 1 for full scale.

    Raises:
        UserError: the data are not here, or are others.
    """
    held = record.config["data"]
    data: LayerDataModule = catalogue.load(held["class_path"])(**{**held["init_args"], "root": root})
    data.open()
    layers = [record.layers.index(layer) for layer in record.targets]
    ids, differences = list[str](), list[Tensor]()
    for batch in data.test_dataloader():
        with torch.no_grad():
            given = method(batch.mixture, [image_seed(record.seed, name) for name in batch.ids]).clamp(0, 1)
        inside = batch.mask.unsqueeze(1)  # (B, 1, 1 or C, H, W)
        error = (given[:, layers] - batch.layers[:, layers]) * inside
        differences.append(error.sum((1, 3, 4)) / inside.expand_as(error).sum((1, 3, 4)).clamp(min=1))
        ids += batch.ids
    if tuple(ids) != record.ids:
        raise UserError(f"the test images of {record.dataset} are not those of its record.")
    return float(torch.cat(differences).mean(0).abs().max())
