"""Lines of a leaderboard as Markdown, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmark.records import METRICS, Record
from benchmark.statistics import AVERAGE, Line, Score, layer_names

Lines = Mapping[str, Sequence[Line]]

NAMES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lmse": "LMSE", "mse": "MSE"}
DIGITS = {"psnr": 2, "ssim": 3, "lmse": 3, "mse": 4}

HEADER = (
    "rank", "method", "variant", "seeds", "images", "PSNR (dB)", "95 % interval", "SSIM", "LMSE", "MSE",
    "parameters", "GFLOPs", "latency (ms)", "memory (MiB)", "images seen", "train (s)",
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
        psnr.interval(2),
        *(text(line.judged(metric), metric) for metric in METRICS[1:]),
        *costs(line),
    ]


def costs(line: Line) -> list[str]:
    """Parameters, GFLOPs, latency, memory, images seen and training time of a line."""
    cost = line.first.cost
    trained = [record.training for record in line.records]
    return [
        f"{cost['parameters']:,}",
        "–" if cost.get("flops") is None else f"{cost['flops'] / 1e9:.3g}",
        f"{1000 * mean_cost(line, 'latency_s'):.3g}",
        f"{mean_cost(line, 'peak_memory_mib'):.3g}",
        f"{round(fmean(training['images_seen'] for training in trained)):,}",
        f"{fmean(training['seconds'] for training in trained):.0f}",
    ]


def mean_cost(line: Line, name: str) -> float:
    """A cost, mean over seeds."""
    return fmean(record.cost[name] for record in line.records)


def text(score: Score | None, metric: str) -> str:
    """A score for people; empty where there is none."""
    return score.text(DIGITS[metric]) if score else ""


def rank_text(score: Score | None) -> str:
    """A rank for people; a dash where the line is not ranked."""
    return str(score.rank) if score and score.rank else "–"


def name_of(record: Record) -> str:
    """Title and variant of a method in one."""
    return f"{record.title}, {record.variant}" if record.variant not in ("", record.title) else record.title


def scored_layers(table: Sequence[Line]) -> list[str]:
    """Layers that any line of a table has scores of, in the data's order."""
    return max((layer_names(line.first) for line in table), key=len)


def about(table: Sequence[Line]) -> str:
    """What a data set's table is of, in one sentence."""
    first = table[0].first
    spec = first.spec
    order = "in their order" if spec["ordered"] else "best assignment of layers per image"
    return (
        f"{table[0].images} test images; {len(spec['scored'])} of {len(spec['layers'])} layers scored, {order}; "
        f"image formation: {spec['mixing']}; protocol: {first.protocol}. {spec['citation']}."
    )


def notes(table: Sequence[Line]) -> list[str]:
    """What a reader must know of single lines of a table."""
    said = []
    part = table[0].part
    if part != AVERAGE:
        alone = ", ".join(name_of(line.first) for line in table if AVERAGE not in line.scores)
        said.append(f"Scores and ranks are of {part} alone, which every row gives; no other layer is given by {alone}.")
    for line in table:
        who = name_of(line.first)
        if not line.comparable:
            said.append(f"{who} was judged on {line.images} images, or by another protocol or data: it is not ranked.")
    return said


def matrix(found: Lines) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Cross-task matrix: data sets, and for each method its PSNR and rank on each.

    Where a data set's rows are judged by one layer, the layer stands beside the data set's name.
    """
    names: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    for dataset, table in found.items():
        for line in table:
            score = line.judged("psnr")
            names[line.first.method] = name_of(line.first)
            rank = f" ({score.rank})" if score.rank else ""
            values.setdefault(line.first.method, {})[dataset] = f"{score.mean:.2f}{rank}"
    order = sorted(names, key=lambda method: (-len(values[method]), names[method], method))
    parts = {dataset: table[0].part for dataset, table in found.items()}
    heads = [dataset if part == AVERAGE else f"{dataset}: {part}" for dataset, part in parts.items()]
    return heads, [(names[method], [values[method].get(dataset, "") for dataset in found]) for method in order]


def markdown(suite: str, found: Lines) -> str:
    """The leaderboard as Markdown: the cross-task matrix, then two tables for each data set."""
    parts = [f"# Leaderboard: {suite}", ""]
    if len(found) > 1:
        datasets, rows = matrix(found)
        parts += ["## Methods × data sets", "", "PSNR in dB, and rank; of all scored layers, unless one is named.", ""]
        parts += _markdown(["method", *datasets], [[name, *row] for name, row in rows], left=1)
    for dataset, table in found.items():
        parts += [f"## {dataset}", "", about(table), ""]
        parts += _markdown(list(HEADER), [cells(line) for line in table], left=3)
        parts += [f"- {note}" for note in notes(table)] + ([""] if notes(table) else [])
        layers = scored_layers(table)
        if len(layers) > 1:
            parts += ["Layer by layer (rank by PSNR):", ""]
            parts += _markdown(*_by_layer(table, layers), left=2)
    records = [record for table in found.values() for line in table for record in line.records]
    parts += [
        "Scores are means over test images (± standard deviation over seeds), and over the scored layers. "
        "The interval is the bootstrap's 95 % over test images. Methods are ranked on the same images only. "
        "FLOPs (a multiply-add is two), latency and memory are for one test image; latency is the median on "
        + "; ".join(sorted({hardware(record) for record in records})) + ".",
        "",
    ]  # fmt: skip
    return "\n".join(parts)


def _by_layer(table: Sequence[Line], layers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    header, rows = ["method", "variant"], []
    for layer in layers:
        header += [f"{layer}: rank", *NAMES.values()]
    for line in table:
        row = [line.first.title, line.first.variant]
        for layer in layers:
            row += [rank_text(line.score(layer, "psnr")) if layer in line.scores else ""]
            row += [text(line.score(layer, metric), metric) for metric in METRICS]
        rows.append(row)
    return header, rows


def results_csv(found: Lines) -> str:
    """One line for each record, with plain numbers; of layers in the order of ``layers``, with spaces between."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = ["dataset", "method", "variant", "seed", "protocol", *METRICS, "layers"]
    header += [f"{metric}_by_layer" for metric in METRICS]
    header += ["test_images", "parameters", "flops", "latency_s", "peak_memory_mib", "images_seen", "train_seconds"]
    writer.writerow([*header, "fit_hash", "score_hash", "commit"])
    for table in found.values():
        for line in table:
            for record in line.records:
                cost, training = record.cost, record.training
                complete = AVERAGE in line.scores
                writer.writerow(
                    [record.dataset, record.method, record.variant, record.seed, record.protocol]
                    + [f"{record.mean(metric):.6g}" if complete else "" for metric in METRICS]
                    + [" ".join(layer_names(record))]
                    + [" ".join(f"{mean:.6g}" for mean in record.layer_means(metric)) for metric in METRICS]
                    + [len(record.rows), cost["parameters"], cost.get("flops"), f"{cost['latency_s']:.6g}"]
                    + [cost["peak_memory_mib"], training["images_seen"], training["seconds"]]
                    + [record.fit_hash[:12], record.score_hash[:12], record.provenance.get("commit")]
                )
    return stream.getvalue()


def results_json(suite: str, found: Lines) -> str:
    """All that the tables show, as JSON; numbers have six digits."""
    value = {
        "suite": suite,
        "datasets": {
            dataset: {
                "about": about(table),
                "protocol": table[0].first.protocol,
                "lines": [_plain(line) for line in table],
            }
            for dataset, table in found.items()
        },
    }
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(line: Line) -> dict[str, Any]:
    first = line.first
    return {
        "method": first.method,
        "title": first.title,
        "variant": first.variant,
        "seeds": [record.seed for record in line.records],
        "test_images": line.images,
        "comparable": line.comparable,
        "scores": {
            part: {
                metric: {
                    "mean": six(score.mean),
                    "std": None if score.std is None else six(score.std),
                    "interval": [six(score.low), six(score.high)],
                    "rank": score.rank,
                }
                for metric, score in metrics.items()
            }
            for part, metrics in line.scores.items()
        },
        "parameters": first.cost["parameters"],
        "flops": first.cost.get("flops"),
        "latency_s": six(mean_cost(line, "latency_s")),
        "peak_memory_mib": six(mean_cost(line, "peak_memory_mib")),
        "images_seen": [record.training["images_seen"] for record in line.records],
        "train_seconds": [record.training["seconds"] for record in line.records],
        "score_hashes": [record.score_hash for record in line.records],
    }


def six(value: float) -> float:
    """A number to six digits: the same bytes wherever it was summed."""
    return float(f"{value:.6g}")


def latex(found: Lines) -> str:
    """One LaTeX table for each data set (packages booktabs and inputenc's UTF-8); the best of each metric is bold."""
    parts = []
    for dataset, table in found.items():
        parts += [r"\begin{table}", r"\centering", rf"\caption{{{_tex(dataset + ': ' + about(table))}}}"]
        parts += [r"\begin{tabular}{lrrrrr}", r"\toprule"]
        parts += [r"Method & PSNR (dB) & SSIM & LMSE & MSE & Parameters \\", r"\midrule"]
        for line in table:
            row = [_tex(name_of(line.first))]
            for metric in METRICS:
                score = line.judged(metric)
                shown = text(score, metric).replace("±", r"$\pm$")
                row.append(rf"\textbf{{{shown}}}" if score.rank == 1 else shown)
            parts.append(" & ".join([*row, f"{line.first.cost['parameters']:,}"]) + r" \\")
        parts += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)


def _tex(plain: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in plain.replace("\n", " "))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    marks = ["---" if place < left else "---:" for place in range(len(header))]
    return [_row(header), _row(marks), *(_row(row) for row in rows), ""]


def _row(values: Sequence[str]) -> str:
    # A name may hold what Markdown, or the HTML in it, would take for its own.
    escapes = {"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " ", "[": "\\[", "`": "\\`"}
    return "| " + " | ".join("".join(escapes.get(sign, sign) for sign in value) for value in values) + " |"


def hardware(record: Record) -> str:
    """What latency was measured on."""
    threads = record.cost.get("latency_threads")
    if threads is None:
        return str(record.provenance["device"])
    return f"{record.provenance['processor']} ({threads} thread{'s' if threads > 1 else ''} used)"
