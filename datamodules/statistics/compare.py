"""Are generated mixtures like the world's? Statistics of both, a distance for each, and their histograms.

The world is real pairs that train or select, never those that test; where there are none, what was published.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules import clouds
from datamodules import haze
from datamodules import reflection
from datamodules.base import sample_generator
from datamodules.errors import UserError
from datamodules.statistics.measures import cloud, depth, glass, streaks
from datamodules.mixing import AtmosphericScattering, GlassReflection, LightRain, Mixing, ThinClouds
from datamodules.picture_task import PictureTask
from datamodules.pictures.kinds import EMBEDDED, Photographs, photograph_paths
from datamodules.sets.published import AIRLIGHT, ANGLES, BETA, STREAKS, uniform
from datamodules.real_pairs import RealPairs
from datamodules.sets.real import SETS

Array = numpy.ndarray[Any, Any]
Found = dict[str, Array]

PHOTOGRAPHS = "bsds500"
"""Backgrounds of generated mixtures, where the folder is there; else the embedded photographs."""


class Statistic(NamedTuple):
    """One statistic of generated mixtures beside the world's.

    Attributes:
        name: what is measured.
        unit: of the values; empty for none.
        generated: (N,) values.
        world: (M,) values, or evenly spaced quantiles of a published distribution.
    """

    name: str
    unit: str
    generated: Array
    world: Array

    @property
    def distance(self) -> float:
        """Wasserstein distance, in units of the distance between the world's quartiles."""
        places = numpy.linspace(0.01, 0.99, 99)
        apart = numpy.abs(numpy.quantile(self.generated, places) - numpy.quantile(self.world, places)).mean()
        low, high = numpy.quantile(self.world, [0.25, 0.75])
        return float(apart / max(high - low, 1e-6))

    def line(self) -> str:
        """Medians, with the 5 and 95 % quantiles, and the distance."""
        both = []
        for values in (self.generated, self.world):
            low, middle, high = numpy.quantile(values, [0.05, 0.5, 0.95])
            both.append(f"{middle:.3g} ({low:.3g} to {high:.3g})")
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name:12} generated {both[0]}, world {both[1]}{unit}: distance {self.distance:.2f}"


class Subject(ABC):
    """A task whose generated mixtures can be compared with the world's.

    Args:
        root: folder of the data sets.
        count: mixtures of either kind.
    """

    origin: ClassVar[str]
    """What the world is here."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Folders below the root without which less is compared, or nothing."""
    units: ClassVar[dict[str, str]] = {}
    aside: ClassVar[tuple[str, ...]] = ()
    """Statistics that do not count in the mean distance."""

    def __init__(self, root: Path, count: int = 100) -> None:
        self.root, self.count = root, count

    @abstractmethod
    def mixing(self) -> Mixing:
        """The image-formation model with its defaults."""

    @abstractmethod
    def world(self) -> Found:
        """Values of each statistic in the world.

        Raises:
            UserError: data that are needed are not there.
        """

    @abstractmethod
    def generated(self, mixing: Mixing) -> Found:
        """Values of each statistic in generated mixtures."""

    def compare(self, mixing: Mixing | None = None, world: Found | None = None) -> list[Statistic]:
        """All statistics, in order of the generator's.

        Args:
            mixing: image-formation model; default the task's.
            world: what ``world`` gave, where it has been asked already.
        """
        world = self.world() if world is None else world
        generated = self.generated(mixing or self.mixing())
        return [
            Statistic(name, self.units.get(name, ""), values, world[name])
            for name, values in generated.items()
            if name in world and len(world[name]) and len(values)
        ]

    def mean_distance(self, statistics: Sequence[Statistic]) -> float:
        """The mean over those statistics that count."""
        return float(numpy.mean([one.distance for one in statistics if one.name not in self.aside]))

    def _samples(self, data: PictureTask, mixing: Mixing) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
        """Mixtures, layers and parameters of a task's generated training samples."""
        data.setup()
        for k in range(self.count):
            generator = sample_generator(0, "train", k)
            sources = data.draw("train", k, generator).sources[None]
            parameters = {name: value[None] for name, value in mixing.draw(generator, sources.shape[1:]).items()}
            layers = mixing.render(sources, parameters)
            yield mixing.forward(layers, parameters)[0], layers[0], parameters

    @property
    def _photographs(self) -> str:
        """Where generated mixtures have their backgrounds from."""
        return PHOTOGRAPHS if (self.root / PHOTOGRAPHS).is_dir() else EMBEDDED


class RainStatistics(Subject):
    """Light rain, as layers of 320×560 pixels."""

    origin = "streaks rendered after Garg & Nayar 2006; published angles"
    units: ClassVar[dict[str, str]] = {
        "length": "px",
        "width": "px",
        "angle": "°",
        "sway": "°",
        "density": "streaks in 10,000 px",
    }
    aside = ("density", "cover")  # of every streak at once; authors of rain sets take some of the streaks

    def mixing(self) -> Mixing:
        return LightRain()

    def world(self) -> Found:
        places = numpy.linspace(0, 18, 181)  # between the 19 quantiles
        streaks_ = {name: numpy.interp(places, numpy.arange(19), values) for name, values in STREAKS.items()}
        return streaks_ | {"angle": uniform(*ANGLES)}

    def generated(self, mixing: Mixing) -> Found:
        shape = torch.Size([1, 3, 320, 560])

        def layer(k: int) -> Tensor:
            parameters = mixing.draw(sample_generator(0, "train", k), shape)
            batched = {name: value[None] for name, value in parameters.items()}
            return mixing.render(torch.zeros(1, *shape), batched)[0, 1, 0]

        return _gathered(streaks(layer(k)) for k in range(self.count))


class HazeStatistics(Subject):
    """Haze of photographs without a depth map, against rooms with one."""

    origin = "RESIDE's published airlight and β; depth maps of NYU Depth v2, its training scenes"
    needs = (PHOTOGRAPHS, "nyu_depth")
    size: ClassVar[int] = 128

    def mixing(self) -> Mixing:
        return AtmosphericScattering()

    def world(self) -> Found:
        published = {"airlight": uniform(AIRLIGHT), "β": uniform(BETA)}
        if not (self.root / "nyu_depth").is_dir():
            return published
        rooms = Photographs(photograph_paths("nyu_depth", "train", self.root, shared=False), self.size)
        found = []
        for k in range(self.count):
            (room,) = rooms.draw(1, self.size, sample_generator(0, "train", k), augment=True)
            assert room.depth is not None
            beta = published["β"][(31 * k) % len(published["β"])]
            found.append(depth(room.depth[0]) | _transmission(torch.exp(-float(beta) * room.depth)))
        return _gathered(found) | published

    def generated(self, mixing: Mixing) -> Found:
        data = haze.Haze(self._photographs, size=self.size, mixing=mixing, root=str(self.root))
        found = []
        for _, layers, parameters in self._samples(data, mixing):
            airlight, beta = parameters["airlight"][0], parameters["beta"]
            transmission = 1 - layers[1] / airlight
            distance = -torch.log(transmission[0].clamp_min(1e-6)) / beta
            drawn = {"airlight": airlight.mean().view(1).numpy(), "β": beta.view(1).numpy()}
            found.append(drawn | depth(distance) | _transmission(transmission))
        return _gathered(found)


class CloudsStatistics(Subject):
    """Thin clouds over photographs, against RICE-I's training pairs."""

    origin = "RICE-I's training pairs"
    needs = (PHOTOGRAPHS, "rice1")
    size: ClassVar[int] = 256

    def mixing(self) -> Mixing:
        return ThinClouds()

    def world(self) -> Found:
        pairs = training_pairs("rice1", self.root, tests=True, short_side=self.size)
        samples = (pairs.whole(k) for k in range(len(pairs)))
        return _gathered(cloud(_mixture(sample.mixture), sample.sources[0]) for sample in samples)

    def generated(self, mixing: Mixing) -> Found:
        data = clouds.Clouds(self._photographs, size=self.size, mixing=mixing, root=str(self.root))
        return _gathered(cloud(mixture, layers[0]) for mixture, layers, _ in self._samples(data, mixing))


class ReflectionStatistics(Subject):
    """Reflections of photographs, against the real training pairs."""

    origin = "the real training pairs (Real88)"
    needs = (PHOTOGRAPHS, "real88")
    size: ClassVar[int] = 256
    units: ClassVar[dict[str, str]] = {"psnr": "dB"}

    def mixing(self) -> Mixing:
        return GlassReflection()

    def world(self) -> Found:
        pairs = training_pairs("real88", self.root, tests=False)
        samples = (pairs.crop(k, self.size, sample_generator(0, "train", k)) for k in range(self.count))
        return _gathered(glass(_mixture(sample.mixture), sample.sources[0]) for sample in samples)

    def generated(self, mixing: Mixing) -> Found:
        data = reflection.Reflection(self._photographs, size=self.size, mixing=mixing, root=str(self.root))
        return _gathered(glass(mixture, layers[0]) for mixture, layers, _ in self._samples(data, mixing))


SUBJECTS: dict[str, Callable[..., Subject]] = {
    "Rain": RainStatistics,
    "Haze": HazeStatistics,
    "Clouds": CloudsStatistics,
    "Reflection": ReflectionStatistics,
}
"""Task -> what can be compared."""


def training_pairs(name: str, root: Path, *, tests: bool, short_side: int | None = None) -> RealPairs:
    """The pairs of a real set that train.

    Args:
        name: of the set.
        root: folder of the data sets.
        tests: whether a part of the set tests; it must have no file in common with the training pairs.
        short_side: resize whole images to this shorter side.

    Raises:
        UserError: no data, or a split whose training pairs are test pairs too.
    """
    open_role = partial(RealPairs.open, SETS[name], root, shared=tests)
    pairs = open_role("train", short_side=short_side)
    if tests:
        common = set(pairs.files()) & set(open_role("test").files())
        if common:
            raise UserError(
                f"{name}: {min(common)} both trains and tests: mend the split, so that nothing is fitted to it."
            )
    return pairs


def draw(statistics: list[Statistic], title: str, path: Path) -> None:
    """A PNG with two histograms for each statistic, the generated one left of the world's, on one axis.

    Args:
        statistics: what to show.
        title: of the picture.
        path: of the file.
    """
    width, height, columns = 300, 130, 2
    rows = -(-len(statistics) // columns)
    page = Image.new("RGB", (columns * width, rows * height + 30), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    pen.text((10, 8), title, fill="black", font=font)
    for i, one in enumerate(statistics):
        left, top = (i % columns) * width + 10, i // columns * height + 34
        unit = f" ({one.unit})" if one.unit else ""
        pen.text((left, top), f"{one.name}{unit}, distance {one.distance:.2f}", fill="black", font=font)
        both = numpy.concatenate([one.generated, one.world])
        low, high = numpy.quantile(both, [0.005, 0.995])
        edges = numpy.linspace(low, max(high, low + 1e-6), 25)
        for side, (values, colour) in enumerate(((one.generated, "#3366aa"), (one.world, "#cc7722"))):
            start, base = left + side * (width // 2 - 5), top + height - 40
            counts, _ = numpy.histogram(values.clip(low, high), edges)
            for j, tall in enumerate(counts / max(counts.max(), 1) * (height - 80)):
                pen.rectangle((start + 5 * j, base - round(tall), start + 5 * j + 3, base), fill=colour)
            pen.text((start, top + 16), "generated" if side == 0 else "world", fill=colour, font=font)
            pen.text((start, base + 3), f"{low:.2g}", fill="black", font=font)
            pen.text((start + 118, base + 3), f"{high:.2g}", fill="black", font=font, anchor="ra")
    path.parent.mkdir(parents=True, exist_ok=True)
    page.quantize(16).save(path, optimize=True)


def _transmission(transmission: Tensor) -> Found:
    return {"transmission": transmission.mean().view(1).numpy(), "thinning": transmission.std().view(1).numpy()}


def _mixture(mixture: Tensor | None) -> Tensor:
    assert mixture is not None
    return mixture


def _gathered(found: Iterable[Found]) -> Found:
    """Values of many pictures as one array for each statistic."""
    lists: defaultdict[str, list[Array]] = defaultdict(list)
    for one in found:
        for name, values in one.items():
            lists[name].append(values)
    return {name: numpy.concatenate(values) for name, values in lists.items()}
