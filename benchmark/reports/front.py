"""What the README shows of the published records: the best rows of each data set beside the mixture itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.files import write_text
from benchmark.plan.catalogue import ROOT
from benchmark.reports import tables
from benchmark.results.statistics import Line

README = ROOT / "README.md"
BEGIN, END = "<!-- measured: written by `unblend leaderboard`, do not edit -->", "<!-- /measured -->"
SHOWN = 4
"""Rows of a data set, at most, beside the trivial ones."""

TRIVIAL = {"identity": "the mixture itself", "half_mixture": "half of the mixture"}
"""Methods that look at nothing, and what they answer."""


def measured(suites: Mapping[str, Mapping[str, Sequence[Line]]]) -> str:
    """The part between the marks.

    Args:
        suites: name -> data set -> its lines, the best first.
    """
    if not any(suites.values()):
        return "Nothing is published yet: everything is being measured anew.\n"
    parts = [
        "The best rows of each published data set, PSNR in dB and SSIM of the layers that the task is for, under the",
        "task's own protocol; `±` is the standard deviation over seeds, where there are several.",
        "",
        "| data | method | PSNR (dB) | SSIM | parameters |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for suite, found in suites.items():
        for dataset, table in found.items():
            parts += _rows(suite, dataset, table)
    return "\n".join(parts) + "\n"


def _rows(suite: str, dataset: str, table: Sequence[Line]) -> list[str]:
    ranked = [line for line in table if line.ranked]
    chosen = [line for line in ranked if line.first.method not in TRIVIAL][:SHOWN]
    chosen += [line for line in ranked if line.first.method in TRIVIAL]
    rows, head = [], f"[{dataset}](leaderboards/{suite}/README.md), {tables.protocol_text(table)}"
    for line in chosen:
        name = TRIVIAL.get(line.first.method, tables.name_of(line.first))
        cells = [head, name, *(tables.text(line.judged(metric), metric) for metric in ("psnr", "ssim"))]
        rows.append(f"| {' | '.join(cells)} | {tables.count_text(line.first.cost['parameters'])} |")
        head = ""
    return rows


def write(suites: Mapping[str, Mapping[str, Sequence[Line]]], path: Path) -> None:
    """Put the part into the README, where it has its marks.

    Args:
        suites: as of ``measured``.
        path: of the file.
    """
    text = path.read_text() if path.is_file() else ""
    if BEGIN in text and END in text:
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        write_text(path, f"{before}{BEGIN}\n{measured(suites)}{END}{after}")
