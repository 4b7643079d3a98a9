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

from benchmark.files import write_text
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.reports import published, tables
from benchmark.reports.page import plots
from benchmark.reports.page.evidence import Evidence, curve, key_of, pictures, provenance
from benchmark.results import collection
from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.statistics import MEASURES, POOLED, Line, Measured, Score, per_image

TEMPLATES = Path(__file__).parent
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: that is shown.
        sort: that is sorted by; a number, or text; None stands last.
        best: whether it is the best of its column.
        note: small text below.
        score: whether it depends on the protocol.
    """

    text: str
    sort: float | str | None = None
    best: bool = False
    note: str = ""
    score: bool = False

    def plain(self) -> list[Any]:
        """For the page's script."""
        return [self.text, self.sort, int(self.best)]


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
        matrix=tables.MATRIX,
    )


def _suite(suite: str, found: Sequence[Found], data: Evidence) -> dict[str, object]:
    of_record = {key_of(one.record): one for one in found}
    under = collection.under_each_protocol([one.record for one in found])
    lines = {dataset: next(iter(of_set.values())) for dataset, of_set in under.items()}
    heads, rows = tables.matrix(lines)
    return {
        "name": suite,
        "id": _id(suite),
        "matrix": {
            "heads": [Head("Method"), *(Head(head, True) for head in heads)],
            "links": [None, *(_id(suite, dataset) for dataset in lines)],
            "rows": [[Cell(name, name.lower()), *(_matrix_cell(one) for one in row)] for name, row in rows],
        },
        "datasets": [_dataset(suite, dataset, of_set, of_record, data) for dataset, of_set in under.items()],
    }


def _matrix_cell(one: tables.TableCell) -> Cell:
    return Cell(one.text, None if one.value is None else tables.six(one.value), best=one.rank == 1)


def _dataset(
    suite: str,
    dataset: str,
    under: dict[str, list[Line]],
    of_record: dict[tuple[str, str, int], Found],
    data: Evidence,
) -> dict[str, object]:
    identity = _id(suite, dataset)
    table = next(iter(under.values()))
    layers = tables.scored_layers(table)
    numbers = []
    for line in table:
        numbers.append(len(data.lines))
        data.lines.append(provenance(line, [of_record[key_of(record)] for record in line.records]))
    data.samples[identity] = pictures(table, of_record, data)
    data.protocols[identity] = [_protocol(name, table, lines, layers) for name, lines in under.items()]
    committed = [all(of_record[key_of(record)].committed for record in line.records) for line in table]
    if not any(committed):
        committed = [True] * len(table)  # only beside published rows is it worth a word
    reported = [_reported(line) for line in table]
    heads = [
        Head("Method"),
        *_score_heads(table),
        *([Head("Published PSNR (dB)", True, "what the paper reports; not measured here")] if any(reported) else []),
        Head("Parameters"),
        Head("GFLOPs", hint="for one test image; a multiply-add is two"),
        Head("Latency (ms)", hint="median for one test image"),
        Head("Memory (MiB)", hint="peak, for one test image"),
        Head("Images seen", True, "in training"),
        Head("Seeds", True),
        Head("Images", True, "in the test set"),
    ]
    rows = [
        [
            _method_cell(line),
            *_score_cells(line.target),
            *([paper or Cell("")] if any(reported) else []),
            *_cost_cells(line),
        ]
        for line, paper in zip(table, reported, strict=True)
    ]
    best = table[0] if table[0].ranked else None
    score = best.judged("psnr") if best else None
    return {
        "name": dataset,
        "id": identity,
        "about": tables.about(table),
        "licence": str(table[0].first.spec.get("licence", "")),
        "notes": tables.notes(table),
        "protocols": [(name, PROTOCOLS[name].meaning) for name in under],
        "judged_by": tables.judged_by(table),
        "heads": heads,
        "rows": list(zip(rows, numbers, committed, strict=True)),
        "layers": _layer_table(table, layers, numbers) if len(layers) > 1 else None,
        "plots": _plots(table),
        "samples": bool(data.samples[identity]),
        "best": f"{tables.name_of(best.first)}, {tables.text(score, 'psnr')} dB" if best else "no row is ranked",
        "methods": len(table),
        "hardware": sorted({tables.hardware(record) for line in table for record in line.records}),
    }


def _score_heads(table: Sequence[Line]) -> list[Head]:
    """Heads of the columns that depend on the protocol."""
    judged_by = f"of {tables.judged_by(table)}; mean ± standard deviation over seeds"
    hints = {"psnr": judged_by, POOLED: "of the mean squared error over all test images, as some papers report it"}
    heads = {name: Head(scale.heading, scale.higher_is_better, hints.get(name, "")) for name, scale in MEASURES.items()}
    return [
        Head("Rank", hint="by PSNR"),
        heads.pop("psnr"),
        Head("95 %", True, "bootstrap interval of the PSNR over test images"),
        *heads.values(),
    ]


def _score_cells(target: Measured) -> list[Cell]:
    """What depends on the protocol, in the order of ``_score_heads``."""
    psnr = target.get("psnr")
    return [
        Cell(tables.rank_text(psnr), psnr.rank if psnr else None, score=True),
        _score_cell(psnr, "psnr"),
        Cell(tables.interval_text(psnr, "psnr"), tables.six(psnr.low) if psnr else None, score=True),
        *(_score_cell(target.get(measure), measure) for measure in MEASURES if measure != "psnr"),
    ]


def _protocol(name: str, table: Sequence[Line], lines: Sequence[Line], layers: Sequence[str]) -> dict[str, object]:
    """What both tables of a data set show under a protocol, row by row in the order of the page."""
    by_method = {line.first.method: line for line in lines}
    rows = [by_method[line.first.method] for line in table]
    return {
        "name": name,
        "meaning": PROTOCOLS[name].meaning,
        "main": [[cell.plain() for cell in _score_cells(line.target)] for line in rows],
        "layers": [[cell.plain() for cell in _layer_cells(line, layers)] for line in rows],
    }


def _id(*names: str) -> str:
    """An anchor; names may hold spaces."""
    return "/".join(name.replace(" ", "_") for name in names)


def _method_cell(line: Line) -> Cell:
    title, variant = line.first.title, line.first.variant
    return Cell(title, tables.name_of(line.first).lower(), note="" if variant == title else variant)


def _score_cell(score: Score | None, measure: str) -> Cell:
    if score is None:
        return Cell("", score=True)
    return Cell(tables.text(score, measure), tables.six(score.mean), best=score.rank == 1, score=True)


def _cost_cells(line: Line) -> list[Cell]:
    cost = line.first.cost
    texts = tables.costs(line)
    seen = fmean(record.training["images_seen"] for record in line.records)
    flops = cost.get("flops")
    values = [cost["parameters"], flops, tables.mean_cost(line, "latency_s"), tables.mean_cost(line, "peak_memory_mib")]
    cells = [Cell(text, value) for text, value in zip(texts, [*values, seen], strict=False)]
    return [*cells, Cell(str(len(line.records)), len(line.records)), Cell(str(line.images), line.images)]


def _layer_table(table: Sequence[Line], layers: Sequence[str], numbers: Sequence[int]) -> dict[str, object]:
    heads = [Head("Method")]
    for layer in layers:
        heads += [Head(f"{layer}: {scale.heading}", scale.higher_is_better) for scale in MEASURES.values()]
    rows = [
        ([_method_cell(line), *_layer_cells(line, layers)], number, True)
        for line, number in zip(table, numbers, strict=True)
    ]
    return {"heads": heads, "rows": rows}


def _layer_cells(line: Line, layers: Sequence[str]) -> list[Cell]:
    return [_score_cell(line.score(layer, measure), measure) for layer in layers for measure in MEASURES]


def _reported(line: Line) -> Cell | None:
    """What papers report of the PSNR by which a line is judged; of all scored layers the papers' average is it."""
    target, scored = list(line.target and line.first.targets), line.first.spec["scored"]
    layers = {*(target if len(target) == 1 else []), *(["average"] if target == scored else [])}
    found = [
        (value, table.id)
        for table, _, column, value in published.published_for(line.first)
        if column.metric == "psnr" and column.layer in layers
    ]
    if not found:
        return None
    return Cell(f"{found[0][0]:.2f}", found[0][0], note=found[0][1])


def _plots(table: Sequence[Line]) -> dict[str, object]:
    """Plots of the ranked lines, by what the table is judged by, under its own protocol."""
    points = [(line, score.mean) for line in table if line.ranked and (score := line.judged("psnr"))]

    def against(cost: Any, unit: float = 1) -> list[plots.Point]:
        known = [(line, paid / unit, psnr) for line, psnr in points if (paid := cost(line)) is not None]
        return [plots.Point(tables.name_of(line.first), paid, psnr) for line, paid, psnr in known]

    latency = against(lambda line: tables.mean_cost(line, "latency_s"), 1e-3)
    parameters = against(lambda line: line.first.cost["parameters"])
    boxes = []
    for line, _ in points:
        of_images = per_image(line.records, "psnr", protocol=line.protocol)
        values = np.percentile(list(of_images.values()), PERCENTILES)
        boxes.append((tables.name_of(line.first), [float(value) for value in values]))
    runs = [
        (tables.name_of(line.first) + (f", seed {record.seed}" if len(line.records) > 1 else ""), curve(record))
        for line in table
        for record in line.records
    ]
    shown = [(name, points) for name, points in runs if points][: plots.COLOURS]
    psnr = MEASURES["psnr"].heading
    return {
        "latency": Markup(plots.scatter(latency, "latency (ms)", psnr)),
        "parameters": Markup(plots.scatter(parameters, "parameters", psnr)),
        "boxes": Markup(plots.distributions(boxes, psnr)),
        "curves": Markup(plots.curves(shown, "training images seen", "PSNR on the select role (dB)")),
        "legend": [name for name, _ in shown],
        "left_out": max(0, len([points for _, points in runs if points]) - len(shown)),
    }


def _papers(records: Sequence[Record]) -> list[dict[str, object]]:
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
