"""What records say of a claim: it holds, or not, or nobody can tell yet, and why not.

Nothing is typed in: a verdict changes when records change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from benchmark.errors import UserError
from benchmark.metrics.scales import SCALES
from benchmark.reports import compare
from benchmark.reports.claims import reading, sizes
from benchmark.reports.claims.reading import PARAMETERS, Claim, Greater, Untestable, Within
from benchmark.reports.notes import TRIVIAL
from benchmark.results.marks import still_learning
from benchmark.results.records import Record
from benchmark.results.resampling import bootstrap_means, difference, interval
from benchmark.results.statistics import of_one_kind, per_image

Word = Literal["does not hold", "not testable", "undecided", "holds"]

ORDER: tuple[Word, ...] = ("does not hold", "not testable", "undecided", "holds")
"""The first of these that a part of a claim has is the claim's: one counterexample is enough."""

REDUCED = " at reduced size"
"""After a word, where a row that decides it differs from its paper's."""

Group = Sequence[Record]
"""Records of one row, one for each seed."""


@dataclass(frozen=True)
class Finding:
    """What one part of a claim came to: a row against another, or against a printed value.

    Attributes:
        against: folder of the other row's method; empty for a printed value.
        word: the verdict on this part.
        why: it is undecided or not testable, a reason each; empty where a row has no record.
        measured: the better row minus the other, or the row's mean; None where nothing could be measured.
        low: of its 95 % interval over test images; None where it has none.
        high: likewise.
    """

    against: str
    word: Word
    why: tuple[str, ...] = ()
    measured: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What records say of a claim.

    Attributes:
        claim: in question.
        findings: on its parts.
        seeds: row -> how many seeds it has; of rows that have a record.
        differs: row -> in what it differs from its paper's; of rows that do.
        protocol: under which it was judged; empty where nothing was.
    """

    claim: Claim
    findings: tuple[Finding, ...]
    seeds: dict[str, int]
    differs: dict[str, tuple[str, ...]]
    protocol: str

    @property
    def word(self) -> Word:
        """Without the size."""
        return next(word for word in ORDER if any(finding.word == word for finding in self.findings))

    @property
    def text(self) -> str:
        """With the size, such as ``holds at reduced size``."""
        decided = self.word in ("holds", "does not hold")
        return f"{self.word}{REDUCED if decided and self.differs else ''}"

    @property
    def why(self) -> str:
        """It is undecided or not testable; else empty."""
        missing = [name for name in self.claim.rows if name not in self.seeds]
        reasons = [f"no record of {_listed(missing)}"] if missing and self.word == "not testable" else []
        reasons += [why for finding in self.findings if finding.word == self.word for why in finding.why]
        return "; ".join(dict.fromkeys(reasons))


TEXTS = ("holds", f"holds{REDUCED}", "does not hold", f"does not hold{REDUCED}", "undecided", "not testable")
"""All that a verdict's text may be."""


def verdicts(claims: Sequence[Claim], found: Sequence[Record]) -> list[Verdict]:
    """The verdict on each claim, in their order.

    Args:
        claims: of papers.
        found: records that decide them; those of other suites do not matter.
    """
    rows: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for record in sorted(found, key=lambda record: (record.suite, record.dataset, record.method, record.seed)):
        rows.setdefault((record.suite, record.dataset), {}).setdefault(record.method, []).append(record)
    judged = [(claim, rows.get((claim.suite, claim.dataset), {})) for claim in claims]
    printed = {
        (_scores(claim), claim.test.row)
        for claim, present in judged
        if isinstance(claim.test, Within) and _within(claim, claim.test, present).word == "holds"
    }
    return [
        judge(claim, present, [row for scores, row in printed if scores == _scores(claim)]) for claim, present in judged
    ]


def current(found: Sequence[Record]) -> list[Verdict]:
    """The verdict on each of this checkout's claims; empty where it has no file of them.

    Args:
        found: records that decide them.
    """
    file = reading.path()
    return verdicts(reading.read(file), found) if file.is_file() else []


def judge(claim: Claim, rows: Mapping[str, Group], printed: Sequence[str]) -> Verdict:
    """The verdict on one claim.

    Args:
        claim: in question.
        rows: method's folder -> its records on the claim's data.
        printed: folders of the methods that have the score which their paper prints for these data, by this metric.
    """
    present = {name: rows[name] for name in claim.rows if name in rows}
    differs = {name: parts for name, group in present.items() if (parts := sizes.differences(group[0]))}
    if isinstance(claim.test, Untestable):
        findings = [Finding("", "not testable", (claim.test.reason,))]
    elif isinstance(claim.test, Within):
        findings = [_within(claim, claim.test, present)]
    elif claim.metric == PARAMETERS:
        findings = [_fewer(claim.test.better, other, present, differs) for other in claim.test.than]
    else:
        findings = [_better(claim, claim.test, other, rows, other in printed) for other in claim.test.than]
    protocol = next((group[0].protocol for group in present.values()), "")
    return Verdict(claim, tuple(findings), {name: len(group) for name, group in present.items()}, differs, protocol)


def _scores(claim: Claim) -> tuple[str, ...]:
    """Which scores a claim is about: two claims are about the same ones where these are equal."""
    return claim.suite, claim.dataset, claim.metric, claim.target or ""


def _listed(names: Sequence[str]) -> str:
    """Such as ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _learning(names: Sequence[str], rows: Mapping[str, Group]) -> tuple[str, ...]:
    """Which rows cannot be judged, since their training was cut off."""
    return tuple(f"{name} was still learning" for name in names if any(map(still_learning, rows[name])))


def _better(claim: Claim, test: Greater, other: str, rows: Mapping[str, Group], printed: bool) -> Finding:
    """Whether a row is better than another: on the images, and by more than seeds vary.

    Args:
        claim: in question.
        test: of the claim.
        other: folder of the other row's method.
        rows: method's folder -> its records on the claim's data.
        printed: the other row has the score that its paper prints.
    """
    pair = (test.better, other)
    if not set(pair) <= set(rows):
        return Finding(other, "not testable")
    a, b = rows[test.better], rows[other]
    try:
        both = compare.sides(a, b, claim.metric, layer=claim.target)
        apart = difference(both.a, both.b)
    except (UserError, ValueError) as error:
        return Finding(other, "not testable", (str(error).removesuffix("."),))
    measured = (apart.difference, apart.low, apart.high)
    sign = 1 if SCALES[claim.metric].higher_is_better else -1
    low, high = sorted((sign * apart.low, sign * apart.high))
    # More training could only widen the lead of a row that is ahead.
    ahead = test.better if low > 0 else other if high < 0 else None
    if why := _learning([name for name in pair if name != ahead], rows):
        return Finding(other, "not testable", why, *measured)
    if other not in TRIVIAL:
        # A prior is what it is; a rival that was trained and is below an answer that looks at nothing has not learnt
        # its task, unless its paper prints no better. That the method itself fails without one of its parts is what a
        # claim on that part says.
        ablation = a[0].config["model"]["class_path"] == b[0].config["model"]["class_path"]
        rival = b[0].training["images_seen"] and not ablation and not printed
        if below := _below(claim.metric, {test.better: both.a, **({other: both.b} if rival else {})}, both, rows):
            return Finding(other, "not testable", below, *measured)
    if ahead is None:
        return Finding(other, "undecided", (f"zero is in the interval against {other}",), *measured)
    known = [compare.seed_variance(group, claim.metric, both.layers, both.protocol) for group in (a, b)]
    noise = math.sqrt(sum(filter(None, known)))
    if abs(apart.difference) <= 2 * noise:
        return Finding(other, "undecided", (f"against {other} it is within what seeds vary",), *measured)
    return Finding(other, "holds" if low > 0 else "does not hold", (), *measured)


def _below(
    metric: str, judged: Mapping[str, Mapping[str, float]], both: compare.Sides, rows: Mapping[str, Group]
) -> tuple[str, ...]:
    """Which rows are below an answer that looks at nothing, in words; or that there is no such answer.

    Args:
        metric: that is compared.
        judged: row -> image id -> score.
        both: layers and protocol of these scores.
        rows: all there are on these data.
    """
    sign = 1 if SCALES[metric].higher_is_better else -1
    blind = {name: rows[name] for name in TRIVIAL if name in rows and set(both.layers) <= set(rows[name][0].layers)}
    if not blind:
        return (f"no record of {' or '.join(TRIVIAL)}, which it has to be above",)
    found = []
    for name, scores in judged.items():
        for trivial, group in blind.items():
            known = per_image(group, metric, both.layers, both.protocol)
            shared = scores.keys() & known.keys()
            if shared and sign * fmean(scores[image] - known[image] for image in shared) < 0:
                found.append(f"{name} is below {TRIVIAL[trivial]}")
    return tuple(found)


def _within(claim: Claim, test: Within, rows: Mapping[str, Group]) -> Finding:
    """Whether a row scores a printed value, within a tolerance."""
    if test.row not in rows:
        return Finding("", "not testable")
    if why := _learning([test.row], rows):
        return Finding("", "not testable", why)
    group = rows[test.row]
    layers = group[0].targets if claim.target is None else (claim.target,)
    if unlike := of_one_kind(group):
        return Finding("", "not testable", (unlike,))
    if not set(layers) <= set(group[0].layers):
        return Finding("", "not testable", (f"{test.row} has no scores of {claim.target}",))
    scores = np.array(list(per_image(group, claim.metric, layers).values()))
    low, high = (float(end[0]) for end in interval(bootstrap_means(scores[:, None])))
    measured = (float(scores.mean()), low, high)
    if abs(measured[0] - test.value) <= test.tolerance:
        return Finding("", "holds", (), *measured)
    if high < test.value - test.tolerance or low > test.value + test.tolerance:
        return Finding("", "does not hold", (), *measured)
    return Finding("", "undecided", ("the interval reaches what is printed, the mean does not",), *measured)


def _fewer(better: str, other: str, rows: Mapping[str, Group], differs: Mapping[str, tuple[str, ...]]) -> Finding:
    """Whether a row has fewer parameters than another, both as in the papers."""
    if not {better, other} <= set(rows):
        return Finding(other, "not testable")
    if why := tuple(f"{name} is not as in the paper" for name in (better, other) if name in differs):
        return Finding(other, "not testable", why)
    own, others = (rows[name][0].cost["parameters"] for name in (better, other))
    if own is None or others is None:
        return Finding(other, "not testable", (f"the size of {better if own is None else other} is not known",))
    return Finding(other, "holds" if own < others else "does not hold", (), float(own - others))
