"""What the README shows of the published records is what they say."""

from __future__ import annotations

from pathlib import Path

from benchmark.reports import front, leaderboard
from benchmark.results import collection
from benchmark.speed import made


def suites() -> dict[str, dict[str, list[leaderboard.Line]]]:
    found = collection.collect(collection.folders_of(collection.COMMITTED))
    of_suites: dict[str, list[leaderboard.Record]] = {}
    for one in found:
        of_suites.setdefault(one.suite_folder.name, []).append(one.record)
    return {name: collection.lines(records) for name, records in of_suites.items()}


def test_the_readme_shows_the_published_records() -> None:
    text = front.README.read_text()
    assert text.count(front.BEGIN) == text.count(front.END) == 1
    shown = text.partition(front.BEGIN + "\n")[2].partition(front.END)[0]
    assert shown == front.measured(suites()), "run `unblend leaderboard`"


def test_the_best_rows_stand_beside_the_trivial_ones(tmp_path: Path) -> None:
    names = {"unet": 30.0, "nafnet": 31.0, "identity": 20.0, "a": 25.0, "b": 24.0, "c": 23.0}
    records = [made.record(name, 0, [[psnr, psnr]] * 3, suite="rain", dataset="rain") for name, psnr in names.items()]
    text = front.measured({"rain": collection.lines(records)})
    rows = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == front.SHOWN + 1
    assert rows[-1] == "the mixture itself"
    assert "31.00" in text
    assert "23.00" not in text, "only the best rows"
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{front.BEGIN}\nold\n{front.END}\nafter\n")
    front.write({"rain": collection.lines(records)}, readme)
    assert readme.read_text() == f"before\n{front.BEGIN}\n{text}{front.END}\nafter\n"
    other = tmp_path / "other.md"
    other.write_text("no marks")
    front.write({}, other)
    assert other.read_text() == "no marks"
