"""The real sets at hand: what their literature says of them must come out. Skipped without ``$UNBLEND_DATA``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from benchmark.metrics import protocol
from benchmark.metrics.functional import mse
from benchmark.metrics.layer_scores import score_layers
from datamodules.derived import veil
from datamodules.digits import Digits
from datamodules.haze import Haze
from datamodules.intrinsic import Intrinsic
from datamodules.picture_task import PictureTask
from datamodules.pictures.kinds import photograph_paths
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets import split_files
from datamodules.sets.leakage import overlapping
from datamodules.sets.real import SETS
from datamodules.sets.verify import verify

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


def test_no_picture_of_bsds500_passes_for_another() -> None:
    need("bsds500")
    parts = [sorted((ROOT / f"bsds500/{part}").glob("*.jpg")) for part in ("train", "val", "test")]
    assert overlapping(parts[0], parts[1] + parts[2]) == {}
    assert overlapping(parts[1], parts[2]) == {}


def test_every_copy_of_bsds500_in_rain100l_is_found_at_once() -> None:
    need("rain100l")
    need("bsds500")
    known = json.loads((ROOT / "rain100l/bsds500_origin.json").read_text())
    photographs = sorted((ROOT / "bsds500").glob("*/*.jpg"))
    begin = time.process_time()
    found = overlapping(photographs, sorted((ROOT / "rain100l/target").glob("*.png")))
    assert time.process_time() - begin < 60
    assert {path.stem for path in found} == {name for _, name in known.values()}


def test_rooms_show_no_scene_of_sots() -> None:
    need("nyu_depth")
    need("sots_indoor")
    rooms, test = sorted((ROOT / "nyu_depth").glob("*.jpg")), sorted((ROOT / "sots_indoor/clear").glob("*.png"))
    assert overlapping(rooms, test) == {}


def test_real_pairs_show_no_scene_of_real20() -> None:
    need("real88")
    need("real20")
    left_out = {line.name for line in split_files.read("real81") if line.role == "left-out"}
    truths = {path.stem: path for path in (ROOT / "real88/transmission").glob("*.jpg")}
    seen = overlapping(list(truths.values()), sorted((ROOT / "real20/transmission").glob("*.png")))
    assert {path.stem for path in seen} <= left_out  # what can be found without eyes
    assert len(seen) >= 3
    for split, kept in ((None, {"train": 73, "select": 8}), ("real88", {"train": 77, "select": 8})):
        data = Reflection(source="real20", train_source="real88", split=split, root=str(ROOT), size=16)
        data.setup()
        assert {role: len(data.opened(role)) for role in ("train", "select")} == kept  # type: ignore[arg-type]


def test_the_veil_of_a_room_is_derived_as_it_was_made() -> None:
    """On haze of RESIDE's training kind the derived layer has 33 dB or more against the true one."""
    need("nyu_depth")
    data = Haze(source="dead_leaves", train_source="nyu_depth", root=str(ROOT), size=96, images=32, batch_size=32)
    data.setup()
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    eight_bits = (batch.mixture * 255).round() / 255
    error = (veil(eight_bits, batch.layers[:, 0]) - batch.layers[:, 1]).square().mean((1, 2, 3))
    assert float((-10 * error.log10()).mean()) > 33


def test_a_stream_of_real_pairs_and_photographs() -> None:
    for name in ("real88", "real20", "bsds500"):
        need(name)
    sources = {"real88": 0.3, "bsds500": 0.7}
    data = Reflection(source="real20", train_source=sources, root=str(ROOT), size=64, images=32, batch_size=32)
    data.setup()
    assert len(data.opened("train", "bsds500").paths) == 400
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    assert batch.layers.shape == (32, 2, 3, 64, 64)
    assert 0 < sum("+" not in name for name in batch.ids) < 32


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
    from benchmark.plan import catalogue

    task: type[PictureTask] = catalogue.dataset(SETS[source].task).load()
    data = task(source=source, root=str(ROOT), test_images=3)
    data.setup()
    for batch in data.test_dataloader():
        assert batch.layers.shape[1] == len(SETS[source].scored)
        assert 0 <= float(batch.mixture.min()) < float(batch.mixture.max()) <= 1
