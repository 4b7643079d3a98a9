"""What each task makes of its sources."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datamodules.base import LayerDataModule, sample_generator
from datamodules.clouds import Clouds
from datamodules.haze import Haze
from datamodules.intrinsic import Intrinsic
from datamodules.mixing import AtmosphericScattering, GlassReflection, HeavyRain, LightRain, Mean, YellowHaze
from datamodules.pictures.images import read_image
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets.real import SETS
from datamodules.shapes import Shapes
from datamodules.shoes_handbags import ShoesHandbags
from datamodules.superimposed import Superimposed
from datamodules.types import LayerBatch, UserError


def first_batch(data: LayerDataModule) -> LayerBatch:
    data.setup()
    batch: LayerBatch = next(iter(data.test_dataloader()))
    return batch


def test_shapes_are_one_filled_figure_a_layer() -> None:
    batch = first_batch(Shapes(size=64, evaluation_images=64))
    assert torch.allclose(batch.layers.sum(1), batch.mixture)
    whole = 0
    for square, circle in batch.layers:
        for layer in (square, circle):
            colours = layer[:, layer.amax(0) > 0].unique(dim=1)
            assert colours.shape[1] == 1  # one colour
            assert torch.allclose(255 * colours, (255 * colours).round(), atol=1e-4)  # of 8 bits
        (top, bottom), (left, right) = extent(square)
        assert int((square.amax(0) > 0).sum()) == (bottom - top + 1) * (right - left + 1)
        (top, bottom), (left, right) = extent(circle)
        if min(top, left) > 0 and max(bottom, right) < 63:  # around its point, as far as it goes: a radius
            whole += 1
            assert bottom - top == right - left
            radius = (bottom - top) / 2
            assert int((circle.amax(0) > 0).sum()) == pytest.approx(math.pi * radius**2, rel=0.2)
            assert top + radius < 0.6 * 64
            assert left + radius < 0.6 * 64
    assert whole > 2


def extent(layer: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, and column, of a shape."""
    rows, columns = (layer.amax(0) > 0).nonzero().T
    return (int(rows.min()), int(rows.max())), (int(columns.min()), int(columns.max()))


def test_triangles_are_equilateral_around_their_point_and_turned_at_random() -> None:
    data = Shapes(layers=3, size=128, evaluation_images=200)
    data.setup()
    angles = []
    for batch in data.test_dataloader():
        for triangle in batch.layers[:, 2]:
            (top, bottom), (left, right) = extent(triangle)
            if min(top, left) == 0 or max(bottom, right) == 127:
                continue
            points = (triangle.amax(0) > 0).nonzero().float()
            centre = points.mean(0)
            away = (points - centre).norm(dim=1)
            radius = float(away.max())
            if radius < 20:
                continue
            assert len(points) == pytest.approx(3**1.5 / 4 * radius**2, rel=0.1)  # area of an equilateral one
            corner = points[away.argmax()] - centre
            angles.append(math.atan2(float(corner[0]), float(corner[1])) % (2 * math.pi / 3))
    assert len(angles) > 10
    assert max(angles) - min(angles) > 1.2  # of 2π / 3


def test_shapes_have_the_recipes_statistics() -> None:
    """Trivial errors × 100: 4,000 scenes drawn by OpenCV as the authors do gave 2.76, 1.27, 0.84 (at 128×128 1.23)."""
    data = Shapes(size=64, evaluation_images=1)
    scenes = torch.stack([data._scene(sample_generator(7, "test", k)) for k in range(1500)])
    mixture = scenes.sum(1)
    of_square, of_circle = (100 * float(((mixture - scenes[:, k]) ** 2).mean()) for k in range(2))
    half = 100 * float(((mixture / 2 - scenes[:, 0]) ** 2).mean())
    assert of_square == pytest.approx(2.76, abs=0.25)  # the standard error of 1,500 scenes is 0.08
    assert of_circle == pytest.approx(1.27, abs=0.12)
    assert half == pytest.approx(0.84, abs=0.06)
    brightest = scenes.amax((2, 3, 4))
    ratio = brightest / brightest.sum(1, keepdim=True)
    assert 0.05 < float(ratio.min()) < 0.15


def test_three_shapes_are_a_third_each() -> None:
    data = Shapes(layers=3, size=32, evaluation_images=16)
    assert data.spec["layers"] == ["square", "circle", "triangle"]
    batch = first_batch(data)
    assert batch.layers.shape[1:] == (3, 3, 32, 32)
    assert float(batch.layers.max()) <= 219 / 255 / 3 + 1e-6


def test_no_shape_repeats_before_all_were_seen() -> None:
    data = Shapes(size=16, scenes=20, images=40, batch_size=4, selections=1)
    data.setup()
    scenes = [data.draw("train", k, torch.Generator()).name.split("-")[1] for k in range(40)]
    assert len(set(scenes[:20])) == len(set(scenes[20:])) == 20
    assert scenes[:20] != scenes[20:]
    assert len({data.draw("train", 3, torch.Generator()).name, data.draw("train", 3, torch.Generator()).name}) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shapes(layers=4), "layers 4"),
        (lambda: Shapes(size=8), "size 8"),
        (lambda: Superimposed(layers=5), "5 layers: a mixture has 2 to 4"),
        (lambda: Rain(size=8), "size 8"),
        (lambda: Rain(evaluation_images=0), "evaluation_images 0"),
        (lambda: Rain(source="rain100l", short_side=4), "short_side 4"),
    ],
)
def test_impossible_options_are_refused(make, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_shoes_and_handbags_are_blended_seven_to_three(tmp_path: Path, save) -> None:
    for part, count in (("train", 20), ("val", 4)):
        for i in range(count):
            save(tmp_path / f"shoes_handbags/{part}/shoes/{part}{i}s.jpg", i)
            save(tmp_path / f"shoes_handbags/{part}/handbags/{part}{i}h.jpg", 100 + i)
    for data in (
        ShoesHandbags(size=24, evaluation_images=6),
        ShoesHandbags(source="shoes_handbags", root=str(tmp_path), size=24, evaluation_images=6),
    ):
        batch = first_batch(data)
        shoe, handbag = batch.layers.unbind(1)
        assert torch.allclose(batch.mixture, 0.7 * shoe + 0.3 * handbag, atol=1e-6)
        assert data.spec["ordered"]
    for name in batch.ids:
        first, second = name.split("-")[1].split("+")
        assert first.startswith("val")
        assert first.endswith("s")
        assert second.endswith("h")


def test_haze_on_shoes_is_yellow(tmp_path: Path, save) -> None:
    for part, count in (("train", 20), ("val", 4)):
        for kind in ("shoes", "handbags"):
            for i in range(count):
                save(tmp_path / f"shoes_handbags/{part}/{kind}/{kind}{i}.jpg", i)
    data = Haze(source="shoes_handbags", root=str(tmp_path), size=24, evaluation_images=4)
    assert isinstance(data.mixing, YellowHaze)
    batch = first_batch(data)
    red, _, blue = batch.layers[:, 1].mean((0, 2, 3))
    assert red > 2 * blue
    assert all("shoes" in name for name in batch.ids)
    assert type(Haze().mixing) is AtmosphericScattering


def test_haze_thickens_with_depth() -> None:
    data = Haze(source="dead_leaves", size=32, evaluation_images=16)
    data.setup()
    depth = torch.stack([data.draw("test", k, torch.Generator().manual_seed(k)).sources[1] for k in range(16)])
    batch = next(iter(data.test_dataloader()))
    top, bottom = batch.layers[:, 1, :, :10], batch.layers[:, 1, :, -10:]
    assert depth[:, :, :10].mean() > depth[:, :, -10:].mean()  # farther above
    assert top.mean() > bottom.mean() + 0.05


def test_no_reflection_is_too_dark_to_be_seen() -> None:
    data = Reflection(size=32, evaluation_images=24)
    data.setup()
    for k in range(24):
        background, reflection = data.draw("test", k, torch.Generator().manual_seed(k)).sources
        assert reflection.mean() >= background.mean() / 2


def test_two_photographs_change_places_where_drawing_again_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    for i in range(10):
        value = 240 if i % 2 else 30
        for part in ("train", "val"):
            (tmp_path / "photos" / part).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (value, value, value)).save(tmp_path / f"photos/{part}/{i}.png")
    monkeypatch.setattr("datamodules.reflection.TRIES", 0)
    refused = {}
    for mixing in (GlassReflection(), Mean()):  # only glass has the rule
        data = Reflection(source="photos", root=str(tmp_path), size=16, mixing=mixing)
        data.setup()
        pairs = [data.draw("train", k, torch.Generator().manual_seed(k)).sources.mean((1, 2, 3)) for k in range(40)]
        refused[mixing.name] = sum(bool(reflection < background / 2) for background, reflection in pairs)
    assert refused["glassreflection"] == 0
    assert refused["mean"] > 5


def test_generated_intrinsics_multiply() -> None:
    batch = first_batch(Intrinsic(size=32, evaluation_images=8))
    albedo, light = batch.layers.unbind(1)
    assert torch.allclose(albedo * light, batch.mixture, atol=1e-6)
    assert torch.equal(light[:, 0], light[:, 2])
    photographs = first_batch(Intrinsic(source="embedded", size=32, evaluation_images=8))
    assert not torch.allclose(photographs.layers[:, 0], albedo)


def test_rain_is_heavy_where_its_test_set_is() -> None:
    assert type(Rain().mixing) is LightRain
    assert type(Rain(source="rain100h").mixing) is HeavyRain
    assert type(Rain(source="rain100l", mixing=HeavyRain()).mixing) is HeavyRain


@pytest.mark.parametrize(
    ("make", "target"),
    [
        (Rain, ["background"]),
        (Haze, ["background"]),
        (Clouds, ["background"]),
        (Reflection, ["background"]),
        (ShoesHandbags, ["shoe"]),
        (Intrinsic, ["albedo", "shading"]),
        (lambda: Superimposed(layers=3), ["first", "second", "third"]),
    ],
)
def test_a_task_says_what_it_is_for(make, target: list[str]) -> None:
    assert make().spec["target"] == target


def test_what_a_task_is_for_has_a_truth_wherever_it_is_tested() -> None:
    for name, real in SETS.items():
        for task in (Rain, Haze, Clouds, Reflection, Intrinsic, ShoesHandbags):
            if real.task == task.__name__:
                spec = task(source=name).spec
                assert spec["target"], name
                assert set(spec["target"]) <= set(spec["scored"]), name


def test_a_test_set_with_one_truth_scores_one_layer(tmp_path: Path, save) -> None:
    for part in ("input", "target"):
        save(tmp_path / f"rain100l/{part}/0.png", 0)
    data = Rain(source="rain100l", root=str(tmp_path), size=16, images=8, batch_size=4, selections=1)
    data.setup()
    assert data.spec["layers"] == ["background", "rain"]
    assert data.spec["scored"] == ["background"]
    assert next(iter(data.test_dataloader())).layers.shape[1] == 1
    trained = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert trained.layers.shape[1] == 2


def test_whole_photographs_and_another_source_for_the_second(tmp_path: Path, save) -> None:
    for i in range(3):
        save(tmp_path / f"first/a{i}.png", i, (32, 48))
        save(tmp_path / f"second/b{i}.png", 10 + i, (48, 32))
    data = Superimposed(
        source="first", other_source="second", train_source="dead_leaves", whole=True, size=32, evaluation_images=8,
        root=str(tmp_path),
    )  # fmt: skip
    batch = first_batch(data)
    assert all(name.split("-")[1][0] == "a" and name.split("+")[1][0] == "b" for name in batch.ids)
    pixels = {path.stem: read_image(path) for path in data.files()}
    for name, (one, two) in zip(batch.ids, batch.layers, strict=True):
        first, second = name.split("-")[1].split("+")
        assert torch.allclose(one, pixels[first][:, :, 8:40], atol=2 / 255)
        assert torch.allclose(two, pixels[second][:, 8:40], atol=2 / 255)


def test_a_thought_up_mixing_trains_and_the_true_one_tests() -> None:
    true, white = YellowHaze(), YellowHaze(red=(1.0, 1.0), green=(1.0, 1.0), blue=(1.0, 1.0))
    options = {"source": "dead_leaves", "size": 32, "images": 8, "batch_size": 8, "selections": 1}
    alone = Haze(mixing=true, **options)  # type: ignore[arg-type]
    mistaken = Haze(mixing=true, train_mixing=white, **options)  # type: ignore[arg-type]
    assert torch.equal(first_batch(alone).mixture, first_batch(mistaken).mixture)
    for loader in (mistaken.train_dataloader(), mistaken.val_dataloader()):
        haze = mistaken.on_after_batch_transfer(next(iter(loader)), 0).layers[:, 1]
        assert torch.allclose(haze[:, 0], haze[:, 2])
    seen = alone.on_after_batch_transfer(next(iter(alone.train_dataloader())), 0).layers[:, 1]
    assert (seen[:, 2] <= seen[:, 0] / 2).all()
    assert seen[:, 0].max() > 0.1
    with pytest.raises(UserError, match="train_mixing mean: its layers must have the scale and the order"):
        Haze(mixing=true, train_mixing=Mean())
