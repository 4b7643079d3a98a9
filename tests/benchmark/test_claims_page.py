"""leaderboards/CLAIMS.md: known verdicts, evidence where they say, and no table of the papers left out.

While everything is measured anew there is neither this page nor a record: then there is nothing to check.
"""

from __future__ import annotations

import re

import pytest

from benchmark.plan import catalogue
from benchmark.reports import published
from benchmark.results import collection
from benchmark.results.statistics import MEASURES

PAGE = collection.COMMITTED / "CLAIMS.md"
VERDICTS = (
    "holds", "holds at reduced size", "does not hold", "does not hold at reduced size", "not testable yet",
)  # fmt: skip
MARK = "†"
"""Of numbers whose record is not committed."""

HEADER = ("claim", "measured here", "verdict")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


TEXT = PAGE.read_text() if PAGE.is_file() else ""
ROWS = [cells(line) for line in TEXT.splitlines() if line.startswith("|") and "| --- |" not in line]
CLAIMS = [row for row in ROWS if tuple(row) != HEADER]

needs_claims = pytest.mark.skipif(not TEXT, reason="there are no claims at present")


def verdict(cell: str) -> tuple[str, str]:
    """The word and the reason after it; empty where the cell does not begin with a word in bold."""
    found = re.fullmatch(r"\*\*([^*]+)\*\*(.*)", cell)
    return (found[1], found[2].strip(" :()")) if found else ("", "")


def named(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def is_test(name: str) -> bool:
    return name.startswith("tests/") and (catalogue.ROOT / name).is_file()


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row[0][:40])
def test_a_line_has_a_verdict_and_its_evidence(row: list[str]) -> None:
    assert len(row) == len(HEADER), "a bar inside a cell, or a cell too few"
    assert all(row)
    word, reason = verdict(row[2])
    assert word in VERDICTS
    suites, tables = named(" ".join(row)) & catalogue.suites().keys(), named(" ".join(row)) & published.tables().keys()
    tests = {name for name in named(row[1]) if is_test(name)}
    unknown = named(" ".join(row)) - suites - tables - tests
    assert not unknown, "neither suite, paper's table nor test"
    if word == "not testable yet" or word.endswith("at reduced size"):
        assert reason, "why, or how small"
    if word == "does not hold":
        assert suites | tables | tests, "where is the evidence?"
    elif word != "not testable yet":
        assert suites | tests, "where is the evidence?"


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row[0][:40])
def test_numbers_without_the_mark_have_records(row: list[str]) -> None:
    if MARK in row[1] or verdict(row[2])[0] == "not testable yet":
        return
    for suite in named(row[1]) & catalogue.suites().keys():
        assert any((collection.COMMITTED / suite / "records").rglob("*.json")), suite


@needs_claims
def test_every_table_of_the_papers_has_a_claim() -> None:
    assert set(published.tables()) <= named(" ".join(row[0] for row in CLAIMS))


@needs_claims
def test_every_claim_is_there_once() -> None:
    claims = [row[0] for row in CLAIMS]
    assert len(claims) == len(set(claims)) >= 30


def spreads() -> set[tuple[str, str]]:
    """Mean and standard deviation over seeds as tables print them, of each published row under each protocol."""
    found = set()
    for suite in collection.folders_of(collection.COMMITTED):
        under = collection.under_each_protocol([one.record for one in collection.collect([suite])])
        for line in (line for tables in under.values() for lines in tables.values() for line in lines):
            for measured in (line.target, *line.layers.values()):
                for measure, score in measured.items():
                    if score.std is not None:
                        mean, _, spread = score.text(MEASURES[measure].digits).partition(" ± ")
                        found.add((mean, spread))
    return found


def test_means_over_seeds_are_those_of_the_records() -> None:
    published = spreads()
    if not published:
        pytest.skip("nothing is published at present")
    readme = (catalogue.ROOT / "README.md").read_text()
    lines = [*readme.splitlines(), *(line for line in TEXT.splitlines() if MARK not in line)]
    printed = {pair for line in lines for pair in re.findall(r"(\d+\.\d+) ± (\d+\.\d+)", line)}
    assert not printed - published, "typed in, or of records that have been replaced since"
