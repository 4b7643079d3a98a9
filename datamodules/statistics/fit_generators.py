"""Which ranges bring a generator nearest to the world: ``python -m datamodules.statistics.fit_generators rain``.

One range after the other is exchanged for others, and the one is kept whose mixtures have the least mean distance from
the world's (``datamodules.statistics.compare``). Real pairs are those that train; nothing here reads an image that tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jsonargparse import auto_cli

from datamodules.errors import UserError
from datamodules.mixing import GlassReflection, LightRain, Mixing, ThinClouds
from datamodules.statistics.compare import CloudsStatistics, RainStatistics, ReflectionStatistics, Statistic, Subject

Range = tuple[float, float]


class Fit(NamedTuple):
    """What is fitted for a task.

    Attributes:
        subject: the comparison.
        mixing: class of the image-formation model; its defaults are where the search begins.
        candidates: parameter -> ranges to try.
    """

    subject: Callable[[Path, int], Subject]
    mixing: Callable[..., Mixing]
    candidates: dict[str, list[Range]]


FITS = {
    "rain": Fit(
        RainStatistics,
        LightRain,
        {
            "length": [(6.0, 18.0), (8.0, 24.0), (10.0, 30.0), (20.0, 35.0)],
            "variety": [(0.0, 0.5), (0.2, 1.6), (0.8, 1.8)],
            "width": [(1.0, 1.3), (1.0, 1.6), (1.0, 2.0), (1.5, 3.0)],
            "sway": [(0.0, 3.0), (1.0, 5.0), (3.0, 5.0)],
            "brightness": [(0.1, 0.5), (0.25, 0.95), (0.6, 1.0)],
            "dimming": [(0.0, 0.0), (0.0, 3.0), (1.0, 3.0)],
            "angle": [(-15.0, 15.0), (-30.0, 30.0), (-45.0, 45.0)],
        },
    ),
    "clouds": Fit(
        CloudsStatistics,
        ThinClouds,
        {
            "opacity": [(0.2, 0.6), (0.35, 0.72), (0.4, 0.9)],
            "unevenness": [(0.001, 0.05), (0.003, 0.15), (0.02, 0.3)],
            "brightness": [(0.85, 0.95), (0.97, 1.0), (0.85, 1.0)],
        },
    ),
    "reflection": Fit(
        ReflectionStatistics,
        GlassReflection,
        {
            "sigma": [(1.0, 5.0), (0.3, 4.0), (0.2, 2.5), (0.1, 1.0)],
            "transparency": [(0.6, 1.0), (0.8, 1.0), (0.9, 1.0)],
            "vignette": [(0.4, 0.4), (0.52, 0.52), (0.6, 0.6), (0.8, 0.8)],
        },
    ),
}


def fit(task: str, count: int = 60, root: str | None = None) -> None:
    """Search a generator's ranges, and print how near each comes.

    Args:
        task: rain, clouds or reflection.
        count: mixtures of either kind.
        root: folder of the data sets; default $UNBLEND_DATA.

    Raises:
        UserError: another task, or no data.
    """
    if task not in FITS:
        raise UserError(f"no fit of {task}: there are {', '.join(FITS)}.")
    torch.set_num_threads(1)
    chosen = FITS[task]
    subject = chosen.subject(Path(root or os.environ.get("UNBLEND_DATA") or "data").expanduser(), count)
    world = subject.world()

    def mean_distance(settings: dict[str, Any]) -> tuple[float, list[Statistic]]:
        statistics = subject.compare(chosen.mixing(**settings), world)
        return subject.mean_distance(statistics), statistics

    settings: dict[str, Any] = {}
    best, statistics = mean_distance(settings)
    print(f"{'defaults':32} {best:.3f}")
    for name, ranges in chosen.candidates.items():
        for candidate in ranges:
            value = candidate[0] if name == "vignette" else candidate
            distance, found = mean_distance({**settings, name: value})
            print(f"{name + ' ' + str(value):32} {distance:.3f}", flush=True)
            if distance < best - 1e-9:
                best, statistics, settings = distance, found, {**settings, name: value}
    print(f"best: {best:.3f} with {settings or 'the defaults'}")
    print("\n".join(one.line() for one in statistics))


if __name__ == "__main__":
    auto_cli(fit)
