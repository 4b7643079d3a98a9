"""Decoded pictures stay in memory up to a limit, and several crops of a batch share one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from datamodules.pictures import kinds as pictures
from datamodules.pictures.memory import Recent
from datamodules.superimposed import Superimposed
from datamodules.types import UserError


def test_what_was_not_used_for_longest_goes_first() -> None:
    loaded: list[str] = []

    def load(name: str) -> str:
        loaded.append(name)
        return name

    recent: Recent[str] = Recent(len, limit=6)
    for name in ("aa", "bb", "cc", "aa", "dd", "aa", "bb"):
        assert recent.get(name, lambda name=name: load(name)) == name  # type: ignore[misc]
    assert loaded == ["aa", "bb", "cc", "dd", "bb"]
    assert (len(recent), recent.held) == (3, 6)
    recent.get("a" * 10, lambda: load("a" * 10))
    assert (len(recent), recent.held) == (1, 10), "one value is kept whatever its size"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    generator = numpy.random.default_rng(0)
    for i in range(30):
        pixels = generator.integers(0, 256, (40, 48, 3), dtype=numpy.uint8)
        path = tmp_path / "photos" / ("train" if i < 24 else "val" if i < 27 else "test") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


def stream(data: Superimposed) -> list[Any]:
    data.setup()
    return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]


def data(root: Path, **options: Any) -> Superimposed:
    return Superimposed(source="photos", root=str(root), size=16, images=48, batch_size=12, **options)


def shown(name: str) -> str:
    return name.partition("-")[2]


def test_crops_of_a_batch_share_their_photographs(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []
    read = pictures.open_photograph
    monkeypatch.setattr(pictures, "HELD_IN_MEMORY", 8 * 3 * 32 * 39)  # eight of them, as they are kept
    monkeypatch.setattr(
        pictures, "open_photograph", lambda path, side=None: (decoded.append(path), read(path, side))[1]
    )
    for crops in (1, 4):
        decoded.clear()
        batches = stream(data(photographs, crops_per_picture=crops))
        for batch in batches:
            assert set(Counter(map(shown, batch.ids)).values()) == {crops}
            assert len(set(batch.ids)) == 12, "each crop is a sample of its own"
            assert len({tuple(layers.flatten().tolist()) for layers in batch.layers}) == 12, "no two crops are alike"
        assert len({shown(name) for batch in batches for name in batch.ids}) > 40 / crops
        if crops == 4:
            assert len(decoded) <= 4 * 3 * 2, "each pair of photographs once"
        else:
            assert len(decoded) > 4 * 3 * 2


def test_sharing_depends_on_neither_workers_nor_ranks(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {
        name: layers
        for batch in stream(data(photographs, crops_per_picture=2))
        for name, layers in zip(batch.ids, batch.layers, strict=True)
    }
    for options, world in (({"num_workers": 2}, 1), ({}, 3)):
        found = {}
        for rank in range(world):
            one = data(photographs, crops_per_picture=2, **options)
            monkeypatch.setattr(one, "_place", lambda rank=rank, world=world: (rank, world))
            for batch in stream(one):
                assert set(Counter(map(shown, batch.ids)).values()) == {2}, "who decodes a photograph has all its crops"
                found |= dict(zip(batch.ids, batch.layers, strict=True))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], layers) for name, layers in expected.items())


def test_a_batch_that_its_crops_do_not_fill_is_refused() -> None:
    for crops in (0, 5):
        with pytest.raises(UserError, match=f"crops_per_picture {crops}: batch_size 12 must be a multiple"):
            Superimposed(images=48, batch_size=12, crops_per_picture=crops)
