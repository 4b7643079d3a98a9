"""The real sets at hand: what their literature says of them must come out. Skipped without ``$UNBLEND_DATA``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from benchmark.metrics import protocol
from benchmark.metrics.functional import mse
from benchmark.metrics.layer_scores import score_layers
from datamodules.digits import Digits
from datamodules.intrinsic import Intrinsic
from datamodules.picture_task import PictureTask
from datamodules.pictures import photograph_paths
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets import SETS
from datamodules.verify import verify

ROOT = Path(os.environ.get("UNBLEND_DATA") or "/nonexistent")


def need(source: str) -> None:
    if not (ROOT / source).is_dir():
        pytest.skip(f"no {source}: set UNBLEND_DATA to a folder that holds it")


@pytest.mark.parametrize("source", SETS)
def test_a_real_set_is_sound(source: str) -> None:
    need(source)
    report = verify(SETS[source], ROOT)
    assert not report.problems
    assert report.found == SETS[source].count or report.notes


def test_rain100l_has_its_known_input_psnr() -> None:
    need("rain100l")
    data = Rain(source="rain100l", root=str(ROOT))
    data.setup()
    values: dict[str, list[float]] = {"y": [], "rgb": []}
    for batch in data.test_dataloader():
        for name, found in values.items():
            _, scores = score_layers(batch.mixture[:, None], batch.layers, batch.mask, [protocol(name)], ordered=True)
            found += scores[:, 0, 0, 0].tolist()
    assert len(values["y"]) == 100
    assert sum(values["y"]) / 100 == pytest.approx(26.90, abs=0.01)
    assert sum(values["rgb"]) / 100 == pytest.approx(25.52, abs=0.01)


def test_mit_intrinsic_keeps_its_bits_and_multiplies() -> None:
    need("mit_intrinsic")
    data = Intrinsic(source="mit_intrinsic", train_source="mit_intrinsic", root=str(ROOT))
    data.setup()
    assert [len(data.opened(role)) for role in ("train", "select", "test")] == [8, 2, 10]
    errors = []
    for role in ("train", "select", "test"):
        for k in range(len(data.opened(role))):
            sample = data.opened(role).whole(k)
            assert sample.mixture is not None
            assert sample.mask is not None
            assert len(sample.mixture.unique()) > 256
            product = (sample.sources[0] * sample.sources[1])[:, sample.mask[0]].double()
            diffuse = sample.mixture[:, sample.mask[0]].double()
            scale = (product * diffuse).sum() / (product * product).sum()
            errors.append(float((scale * product - diffuse).norm() / diffuse.norm()))
    assert len(errors) == 20
    assert min(errors) > 0.02
    assert max(errors) < 0.085


def test_ceilnet_triples_add_up() -> None:
    need("ceilnet_synthetic")
    data = Reflection(source="ceilnet_synthetic", root=str(ROOT))
    data.setup()
    difference = 0.0
    for batch in data.test_dataloader():
        difference = max(difference, float((batch.layers.sum(1).clamp(0, 1) - batch.mixture).abs().max()))
    assert difference <= 1 / 255 + 1e-6


@pytest.mark.parametrize("role", ["train", "select"])
def test_bsds500_without_the_images_of_rain100l(role: str) -> None:
    need("rain100l")
    need("bsds500")
    known = json.loads((ROOT / "rain100l/bsds500_origin.json").read_text())
    shown = {name for _, name in known.values()}
    data = Rain(source="rain100l", train_source="bsds500", root=str(ROOT), size=16)
    every = {path.stem for path in photograph_paths("bsds500", role, ROOT, shared=False)}  # type: ignore[arg-type]
    kept = {path.stem for path in data.pictures_of("bsds500", role).paths}  # type: ignore[arg-type]
    assert every - kept == every & shown
    assert every & shown


def test_mnist_is_read_whole() -> None:
    need("mnist")
    data = Digits(source="mnist", root=str(ROOT))
    data.setup()
    assert data.count("test") == 5000
    batch = next(iter(data.test_dataloader()))
    assert torch.isfinite(mse(batch.layers[:, 0], batch.layers[:, 1])).all()


@pytest.mark.parametrize("source", [name for name, data in SETS.items() if data.scored])
def test_a_real_set_loads_as_it_lies(source: str) -> None:
    need(source)
    import importlib

    from benchmark import catalogue

    module, _, name = catalogue.dataset(SETS[source].task).class_path.rpartition(".")
    task: type[PictureTask] = getattr(importlib.import_module(module), name)
    data = task(source=source, root=str(ROOT), test_images=3)
    data.setup()
    for batch in data.test_dataloader():
        assert batch.layers.shape[1] == len(SETS[source].scored)
        assert 0 <= float(batch.mixture.min()) < float(batch.mixture.max()) <= 1
