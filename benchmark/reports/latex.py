"""Lines of a leaderboard as LaTeX."""

from __future__ import annotations

from benchmark.metrics.scales import METRICS, SCALES
from benchmark.reports import tables


def text(found: tables.Lines) -> str:
    """One LaTeX table for each data set (packages booktabs and inputenc's UTF-8); the best of each metric is bold."""
    parts = []
    for dataset, table in found.items():
        parts += [r"\begin{table}", r"\centering", rf"\caption{{{_tex(dataset + ': ' + tables.about(table))}}}"]
        parts += [r"\begin{tabular}{lrrrrr}", r"\toprule"]
        heads = ["Method", *(_tex(scale.heading) for scale in SCALES.values()), "Parameters"]
        parts += [" & ".join(heads) + r" \\", r"\midrule"]
        for line in table:
            row = [_tex(tables.name_of(line.first))]
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
