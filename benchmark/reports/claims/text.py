"""Verdicts for people: ``leaderboards/CLAIMS.md``, and the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.files import write_text
from benchmark.metrics.scales import SCALES
from benchmark.plan.suite import PAPER
from benchmark.reports import tables
from benchmark.reports.claims import reading
from benchmark.reports.claims.reading import PARAMETERS, Within
from benchmark.reports.claims.verdicts import TEXTS, Finding, Verdict
from benchmark.results import collection
from benchmark.results.marks import RISE
from benchmark.results.resampling import LEVEL

HEADER = ("claim", "in the paper", "verdict", "measured", "rows", "not as in the paper", "where")

ABOUT = f"""# Which claims of the papers hold

`unblend claims` writes this page from `claims.yaml` and the records beside it; a test fails where it says otherwise.

- **holds**: the difference has the claim's direction, zero is outside the paired {100 * LEVEL:.0f} % interval over test
  images, and where a row has several seeds the difference is more than twice their standard error. A printed value
  holds where a row's mean is within the tolerance.
- **does not hold**: likewise, in the other direction; of several rows one is enough. A printed value does not hold
  where the whole interval is outside the tolerance.
- **… at reduced size**: a row that decides it is not as in its paper: another option of its method, or smaller
  pictures. The paper's options are the defaults of the method's class, and over them those of the row of the same name
  in the suite that ends in `{PAPER}`. How steps are taken and how many images were seen do not count: a row that lags
  while it is still learning is not judged.
- **undecided**: zero is in the interval, or the difference is within what seeds vary.
- **not testable**: there is no record; a row that is not ahead was still learning (its best score on the select role
  rose by more than {RISE} dB in the last quarter of its budget); the row that should be better, or a trained rival of
  another method, is below an answer that looks at nothing, by the claim's metric, or no such answer was scored (a rival
  that has the score which its paper prints, as another claim here finds, counts as it is); or nobody can measure it.

Differences are the first row minus the other, with the interval. One seed says nothing about what training varies.
"""
"""What stands above the tables."""


def path() -> Path:
    """Where the page is kept."""
    return collection.COMMITTED / "CLAIMS.md"


def write(verdicts: Sequence[Verdict]) -> None:
    """Write the page, where there are claims.

    Args:
        verdicts: on all claims.
    """
    if verdicts:
        write_text(path(), markdown(verdicts))


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many claims have which verdict, in a line."""
    found = Counter(verdict.text for verdict in verdicts)
    words = ", ".join(f"{word} {found[word]}" for word in TEXTS if found[word])
    return f"{len(verdicts)} claim{'' if len(verdicts) == 1 else 's'}: {words}"


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The page: a line of counts, and a table for each paper.

    Args:
        verdicts: on all claims.
    """
    parts = [ABOUT, f"**{counts(verdicts)}.**", ""]
    for paper, citation in reading.papers().items():
        own = [verdict for verdict in verdicts if verdict.claim.paper == paper]
        if own:
            parts += [
                f"## {citation}",
                "",
                f"{counts(own)}.",
                "",
                *tables.grid(HEADER, map(cells, own), left=len(HEADER)),
            ]
    return "\n".join(parts)


def cells(verdict: Verdict) -> list[str]:
    """A line of the table, in the order of ``HEADER``."""
    claim = verdict.claim
    seeds = (f"{name}: {count} seed{'' if count == 1 else 's'}" for name, count in verdict.seeds.items())
    differs = (f"{name}: {', '.join(parts)}" for name, parts in verdict.differs.items())
    return [
        f"{claim.id}: {claim.says}",
        place(verdict),
        said(verdict).replace(verdict.text, f"**{verdict.text}**", 1),
        measured(verdict),
        "; ".join(seeds),
        "; ".join(differs),
        where(verdict),
    ]


def place(verdict: Verdict) -> str:
    """Where a claim stands, with the id of the published table."""
    claim = verdict.claim
    return f"{claim.place} ({claim.table})" if claim.table else claim.place


def said(verdict: Verdict) -> str:
    """The verdict with its reason."""
    return f"{verdict.text}: {verdict.why}" if verdict.why else verdict.text


def where(verdict: Verdict) -> str:
    """On which data, by which measure; empty where no data decide it."""
    claim = verdict.claim
    if not claim.suite:
        return ""
    measure = PARAMETERS if claim.metric == PARAMETERS else SCALES[claim.metric].title
    return ", ".join(filter(None, (f"{claim.suite}/{claim.dataset}", claim.target, measure, verdict.protocol)))


def measured(verdict: Verdict) -> str:
    """Each part's difference or mean with its interval; empty where nothing was measured."""
    return "; ".join(text for finding in verdict.findings if (text := _measured(verdict, finding)))


def _measured(verdict: Verdict, finding: Finding) -> str:
    claim = verdict.claim
    if finding.measured is None:
        return ""
    if claim.metric == PARAMETERS:
        return f"{finding.measured:+,.0f} against {finding.against}"
    scale = SCALES[claim.metric]
    digits, sign = scale.difference_digits, "" if isinstance(claim.test, Within) else "+"
    numbers = [
        f"{number:{sign}.{digits}f}" for number in (finding.measured, finding.low, finding.high) if number is not None
    ]
    unit = f" {scale.unit}" if scale.unit else ""
    text = f"{numbers[0]}{unit} ({' … '.join(numbers[1:])})"
    if isinstance(claim.test, Within):
        return f"{text}, printed {claim.test.value:.{digits}f}"
    return f"{text} against {finding.against}"


def lines(verdicts: Sequence[Verdict], suite: str, dataset: str) -> list[list[str]]:
    """What the page shows of the claims on a data set: claim, place, table, verdict, reason and what was measured.

    Args:
        verdicts: on all claims.
        suite: of the data set.
        dataset: its name.
    """
    return [
        [one.claim.says, one.claim.place, one.claim.table, one.text, one.why, measured(one)]
        for one in verdicts
        if (one.claim.suite, one.claim.dataset) == (suite, dataset)
    ]


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print a line for each claim, and how many have which verdict.

    Args:
        verdicts: on all claims.
        console: to print on.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("claim", "verdict", "measured"):
        table.add_column(name, overflow="fold")
    for verdict in verdicts:
        table.add_row(Text(verdict.claim.id), Text(said(verdict)), Text(measured(verdict)))
    Console(file=console.file, width=max(console.width, 120), highlight=False).print(table)
    console.print(f"{counts(verdicts)}: {path()}", markup=False, soft_wrap=True)
