"""Results for other programs: all scores in a flat table, what they are of in another, and tables for LaTeX."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.metrics.scales import METRICS, SCALES
from benchmark.reports import tables
from benchmark.results.records import Record

KEY = "record"
"""Column of both tables that tells records apart: the first digits of the score key."""

SCORES = ("suite", "dataset", "method", "variant", "seed", "protocol", "image", "layer", *METRICS, KEY)
RECORDS = (
    KEY, "suite", "dataset", "data_variant", "method", "title", "variant", "seed",
    "images_seen", "model", "data", "commit",
)  # fmt: skip
"""``model`` and ``data`` are the complete configuration, as JSON."""

KINDS = (".csv", ".parquet")

Row = dict[str, Any]


def scores(records: Iterable[Record]) -> Iterator[Row]:
    """A row for each score, by ``SCORES``.

    Args:
        records: in the order of the rows.
    """
    for record in records:
        about = {name: getattr(record, name) for name in ("suite", "dataset", "method", "variant", "seed")}
        for protocol in record.scores.protocols:
            values = [record.values(metric, protocol) for metric in METRICS]
            for i, image in enumerate(record.ids):
                for k, layer in enumerate(record.layers):
                    numbers = (float(f"{value[i, k]:.6g}") for value in values)
                    found = dict(zip(METRICS, numbers, strict=True))
                    yield {**about, "protocol": protocol, "image": image, "layer": layer, **found, KEY: _key(record)}


def configurations(records: Iterable[Record]) -> Iterator[Row]:
    """A row for each record, by ``RECORDS``.

    Args:
        records: in the order of the rows.
    """
    for record in records:
        yield {
            KEY: _key(record),
            **{
                name: getattr(record, name)
                for name in ("suite", "dataset", "data_variant", "method", "title", "variant", "seed")
            },
            "images_seen": record.training["images_seen"],
            **{part: json.dumps(record.config.get(part), sort_keys=True) for part in ("model", "data")},
            "commit": record.provenance.get("commit"),
        }


def write(path: Path, records: Sequence[Record]) -> tuple[Path, int]:
    """Write both tables of some records.

    Args:
        path: of the scores: ``.csv``, or ``.parquet`` where pyarrow is installed.
        records: in the order of the rows.

    Returns:
        Path of the records' table, which lies beside, and the number of scores' rows.

    Raises:
        UserError: another kind of file, or pyarrow is not there.
    """
    if path.suffix not in KINDS:
        raise UserError(f"{path}: write {' or '.join(KINDS)}, not {path.suffix or 'a file without a suffix'}.")
    put = _csv if path.suffix == ".csv" else _parquet
    beside = path.with_stem(f"{path.stem}-records")
    path.parent.mkdir(parents=True, exist_ok=True)
    put(beside, RECORDS, configurations(records))
    return beside, put(path, SCORES, scores(records))


def _key(record: Record) -> str:
    return record.score_key[:12]


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    part, count = path.with_name(f".{path.name}.part"), 0
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    part.replace(path)
    return count


def _parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path}: parquet needs pyarrow: pip install 'unblend[frame]', or write .csv.") from None
    table = pyarrow.Table.from_pylist(list(rows)).select(list(columns))
    part = path.with_name(f".{path.name}.part")
    parquet.write_table(table, part)
    part.replace(path)
    return int(table.num_rows)


def latex(found: tables.Lines) -> str:
    """One LaTeX table for each data set (packages booktabs and inputenc's UTF-8); the best of each metric is bold."""
    parts = []
    for table in found.values():
        parts += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(f'{table[0].first.data_label}: {tables.about(table)}')}}}",
        ]
        parts += [r"\begin{tabular}{lrrrrr}", r"\toprule"]
        heads = ["Method", *(_tex(scale.heading) for scale in SCALES.values()), "Parameters"]
        parts += [" & ".join(heads) + r" \\", r"\midrule"]
        for line in table:
            row = [_tex(line.first.label)]
            for metric in METRICS:
                score = line.judged(metric)
                shown = tables.text(score, metric).replace("±", r"$\pm$")
                row.append(rf"\textbf{{{shown}}}" if score and score.rank == 1 else shown)
            parts.append(" & ".join([*row, tables.count_text(line.first.cost["parameters"])]) + r" \\")
        parts += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(parts)


def _tex(plain: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
    return "".join(special.get(sign, sign) for sign in plain.replace("\n", " "))
