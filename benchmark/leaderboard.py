"""Records -> tables. Pure functions of the records: building twice changes no byte."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from rich.console import Console
from rich.table import Table

from benchmark.files import write_text
from benchmark.records import METRICS, Record

SCORED = ("method", "variant", "seeds", "PSNR (dB)")
MEASURED = (
    "SSIM", "LMSE", "MSE", "parameters", "GFLOPs", "latency (ms)", "images seen", "train (s)",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One method on one data set, over its seeds."""

    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """For what all seeds share."""
        return self.records[0]

    def mean(self, metric: str) -> float:
        """Mean over seeds of the mean over test images."""
        return fmean(record.mean(metric) for record in self.records)

    def text(self, metric: str, digits: int) -> str:
        """Mean ± standard deviation over seeds; no deviation for a single seed."""
        values = [record.mean(metric) for record in self.records]
        spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
        return f"{fmean(values):.{digits}f}{spread}"

    def layers(self) -> list[str]:
        """PSNR of each scored layer, where several are in an order; a dash for one that the method does not predict."""
        count = len(layer_columns(self.first))
        means = [record.layer_means("psnr") for record in self.records]
        return [f"{fmean(mean[k] for mean in means):.2f}" if k < len(means[0]) else "–" for k in range(count)]

    def cells(self) -> list[str]:
        """What a table shows, in the order of ``header``."""
        cost = self.first.cost
        trained = [record.training for record in self.records]
        return [
            self.first.title,
            self.first.variant,
            str(len(self.records)),
            self.text("psnr", 2),
            *self.layers(),
            self.text("ssim", 3),
            self.text("lmse", 3),
            self.text("mse", 4),
            f"{cost['parameters']:,}",
            "–" if cost["flops"] is None else f"{cost['flops'] / 1e9:.3g}",
            f"{1000 * fmean(record.cost['latency_s'] for record in self.records):.3g}",
            f"{round(fmean(training['images_seen'] for training in trained)):,}",
            f"{fmean(training['seconds'] for training in trained):.0f}",
        ]


def layer_columns(record: Record) -> list[str]:
    """Layers that have a column of their own: those of data with an order, if they are several."""
    scored: list[str] = record.spec["scored"]
    return scored if record.spec["ordered"] and len(scored) > 1 else []


def header(record: Record) -> list[str]:
    """Titles of the columns of the table that a record stands in."""
    return [*SCORED, *layer_columns(record), *MEASURED]


def lines(records: list[Record]) -> dict[str, list[Line]]:
    """Data set -> its lines, best PSNR first."""
    grouped: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda record: (record.dataset, record.method, record.seed)):
        grouped[record.dataset][record.method].append(record)
    return {
        dataset: sorted((Line(tuple(group)) for group in methods.values()), key=lambda line: -line.mean("psnr"))
        for dataset, methods in grouped.items()
    }


def markdown(records: list[Record]) -> str:
    """The leaderboard as Markdown, one table for each data set."""
    parts = [f"# Leaderboard: {records[0].suite}", ""]
    for dataset, table in lines(records).items():
        first = table[0].first
        spec = first.spec
        order = "in their order" if spec["ordered"] else "best assignment of layers per image"
        parts += [
            f"## {dataset}",
            "",
            f"{len(first.rows)} test images; {len(spec['scored'])} of {len(spec['layers'])} layers scored, {order}; "
            f"image formation: {spec['mixing']}; protocol: {first.protocol}. {spec['citation']}.",
            "",
            _row(header(first)),
            _row(["---", "---", *("---:" for _ in header(first)[2:])]),
            *(_row(line.cells()) for line in table),
            "",
        ]
    parts += [
        "Scores are means over test images of each image's mean over layers (± standard deviation over seeds); "
        "a column with a layer's name is its PSNR alone. "
        "FLOPs (a multiply-add is two) and latency are for one test image; latency is the median on "
        + "; ".join(sorted({_hardware(record) for record in records})) + ".",
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def results_csv(records: list[Record]) -> str:
    """One line for each record, with plain numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "dataset",
            "method",
            "variant",
            "seed",
            "protocol",
            *METRICS,
            *(f"{metric}_by_layer" for metric in METRICS),
            "test_images",
            "parameters",
            "flops",
            "latency_s",
            "peak_memory_mib",
            "images_seen",
            "train_seconds",
            "fit_hash",
            "score_hash",
            "commit",
        ]
    )
    for table in lines(records).values():
        for record in (record for line in table for record in line.records):
            cost, training = record.cost, record.training
            writer.writerow(
                [record.dataset, record.method, record.variant, record.seed, record.protocol]
                + [f"{record.mean(metric):.6g}" for metric in METRICS]
                + [" ".join(f"{value:.6g}" for value in record.layer_means(metric)) for metric in METRICS]
                + [len(record.rows), cost["parameters"], cost["flops"], f"{cost['latency_s']:.6g}"]
                + [cost["peak_memory_mib"], training["images_seen"], training["seconds"]]
                + [record.fit_hash[:12], record.score_hash[:12], record.provenance["commit"]]
            )
    return stream.getvalue()


def write(folder: Path, records: list[Record]) -> None:
    """Write ``README.md`` and ``results.csv`` of a suite's folder."""
    write_text(folder / "README.md", markdown(records))
    write_text(folder / "results.csv", results_csv(records))


def show(records: list[Record], console: Console) -> None:
    """Print the leaderboard; wrapped columns are unreadable, so lines may be longer than the terminal."""
    wide = Console(file=console.file, width=max(console.width, 140))
    for dataset, lines_of_set in lines(records).items():
        table = Table(title=dataset, title_justify="left")
        for name in header(lines_of_set[0].first):
            table.add_column(name, justify="left" if name in ("method", "variant") else "right")
        for line in lines_of_set:
            table.add_row(*line.cells())
        wide.print(table)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _hardware(record: Record) -> str:
    threads = record.cost["latency_threads"]
    if threads is None:
        return str(record.provenance["device"])
    return f"{record.provenance['processor']} ({threads} thread{'s' if threads > 1 else ''} used)"
