"""What the README shows of the published records is what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.plan import catalogue
from benchmark.reports import front, leaderboard, published
from benchmark.results import collection
from benchmark.results.statistics import MEASURES, Line
from benchmark.speed import made


def suites() -> dict[str, dict[str, list[Line]]]:
    found = collection.collect(collection.folders_of(collection.COMMITTED))
    of_suites: dict[str, list[leaderboard.Record]] = {}
    for one in found:
        of_suites.setdefault(one.suite_folder.name, []).append(one.record)
    return {name: collection.lines(records) for name, records in of_suites.items()}


def lines(suite: str, task: str, **psnr: float) -> dict[str, list[Line]]:
    """Lines of one data set of a task, a method for each PSNR."""
    config = {**made.record().config, "data": {"class_path": f"datamodules.{suite}.{task}", "init_args": {}}}
    records = []
    for name, value in psnr.items():
        own = {**config, "model": {"class_path": f"methods.{name}.{name}", "init_args": {}}}
        records.append(made.record(name, 0, [[value, value]] * 3, suite=suite, dataset=f"{suite}-real", config=own))
    return collection.lines(records)


@pytest.mark.parametrize("name", ["status", "matrix"])
def test_the_readme_shows_the_published_records(name: str) -> None:
    text = front.README.read_text()
    begin, end = front.marks(name)
    assert text.count(begin) == text.count(end) == 1
    assert text.partition(begin + "\n")[2].partition(end)[0] == front.parts(suites())[name], "run `unblend leaderboard`"


def test_means_over_seeds_are_those_of_the_records() -> None:
    known = set()
    for line in (line for datasets in suites().values() for lines in datasets.values() for line in lines):
        for measured in (line.target, *line.layers.values()):
            known |= {score.text(MEASURES[name].digits) for name, score in measured.items() if score.std is not None}
    if not known:
        pytest.skip("no published row has two seeds at present")
    printed = set(re.findall(r"\d+\.\d+ ± \d+\.\d+", front.README.read_text()))
    assert not printed - known, "typed in, or of records that have been replaced since"


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each row -> the others."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first: others for first, *others in found}


def test_the_matrix_marks_the_best_and_shows_what_is_trivial_last() -> None:
    found = {
        "rain": lines("rain", "Rain", unet=30.0, nafnet=31.0, identity=20.0),
        "haze": lines("haze", "Haze", unet=25.0, identity=21.0, half_mixture=10.0),
    }
    table = rows(front.parts(found)["matrix"])
    heads, _, *methods = table
    assert [cell.partition("]")[0] for cell in table[heads]] == ["[Rain", "[Haze"]
    assert methods == ["UNET", "NAFNET", "*the mixture itself*", "*half of the mixture*"]
    assert table["UNET"] == ["30.00", "**25.00**"]
    assert table["NAFNET"] == ["**31.00**", ""], "nothing was measured on haze"
    assert table["*half of the mixture*"] == ["", "10.00"]


def test_a_long_matrix_keeps_those_that_lead_or_are_the_papers_and_names_how_many_it_leaves_out() -> None:
    many = {f"m{place:02}": 25.0 - place / 10 for place in range(front.SHOWN + 2)}
    found = {"rain": lines("rain", "Rain", DMGN=9.0, **many), "haze": lines("haze", "Haze", last=25.0)}
    text = front.parts(found)["matrix"]
    assert len(rows(text)) == 2 + front.SHOWN
    assert list(rows(text))[2:5] == ["DMGN", "LAST", "M00"], "DMGN's paper is one of the five"
    assert "4 more methods" in text


def test_every_paper_proposes_a_method_that_is_here() -> None:
    classes = {entry.class_path.rpartition(".")[2] for entry in catalogue.methods().values()}
    assert {"BITSNet", "CascadeGAN", "ConvSep", "DMGN", "LiGT", "SILS"} == published.proposed() <= classes


def test_the_status_says_what_was_run_and_what_was_not() -> None:
    text = front.status({"rain": lines("rain", "Rain", unet=30.0, identity=20.0)})
    assert "2 records of 2 methods on 1 data set of 1 task (Rain), with 1 seed a row." in text
    ran, _, left = text.partition("**Not run yet**")
    assert "640 images" in ran
    assert "Haze" in left
    assert "Rain" not in left
    assert front.status({}) == front.NOTHING


def test_writing_replaces_what_is_between_the_marks_alone(tmp_path: Path) -> None:
    found = {"rain": lines("rain", "Rain", unet=30.0, identity=20.0)}
    begin, end = front.marks("matrix")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    front.write(found, readme)
    assert readme.read_text() == f"before\n{begin}\n{front.parts(found)['matrix']}{end}\nafter\n"
    other = tmp_path / "other.md"
    other.write_text("no marks")
    front.write({}, other)
    assert other.read_text() == "no marks"
