"""The page: one file that shows leaderboards, pictures, plots, papers and where every number comes from.

It loads nothing from elsewhere and works from ``file://``. A pure function of the records, their samples and logs, and
of ``leaderboards/published``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark import leaderboard, plots, published, tables
from benchmark.evidence import Evidence, curve, key_of, pictures, provenance
from benchmark.files import write_text
from benchmark.leaderboard import Found
from benchmark.records import METRICS, Record
from benchmark.statistics import AVERAGE, HIGHER_IS_BETTER, Line, Score, per_image

TEMPLATES = Path(__file__).parent / "page"
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: that is shown.
        sort: that is sorted by; a number, or text; None stands last.
        best: whether it is the best of its column.
        note: small text below.
    """

    text: str
    sort: float | str | None = None
    best: bool = False
    note: str = ""


@dataclass(frozen=True)
class Head:
    """One column's head.

    Attributes:
        text: that is shown.
        falling: whether the first click sorts the largest first.
        hint: what the column holds.
    """

    text: str
    falling: bool = False
    hint: str = ""


def build(found: Sequence[Found], folder: Path) -> Path:
    """Write ``index.html``.

    Args:
        found: records of all suites.
        folder: where the page is written to.
    """
    path = folder / "index.html"
    write_text(path, render(found))
    return path


def render(found: Sequence[Found]) -> str:
    """The page's text.

    Args:
        found: records of all suites.
    """
    data = Evidence()
    suites = []
    for suite in sorted({one.record.suite for one in found}):
        own = [one for one in found if one.record.suite == suite]
        suites.append(_suite(suite, own, data))
    style, script = ((TEMPLATES / name).read_text() for name in ("style.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("index.html.j2").render(
        suites=suites,
        papers=_papers([one.record for one in found]),
        style=Markup(style),
        script=Markup(script),
        script_hash=digest,
        data=Markup(data.text()),
        levels=HIGHER_IS_BETTER,
    )


def _suite(suite: str, found: Sequence[Found], data: Evidence) -> dict[str, Any]:
    of_record = {(one.record.dataset, one.record.method, one.record.seed): one for one in found}
    lines = leaderboard.lines([one.record for one in found])
    heads, rows = tables.matrix(lines)
    return {
        "name": suite,
        "id": _id(suite),
        "matrix": {
            "heads": [Head("Method"), *(Head(head, True) for head in heads)],
            "links": [None, *(_id(suite, dataset) for dataset in lines)],
            "rows": [[Cell(name, name.lower()), *(_matrix_cell(text) for text in texts)] for name, texts in rows],
        },
        "datasets": [_dataset(suite, dataset, table, of_record, data) for dataset, table in lines.items()],
    }


def _matrix_cell(text: str) -> Cell:
    return Cell(text, float(text.split()[0]) if text else None, best=text.endswith("(1)"))


def _dataset(
    suite: str,
    dataset: str,
    table: Sequence[Line],
    of_record: dict[tuple[str, str, int], Found],
    data: Evidence,
) -> dict[str, Any]:
    identity = _id(suite, dataset)
    layers = tables.scored_layers(table)
    numbers = []
    for line in table:
        numbers.append(len(data.lines))
        data.lines.append(provenance(line, [of_record[key_of(record)] for record in line.records]))
    data.samples[identity] = pictures(table, of_record, data)
    committed = [all(of_record[key_of(record)].committed for record in line.records) for line in table]
    if not any(committed):
        committed = [True] * len(table)  # only beside published rows is it worth a word
    reported = [_reported(line) for line in table]
    part = table[0].part
    judged_by = "average over all scored layers" if part == AVERAGE else f"of the {part}, which every row gives"
    heads = [
        Head("Method"),
        Head("Rank", hint="by PSNR"),
        Head("PSNR (dB)", True, f"{judged_by}, mean ± standard deviation over seeds"),
        Head("95 %", True, "bootstrap interval of the PSNR over test images"),
        Head("SSIM", True),
        Head("LMSE"),
        Head("MSE"),
        *([Head("Published PSNR (dB)", True, "what the paper reports; not measured here")] if any(reported) else []),
        Head("Parameters"),
        Head("GFLOPs", hint="for one test image; a multiply-add is two"),
        Head("Latency (ms)", hint="median for one test image"),
        Head("Memory (MiB)", hint="peak, for one test image"),
        Head("Images seen", True, "in training"),
        Head("Seeds", True),
        Head("Images", True, "in the test set"),
    ]
    rows = []
    for line, paper in zip(table, reported, strict=True):
        psnr = line.judged("psnr")
        rows.append(
            [
                _method_cell(line),
                Cell(tables.rank_text(psnr), psnr.rank),
                _score_cell(psnr, "psnr"),
                Cell(psnr.interval(2), psnr.low),
                *(_score_cell(line.judged(metric), metric) for metric in METRICS[1:]),
                *([paper or Cell("")] if any(reported) else []),
                *_cost_cells(line),
            ]
        )
    return {
        "name": dataset,
        "id": identity,
        "about": tables.about(table),
        "licence": str(table[0].first.spec.get("licence", "")),
        "notes": tables.notes(table),
        "heads": heads,
        "rows": list(zip(rows, numbers, committed, strict=True)),
        "layers": _layer_table(table, layers, numbers) if len(layers) > 1 else None,
        "plots": _plots(table, layers),
        "samples": bool(data.samples[identity]),
        "best": tables.name_of(table[0].first),
        "best_psnr": table[0].judged("psnr").mean,
        "methods": len(table),
        "hardware": sorted({tables.hardware(record) for line in table for record in line.records}),
    }


def _id(*names: str) -> str:
    """An anchor; names may hold spaces."""
    return "/".join(name.replace(" ", "_") for name in names)


def _method_cell(line: Line) -> Cell:
    title, variant = line.first.title, line.first.variant
    return Cell(title, tables.name_of(line.first).lower(), note="" if variant == title else variant)


def _score_cell(score: Score | None, metric: str) -> Cell:
    if score is None:
        return Cell("")
    return Cell(score.text(tables.DIGITS[metric]), tables.six(score.mean), best=score.rank == 1)


def _cost_cells(line: Line) -> list[Cell]:
    cost = line.first.cost
    texts = tables.costs(line)
    seen = fmean(record.training["images_seen"] for record in line.records)
    flops = cost.get("flops")
    values = [cost["parameters"], flops, tables.mean_cost(line, "latency_s"), tables.mean_cost(line, "peak_memory_mib")]
    cells = [Cell(text, value) for text, value in zip(texts, [*values, seen], strict=False)]
    return [*cells, Cell(str(len(line.records)), len(line.records)), Cell(str(line.images), line.images)]


def _layer_table(table: Sequence[Line], layers: Sequence[str], numbers: Sequence[int]) -> dict[str, Any]:
    heads = [Head("Method")]
    for layer in layers:
        heads += [Head(f"{layer}: {tables.NAMES[metric]}", HIGHER_IS_BETTER[metric]) for metric in METRICS]
    rows = []
    for line, number in zip(table, numbers, strict=True):
        cells = [_method_cell(line)]
        cells += [_score_cell(line.score(layer, metric), metric) for layer in layers for metric in METRICS]
        rows.append((cells, number, True))
    return {"heads": heads, "rows": rows}


def _reported(line: Line) -> Cell | None:
    """What papers report of the PSNR by which a line is judged; of a single scored layer the average is it, too."""
    scored = line.first.spec["scored"]
    layers = {AVERAGE, scored[0]} if len(scored) == 1 else {line.part}
    found = [
        (value, table.id)
        for table, _, column, value in published.published_for(line.first)
        if column.metric == "psnr" and column.layer in layers
    ]
    if not found:
        return None
    return Cell(f"{found[0][0]:.2f}", found[0][0], note=found[0][1])


def _plots(table: Sequence[Line], layers: Sequence[str]) -> dict[str, Any]:
    """Plots of what is comparable, by the part that the table is judged by."""
    points = [(line, line.judged("psnr").mean) for line in table if line.comparable]
    judged = None if table[0].part == AVERAGE else [0]

    def against(cost: Any) -> list[plots.Point]:
        return [plots.Point(tables.name_of(line.first), cost(line), psnr) for line, psnr in points]

    latency = against(lambda line: 1000 * tables.mean_cost(line, "latency_s"))
    parameters = against(lambda line: line.first.cost["parameters"])
    boxes = []
    for line, _ in points:
        values = np.percentile(list(per_image(line.records, "psnr", judged).values()), PERCENTILES)
        boxes.append((tables.name_of(line.first), [float(value) for value in values]))
    runs = [
        (tables.name_of(line.first) + (f", seed {record.seed}" if len(line.records) > 1 else ""), curve(record))
        for line in table
        for record in line.records
    ]
    shown = [(name, points) for name, points in runs if points][: plots.COLOURS]
    return {
        "latency": Markup(plots.scatter(latency, "latency (ms)", "PSNR (dB)")),
        "parameters": Markup(plots.scatter(parameters, "parameters", "PSNR (dB)")),
        "boxes": Markup(plots.distributions(boxes, "PSNR (dB)")),
        "curves": Markup(plots.curves(shown, "training images seen", "PSNR on the select role (dB)")),
        "legend": [name for name, _ in shown],
        "left_out": max(0, len([points for _, points in runs if points]) - len(shown)),
    }


def _papers(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Published tables, each with what was measured of its rows."""
    return [
        {
            "id": table.id,
            "title": f"{table.paper}, {table.name}",
            "caption": table.caption,
            "known": table.known,
            "damaged": table.damaged,
            "missing": published.lacking(table, list(records)),
            "columns": [column.title for column in table.columns],
            "rows": [
                {
                    "name": row.name,
                    "values": table.printed(row),
                    "measured": published.measured(table, row, list(records)),
                }
                for row in table.rows
            ],
        }
        for table in published.tables().values()
    ]
