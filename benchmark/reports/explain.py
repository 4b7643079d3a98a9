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
from benchmark.plan.execution import DIAGNOSIS, Look
from benchmark.reports import published
from benchmark.results import checks, collection
from benchmark.results.records import Record


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
        path: of a record; of a suite's folder what such choices would gain is told alone, cell by cell.
        console: to print on.

    Raises:
        UserError: the record is missing or not sound, or nobody looked in the suite's folder.
    """
    if path.is_dir():
        _suite(path, console)
        return
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
    console.print(f"{record.label} on {record.data_label}: {' and '.join(record.targets)} of {len(record.ids)} images")
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
    console.print(_chosen_on_test(path, record), soft_wrap=True)


def _suite(folder: Path, console: Console) -> None:
    """What choices on the test set would gain, over a suite."""
    gains = []
    for path in sorted((folder / "records").glob("*/*/seed*.json")):
        best = _best_on_test(path)
        if best is not None:
            record = checks.read(path)
            gains.append((record, best["test"] - record.mean("psnr")))
    if not gains:
        raise UserError(
            f"{folder}: no cell of it was diagnosed: train its cells with `unblend bench SUITE --diagnose`."
        )
    console.print("Best look on the test set minus the chosen one, PSNR in dB; in no leaderboard:", soft_wrap=True)
    table = Table()
    for head in ("data set", "method", "seed", "gain"):
        table.add_column(head, justify="right" if head == "gain" else "left")
    for record, gain in gains:
        table.add_row(record.data_label, record.label, str(record.seed), f"{gain:+.2f}")
    table.add_row("mean", "", "", f"{fmean(gain for _, gain in gains):+.2f}")
    Console(file=console.file, width=max(console.width, 100), highlight=False).print(table)


def _best_on_test(path: Path) -> Look | None:
    """The look that scores best on the test set; None where nobody looked."""
    folder = collection.Found(checks.read(path), path, False).cell if path.parents[2].name == "records" else None
    held = read_json(folder / DIAGNOSIS) if folder else None
    looks: list[Look] = held.get("looks", []) if isinstance(held, dict) else []
    return max(looks, key=lambda look: look["test"], default=None)


def _chosen_on_test(path: Path, record: Record) -> str:
    """What a choice on the test set would have gained, in words."""
    best = _best_on_test(path)
    if best is None:
        return "What a choice on the test set would gain is not known: `unblend bench SUITE --diagnose` finds out."
    return (
        f"Chosen on the test set, the look after {best['images_seen']:,} images would have {best['test']:.2f} dB, "
        f"{best['test'] - record.mean('psnr'):+.2f} dB of what was chosen on the select role; no table has them."
    )
