"""How long the rest of a sweep takes is said from what its cells have taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from benchmark.running.forecast import Forecast


@dataclass(frozen=True)
class Named:
    method: str


@dataclass(eq=False)
class Fake:
    """A cell's place, with the progress that it reports."""

    cell: Named
    reported: dict[str, Any] | None = None

    def progress(self) -> dict[str, Any] | None:
        return self.reported


class Clock:
    time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_said_before_anything_is_known(clock: Clock) -> None:
    forecast, place = Forecast(clock), Fake(Named("unet"))
    assert forecast.left([place]) is None
    forecast.began(place)
    assert forecast.left([place]) is None


def test_a_cell_that_waits_takes_as_long_as_others_of_its_method(clock: Clock) -> None:
    forecast, done, other = Forecast(clock), Fake(Named("unet")), Fake(Named("identity"))
    for place, seconds in ((done, 60.0), (other, 2.0)):
        forecast.began(place)
        clock.time += seconds
        assert forecast.ended(place) == seconds
    assert forecast.left([Fake(Named("unet"))]) == 60
    assert forecast.left([Fake(Named("identity")), Fake(Named("identity"))]) == 4
    assert forecast.left([Fake(Named("dmgn"))]) == 31, "of no method that has ended: the mean of all"


def test_a_cell_that_runs_is_judged_by_its_own_pace_and_several_go_side_by_side(clock: Clock) -> None:
    forecast = Forecast(clock)
    first, second = (Fake(Named("unet"), {"half": "fit", "done": 100, "total": 400, "rate": 10.0}) for _ in range(2))
    forecast.began(first)
    forecast.began(second)
    clock.time += 10
    assert forecast.left([first]) == 30
    assert forecast.left([first, second]) == 30
    assert forecast.left([first, second, Fake(Named("unet"))]) == (30 + 30 + 40) / 2


def test_a_beginning_that_was_not_seen_leaves_the_mean_of_all_that_ended(clock: Clock) -> None:
    forecast = Forecast(clock)
    clock.time += 8
    assert forecast.ended(Fake(Named("unet"))) == 8
    assert forecast.left([Fake(Named("unet"))] * 3) == 24


def test_a_cell_that_takes_longer_than_others_did_is_not_said_to_be_ready(clock: Clock) -> None:
    forecast, quick, slow = Forecast(clock), Fake(Named("unet")), Fake(Named("unet"))
    forecast.began(quick)
    clock.time += 5
    forecast.ended(quick)
    forecast.began(slow)
    clock.time += 9
    assert forecast.left([slow]) == pytest.approx(0.9)
