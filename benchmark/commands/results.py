"""``unblend status | leaderboard | claims | compare | score | explain | export``: what there is, and what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser
from rich.console import Console

from benchmark.commands.parser import Given, looks_ahead
from benchmark.errors import UserError, unknown
from benchmark.plan import catalogue
from benchmark.plan.execution import Options

HELP = {"-h", "--help"}
DATALESS = (
    "score needs the data whose test images the pictures are of, as in `unblend score FOLDER --data Rain --source "
    "rain100l`: see `unblend list datasets`."
)
TRAINING = {"images", "batch_size", "selections", "train_source", "num_workers", "seed", "pairing", "crops_per_picture"}
"""Options of a data set that say how it is trained on."""


def status(suite: str, *, runs: str = "runs") -> None:
    """Show where every cell of a suite stands.

    Args:
        suite: name or path of a YAML file.
        runs: folder of all runs.
    """
    from benchmark.plan.suite import load
    from benchmark.running.places import status

    Console().print(status(load(suite), Path(runs)))


def leaderboard(
    folder: str | None = None,
    *,
    latex: bool = False,
    protocol: str | None = None,
    paper: list[str] | None = None,
    runs: str = "runs",
) -> None:
    """Build tables and the page from records; or print a --paper's table beside them.

    Args:
        folder: of a suite, such as runs/quick; default all of leaderboards/.
        latex: write results.tex (booktabs), too.
        protocol: print the tables under this one, such as y or rgb@1; files keep each task's own, but results.tex.
        paper: instead, print a published table, such as dmgn-2, beside what was measured here; `all` prints every
            one, and without a name they are listed.
        runs: folder of this machine's runs, which --paper looks through.
    """
    console = Console(highlight=False)
    if paper is None:
        from benchmark.reports import leaderboard

        place = None if folder is None else Path(folder)
        leaderboard.build(place, console, latex=latex, protocol=protocol)
        return
    from benchmark.reports import published
    from benchmark.results import collection

    if not paper:
        published.list_all(console)
        return
    tables = published.of_names(paper)
    if folder is None:
        found = collection.everything(Path(runs))
    else:
        found = [one.record for one in collection.collect([Path(folder)])]
    for table in tables:
        published.show(table, found, console)


def claims(*, check: bool = False) -> None:
    """Say which claims of the papers hold, and write leaderboards/CLAIMS.md.

    The published records decide; leaderboards/claims.yaml says which rows of them, claim by claim.

    Args:
        check: write nothing, and end with status 1 where CLAIMS.md is not what the records give.
    """
    from benchmark.reports.claims import reading, text, verdicts
    from benchmark.results import collection

    found = collection.collect(collection.folders_of(collection.COMMITTED))
    said = verdicts.verdicts(reading.read(reading.path()), [one.record for one in found])
    text.show(said, Console(highlight=False))
    if not check:
        text.write(said)
    elif not text.path().is_file() or text.path().read_text() != text.markdown(said):
        print(f"{text.path()} is not what the records give: run `unblend claims`.", file=sys.stderr)
        raise SystemExit(1)


def compare(
    a: str,
    b: str,
    *,
    suite: str | None = None,
    metric: Literal["psnr", "ssim", "lmse", "mse"] = "psnr",
    protocol: str | None = None,
    layer: str | None = None,
    runs: str = "runs",
) -> None:
    """Compare two methods image by image: is one better, by how much, beyond noise?

    Args:
        a: a method's name in records, such as unet, or a folder of its records.
        b: likewise.
        suite: only of this one; default every suite that has both.
        metric: that is compared.
        protocol: such as y or rgb@1; default each task's own.
        layer: such as reflection; default those that each task is for.
        runs: folder of this machine's runs.
    """
    from benchmark.reports import compare

    console = Console(highlight=False)
    compare.between(a, b, Path(runs), console, suite=suite, metric=metric, protocol=protocol, layer=layer)


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
    options: Options,
) -> None:
    """Score a folder of pictures that your network made, beside all other rows.

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


def explain(record: str) -> None:
    """Say why a number is not the paper's: one record under every convention.

    Its means under each protocol, of each image or pooled, and what papers report of the same method and data beside
    them; and what a choice on the test set would have gained, where `unblend bench --diagnose` looked.

    Args:
        record: its file, such as leaderboards/rain/records/rain-rain100l/nafnet/seed0.json; or the folder of a suite's
            run, for what choices on the test set would have gained in each cell.
    """
    from benchmark.reports import explain

    explain.explain(Path(record), Console(highlight=False))


def export(out: str, *, suite: str | None = None, runs: str = "runs") -> None:
    """Write all scores, image by image, as one table, and their configurations beside it.

    Published records and those of this machine's runs: a row for each record, protocol, image and layer; OUT-records
    has a row for each record, with its complete configuration.

    Args:
        out: file to write: .csv, or .parquet where pyarrow is installed.
        suite: only of this one.
        runs: folder of this machine's runs.
    """
    from benchmark.reports import export
    from benchmark.results import collection

    found = collection.everything(Path(runs))
    known = {record.suite for record in found}
    if suite is not None and suite not in known:
        raise unknown("suite with records", suite, known)
    chosen = [record for record in found if suite in (None, record.suite)]
    beside, count = export.write(Path(out), chosen)
    print(f"{count:,} scores: {out}; the configurations of {len(chosen)} records: {beside}")
