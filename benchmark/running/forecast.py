"""How long the rest of a sweep will take, from what its cells have taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean

from benchmark.running.places import Place

OVERDUE = 0.1
"""Of the time that a cell has taken, what it takes at least until it ends."""


@dataclass
class Forecast:
    """Watches cells begin and end, and says how long those that are left will take.

    A cell that waits takes as long as others of its method took; where none has ended yet, as long as any cell of the
    sweep. So the first minutes of a sweep of unlike methods give a rough guess, and later ones a better one.

    Attributes:
        now: the time in seconds.
    """

    now: Callable[[], float] = time.monotonic
    _start: float = field(init=False)
    _ended: int = field(default=0, init=False)
    _began: dict[Place, float] = field(default_factory=dict, init=False)
    _took: dict[str, list[float]] = field(default_factory=dict, init=False)
    _abreast: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        self._start = self.now()

    def began(self, place: Place) -> None:
        """Take note that a cell runs, as often as it is seen to."""
        self._began.setdefault(place, self.now())
        self._abreast = max(self._abreast, len(self._began))

    def ended(self, place: Place) -> float:
        """Take note of a cell's end; seconds that it took, or that the sweep did where its beginning was not seen."""
        self._ended += 1
        began = self._began.pop(place, None)
        if began is None:
            return self.now() - self._start
        self._took.setdefault(_kind(place), []).append(self.now() - began)
        return self.now() - began

    def left(self, places: Iterable[Place]) -> float | None:
        """Seconds until all cells have ended; None where nothing can be said yet.

        Args:
            places: the cells that have not ended.
        """
        those = list(places)
        running = [place for place in those if place in self._began]
        waiting = [place for place in those if place not in self._began]
        whole = {place: self._whole(place) for place in running}
        known = [seconds for seconds in whole.values() if seconds is not None]
        took = [seconds for one in self._took.values() for seconds in one]
        if not took and not known:
            if not self._ended:
                return None
            return (self.now() - self._start) / self._ended * len(those)
        usual = fmean(took or known)
        rest = []
        for place in running:
            spent = self.now() - self._began[place]
            rest.append(max(OVERDUE * spent, (whole[place] or usual) - spent))
        longest = max(rest, default=0.0)
        rest += [fmean(self._took.get(_kind(place), [usual])) for place in waiting]
        return max(longest, sum(rest) / self._abreast)

    def _whole(self, place: Place) -> float | None:
        """Seconds that a running cell takes in all: by its own pace, or as long as others of its method took."""
        progress = place.progress()
        rate = progress.get("rate") if progress else None
        if progress and rate:
            return self.now() - self._began[place] + (progress["total"] - progress["done"]) / rate
        took = self._took.get(_kind(place))
        return fmean(took) if took else None


def _kind(place: Place) -> str:
    """What cells that take about as long have in common."""
    return place.cell.method
