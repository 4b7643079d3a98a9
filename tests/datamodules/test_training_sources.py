"""Streams of several training sources: shares, batches, errors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from datamodules.clouds import Clouds
from datamodules.errors import UserError
from datamodules.haze import Haze
from datamodules.intrinsic import Intrinsic
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets.training_sources import TrainingSources
from datamodules.types import LayerBatch, WovenBatch

MIX = {"real88": 0.3, "photos": 0.7}


@pytest.fixture
def root(tmp_path: Path, save) -> Path:
    """Twenty real pairs for training, three for the test, and photographs."""
    for i in range(20):
        for part in ("blended", "transmission"):
            save(tmp_path / f"real88/{part}/{200 + i}.jpg", 2 * i + (part == "blended"), (40, 56))
            if i < 3:
                save(tmp_path / f"real20/{part}/{i}.png", 1000 + 2 * i + (part == "blended"), (40, 56))
        for part in ("train", "val", "test"):
            save(tmp_path / f"photos/{part}/{part}{i}.jpg", 100 * len(part) + i, (40, 56))
    return tmp_path


def task(root: Path, **options: object) -> Reflection:
    defaults = {"source": "real20", "train_source": MIX, "size": 16, "images": 64, "batch_size": 16, "selections": 1}
    data = Reflection(root=str(root), **{**defaults, **options})  # type: ignore[arg-type]
    data.setup()
    return data


def stream(data: Reflection) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    seen = {}
    for batch in data.train_dataloader():
        mixed = data.on_after_batch_transfer(batch, 0)
        assert isinstance(mixed, LayerBatch)
        for i, name in enumerate(mixed.ids):
            seen[name] = (mixed.mixture[i], mixed.layers[i])
    return seen


def same(
    one: dict[str, tuple[torch.Tensor, torch.Tensor]], other: dict[str, tuple[torch.Tensor, torch.Tensor]]
) -> None:
    assert list(one) == list(other)
    for name, tensors in one.items():
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(tensors, other[name], strict=True)), name


def given(name: str) -> bool:
    """Whether a sample is a real pair: a mixture of two photographs has two names."""
    return "+" not in name


def test_samples_come_in_the_ratio_of_the_weights() -> None:
    sources = TrainingSources({"a": 3, "b": 7, "c": 0})
    assert list(sources) == ["a", "b"]
    assert str(sources) == "0.3 a + 0.7 b"
    drawn = Counter(sources.draw(torch.Generator().manual_seed(k)) for k in range(4000))
    assert drawn["a"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert drawn["a"] + drawn["b"] == 4000
    alone, generator = TrainingSources("a"), torch.Generator().manual_seed(0)
    assert alone.draw(generator) == "a"
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("weights", "count", "portions"),
    [
        ({"a": 0.3, "b": 0.7}, 24, [7, 17]),
        ({"a": 1, "b": 1, "c": 1}, 10, [4, 3, 3]),
        ({"a": 0.01, "b": 1}, 24, [1, 23]),
    ],
)
def test_portions_are_whole_and_add_up(weights: dict[str, float], count: int, portions: list[int]) -> None:
    assert sorted(TrainingSources(weights).portions(count).values()) == sorted(portions)


def test_real_pairs_and_syntheses_share_a_batch_in_the_stream_s_order(root: Path) -> None:
    data = task(root)
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, WovenBatch)
    mixed = data.on_after_batch_transfer(batch, 0)
    assert mixed.layers.shape == (16, 2, 3, 16, 16)
    assert mixed.mask.shape == (16, 1, 16, 16)
    assert [int(name[:6]) for name in mixed.ids] == list(range(16))
    share = sum(given(name) for name in stream(data)) / 64
    assert 0.15 < share < 0.45
    for i, name in enumerate(mixed.ids):
        if given(name):  # the derived reflection is what the model lacks to give the mixture
            light = mixed.layers[i] ** data.mixing.gamma
            brighter = mixed.mixture[i] >= mixed.layers[i, 0]
            again = light.sum(0).clamp(0, 1) ** (1 / data.mixing.gamma)
            assert torch.allclose(again[brighter], mixed.mixture[i][brighter], atol=1e-4)


@pytest.mark.parametrize("pairing", ["paired", "unpaired"])
def test_the_stream_is_the_same_for_any_workers_ranks_and_after_a_resume(
    root: Path, pairing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = stream(task(root, pairing=pairing))
    assert len(expected) == 64
    same(expected, stream(task(root, pairing=pairing, num_workers=2)))
    same(expected, stream(task(root, pairing=pairing, batch_size=8)))
    shared = {}
    for rank in range(2):
        ranked = task(root, pairing=pairing)
        monkeypatch.setattr(ranked, "_place", lambda rank=rank: (rank, 2))
        shared |= stream(ranked)
    same(expected, {name: shared[name] for name in expected})
    resumed = task(root, pairing=pairing)
    resumed.load_state_dict({"images_seen": 48})
    same({name: expected[name] for name in list(expected)[48:]}, stream(resumed))


def test_images_that_select_are_shared_out_too(root: Path) -> None:
    data = task(root, train_source={"real88": 1, "photos": 11})
    names = [name for batch in data.val_dataloader() for name in batch.ids]
    assert len(names) == len(set(names)) == data.count("select") == 24
    assert sum(given(name) for name in names) == 2  # the pairs that are held back: a tenth of twenty
    assert all(batch.layers.shape[1] == 2 for batch in data.val_dataloader())
    assert [batch.layers.shape[1] for batch in data.test_dataloader()] == [1, 1, 1]


def test_the_spec_tells_every_source(root: Path) -> None:
    spec = task(root).spec
    assert spec["layers"] == ["background", "reflection"]
    assert spec["derived"] == ["reflection"]
    assert spec["scored"] == spec["target"] == ["background"]
    assert "trained on 0.3 real88 (Zhang et al." in spec["citation"]
    assert "0.7 photos (photographs of photos)" in spec["citation"]
    assert "trained on photos (photographs" in task(root, train_source="photos").spec["citation"]
    assert task(root).train_source == "0.3 real88 + 0.7 photos"
    assert task(root, train_source={"photos": 3}).train_source == "photos"
    assert task(root, train_source="photos").spec["derived"] == []


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"real88": -0.3, "photos": 0.7}, "the weight of real88 is -0.3: it must not be negative"),
        ({"real88": 0, "photos": 0.0}, "the weights' sum is 0"),
        ({}, "the weights' sum is 0"),
        ({"real88": float("nan"), "photos": 1}, "the weight of real88 is nan: it must be a number"),
        ({"real8": 0.3, "photos": 0.7}, "train_source real8: no set of this name is known, .*Did you mean real88"),
        ({"rice1": 0.3, "photos": 0.7}, "rice1 is a set of the task Clouds: Reflection takes"),
    ],
)
def test_impossible_streams_are_refused_in_one_line(root: Path, weights: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        task(root, train_source=weights)
    assert "\n" not in str(caught.value)


def test_what_nothing_derives_cannot_be_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rain, "derive", None)
    assert Rain(source="rain100l", train_source="rain100l").spec["layers"] == ["background"]
    with pytest.raises(UserError, match="rain100l has a truth for background alone, which cannot be mixed"):
        Rain(source="rain100l", train_source={"rain100l": 1, "dead_leaves": 1})


def test_pairs_of_every_task_bring_both_layers(tmp_path: Path, save) -> None:
    for task_class, name, mixture, truth in (
        (Rain, "rain100l", "input", "target"),
        (Haze, "sots_indoor", "hazy", "clear"),
        (Clouds, "rice1", "cloudy", "clear"),
        (Reflection, "real20", "blended", "transmission"),
    ):
        for i in range(10):
            save(tmp_path / f"{name}/{mixture}/{i}.png", i, (32, 40))
            save(tmp_path / f"{name}/{truth}/{i}.png", 50 + i, (32, 40))
        data = task_class(source=name, train_source=name, root=str(tmp_path), size=16, images=8, batch_size=8)  # type: ignore[abstract]
        data.setup()
        batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
        assert batch.layers.shape == (8, 2, 3, 16, 16)
        assert 0 <= float(batch.layers.min()) < float(batch.layers.max()) <= 1
        assert data.spec["derived"] == data.spec["layers"][1:]
    assert Intrinsic(source="mit_intrinsic", train_source="mit_intrinsic").spec["derived"] == []


def test_a_training_scale_is_kept(tmp_path: Path) -> None:
    """A grating of 8 pixels' period, half as large in a crop at half the size."""
    import numpy as np
    from PIL import Image

    (tmp_path / "bars").mkdir()
    for i in range(10):
        bars = 128 + 100 * np.sin(2 * np.pi * np.arange(400) / 8 + i)
        Image.fromarray(np.broadcast_to(bars, (300, 400)).astype(np.uint8)).save(tmp_path / f"bars/{i}.png")

    def period(**options: object) -> float:
        data = Rain(source="dead_leaves", train_source="bars", root=str(tmp_path), size=64, **options)  # type: ignore[arg-type]
        data.open()
        (picture,) = data.opened("train").draw(1, 64, torch.Generator().manual_seed(0), augment=True)
        spectrum = torch.fft.rfft(picture.pixels[0, 0] - picture.pixels[0, 0].mean()).abs()
        return 64 / int(spectrum.argmax())

    assert period(train_scale=(1.0, 1.0)) == 8
    assert period(train_scale=(0.5, 0.5)) == 4
    for wrong in ((0.0, 1.0), (0.8, 0.5), (0.5, 1.5)):
        with pytest.raises(UserError, match=r"train_scale .*0 < low <= high <= 1"):
            Rain(train_scale=wrong)
