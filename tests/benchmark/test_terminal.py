"""What the terminal shows at the end of a sweep fits into it, and says what to try next."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmark.reports import terminal
from benchmark.results import collection
from benchmark.results.statistics import Line
from benchmark.speed import made


def lines(dataset: str = "digits", **psnr: float) -> dict[str, list[Line]]:
    records = [
        made.record(name, seed, [[value + seed, value + seed]] * 3, dataset=dataset)
        for name, value in psnr.items()
        for seed in (0, 1)
    ]
    return collection.lines(records)


def shown(found: dict[str, list[Line]], width: int = 250) -> str:
    stream = io.StringIO()
    terminal.show(found, Console(file=stream, width=width))
    return stream.getvalue()


def test_a_row_has_its_difference_to_the_better_of_the_trivial_rows() -> None:
    text = shown(lines(unet=30.0, identity=20.0, half_mixture=22.0))
    assert "over half mixture" in text
    row = next(line for line in text.splitlines() if "UNET" in line)
    assert row.split() == ["1", "UNET", "30.50", "±", "0.71", "+8.00", "0.610", "±", "0.014", "3", "s", "2.0", "ms"]
    bar, other = (next(line for line in text.splitlines() if name in line) for name in ("HALF_MIXTURE", "IDENTITY"))
    assert "+" not in bar
    assert "-2.00" in other


@pytest.mark.parametrize("width", [100, 250])
def test_it_fits_into_a_hundred_columns_however_long_a_name_is(width: int) -> None:
    found = lines(**{"a_method_of_" + "very_" * 12 + "long_name": 123.45, "identity": 100.0})
    text = shown(found, width)
    assert max(map(len, text.splitlines())) <= terminal.WIDTH
    assert "LONG_NAME" in text.replace("\n", ""), "a long name is folded, not cut"


def test_without_a_trivial_row_there_is_no_difference() -> None:
    assert "+" not in shown(lines(unet=30.0, nafnet=20.0))


@pytest.mark.parametrize(
    ("value", "text"),
    [(3e-5, "< 0.1 ms"), (0.0014, "1.4 ms"), (0.25, "250 ms"), (12.4, "12 s"), (400, "7 min"), (9000, "2.5 h")],
)
def test_times_are_short(value: float, text: str) -> None:
    assert terminal.seconds(value) == text


def test_the_next_step_compares_the_best_two_or_else_adds_a_method() -> None:
    found = lines(unet=30.0, nafnet=31.0, identity=40.0)
    assert terminal.following("quick", "quick", found).startswith("next: unblend compare nafnet unet --suite quick ")
    named = terminal.following("my suites/a.yaml", "a", lines(unet=30.0, identity=20.0))
    assert named == "next: unblend new method MyNet && unblend bench 'my suites/a.yaml' --model my_net.MyNet"
