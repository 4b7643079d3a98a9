"""``unblend list | show | separate``: what there is, and pictures of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.table import Table

from benchmark.commands.parser import Given, looks_ahead
from benchmark.errors import UserError
from benchmark.files import read_yaml
from benchmark.plan import catalogue
from benchmark.plan.execution import Options

HELP = {"-h", "--help"}

DATALESS = "name a data set first, as in `unblend show Rain --source rain100l`: see `unblend list datasets`."

NAMELESS = (
    "name a method, as in `unblend separate photo.png --model BITSNet` (`unblend list methods`), or weights that ship, "
    "as --from (`unblend list weights`)."
)


def data_root(root: str | None) -> Path:
    """The folder of the data sets."""
    return Path(root or os.environ.get("UNBLEND_DATA") or "data").expanduser()


def list_(what: Literal["methods", "datasets", "suites", "weights"], *, root: str | None = None) -> None:
    """List what there is: methods, datasets, suites, or weights that ship trained.

    Args:
        what: methods, datasets, suites or weights.
        root: folder of the data sets; default $UNBLEND_DATA.
    """
    table, note = Table(box=None, pad_edge=False), ""
    if what == "methods":
        for column in ("method", "year", "supervision", "title", "paper"):
            table.add_column(column, overflow="fold")
        for entry in catalogue.methods().values():
            card = entry.card
            table.add_row(entry.name, str(card["year"]), card["supervision"], card["title"], card["paper"])
    elif what == "datasets":
        from datamodules.sets.layouts import match
        from datamodules.sets.real import PHOTOGRAPHS, SETS

        folder = data_root(root)
        for column in ("data set", "", "real sets (--source)", "found", "official"):
            table.add_column(column, overflow="fold")
        tasks = {entry.name: entry.summary for entry in catalogue.datasets().values()}
        tasks[PHOTOGRAPHS] = "Clean pictures that any task may blend, and train on (--train_source)."
        for name, summary in tasks.items():
            sets = [data for data in SETS.values() if data.task == name]
            found = [len(match(data, folder / data.name)) for data in sets]
            table.add_row(
                name,
                summary,
                "\n".join(data.name for data in sets),
                "\n".join(str(count or "–") for count in found),
                "\n".join(str(data.count) for data in sets),
            )
        note = "Each runs at once on embedded or generated data. "
        note += f"Real sets are looked for in {folder}; mnist counts its files."
    elif what == "weights":
        from benchmark.results import weights

        for column in weights.HEADER:
            table.add_column(column, overflow="fold", justify="right" if "(" in column else "left")
        rows = weights.rows()
        for row in rows:
            table.add_row(*row)
        note = "`unblend separate PHOTO --from NAME` uses them." if rows else f"None ship: {weights.FOLDER} is empty."
    else:
        table.add_column("suite")
        table.add_column("")
        for name, path in catalogue.suites().items():
            table.add_row(name, " ".join(str(read_yaml(path).get("description", "")).split()))
    Console(width=max(Console().width, 120)).print(table)  # narrower, cells fold into columns of syllables
    if note:
        Console(highlight=False, soft_wrap=True).print(f"\n{note}", markup=False)


def _options_of_the_data(arguments: list[str]) -> Given:
    """The data set, which comes first and has options of its own."""
    if arguments and arguments[0] in HELP:
        return Given(arguments, into="options")
    if not arguments or arguments[0].startswith("-"):
        raise UserError(DATALESS)
    data = catalogue.dataset(arguments[0]).load()
    return Given(
        arguments[1:], {"dataset": arguments[0]}, "options", lambda parser: parser.add_class_arguments(data, None)
    )


@looks_ahead(_options_of_the_data)
def show(
    dataset: str,
    *,
    role: Literal["train", "select", "test"] = "test",
    rows: int = 4,
    height: int = 192,
    latent: str | None = None,
    out: str | None = None,
    options: Options,
) -> None:
    """Draw mixtures of a data set beside their layers, as one picture.

    The options of the data set, such as --source, are options here: `unblend show DATASET --help` explains them,
    `unblend list datasets` names the data sets.

    Args:
        dataset: name, such as Rain, or import path of your own class.
        role: which images.
        rows: how many mixtures.
        height: of a picture, in pixels.
        latent: show where the method of this checkpoint puts the test images in its latent spaces, instead.
        out: PNG file; default runs/show/DATASET.png.
        options: of the data set.
    """
    from benchmark.scoring.show import sheet, show_latent

    if rows < 1 or height < 16:
        raise UserError(f"rows {rows}, height {height}: at least 1 row, of at least 16 pixels.")
    entry = catalogue.dataset(dataset)
    if role == "train":
        options = {**options, "images": rows, "batch_size": rows, "selections": 1}
    path = Path(out or f"runs/show/{entry.folder}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = entry.load()(**options)
    if latent is not None:
        show_latent(data, Path(latent), path)
        return
    sheet(data, role, rows, height).save(path)
    print(f"{entry.name}, {role} role: {path}")


def _options_of_the_method(arguments: list[str]) -> Given:
    """The class of ``--model``, which has options of its own; weights bring theirs."""
    from datamodules.mixing import Mean, Mixing

    rest: list[str] = []
    for argument in arguments:
        rest += ["--model", argument[8:]] if argument.startswith("--model=") else [argument]
    method: Any = None
    if "--model" in rest[:-1]:
        place = rest.index("--model")
        method = catalogue.method(rest[place + 1]).load()
        rest = rest[:place] + rest[place + 2 :]
    elif not any(argument.partition("=")[0] in ("--from", "--checkpoint", *HELP) for argument in rest):
        raise UserError(NAMELESS)

    def add(parser: ArgumentParser) -> None:
        mean = {"class_path": f"{Mean.__module__}.{Mean.__name__}"}
        parser.add_argument("--mixing", type=Mixing, default=mean, help="how the layers were blended, if not trained")
        if method is not None:
            parser.add_class_arguments(method, "model", skip={"spec"}, instantiate=False)

    return Given(rest, {"model": method} if method is not None else {}, "options", add)


@looks_ahead(_options_of_the_method)
def separate(
    images: list[str],
    *,
    model: str | None = None,
    from_: str | None = None,
    checkpoint: str | None = None,
    out: str = "runs/separate",
    seed: int = 0,
    tile: int | None = None,
    snapshots: int | None = None,
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
    device: str = "auto",
    options: Options,
) -> None:
    """Take any picture apart: its layers as PNG, by trained weights or without any.

    `unblend list weights` names what ships trained, `unblend list methods` the methods; with --model METHOD its options
    are options here, such as --model.iterations: `unblend separate --model METHOD --help` explains them.

    Args:
        images: picture files, of 8 or 16 bits, grey or colour.
        model: method, or the class of the weights.
        from_: weights that ship, such as rain/nafnet, or a folder of weights in the layout of the Hugging Face hub.
        checkpoint: weights, as `unblend fit` wrote them.
        out: folder that is written to.
        seed: of the pictures' randomness.
        tile: side in pixels, at least 16; default as memory allows.
        snapshots: write layers every so many iterations.
        precision: of networks.
        device: cpu, cuda, …; default the first GPU, if any.
        options: of the method.
    """
    from benchmark.results import weights
    from benchmark.scoring import separate
    from benchmark.training import checkpoints

    if tile is not None and tile < 16:
        raise UserError(f"tile {tile}: it must be at least 16 pixels.")
    names, photos = separate.read([Path(path) for path in images])
    method: Any = model
    if from_ is not None and checkpoint is not None:
        raise UserError(f"--from {from_} and --checkpoint {checkpoint} are two: give one of them.")
    if from_ is not None:
        built = checkpoints.trained(weights.folder_or_name(from_), method)
    elif checkpoint is not None:
        built = checkpoints.trained(Path(checkpoint), method)
    else:
        channels = max(photo.pixels.shape[0] for photo in photos)
        built = separate.untrained(method, options.get("model", {}), options["mixing"], channels)  # some have none
    ready = separate.on_device(built, device)
    half = precision == "bf16-mixed"
    separate.Separation(ready, Path(out), seed, tile, snapshots, half).run(names, photos)
