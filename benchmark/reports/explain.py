"""Why is a number not the paper's? One record under every convention, and what papers report of the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.reports import published
from benchmark.reports.tables import name_of
from benchmark.results import checks
from benchmark.results.records import Record

DIAGNOSIS = "diagnosis.json"
"""In a cell's folder: what each look's checkpoint scores on the test set; no table reads it."""


@dataclass(frozen=True)
class Convention:
    """One way to come to a number.

    Attributes:
        protocol: full name.
        pooled: PSNR of the mean squared error over all images, not the mean of the images' PSNRs.
        psnr: in dB, of the task's own layers.
        ssim: mean over images; None where it is pooled.
    """

    protocol: str
    pooled: bool
    psnr: float
    ssim: float | None


def conventions(record: Record) -> list[Convention]:
    """A record's numbers under every stored protocol, per image and pooled."""
    found = []
    for protocol in record.scores.protocols:
        pooled = fmean(record.pooled_psnr(layer, protocol) for layer in record.targets)
        found.append(Convention(protocol, False, record.mean("psnr", protocol), record.mean("ssim", protocol)))
        found.append(Convention(protocol, True, pooled, None))
    return found


def explain(path: Path, console: Console) -> None:
    """Print a record under every convention, the papers' numbers beside, and what choosing on the test set would gain.

    Args:
        path: of a record.
        console: to print on.

    Raises:
        UserError: the record is missing or not sound.
    """
    if not path.is_file():
        example = "leaderboards/rain/records/rain-rain100l/nafnet/seed0.json"
        raise UserError(f"no record {path}: name a record's file, such as {example}.")
    record = checks.sound(path)
    known = conventions(record)
    targets = set(record.targets)
    reported = [
        (table, column, value)
        for table, _, column, value in published.published_for(record)
        if column.metric == "psnr" and (column.layer in targets or column.layer == "average")
    ]
    near = {min(range(len(known)), key=lambda i: abs(known[i].psnr - value)) for *_, value in reported}
    console.print(f"{name_of(record)} on {record.dataset}: {' and '.join(record.targets)} of {len(record.ids)} images")
    table = Table()
    for head in ("protocol", "compared as", "PSNR over", "PSNR (dB)", "SSIM", "", *(f"{t.id}" for t, *_ in reported)):
        table.add_column(head, justify="right" if head in ("PSNR (dB)", "SSIM") else "left")
    for i, one in enumerate(known):
        how = PROTOCOLS[one.protocol]
        colours = "luma" if how.luma else "RGB" if record.spec.get("channels") == 3 else "grey"
        compared = f"{colours}, {how.window} SSIM{', up to a scale' if how.scaled else ''}"
        marks = [f"{one.psnr - value:+.2f} of {value:.2f}" for *_, value in reported]
        table.add_row(
            one.protocol, compared, "all pixels of all images" if one.pooled else "each image, then the mean",
            f"{one.psnr:.2f}", "" if one.ssim is None else f"{one.ssim:.3f}",
            "nearest to the paper" if i in near else "task's own" if i == 0 else "", *marks,
        )  # fmt: skip
    Console(file=console.file, width=max(console.width, 120), highlight=False).print(table)
    for source, column, value in reported:
        said = f"{source.id}: {source.paper}, {source.name}, {column.title}: {value:g}. {source.known}"
        console.print(said, soft_wrap=True)
    if not reported:
        console.print("No table of the five papers has this method on these data.")
    console.print(
        "Under all of them estimates are clipped as a picture's file would, and no border is cut off: a record has no "
        "pixels, so that other conventions need the pictures (`unblend predict`, `unblend score`).",
        soft_wrap=True,
    )
    told = _chosen_on_test(path, record)
    if told:
        console.print(told, soft_wrap=True)


def _chosen_on_test(path: Path, record: Record) -> str:
    """What a choice on the test set would have gained; empty where nobody looked."""
    parts = path.absolute().parts
    if "records" not in parts:
        return ""
    at = len(parts) - 1 - parts[::-1].index("records")
    cell = Path(*parts[:at], "cells", *parts[at + 1 :]).with_suffix("")
    looks = read_json(cell / DIAGNOSIS)
    if not isinstance(looks, dict) or not looks.get("looks"):
        return "What a choice on the test set would gain is not known: `unblend bench SUITE --diagnose` finds out."
    best = max(looks["looks"], key=lambda look: look["test"])
    gain = best["test"] - record.mean("psnr")
    return (
        f"Chosen on the test set, the look after {best['images_seen']:,} images would have {best['test']:.2f} dB, "
        f"{gain:+.2f} dB of what was chosen on the select role; such numbers are never in a table."
    )
