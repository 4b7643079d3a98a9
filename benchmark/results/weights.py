"""Trained weights that ship: ``leaderboards/weights/TASK/NAME/``, a folder in the hub's layout with their record.

Whoever lists them, or names one, imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError, unknown
from benchmark.files import read_json
from benchmark.plan import catalogue
from benchmark.results import checks, provenance
from benchmark.results.records import Record
from benchmark.results.statistics import per_image

FOLDER = catalogue.ROOT / "leaderboards" / "weights"

LARGEST, TOGETHER = 10_000_000, 30_000_000
"""Bytes of one file, and of all of them: whoever clones the project gets them."""

WEIGHTS, RECORD, MEASURED = "model.safetensors", "record.json", "measured.json"
"""In the folder of each: what separates, the record of the cell that it comes from, and what a user of it pays."""

HEADER = (
    "name", "method", "trained on", "scored on", "layers", "PSNR (dB)", "identity's (dB)", "cast (%)", "time (s)",
    "size (MB)",
)  # fmt: skip
"""PSNR is the mean over the layers that the task is for, which are named; the cast is how far the mean colour of what
comes out is from the truth's, in per cent of full scale; the time is one core's for a picture of a megapixel."""


@dataclass(frozen=True)
class Shipped:
    """Weights and where they lie.

    Attributes:
        name: ``TASK/NAME``.
        path: of the weights.
    """

    name: str
    path: Path

    def measured(self) -> tuple[float | None, float | None]:
        """The cast of colour, of 1 for full scale, and seconds of one core for a megapixel; None where not measured."""
        found = read_json(self.path.with_name(MEASURED))
        held = found if isinstance(found, dict) else {}
        cast, seconds = (held.get(name) for name in ("colour_cast", "seconds_per_megapixel"))
        return (
            float(cast) if isinstance(cast, int | float) else None,
            float(seconds) if isinstance(seconds, int | float) else None,
        )

    def record(self) -> Record:
        """The record of the cell that they come from.

        Raises:
            UserError: it is missing, or not sound.
        """
        return checks.sound(self.path.with_name(RECORD))


def shipped() -> dict[str, Shipped]:
    """Name -> weights, of all that ship."""
    paths = sorted(FOLDER.glob(f"*/*/{WEIGHTS}"))
    found = [Shipped("/".join(path.parts[-3:-1]), path) for path in paths]
    return {one.name: one for one in found}


def find(name: str) -> Shipped:
    """Weights by their name.

    Raises:
        UserError: none of that name ship; those that do are in the message.
    """
    known = shipped()
    if name in known:
        return known[name]
    if not known:
        raise UserError(f"unknown weights {name!r}: none ship ({FOLDER} is empty); train a method, and --checkpoint.")
    text = str(unknown("weights", name, known))
    raise UserError(f"{text} There are {', '.join(known)}." if "did you mean" in text else text)


def folder_or_name(given: str) -> Path:
    """Where weights lie that somebody names: in a folder of their own, or among those that ship.

    Args:
        given: a path or a name; a folder counts first.

    Raises:
        UserError: neither is there.
    """
    return Path(given) if Path(given).is_dir() else find(given).path


def offer(class_path: str) -> str:
    """What a message says to somebody who has no weights of a method: those that ship, or those of others.

    Args:
        class_path: import path of the method.
    """
    known = shipped()
    own = [name for name, one in known.items() if _class_path(one) == class_path]
    if own:
        return f"what ships: {', '.join(f'--from {name}' for name in own)}"
    if known:
        return f"weights of another method, which ship: {', '.join(f'--from {name}' for name in known)}"
    return "train it with `unblend fit` first, as no weights ship"


def _class_path(one: Shipped) -> str | None:
    try:
        found: str | None = one.record().config.get("model", {}).get("class_path")
    except UserError:
        return None  # `unblend list weights` tells
    return found


def rows() -> list[tuple[str, ...]]:
    """For each of them what ``HEADER`` says; a record that is not sound is told in its place."""
    table: list[tuple[str, ...]] = []
    for one in shipped().values():
        size = f"{one.path.stat().st_size / 1e6:.1f}"
        try:
            record = one.record()
        except UserError as error:
            table.append((one.name, str(error), "", "", "", "", "", "", "", size))
            continue
        method = f"{record.title} ({record.variant})" if record.variant not in ("", record.title) else record.title
        identity, (cast, seconds) = of_identity(record), one.measured()
        table.append(
            (one.name, method, budget(record), record.data_label, ", ".join(record.targets),
             f"{record.mean('psnr'):.2f}", "–" if identity is None else f"{identity:.2f}",
             "–" if cast is None else f"{100 * cast:.1f}", "–" if seconds is None else f"{seconds:.1f}", size)
        )  # fmt: skip
    return table


def budget(record: Record) -> str:
    """The data that a record's method was trained on, and how many images of it."""
    return f"{provenance.learnt_from(record)}, {record.training['images_seen']:,} images"


def of_identity(record: Record) -> float | None:
    """PSNR (dB) of the mixture itself on the same test images and layers, where it is published."""
    folder = FOLDER.parent / record.suite / "records" / record.dataset / catalogue.methods()["Identity"].folder
    for path in sorted(folder.glob("seed*.json")):
        try:
            found = checks.read(path)
        except UserError:
            continue
        same = found.data_digest == record.data_digest and set(found.ids) == set(record.ids)
        if same and record.protocol in found.scores.protocols and set(record.targets) <= set(found.layers):
            of_images = per_image([found], "psnr", record.targets, record.protocol)
            return sum(of_images.values()) / len(of_images)
    return None
