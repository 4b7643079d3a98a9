"""Measures of mixtures on pictures with known answers; comparisons read no test pair; defaults stay near the world."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from benchmark.commands import main as cli
from benchmark.plan import catalogue
from datamodules import real_pairs
from datamodules.errors import UserError
from datamodules.mixing import LightRain, ThinClouds
from datamodules.real_pairs import RealPairs
from datamodules.sets.real import SETS
from datamodules.statistics import compare as statistics
from datamodules.statistics.compare import (
    SUBJECTS,
    CloudsStatistics,
    HazeStatistics,
    RainStatistics,
    ReflectionStatistics,
    Statistic,
    draw,
    training_pairs,
)
from datamodules.statistics.fit_generators import FITS, fit
from datamodules.statistics.measures import cloud, depth, glass, streaks

ROOT = Path(os.environ.get("UNBLEND_DATA") or "/nonexistent")


def bar(rain: torch.Tensor, row: float, column: float, length: float, lean: float, light: float) -> None:
    """Draws a bar 3 pixels wide."""
    y, x = torch.meshgrid(*(torch.arange(extent).float() for extent in rain.shape), indexing="ij")
    sine, cosine = math.sin(math.radians(lean)), math.cos(math.radians(lean))
    along, across = (x - column) * sine + (y - row) * cosine, (x - column) * cosine - (y - row) * sine
    rain[(along.abs() <= length / 2) & (across.abs() <= 1.5)] = light


def test_streaks_are_measured_as_they_were_drawn() -> None:
    rain = torch.zeros(160, 160)
    for i, (length, lean, light) in enumerate([(20, 10, 0.3), (30, 14, 0.9), (40, 18, 0.5)]):
        bar(rain, 60, 30 + 45 * i, length, lean, light)
    bar(rain, 0, 10, 30, 0, 0.9)  # the edge cuts it
    bar(rain, 140, 80, 3, 0, 0.9)  # not twice as long as wide
    found = streaks(rain)
    order = found["length"].argsort()
    assert found["length"][order] == pytest.approx([20, 30, 40], rel=0.08)
    assert found["width"] == pytest.approx([3, 3, 3], rel=0.15)
    assert found["brightness"][order] == pytest.approx([0.3, 0.9, 0.5], abs=1e-6)
    assert found["angle"] == pytest.approx([14], abs=1)
    assert found["sway"] == pytest.approx([np.std([10, 14, 18])], abs=1)
    assert found["density"] == pytest.approx([4 / 160**2 * 1e4])
    empty = streaks(torch.zeros(64, 64))
    assert len(empty["length"]) == len(empty["sway"]) == 0
    assert empty["cover"] == 0


def test_a_clouds_opacity_and_whiteness_come_back() -> None:
    background = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    opacity = torch.full((1, 128, 128), 0.4)
    opacity[:, 64:] = 0.6
    found = cloud(background * (1 - opacity) + 0.9 * opacity**2, background)
    assert found["opacity"] == pytest.approx([0.5], abs=1e-4)
    assert found["unevenness"] == pytest.approx([0.1], abs=1e-4)
    assert found["whiteness"] == pytest.approx([0.9], abs=1e-4)
    assert found["residual"] == pytest.approx([0], abs=1e-5)
    assert len(cloud(background, torch.full((3, 128, 128), 0.5))["opacity"]) == 0  # nothing to see it by


def test_a_panes_light_and_contrast_come_back() -> None:
    generator = torch.Generator().manual_seed(0)
    background = torch.rand(3, 96, 96, generator=generator) * 0.5
    ramp = torch.linspace(0, 0.4, 96).expand(3, 96, 96)
    found = glass(0.8 * background + ramp, background)
    assert found["contrast"] == pytest.approx([0.8], abs=0.02)
    assert found["added"] == pytest.approx([0.2 - 0.2 * 0.25], abs=0.01)
    assert found["smooth"] > 0.9
    sharp = torch.rand(3, 96, 96, generator=generator) * 0.4
    assert glass(background + sharp, background)["smooth"] < 0.2
    mixture = background + 0.1
    assert glass(mixture, background)["psnr"] == pytest.approx([20], abs=1e-3)
    assert glass(mixture, background)["bright"] == 1


def test_depth_is_measured_along_both_sides() -> None:
    rows, columns = torch.linspace(0.9, 0.3, 64).view(-1, 1), torch.linspace(0, 0.1, 64)
    found = depth(rows + columns)
    assert found["recession"] == pytest.approx([0.6], abs=0.01)
    assert found["lean"] == pytest.approx([0.1], abs=0.01)
    assert found["depth"] == pytest.approx([0.65], abs=0.01)
    assert found["slope"] == pytest.approx([math.hypot(0.6, 0.1) * 64 / 63], abs=0.01)


def test_a_distance_is_in_units_of_the_worlds_quartiles() -> None:
    world = np.linspace(0, 1, 201)
    assert Statistic("a", "", world, world).distance == pytest.approx(0)
    assert Statistic("a", "", world + 1, world).distance == pytest.approx(2)  # the quartiles are 0.5 apart
    wider = Statistic("a", "px", 2 * world, world)
    assert wider.distance == pytest.approx(1, abs=0.01)
    assert wider.line() == "a            generated 1 (0.1 to 1.9), world 0.5 (0.05 to 0.95) px: distance 1.00"


def clouds_on_disk(root: Path) -> None:
    """Ten pairs of RICE-I, of which the last two test."""
    generator = torch.Generator().manual_seed(0)
    for i in range(10):
        clear = torch.rand(3, 160, 160, generator=generator)
        for part, picture in (("clear", clear), ("cloudy", clear * 0.5 + 0.25)):
            path = root / f"rice1/{part}/{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture * 255).round().byte().permute(1, 2, 0).numpy()).save(path)


def test_no_test_pair_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds_on_disk(tmp_path)
    opened: list[str] = []
    read = real_pairs.read_image

    def watched(path: Path, channels: int = 3) -> torch.Tensor:
        opened.append(path.stem)
        return read(path, channels)

    monkeypatch.setattr(real_pairs, "read_image", watched)
    statistics_ = {one.name: one for one in CloudsStatistics(tmp_path, 2).compare()}
    assert statistics_["opacity"].world == pytest.approx([0.5] * len(statistics_["opacity"].world), abs=0.01)
    test = RealPairs.open(SETS["rice1"], tmp_path, "test", shared=True)
    assert opened
    assert not {pair.name for pair in test.pairs} & set(opened)


def test_a_split_whose_training_pairs_test_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds_on_disk(tmp_path)
    pairs = RealPairs.open(SETS["rice1"], tmp_path, "train", shared=True)
    monkeypatch.setattr(RealPairs, "open", classmethod(lambda *_, **__: pairs))
    with pytest.raises(UserError, match="both trains and tests"):
        training_pairs("rice1", tmp_path, tests=True)


def test_what_is_compared_trains_and_no_more() -> None:
    """Real sets that test are named nowhere in the comparisons."""
    source = Path(statistics.__file__).read_text()
    named = {name for name in SETS if f'"{name}"' in source}
    assert named <= {"rice1", "real88", "nyu_depth", "bsds500"}


def test_an_unlike_generator_is_farther_from_the_world() -> None:
    subject = RainStatistics(ROOT, 6)
    world = subject.world()

    def mean(mixing: LightRain) -> float:
        return float(np.mean([one.distance for one in subject.compare(mixing, world)]))

    one_kind = LightRain(length=(30.0, 30.0), variety=(0.0, 0.0), dimming=(0.0, 0.0), width=(3.0, 3.0), sway=(0.0, 0.0))
    assert mean(LightRain()) + 0.5 < mean(one_kind)


def test_histograms_are_drawn_side_by_side(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=300)
    shown = [Statistic(f"s{i}", "px", values + i, values) for i in range(3)]
    draw(shown, "title", tmp_path / "deep/page.png")
    page = Image.open(tmp_path / "deep/page.png").convert("RGB")
    assert page.size == (600, 290)
    colours = {colour for _, colour in page.getcolors() or []}
    assert {(51, 102, 170), (204, 119, 34)} <= colours
    assert (tmp_path / "deep/page.png").stat().st_size < 20_000


def test_the_command_says_how_near_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SUBJECTS, "Rain", partial(RainStatistics, count=2))
    cli.main(["doctor", "--statistics", "Rain", "--out", str(tmp_path), "--root", str(tmp_path)])
    said = capsys.readouterr().out
    assert "length" in said
    assert "distance" in said
    assert Image.open(tmp_path / "Rain.png").size[0] == 600
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--statistics", "Rian"])
    assert "unknown task 'Rian': did you mean Rain" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--statistics", "Clouds", "--root", str(tmp_path)])
    assert "RICE-I: no data in" in capsys.readouterr().err


def test_a_fit_tries_every_range_and_names_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clouds_on_disk(tmp_path)
    candidates = {"opacity": [(0.1, 0.2), (0.49, 0.51)]}
    monkeypatch.setitem(FITS, "clouds", FITS["clouds"]._replace(candidates=candidates))
    fit("clouds", 3, str(tmp_path))
    said = capsys.readouterr().out
    assert "opacity (0.1, 0.2)" in said
    assert "with {'opacity': (0.49, 0.51)}" in said  # the pairs' cloud has the opacity 0.5
    with pytest.raises(UserError, match="no fit of snow"):
        fit("snow")


@pytest.mark.parametrize(
    ("subject", "needs", "most"),
    [(CloudsStatistics, "rice1", 0.9), (HazeStatistics, "nyu_depth", 0.6), (ReflectionStatistics, "real88", 0.6)],
)
def test_defaults_are_near_the_real_training_pairs(subject: type, needs: str, most: float) -> None:
    if not (ROOT / needs).is_dir() or (needs == "real88" and needs not in SETS):
        pytest.skip(f"no {needs}: set UNBLEND_DATA to a folder that holds it")
    found = [one for one in subject(ROOT, 24).compare() if one.name not in ("residual", "tint")]
    assert len(found) >= 3
    assert np.mean([one.distance for one in found]) < most


def test_only_thin_clouds_are_fitted_to_rice1() -> None:
    assert type(CloudsStatistics(ROOT).mixing()) is ThinClouds


def test_no_suite_tests_on_pairs_that_its_clouds_are_fitted_to() -> None:
    tested = [
        data["init_args"]
        for path in catalogue.suites().values()
        for data in yaml.safe_load(path.read_text()).get("datasets", [])
        if isinstance(data, dict) and data.get("init_args", {}).get("source") == "rice1"
    ]
    assert len(tested) >= 3
    assert all("rice1" in (data.get("train_source"), data.get("split")) for data in tested)


@pytest.mark.slow("test_defaults_are_near_the_real_training_pairs")
@pytest.mark.parametrize("task", SUBJECTS)
def test_the_page_tells_the_mean_distances(task: str) -> None:
    subject = SUBJECTS[task](ROOT)
    for name in subject.needs:
        if not (ROOT / name).is_dir():
            pytest.skip(f"no {name}: set UNBLEND_DATA to a folder that holds it")
    page = Path(__file__).parents[2] / "docs/data.md"
    table = page.read_text().partition("## Generators against the world")[2]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| `{task}` |")]
    assert float(row.split("|")[-2]) == pytest.approx(subject.mean_distance(subject.compare()), abs=0.015)
