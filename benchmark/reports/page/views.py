"""One data set as the page's script reads it: what stands in its tables, its plots, and what papers report of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from benchmark.metrics.protocols import PROTOCOLS
from benchmark.reports import notes, published, tables
from benchmark.reports.page import papers, plots
from benchmark.reports.page.evidence import Json
from benchmark.reports.page.tasks import Task
from benchmark.results import samples
from benchmark.results.marks import curve
from benchmark.results.statistics import MEASURES, POOLED, Line, Score, per_image

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)

BEST = "!"
"""Before the text of a score that is the best of its column."""

ASIDE = ("95 %", "pooled PSNR (dB)", "MSE", "Memory (MiB)", "Images", "Images seen")
"""Columns that are there and not shown until somebody asks for them."""

Head = dict[str, object]
"""A column: its text, whether the first click sorts the largest first, what it holds, and whether it is shown."""


def head(text: str, falling: bool = False, hint: str = "") -> Head:
    """A column's head.

    Args:
        text: that is shown.
        falling: whether the first click sorts the largest first.
        hint: what the column holds.
    """
    return {"text": text, "falling": falling, "hint": hint, "shown": text not in ASIDE}


def view(suite: str, dataset: str, task: Task, under: dict[str, list[Line]], twice: bool) -> Json:
    """A data set, without its pictures and without what stands behind its lines.

    Args:
        suite: of the records.
        dataset: its folder.
        task: that it is of.
        under: its lines under each protocol, the task's own first.
        twice: whether another suite has a data set of this name.
    """
    table = next(iter(under.values()))
    layers = tables.scored_layers(table)
    reported = [_reported(line) for line in table]
    fixed = _fixed_heads(any(reported))
    first = table[0].first
    name = first.data_variant or _source(table)
    return {
        "id": f"{suite}/{dataset}",
        "suite": suite,
        "dataset": first.data_label,
        "task": task.folder,
        "label": f"{name} ({suite})" if twice else name,
        "target": " and ".join(notes.target_of(table)),
        "about": tables.about(table),
        "licence": str(first.spec.get("licence", "")),
        "notes": notes.of(table),
        "judged": tables.judged_by(table),
        "protocols": [[protocol, PROTOCOLS[protocol].meaning] for protocol in under],
        "rows": [_row(line) for line in table],
        "measures": list(MEASURES),
        "scoreHeads": _score_heads(table),
        "scores": [_under(table, lines, _scores) for lines in under.values()],
        "fixedHeads": fixed,
        "fixed": [_costs(line, paper, any(reported)) for line, paper in zip(table, reported, strict=True)],
        "layers": _layers(table, under, layers) if len(layers) > 1 else None,
        "plots": _plots(table),
        "papers": papers.touching([record for line in table for record in line.records]),
        "hardware": sorted({tables.hardware(record) for line in table for record in line.records}),
    }


def _source(table: Sequence[Line]) -> str:
    """Where the test images of a data set come from, whose name does not say it."""
    spec, given = table[0].first.spec, table[0].first.config.get("data", {}).get("init_args", {})
    return "embedded or generated" if samples.free(spec) else str(given.get("source", "research data"))


def _row(line: Line) -> list[str]:
    """Title, variant, and the method's part of the anchor."""
    title = line.first.title
    return [title, line.first.label.removeprefix(title).removeprefix(", "), line.first.method]


def _score_heads(table: Sequence[Line]) -> list[Head]:
    """Heads of the columns that depend on the protocol."""
    judged_by = f"of {tables.judged_by(table)}; mean ± standard deviation over seeds"
    hints = {"psnr": judged_by, POOLED: "of the mean squared error over all test images, as some papers report it"}
    heads = {name: head(scale.heading, scale.higher_is_better, hints.get(name, "")) for name, scale in MEASURES.items()}
    return [
        head("Rank", hint="by PSNR"),
        heads.pop("psnr"),
        head("95 %", True, "bootstrap interval of the PSNR over test images"),
        *heads.values(),
    ]


def _scores(line: Line) -> list[str]:
    """What depends on the protocol, in the order of ``_score_heads``."""
    psnr = line.judged("psnr")
    others = [measure for measure in MEASURES if measure != "psnr"]
    return [
        tables.rank_text(psnr) if psnr and psnr.rank else "",
        _score(psnr, "psnr"),
        tables.interval_text(psnr, "psnr"),
        *(_score(line.judged(measure), measure) for measure in others),
    ]


def _score(score: Score | None, measure: str) -> str:
    return "" if score is None else (BEST if score.rank == 1 else "") + tables.text(score, measure)


def _under(table: Sequence[Line], lines: Sequence[Line], of_line: Any) -> list[list[str]]:
    """What a table shows under a protocol, row by row in the order of the page."""
    by_method = {line.first.method: line for line in lines}
    return [of_line(by_method[line.first.method]) for line in table]


def _layers(table: Sequence[Line], under: dict[str, list[Line]], layers: Sequence[str]) -> dict[str, object]:
    """The second table, of each layer by itself."""

    def of_line(line: Line) -> list[str]:
        return [_score(line.score(layer, measure), measure) for layer in layers for measure in MEASURES]

    heads = []
    for layer in layers:
        for scale in MEASURES.values():
            one = head(f"{layer}: {scale.heading}", scale.higher_is_better)
            heads.append({**one, "shown": scale.heading not in ASIDE})
    return {"heads": heads, "scores": [_under(table, lines, of_line) for lines in under.values()]}


def _fixed_heads(reported: bool) -> list[Head]:
    paper = head("Published PSNR (dB)", True, "what the paper reports; not measured here")
    return [
        *([paper] if reported else []),
        head("Parameters"),
        head("GFLOPs", hint="for one test image; a multiply-add is two"),
        head("Latency (ms)", hint="median for one test image"),
        head("Memory (MiB)", hint="peak, for one test image"),
        head("Images seen", True, f"in training; {notes.LEARNING_MEANS}"),
        head("Seeds", True),
        head("Images", True, "in the test set"),
    ]


def _costs(line: Line, paper: list[object] | None, reported: bool) -> list[list[object]]:
    """Text and number of what no protocol changes, in the order of ``_fixed_heads``."""
    cost, texts = line.first.cost, tables.costs(line)
    seen = fmean(record.training["images_seen"] for record in line.records)
    latency, memory = tables.mean_cost(line, "latency_s"), tables.mean_cost(line, "peak_memory_mib")
    numbers = [cost["parameters"], cost.get("flops"), tables.six(latency), tables.six(memory), seen]
    cells: list[list[object]] = [[text, number] for text, number in zip(texts, numbers, strict=False)]
    counts: list[list[object]] = [[str(count), count] for count in (len(line.records), line.images)]
    return [*([paper or ["", None]] if reported else []), *cells, *counts]


def _reported(line: Line) -> list[object] | None:
    """What papers report of the PSNR by which a line is judged; of all scored layers the papers' average is it."""
    target, scored = list(line.target and line.first.targets), line.first.spec["scored"]
    layers = {*(target if len(target) == 1 else []), *(["average"] if target == scored else [])}
    found = [
        (value, table.id)
        for table, _, column, value in published.published_for(line.first)
        if column.metric == "psnr" and column.layer in layers
    ]
    return [f"{found[0][0]:.2f}", found[0][0], found[0][1]] if found else None


def _plots(table: Sequence[Line]) -> dict[str, object]:
    """Plots of the ranked lines, by what the table is judged by, under its own protocol."""
    points = [(line, score.mean) for line in table if line.ranked and (score := line.judged("psnr"))]
    psnr = MEASURES["psnr"].heading

    def against(title: str, cost: Any) -> str:
        given = []
        for line, quality in points:
            spent = cost(line)
            given += [] if spent is None else [plots.Point(line.first.label, spent, quality)]
        return plots.scatter(given, title, psnr)

    boxes = []
    for line, _ in points:
        of_images = per_image(line.records, "psnr", protocol=line.protocol)
        values = np.percentile(list(of_images.values()), PERCENTILES)
        boxes.append((line.first.label, [float(value) for value in values]))
    runs = [
        (line.first.label + (f", seed {record.seed}" if len(line.records) > 1 else ""), curve(record))
        for line in table
        for record in line.records
    ]
    shown = [(name, steps) for name, steps in runs if steps][: plots.COLOURS]
    return {
        "latency": against("latency (ms)", _milliseconds),
        "parameters": against("parameters", lambda line: line.first.cost["parameters"]),
        "macs": against("multiply-adds for one test image", _multiply_adds),
        "boxes": plots.distributions(boxes, psnr),
        "curves": plots.curves(shown, "training images seen", "PSNR on the select role (dB)"),
        "legend": [name for name, _ in shown],
        "left": max(0, len([steps for _, steps in runs if steps]) - len(shown)),
    }


def _milliseconds(line: Line) -> float | None:
    """None where the network is not here."""
    seconds = tables.mean_cost(line, "latency_s")
    return None if seconds is None else 1000 * seconds


def _multiply_adds(line: Line) -> float | None:
    """None where they could not be counted; a method that learns nothing may still compute much."""
    flops = line.first.cost.get("flops")
    return None if flops is None else flops / 2
