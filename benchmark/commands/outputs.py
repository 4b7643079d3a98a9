"""``unblend score``: the pictures of any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from benchmark.commands.parser import Given, looks_ahead
from benchmark.errors import UserError
from benchmark.plan import catalogue

HELP = {"-h", "--help"}
DATALESS = (
    "score needs the data whose test images the pictures are of, as in `unblend score FOLDER --data Rain --source "
    "rain100l`: see `unblend list datasets`."
)
TRAINING = {"images", "batch_size", "selections", "train_source", "num_workers", "seed", "pairing", "crops_per_picture"}
"""Options of a data set that say how it is trained on."""


def _options_of_the_data(arguments: list[str]) -> Given:
    """The data set has options of its own."""
    left = list(arguments)
    name = None
    for at, argument in enumerate(arguments):
        option, given, value = argument.partition("=")
        if option == "--data" and (given or at + 1 < len(arguments)):
            name = value if given else arguments[at + 1]
            del left[at : at + (1 if given else 2)]
            break
    if name is None:
        if HELP & set(arguments):
            return Given(arguments, into="options")
        raise UserError(DATALESS)
    data = catalogue.dataset(name).load()

    def add(parser: ArgumentParser) -> None:
        parser.add_class_arguments(data, None, skip=TRAINING | {"root"})

    return Given(left, {"data": name}, "options", add)


@looks_ahead(_options_of_the_data)
def score(
    folder: str,
    *,
    data: str,
    name: str | None = None,
    layer: str | None = None,
    pattern: str | None = None,
    resize: bool = False,
    suite: str | None = None,
    trained_on: list[str] | None = None,
    by_its_author: bool = False,
    root: str | None = None,
    runs: str = "runs",
    options: dict[str, Any],
) -> None:
    """Score a folder of pictures that your network made: no method to write, no weights to give.

    The pictures are named like the test images, as IMAGE.png, IMAGE-LAYER.png, LAYER/IMAGE.png, or as DSRNet, PReNet,
    XReflection and MMagic name them. They are scored under every protocol of the task; the record stands in the table
    of the suite that has these data. The options of the data set, such as --source, are options here.

    Args:
        folder: of the pictures.
        data: name of the data set, such as Rain.
        name: of the network, in tables; default the folder's.
        layer: that pictures are of whose names do not say it; default the one that the task is for.
        pattern: of the pictures' names, such as 'rain-{image}_out.png'; {layer} and * may stand in it, too.
        resize: pictures of another size than the truth's, instead of refusing them.
        suite: in whose table the row shall stand; default the task's own.
        trained_on: names of the data sets that the network learnt from.
        by_its_author: you are the network's author.
        root: folder of the data sets; default $UNBLEND_DATA.
        runs: folder of this machine's runs.
        options: of the data set.
    """
    from benchmark.reports import leaderboard
    from benchmark.workflows import supplied
    from benchmark.workflows.join import standing

    console = Console(highlight=False)
    entry = catalogue.dataset(data)
    row = supplied.place(entry, options, suite)
    said = supplied.Said(name or Path(folder).resolve().name, list(trained_on or []), by_its_author)
    record = supplied.score(
        Path(folder), entry, row, said, console, Path(runs), layer=layer, pattern=pattern, resize=resize, root=root
    )
    place = Path(runs) / row.suite
    leaderboard.build(place, console)
    standing(record.method, place, console)
