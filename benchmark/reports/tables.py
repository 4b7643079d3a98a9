"""Lines of a leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, overload

from benchmark.metrics.scales import METRICS
from benchmark.plan import catalogue
from benchmark.plan import suite as suites
from benchmark.reports import notes
from benchmark.results import provenance
from benchmark.results.records import Record
from benchmark.results.statistics import MEASURES, POOLED, Line, Measured, Score, target_layers

Lines = Mapping[str, Sequence[Line]]
"""Data set -> its lines under one protocol."""

HEADER = (
    "rank", "method", "variant", "seeds", "images", MEASURES["psnr"].heading, "95 % interval",
    *(scale.heading for name, scale in MEASURES.items() if name != "psnr"),
    "parameters", "GFLOPs", "latency (ms)", "memory (MiB)", "images seen", "train (s)",
    "trained on", "outputs",
)  # fmt: skip


def cells(line: Line) -> list[str]:
    """What a table shows of a line, in the order of ``HEADER``."""
    first, psnr = line.first, line.judged("psnr")
    return [
        rank_text(psnr),
        first.title,
        first.variant,
        str(len(line.records)),
        str(line.images),
        text(psnr, "psnr"),
        interval_text(psnr, "psnr"),
        *(text(line.judged(measure), measure) for measure in MEASURES if measure != "psnr"),
        *costs(line),
        provenance.learnt_from(first) or "–",
        provenance.outputs(first),
    ]


def costs(line: Line) -> list[str]:
    """Parameters, GFLOPs, latency, memory, images seen and training time of a line."""
    cost = line.first.cost
    trained = [record.training for record in line.records]
    mark = notes.LEARNING if notes.learning(line) else ""
    return [
        count_text(cost["parameters"]),
        "–" if (flops := cost.get("flops")) is None else f"{flops / 1e9:.3g}",
        "–" if (latency := mean_cost(line, "latency_s")) is None else f"{1000 * latency:.3g}",
        "–" if (memory := mean_cost(line, "peak_memory_mib")) is None else f"{memory:.3g}",
        f"{round(fmean(training['images_seen'] for training in trained)):,}{mark}",
        f"{fmean(training['seconds'] for training in trained):.0f}",
    ]


def count_text(count: int | None) -> str:
    """A number of parameters for people; a dash where it is not known."""
    return "–" if count is None else f"{count:,}"


def mean_cost(line: Line, name: Literal["latency_s", "peak_memory_mib"]) -> float | None:
    """A cost, mean over seeds; None where it is not known."""
    costs = [cost for record in line.records if (cost := record.cost[name]) is not None]
    return fmean(costs) if costs else None


def text(score: Score | None, measure: str) -> str:
    """A score for people; empty where there is none."""
    return score.text(MEASURES[measure].digits) if score else ""


def interval_text(score: Score | None, measure: str) -> str:
    """A score's interval for people; empty where there is none."""
    return score.interval(MEASURES[measure].digits) if score else ""


def rank_text(score: Score | None) -> str:
    """A rank for people; a dash where the line is not ranked."""
    return str(score.rank) if score and score.rank else "–"


def scored_layers(table: Sequence[Line]) -> list[str]:
    """Layers that any line of a table has scores of, in the data's order."""
    return max((list(line.layers) for line in table), key=len)


def judged_by(table: Sequence[Line]) -> str:
    """What a table is judged by, in words."""
    target = notes.target_of(table)
    return f"the {target[0]}" if len(target) == 1 else f"the mean over {' and '.join(target)}"


def protocol_text(table: Sequence[Line]) -> str:
    """A table's protocol, with the windows of LMSE where its images are small."""
    line = notes.leading(table)
    return f"{line.protocol}, LMSE windows {line.first.window}" if line.first.window else line.protocol


def about(table: Sequence[Line]) -> str:
    """What a data set's table is of, in one sentence."""
    line = notes.leading(table)
    spec = line.first.spec
    order = "in their order" if spec["ordered"] else "best assignment of layers per image"
    return (
        f"{line.images} test images; {len(spec['scored'])} of {len(spec['layers'])} layers scored, {order}, judged by "
        f"{judged_by(table)}; image formation: {spec['mixing']}; protocol: {protocol_text(table)}. {spec['citation']}."
    )


@dataclass(frozen=True)
class TableCell:
    """A score in a table: as it is shown, and as it is.

    Attributes:
        text: that is shown.
        value: mean over test images; None where there is no score.
        rank: among the methods that are ranked; 0 for none.
    """

    text: str = ""
    value: float | None = None
    rank: int = 0


def matrix(found: Lines) -> tuple[list[str], list[tuple[str, list[TableCell]]]]:
    """Cross-task matrix: data sets, and for each method its PSNR and rank on each.

    Where a data set's task is for one layer, the layer stands beside the data set's name.
    """
    names: dict[str, str] = {}
    values: dict[str, dict[str, TableCell]] = {}
    for dataset, table in found.items():
        for line in table:
            score = line.judged("psnr")
            names[line.first.method] = line.first.label
            cell = TableCell("–")
            if score:
                rank = f" ({score.rank})" if score.rank else ""
                cell = TableCell(f"{score.mean:.{MEASURES['psnr'].digits}f}{rank}", score.mean, score.rank or 0)
            values.setdefault(line.first.method, {})[dataset] = cell
    order = sorted(names, key=lambda method: (-len(values[method]), names[method], method))
    heads = []
    for table in found.values():
        target = notes.target_of(table)
        name = notes.leading(table).first.data_label
        heads.append(f"{name} ({target[0]})" if len(target) == 1 else name)
    return heads, [(names[method], [values[method].get(dataset, TableCell()) for dataset in found]) for method in order]


MATRIX = "PSNR in dB, and rank; of the layer that the task is for, or the mean over those that it is for."
"""What the matrix shows."""


def titled(name: str) -> str:
    """A suite that ships with the project with its version, such as ``rain@1``; any other as it is called."""
    return f"{name}@{suites.version(name)}" if name in catalogue.suites() else name


def markdown(suite: str, found: Lines) -> str:
    """The leaderboard as Markdown: the cross-task matrix, then two tables for each data set."""
    parts = [f"# Leaderboard: {titled(suite)}", ""]
    if len(found) > 1:
        datasets, rows = matrix(found)
        parts += ["## Methods × data sets", "", MATRIX, ""]
        parts += grid(["method", *datasets], [[name, *(cell.text for cell in row)] for name, row in rows], left=1)
    for table in found.values():
        parts += [f"## {escaped(notes.leading(table).first.data_label)}", "", escaped(about(table)), ""]
        parts += grid(list(HEADER), [cells(line) for line in table], left=3)
        said = notes.of(table)
        parts += [f"- {escaped(note)}" for note in said] + ([""] if said else [])
        layers = scored_layers(table)
        if len(layers) > 1:
            parts += ["Layer by layer (rank by PSNR):", ""]
            parts += grid(*_by_layer(table, layers), left=2)
    records = [record for table in found.values() for line in table for record in line.records]
    parts += [
        "Scores are means over test images (± standard deviation over seeds) of the layers that the task is for; "
        "pooled PSNR is that of the mean squared error over all test images. "
        "The interval is the bootstrap's 95 % over test images. Methods are ranked on the same images only. "
        "FLOPs (a multiply-add is two), latency and memory are for one test image; latency is the median on "
        + "; ".join(sorted({hardware(record) for record in records})) + ". " + notes.LEARNING_MEANS + ".",
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def _by_layer(table: Sequence[Line], layers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    header, rows = ["method", "variant"], []
    for layer in layers:
        header += [f"{layer}: rank", *(scale.heading for scale in MEASURES.values())]
    for line in table:
        row = [line.first.title, line.first.variant]
        for layer in layers:
            row += [rank_text(line.score(layer, "psnr")) if layer in line.layers else ""]
            row += [text(line.score(layer, measure), measure) for measure in MEASURES]
        rows.append(row)
    return header, rows


def results_csv(found: Lines) -> str:
    """One line for each record and protocol, its task's own first, with plain numbers.

    ``psnr`` and the others are means over the target layers, empty where the record does not have them all;
    ``psnr_by_layer`` and the others are of the layers in the order of ``layers``, with spaces between.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = ["dataset", "method", "variant", "seed", "protocol", *MEASURES, "target", "layers"]
    header += [f"{measure}_by_layer" for measure in MEASURES]
    header += ["test_images", "parameters", "flops", "latency_s", "peak_memory_mib", "images_seen", "train_seconds"]
    header += ["trained_on", "outputs"]
    writer.writerow([*header, "of", "key", "score_key", "commit"])
    for table in found.values():
        for line in table:
            for record in line.records:
                for protocol in record.scores.protocols:
                    writer.writerow(_csv_row(record, protocol))
    return stream.getvalue()


def _csv_row(record: Record, protocol: str) -> list[Any]:
    by_layer = {metric: record.layer_means(metric, protocol) for metric in METRICS}
    by_layer[POOLED] = [record.pooled_psnr(layer, protocol) for layer in record.layers]
    target = target_layers(record)
    places = [record.layers.index(layer) for layer in target] if record.complete else []
    means = [fmean(by_layer[measure][place] for place in places) if places else None for measure in MEASURES]
    cost, training = record.cost, record.training
    return [
        record.dataset, record.method, record.variant, record.seed, protocol,
        *("" if mean is None else f"{mean:.6g}" for mean in means),
        " ".join(target), " ".join(record.layers),
        *(" ".join(f"{mean:.6g}" for mean in by_layer[measure]) for measure in MEASURES),
        len(record.ids), cost["parameters"], cost.get("flops"),
        "" if (latency := cost["latency_s"]) is None else f"{latency:.6g}", cost["peak_memory_mib"],
        training["images_seen"], training["seconds"], provenance.learnt_from(record), provenance.outputs(record),
        " ".join(record.identities.values()),
        record.key[:12], record.score_key[:12], record.provenance.get("commit"),
    ]  # fmt: skip


def results_json(suite: str, found: Mapping[str, Mapping[str, Sequence[Line]]]) -> str:
    """All that the tables show, as JSON; numbers have six digits.

    Args:
        suite: its name.
        found: data set -> protocol -> lines; the task's own protocol first.
    """
    value = {"suite": titled(suite), "datasets": {dataset: _dataset(tables) for dataset, tables in found.items()}}
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _dataset(tables: Mapping[str, Sequence[Line]]) -> dict[str, object]:
    own, table = next(iter(tables.items()))
    under = {protocol: {line.first.method: line for line in lines} for protocol, lines in tables.items()}
    return {
        "title": notes.leading(table).first.data_label,
        "about": about(table),
        "protocol": own,
        "target": notes.target_of(table),
        "lines": [
            {
                **_plain(line),
                "scores": {
                    protocol: {
                        "target": _scores(lines[line.first.method].target),
                        "layers": {name: _scores(scores) for name, scores in lines[line.first.method].layers.items()},
                    }
                    for protocol, lines in under.items()
                    if lines[line.first.method].layers
                },
            }
            for line in table
        ],
    }


def _plain(line: Line) -> dict[str, object]:
    first = line.first
    return {
        "method": first.method,
        "title": first.title,
        "variant": first.variant,
        "seeds": [record.seed for record in line.records],
        "test_images": line.images,
        "ranked": line.ranked,
        "not_compared": line.unlike,
        "identities": first.identities,
        "parameters": first.cost["parameters"],
        "flops": first.cost.get("flops"),
        "latency_s": six(mean_cost(line, "latency_s")),
        "peak_memory_mib": six(mean_cost(line, "peak_memory_mib")),
        "images_seen": [record.training["images_seen"] for record in line.records],
        "train_seconds": [record.training["seconds"] for record in line.records],
        "trained_on": provenance.learnt_from(first),
        "outputs": provenance.outputs(first),
        "score_keys": [record.score_key for record in line.records],
    }


def _scores(measured: Measured) -> dict[str, object]:
    return {
        measure: {
            "mean": six(score.mean),
            "std": None if score.std is None else six(score.std),
            "interval": [six(score.low), six(score.high)],
            "rank": score.rank,
        }
        for measure, score in measured.items()
    }


@overload
def six(value: float) -> float: ...
@overload
def six(value: None) -> None: ...
def six(value: float | None) -> float | None:
    """A number to six digits: the same bytes wherever it was summed."""
    return None if value is None else float(f"{value:.6g}")


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> list[str]:
    """A table's lines in Markdown, and an empty one; the first columns are set on the left, the others on the right."""
    rule = ["---" if place < left else "---:" for place in range(len(header))]
    return [_row(header), _row(rule), *(_row(row) for row in rows), ""]


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(value) for value in values) + " |"


def escaped(value: str) -> str:
    """A text without what Markdown, or the HTML in it, would take for its own."""
    escapes = {"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " ", "[": "\\[", "`": "\\`"}
    return "".join(escapes.get(sign, sign) for sign in value)


def hardware(record: Record) -> str:
    """What latency was measured on."""
    threads = record.cost.get("latency_threads")
    if threads is None:
        return str(record.provenance["device"])
    return f"{record.provenance['processor']} ({threads} thread{'s' if threads > 1 else ''} used)"
