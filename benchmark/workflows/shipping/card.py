"""The card of weights that ship: ``README.md`` and a picture, as the Hugging Face hub shows them."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmark.files import write_text
from benchmark.metrics.scales import METRICS, SCALES
from benchmark.plan import catalogue
from benchmark.results import weights
from benchmark.results.records import Record
from benchmark.results.weights import Shipped
from benchmark.scoring.show import paste, thumbnail
from benchmark.training import checkpoints
from datamodules.base import LayerDataModule

CARD, PICTURE = "README.md", "example.webp"
HEIGHT = 160
"""Pixels of a picture in the example."""


def write(folder: Path, name: str, record: Record, moved: float | None) -> None:
    """Write the card of the weights in a folder, and a picture that was taken apart with them.

    Args:
        folder: with the weights.
        name: ``TASK/NAME``.
        record: of the cell that they come from.
        moved: dB by which 16 bits changed the score; None where the weights have 32.
    """
    picture(folder, record)
    write_text(folder / CARD, text(name, record, moved, *Shipped(name, folder / weights.WEIGHTS).measured()))


def picture(folder: Path, record: Record) -> None:
    """Draw one mixture of embedded or generated pictures, which anyone may pass on, and its layers by the weights.

    Args:
        folder: with the weights.
        record: that names the task.
    """
    method = checkpoints.trained(folder).eval()
    spec = record.spec
    data: LayerDataModule = catalogue.load(record.config["data"]["class_path"])()
    data.open()
    batch = next(iter(data.test_dataloader()))
    with torch.no_grad():
        layers = method(batch.mixture[:1])[0].clamp(0, 1)
    titles = ["mixture", *spec["layers"], f"true {spec['layers'][0]}"]
    images = [thumbnail(image, HEIGHT) for image in (batch.mixture[0], *layers, batch.layers[0, 0])]
    paste(titles, [(batch.ids[0], images)], HEIGHT).save(folder / PICTURE, quality=85, method=4)


def text(name: str, record: Record, moved: float | None, cast: float | None, seconds: float | None) -> str:
    """The card in Markdown.

    Args:
        name: ``TASK/NAME``.
        record: of the cell that the weights come from.
        moved: dB by which 16 bits changed the score; None where the weights have 32.
        cast: how far the mean colour is off, of 1 for full scale; None where that was not measured.
        seconds: of one core for a picture of a megapixel, likewise.
    """
    identity = weights.of_identity(record)
    task = name.partition("/")[0]
    bits = "32 bits" if moved is None else f"16 bits, which changed the score by {moved:+.4f} dB"
    rows = []
    for protocol in record.scores.protocols:
        scores = (f"{record.mean(metric, protocol):.{SCALES[metric].digits}f}" for metric in METRICS)
        rows.append(f"| {protocol} | {' | '.join(scores)} |")
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: unblend",
        "pipeline_tag: image-to-image",
        f"tags: [layer-separation, {task}]",
        "---",
        "",
        f"# {name}: {record.title}",
        "",
        f"![A mixture that these weights took apart]({PICTURE})",
        "",
        f"One picture in, its layers ({', '.join(record.spec['layers'])}) out. `unblend separate PHOTO --from {name}`; "
        "instead of the name, the path of this folder will do. In Python `benchmark.load(…)` takes both.",
        "",
        f"- Learnt from: {weights.budget(record)}; the budget is all that it saw.",
        f"- Parameters: {record.cost['parameters']:,}, in {bits}.",
        f"- Scored on: {record.data_label}, {len(record.ids)} images, {' and '.join(record.targets)}, once, after the "
        "checkpoint was chosen on other images.",
        *([f"- The mixture itself has {identity:.2f} dB there."] if identity is not None else []),
        *([f"- Their mean colour comes out {100 * cast:.1f} % of full scale off."] if cast is not None else []),
        *([f"- A picture of a megapixel takes one core {seconds:.1f} s."] if seconds is not None else []),
        f"- Data: {record.spec['citation']} Licence of the data: {record.spec['licence']}. The weights' is Apache-2.0.",
        f"- Code: {record.identities['method']}, commit {record.provenance['commit']}.",
        "",
        f"| protocol | {' | '.join(SCALES[metric].heading for metric in METRICS)} |",
        f"| --- | {' | '.join('---:' for _ in METRICS)} |",
        *rows,
        "",
        "What it was not trained on it may do badly: look at the layers before you use them.",
    ]
    return "\n".join(lines) + "\n"
