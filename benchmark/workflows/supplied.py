"""Score the pictures of a network that is nowhere near this project, and set its row beside the others."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.errors import UserError, unknown
from benchmark.files import write_text
from benchmark.metrics import METRICS, lmse_window
from benchmark.plan import catalogue, identity, suite
from benchmark.plan.contents import of_value, write_data_digest
from benchmark.plan.execution import UNKNOWN_COST, UNTRAINED, Config, Options, Training
from benchmark.plan.names import slug
from benchmark.results import provenance, records, samples
from benchmark.results.records import SUPPLIED, Record
from benchmark.scoring import outputs
from benchmark.scoring.judge import judge
from datamodules.base import LayerDataModule

SUITE = "score"
"""Of what is scored on data that no suite has."""

LEARNING = {"images", "batch_size", "selections", "pairing", "crops_per_picture"} | {
    f"train_{part}" for part in ("source", "scale", "mixing")
}
"""Options of a data set that no test image depends on."""

VARIANT = "outputs supplied"
"""What marks the row in tables."""


@dataclass(frozen=True)
class Row:
    """Where a row of a suite's table would stand.

    Attributes:
        suite: name.
        dataset: folder of the data set in its records.
        options: of the data set's class.
        variant: what sets the data set's row apart, for people.
    """

    suite: str
    dataset: str
    options: Options
    variant: str = ""


@dataclass(frozen=True)
class Said:
    """What whoever supplies pictures says of them, and nobody here can check.

    Attributes:
        name: of the network, for people.
        trained_on: names of the data sets that it learnt from.
        by_its_author: whether its author supplies them.
    """

    name: str
    trained_on: list[str] = field(default_factory=list)
    by_its_author: bool = False


def place(entry: catalogue.Entry, options: Options, asked: str | None) -> Row:
    """The row whose test images the pictures are of: of the suite that is asked for, or of the first that fits.

    Args:
        entry: of the data set's class.
        options: that were given for it; a suite's data set may have more. Without any, embedded or generated pictures
            are meant, in no suite's table unless one is asked for.
        asked: name of a suite; default the task's own before the others.

    Raises:
        UserError: an unknown suite, or one without such data.
    """
    known = catalogue.suites()
    if asked is not None and asked not in known:
        raise unknown("suite", asked, known)
    names = [asked] if asked else sorted(known, key=lambda name: (name != entry.folder, name.endswith("-paper"), name))
    defaults = {
        name: one.default
        for kind in reversed(inspect.getmro(entry.load()))
        if "__init__" in vars(kind)
        for name, one in inspect.signature(kind).parameters.items()
    }
    given = {name: value for name, value in options.items() if value != defaults.get(name)}
    for name in names if given or asked else []:
        for cell in suite.load(name):
            data = cell.config["data"]
            held = data["init_args"]
            # A real set's test images are its own; those that are embedded or generated depend on every option.
            asked_of = given if "source" in given else {**defaults, **given}
            compared = (given.keys() if "source" in given else held.keys() - LEARNING) | {"source"} | given.keys()
            if data["class_path"] == entry.class_path and all(
                held.get(option, defaults.get(option)) == asked_of.get(option) for option in compared
            ):
                return Row(name, cell.dataset, held, cell.data_variant)
    if asked is not None:
        told = ", ".join(f"{option} {value}" for option, value in given.items()) or "no options"
        raise UserError(f"suite {asked} has no data set {entry.name} with {told}: see `unblend list suites`.")
    variant = str(given.get("source", ""))
    return Row(SUITE, suite.folder({"name": entry.name, "variant": variant}, entry), given, variant)


def score(
    folder: Path,
    entry: catalogue.Entry,
    row: Row,
    said: Said,
    console: Console,
    runs: Path,
    *,
    layer: str | None = None,
    pattern: str | None = None,
    resize: bool = False,
    root: str | None = None,
) -> Record:
    """Score a folder of pictures, and write their record.

    Args:
        folder: of the pictures.
        entry: of the data set's class.
        row: where the record will stand.
        said: of the pictures.
        console: to tell on.
        runs: folder of all runs.
        layer: that pictures are of whose names do not say it.
        pattern: of their names.
        resize: those of another size than the truth's.
        root: folder of the data sets.

    Raises:
        UserError: something about the pictures forbids a score; all of it is told, and nothing is written.
    """
    method = slug("--name", "network", said.name)
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: name the folder of your network's pictures.")
    data: LayerDataModule = entry.load()(**row.options, root=root)
    data.open()
    spec = data.spec
    ids = [name for batch in data.test_dataloader() for name in batch.ids]
    found = outputs.find(folder, ids, spec["scored"], spec["target"], layer, pattern)
    console.print(f"{folder}: {found.layout}; {' and '.join(found.layers)} of {len(ids)} images", markup=False)
    found.refuse_gaps(spec["scored"], spec["ordered"])
    reader = outputs.Reader(found, spec["channels"], resize)
    path = runs / row.suite / "records" / row.dataset / method / "seed0.json"
    sampler = samples.SampleWriter(samples.folder(path).with_suffix(".part"), spec["scored"])
    try:
        judged = judge(data, reader.layers, sampler)
        for note in reader.notes():
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        if judged is None:
            _tell(reader, ids, console)
            raise UserError(f"{folder}: not scored, and nothing written; mend what stands above.")
        if samples.folder(path).is_dir():
            samples.SampleWriter(samples.folder(path), spec["scored"]).clear()
        sampler.where.rename(samples.folder(path))
    finally:
        sampler.clear()
    scores, ids_scored = judged
    listed = found.listed()
    digest = hashlib.sha256(listed.encode()).hexdigest()
    config: Config = {
        "seed_everything": 0,
        "model": {"class_path": SUPPLIED, "init_args": {"name": said.name, "layout": found.layout}},
        "data": {"class_path": entry.class_path, "init_args": row.options},
        "trainer": {"precision": "32-true"},
    }
    known = {
        "method": f"supplied:{digest[:16]}",
        "data": identity.of_dataset(entry.class_path),
        "training": SUPPLIED,
        "metrics": identity.of_metrics(),
    }
    side, step = lmse_window(*next(iter(data.test_dataloader())).layers.shape[-2:])
    data_digest = write_data_digest(runs / row.suite / "data" / f"{row.dataset}.json", data.files())
    key = of_value([config, digest, known["data"]])
    record = Record(
        suite=row.suite,
        dataset=row.dataset,
        method=method,
        seed=0,
        title=said.name,
        variant=f"{VARIANT}, resized" if reader.sizes else VARIANT,
        data_variant=row.variant,
        window="" if side == 20 else f"{side}×{side} at step {step}",
        identities=known,
        key=key,
        score_key=of_value([key, data_digest, known["metrics"]]),
        data_digest=data_digest,
        checkpoint_sha256=digest,
        spec=dict(spec),
        config=config,
        training=Training({**UNTRAINED, "curve": []}),
        cost=UNKNOWN_COST,
        provenance={
            **provenance.collect("cpu", 1),
            "trained_on": said.trained_on,
            "by_its_author": said.by_its_author,
        },
        latent={},
        ids=ids_scored,
        scores=scores,
    )
    records.write(path, record)
    write_text(path.with_suffix(".sha256"), listed)
    for protocol in scores.protocols:
        means = ", ".join(f"{metric} {record.mean(metric, protocol):.4f}" for metric in METRICS)
        console.print(f"{protocol}: {means}", highlight=False)
    console.print(f"record: {path}; digests of the pictures: {path.stem}.sha256", soft_wrap=True, highlight=False)
    return record


def _tell(reader: outputs.Reader, ids: list[str], console: Console) -> None:
    for line in reader.wrong(ids):
        console.print(f"refused: {line}", markup=False, soft_wrap=True)
    if reader.sizes and not reader.resize:
        table = Table(box=None, pad_edge=False)
        for head in ("picture", "its height × width", "the truth's"):
            table.add_column(head)
        for path, own, size in reader.sizes:
            table.add_row(str(path.relative_to(reader.outputs.folder)), "{} × {}".format(*own), "{} × {}".format(*size))
        console.print(table)
