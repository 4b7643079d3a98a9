"""Real sets in their official layouts, on small folders; what is said of a broken one."""

from __future__ import annotations

import os
import re
import struct
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.plan import catalogue
from datamodules.clouds import Clouds
from datamodules.errors import DataNotice, UserError
from datamodules.haze import Haze
from datamodules.intrinsic import Intrinsic
from datamodules.picture_task import PictureTask
from datamodules.rain import Rain
from datamodules.reflection import Reflection
from datamodules.sets import split_files
from datamodules.sets.layouts import match
from datamodules.sets.real import PHOTOGRAPHS, SETS
from datamodules.sets.verify import verify

# data set, source, mixture's path, paths of the truths, the image's name
LAYOUTS = [
    (Rain, "rain100l", "input/7.png", ["target/7.png"], "7"),
    (Rain, "rain100l", "rain_data_test_Light/rain/X2/norain-7x2.png", ["rain_data_test_Light/norain-7.png"], "7"),
    (Rain, "rain100h", "rainy/rain-007.png", ["norain-007.png"], "007"),
    (Rain, "rain100h", "rain_heavy_test/rain/norain-7x2.png", ["rain_heavy_test/norain/norain-7.png"], "7"),
    (Reflection, "real20", "blended/3.png", ["transmission/3.png"], "3"),
    (Reflection, "real20", "blended/3.jpg", ["transmission_layer/3.jpg"], "3"),
    (Reflection, "ceilnet_synthetic", "2007_1-input.png", ["2007_1-label1.png", "2007_1-label2.png"], "2007_1"),
    (Reflection, "ceilnet_synthetic", "blended/a.png", ["transmission/a.png", "reflection/a.png"], "a"),
    (Reflection, "sir2_solid", "SolidObjectDataset/3/Focus/11/m.jpg",
     ["SolidObjectDataset/3/Focus/11/g.jpg", "SolidObjectDataset/3/Focus/11/r.jpg"], "3-Focus-11"),
    (Reflection, "sir2_postcard", "Postcard Dataset/3/T/10/1-m-7.png",
     ["Postcard Dataset/3/T/10/1-g-7.png", "Postcard Dataset/3/T/10/1-r-7.png"], "3-T-10-1--7"),
    (Reflection, "sir2_wild", "WildSceneDataset/withgt/9/m.jpg",
     ["WildSceneDataset/withgt/9/g.jpg", "WildSceneDataset/withgt/9/r.jpg"], "withgt-9"),
    (Reflection, "sir2_wild", "blended/9.png", ["transmission_layer/9.png", "reflection_layer/9.png"], "9"),
    (Haze, "sots_indoor", "hazy/1400_2.png", ["clear/1400_2.png"], "1400_2"),
    (Haze, "sots_indoor", "SOTS/indoor/nyuhaze500/hazy/1400_2.png", ["SOTS/indoor/nyuhaze500/gt/1400.png"], "1400_2"),
    (Haze, "sots_outdoor", "outdoor/hazy/0001_0.8_0.2.jpg", ["outdoor/gt/0001.png"], "0001_0.8_0.2"),
    (Haze, "o_haze", "O-HAZY/hazy/01_outdoor_hazy.jpg", ["O-HAZY/GT/01_outdoor_GT.jpg"], "01"),
    (Rain, "raintrainl", "rain-12.png", ["norain-12.png"], "12"),
    (Rain, "raintrainl", "RainTrainL/rain-12.png", ["RainTrainL/norain-12.png"], "12"),
    (Rain, "raintrainh", "rain/rain-12.png", ["norain/norain-12.png"], "12"),
    (Rain, "rain200l", "rain_data_test_Light/rain/X2/norain-7x2.png", ["rain_data_test_Light/norain/norain-7.png"],
     "7"),
    (Rain, "rain200h_train", "rain_data_train_Heavy/rain/norain-7x2.png",
     ["rain_data_train_Heavy/norain/norain-7.png"], "7"),
    (Reflection, "real88", "blended/110.jpg", ["transmission/110.jpg"], "110"),
    (Reflection, "real88", "blended/110.png", ["transmission_layer/110.png"], "110"),
    (Reflection, "nature", "blended/1_5.jpg", ["transmission_layer/1_5.jpg"], "1_5"),
    (Haze, "its", "hazy/1_10_0.87.png", ["clear/1.png"], "1_10_0.87"),
    (Haze, "its", "ITS/train/hazy/12_1.png", ["ITS/train/GT/12.png"], "12_1"),
    (Haze, "ots", "OTS/hazy/part1/0005_0.8_0.04.jpg", ["OTS/clear/0005.jpg"], "0005_0.8_0.04"),
    (Clouds, "rice1", "RICE1/cloud/5.png", ["RICE1/label/5.png"], "5"),
    (Clouds, "rice2", "cloud/5.png", ["label/5.png"], "5"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "source", "mixture", "truths", "name"), LAYOUTS, ids=lambda value: str(value)[:30])
def test_an_official_layout_is_read(
    tmp_path: Path, save, task: type[PictureTask], source: str, mixture: str, truths: list[str], name: str
) -> None:
    folder = tmp_path / source
    pixels = save(folder / mixture, 1)
    layers = [save(folder / truth, 2 + i) for i, truth in enumerate(truths)]
    data = task(source=source, train_source="dead_leaves", root=str(tmp_path))
    data.setup()
    (batch,) = data.test_dataloader()
    assert batch.ids == [name]
    for image, truth in ((batch.mixture[0], pixels), *zip(batch.layers[0], layers, strict=True)):
        assert torch.allclose(image, torch.from_numpy(truth.copy()).permute(2, 0, 1) / 255)
    assert data.spec["scored"] == list(SETS[source].scored)
    assert {folder / mixture, *(folder / truth for truth in truths)} <= set(data.files())


def test_a_larger_truth_is_cropped_around_its_centre(tmp_path: Path, save) -> None:
    hazy = save(tmp_path / "sots_indoor/hazy/1400_2.png", 1, (20, 28))
    clear = save(tmp_path / "sots_indoor/gt/1400.png", 2, (24, 32))
    data = Haze(source="sots_indoor", root=str(tmp_path))
    data.setup()
    (batch,) = data.test_dataloader()
    assert batch.mixture.shape[-2:] == hazy.shape[:2]
    assert torch.allclose(batch.layers[0, 0], torch.from_numpy(clear[2:22, 2:30].copy()).permute(2, 0, 1) / 255)


def test_hdf5_files_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "dcpdn_testa"
    folder.mkdir()
    arrays = {name: np.random.default_rng(i).random((20, 24, 3)) for i, name in enumerate(("haze", "gt"))}
    with h5py.File(folder / "0.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    data = Haze(source="dcpdn_testa", root=str(tmp_path))
    data.setup()
    (batch,) = data.test_dataloader()
    assert torch.allclose(batch.mixture[0], torch.from_numpy(arrays["haze"]).permute(2, 0, 1).float())
    assert torch.allclose(batch.layers[0, 0], torch.from_numpy(arrays["gt"]).permute(2, 0, 1).float())
    (folder / "1.h5").write_bytes(b"no HDF5")
    broken = Haze(source="dcpdn_testa", root=str(tmp_path))
    broken.setup()
    with pytest.raises(UserError, match=r"cannot read .*1\.h5"):
        list(broken.test_dataloader())


def png16(path: Path, pixels: np.ndarray) -> None:
    """A 16-bit PNG, written by hand: Pillow does not write 16-bit colour."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """MIT Intrinsic's layout with generated 16-bit objects, masked to a disc."""
    generator = np.random.default_rng(0)
    names = [*SETS["mit_intrinsic"].train, "cup2", "deer"]
    y, x = np.mgrid[:30, :30] - 14.5
    mask = (y**2 + x**2 < 150).astype(np.uint16) * 65535
    for name in names:
        albedo, shading = generator.random((30, 30, 3)), generator.random((30, 30))
        folder = tmp_path / "mit_intrinsic" / name
        png16(folder / "reflectance.png", (albedo * 65535).round())
        png16(folder / "shading.png", (shading * 65535).round())
        exposure = 1.0 if name in ("cup2", "deer") else generator.uniform(0.4, 1.0)  # truths are known up to a scale
        png16(folder / "diffuse.png", (exposure * albedo * shading[..., None] * 65535).round())
        png16(folder / "mask.png", mask)
    return tmp_path


def test_intrinsic_images_keep_sixteen_bits_and_their_mask(objects: Path) -> None:
    data = Intrinsic(source="mit_intrinsic", train_source="mit_intrinsic", size=16, root=str(objects),
                     images=8, batch_size=4, selections=1)  # fmt: skip
    data.setup()
    batches = list(data.test_dataloader())
    assert [batch.ids for batch in batches] == [["cup2"], ["deer"]]
    assert data.count("select") == 1
    for batch in batches:
        assert len(batch.mixture.unique()) > 1000
        albedo, shading = batch.layers[0]
        assert torch.allclose(albedo * shading, batch.mixture[0], atol=2e-5)
        assert torch.equal(shading[0], shading[2])
        assert 0.3 < float(batch.mask.float().mean()) < 0.7
    crop = next(iter(data.train_dataloader()))
    assert crop.layers.shape == (4, 2, 3, 16, 16)
    assert not crop.mask.all()
    selecting = next(iter(data.val_dataloader()))
    assert not torch.allclose(selecting.layers[0].prod(0), selecting.mixture[0], atol=0.05)  # as the file has it


@pytest.mark.parametrize("pairing", ["paired", "unpaired"])
def test_mixtures_of_real_objects_train_at_the_brightness_of_their_layers_product(objects: Path, pairing: str) -> None:
    data = Intrinsic(source="mit_intrinsic", train_source="mit_intrinsic", size=30, root=str(objects), pairing=pairing)
    data.setup()
    from datamodules.intrinsic import exposure

    scales = set()
    for k in range(12):
        generator = torch.Generator().manual_seed(k)
        sample = data.draw("train", k, generator)
        raw = data.opened("train").crop(k, 30, torch.Generator().manual_seed(k))
        assert sample.mixture is not None
        assert raw.mixture is not None
        assert raw.name == sample.name
        assert torch.equal(raw.sources, sample.sources)
        scale = exposure(raw.mixture, sample.mixture[None])
        scales.add(round(scale, 2))
        whole = data.opened("train").whole([pair.name for pair in data.opened("train").pairs].index(raw.name[7:]))
        assert whole.mixture is not None
        assert torch.allclose(whole.sources.prod(0) * scale, whole.mixture, atol=1e-3)
    assert len(scales) > 2
    assert exposure(torch.rand(3, 4, 4), torch.zeros(2, 3, 4, 4)) == 1


def scenes_of(data: Intrinsic) -> tuple[set[str], list[set[str]], set[str], set[str]]:
    """Objects whose mixtures train, whose layers train (layer by layer), that select, that test."""
    mixtures: set[str] = set()
    layers: list[set[str]] = [set(), set()]
    for mixture, foreign in data.train_dataloader():
        mixtures |= {name.partition("-")[2] for name in mixture.ids}
        for names, sample in zip(layers, foreign, strict=True):
            names |= {name.partition("-")[2] for name in sample.ids}
    select, test = (
        {name for batch in loader for name in batch.ids} for loader in (data.val_dataloader(), data.test_dataloader())
    )
    return mixtures, layers, select, test


def test_unpaired_intrinsic_images_share_no_object(objects: Path) -> None:
    official = list(SETS["mit_intrinsic"].train)
    common: dict[str, Any] = {
        "source": "mit_intrinsic", "train_source": "mit_intrinsic", "size": 16, "root": str(objects),
        "images": 160, "batch_size": 8, "selections": 1, "pairing": "unpaired",
    }  # fmt: skip
    strict = Intrinsic(**common)
    strict.setup()
    mixtures, layers, select, test = scenes_of(strict)
    assert mixtures == select == set(official[0::2])  # nothing of the truths that select is trained on
    assert layers == [set(official[1::2])] * 2
    assert test == {"cup2", "deer"}

    loose = Intrinsic(layers_of_test_scenes=True, **common)
    loose.setup()
    mixtures, layers, select, test = scenes_of(loose)
    assert mixtures == set(official)
    assert layers == [test] * 2 == [{"cup2", "deer"}] * 2
    assert select == set(official[0::2])
    for wrong in ({"pairing": "paired"}, {"train_source": "dead_leaves"}, {"source": "dead_leaves"}):
        with pytest.raises(UserError, match=r"needs --data\.pairing=unpaired and mit_intrinsic as both sources"):
            Intrinsic(layers_of_test_scenes=True, **{**common, **wrong})


def test_real_training_crops_stay_aligned(tmp_path: Path, save) -> None:
    for i in range(20):
        pixels = save(tmp_path / f"rice1/cloud/{i}.png", i, (40, 48))
        folder = tmp_path / "rice1/label"
        folder.mkdir(exist_ok=True)
        (folder / f"{i}.png").write_bytes((tmp_path / f"rice1/cloud/{i}.png").read_bytes())
        assert pixels.size
    data = Clouds(
        source="rice1", train_source="rice1", size=16, root=str(tmp_path), images=32, batch_size=8, selections=1
    )
    data.setup()
    assert [len(data.opened(role)) for role in ("train", "select", "test")] == [14, 2, 4]
    assert data.spec["layers"] == ["background", "cloud"]
    assert data.spec["derived"] == ["cloud"]
    assert data.spec["scored"] == ["background"]
    names = {role: {pair.name for pair in data.opened(role).pairs} for role in ("train", "select", "test")}
    assert len(set.union(*names.values())) == 20
    for batch in data.train_dataloader():
        assert torch.equal(batch.mixture, batch.layers[:, 0])
        assert batch.mask.all()


def test_a_set_of_another_task_is_refused_with_the_right_ones() -> None:
    with pytest.raises(UserError, match="a set of the task Haze: Rain takes embedded, dead_leaves, rain100l, rain100h"):
        Rain(source="sots_indoor")


def test_every_real_set_belongs_to_a_data_set() -> None:
    assert {data.task for data in SETS.values()} <= {*catalogue.datasets(), PHOTOGRAPHS}
    for data in SETS.values():
        assert data.citation
        assert data.licence
        assert data.count > 0
        assert data.expected()


# What is said of data that are not as they should be ------------------------------------------------


def rain(folder: Path, save, **sizes: tuple[int, int]) -> Path:
    for i in range(3):
        save(folder / f"rain100l/input/{i}.png", i)
        save(folder / f"rain100l/target/{i}.png", 10 + i)
    return folder / "rain100l"


def opened(root: Path) -> Rain:
    data = Rain(source="rain100l", root=str(root))
    data.setup()
    return data


def test_a_missing_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"Rain100L: no data in .*input/\{id\}.png with target/\{id\}.png.*UNBLEND_DATA"
    ):
        opened(tmp_path)


def test_a_truncated_png_is_named(tmp_path: Path, save) -> None:
    path = rain(tmp_path, save) / "target/1.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"target/1\.png: the file is truncated"):
        opened(tmp_path)


def test_a_png_that_breaks_in_the_middle_is_named(tmp_path: Path, save) -> None:
    path = rain(tmp_path, save) / "input/1.png"
    raw = bytearray(path.read_bytes())
    raw[60:90] = b"\0" * 30
    path.write_bytes(raw)
    data = opened(tmp_path)
    with pytest.raises(UserError, match=r"cannot read .*input/1\.png"):
        list(data.test_dataloader())


def test_a_pair_of_different_sizes_is_named(tmp_path: Path, save) -> None:
    save(rain(tmp_path, save) / "target/1.png", 1, (24, 30))
    with pytest.raises(UserError, match=r"input/1\.png has 24×32 pixels and its partner .*target/1\.png 24×30"):
        opened(tmp_path)


def test_an_unpaired_file_is_named(tmp_path: Path, save) -> None:
    (rain(tmp_path, save) / "target/2.png").unlink()
    with pytest.raises(UserError, match=r"input/2\.png has no partner .*target/2\.png"):
        opened(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "rain100l/input").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no data in .*rain100l"):
        opened(tmp_path)


def test_a_one_pixel_image_is_named(tmp_path: Path, save) -> None:
    for part in ("input", "target"):
        save(rain(tmp_path, save) / part / "1.png", 1, (1, 1))
    with pytest.raises(UserError, match=r"1\.png has 1×1 pixels, at least 16×16"):
        opened(tmp_path)


def test_what_is_no_image_is_named(tmp_path: Path, save) -> None:
    (rain(tmp_path, save) / "input/1.png").write_text("hello")
    with pytest.raises(UserError, match=r"input/1\.png: it is no image file"):
        opened(tmp_path)


def test_grey_images_are_converted_and_said_once(tmp_path: Path, save) -> None:
    folder = rain(tmp_path, save)
    pixels = save(folder / "input/1.png", 1, grey=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = opened(tmp_path)
        opened(tmp_path)
    (notice,) = (str(warning.message) for warning in said if issubclass(warning.category, DataNotice))
    assert re.search(r"Rain100L: 1 images are grey .*input/1\.png.*three equal channels", notice)
    batch = list(data.test_dataloader())[1]
    assert torch.equal(batch.mixture[0, 0], torch.from_numpy(pixels) / 255)
    assert torch.equal(batch.mixture[0, 0], batch.mixture[0, 2])


def test_a_folder_without_permission_is_named(tmp_path: Path, save) -> None:
    folder = rain(tmp_path, save)
    for parent in [tmp_path, *tmp_path.parents][:4]:
        parent.chmod(0o755)
    (folder / "input").chmod(0o000)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)  # root may read everything
        with pytest.raises(UserError, match=r"no permission to read the folder .*rain100l/input"):
            opened(tmp_path)
    finally:
        if root:
            os.seteuid(0)
        (folder / "input").chmod(0o755)


def rooms(root: Path, save, count: int = 10) -> Path:
    """Photographs of nyu_depth with depth maps of half their size; the farthest point of map i is 100 + i of 255."""
    for i in range(count):
        save(root / f"nyu_depth/{i:04d}.jpg", i, (40, 60))
        ramp = np.linspace(20, 100 + i, 30).round().astype(np.uint8)
        (root / "nyu_depth/depth").mkdir(exist_ok=True)
        Image.fromarray(np.broadcast_to(ramp, (20, 30))).save(root / f"nyu_depth/depth/{i:04d}.png")
    return root / "nyu_depth"


def hazy(root: Path) -> Haze:
    data = Haze(source="dead_leaves", train_source="nyu_depth", root=str(root), size=16, images=64, batch_size=64)
    data.setup()
    return data


def test_haze_in_rooms_is_of_their_own_depth_by_its_maximum(tmp_path: Path, save) -> None:
    rooms(tmp_path, save)
    data = hazy(tmp_path)
    batch = next(iter(data.train_dataloader()))
    depth = batch.sources[:, 1]
    assert 0.15 < float(depth.min()) < 0.25  # the nearest is 20 of 100 to 107
    assert 0.95 < float(depth.max()) <= 1
    beta, airlight = batch.parameters["beta"], batch.parameters["airlight"]
    assert 0.6 <= float(beta.min()) < 0.8 < 1.6 < float(beta.max()) <= 1.8
    assert 0.7 <= float(airlight.min()) < 0.75 < 0.95 < float(airlight.max()) <= 1
    mixed = data.on_after_batch_transfer(batch, 0)
    transmission = torch.exp(-beta.view(-1, 1, 1, 1) * depth)
    expected = mixed.layers[:, 0] * transmission + airlight * (1 - transmission)
    assert torch.allclose(mixed.mixture, expected, atol=1e-5)
    assert len([path for path in data.files() if path.parent.name == "depth"]) == 10


def test_reside_s_transmissions_are_as_good_as_depth(tmp_path: Path, save) -> None:
    """t = exp(−β·d) of any β gives d in units of its largest value."""
    depth = np.linspace(0.1, 0.9, 60)
    for i in range(10):
        save(tmp_path / f"nyu_depth/clear/{i}.png", i, (40, 60))
        transmission = np.exp(-(0.6 + 0.1 * i) * depth)
        (tmp_path / "nyu_depth/trans").mkdir(exist_ok=True)
        for haze in range(1, 3):
            levels = (255 * transmission**haze).round().astype(np.uint8)
            Image.fromarray(np.broadcast_to(levels, (40, 60))).save(tmp_path / f"nyu_depth/trans/{i}_{haze}.png")
    drawn = next(iter(hazy(tmp_path).train_dataloader())).sources[:, 1]
    assert float(drawn.min()) == pytest.approx(1 / 9, abs=0.03)
    assert float(drawn.max()) == pytest.approx(1, abs=0.03)
    assert not [problem for problem in verify(SETS["nyu_depth"], tmp_path).problems if "officially" not in problem]


def test_a_depth_map_of_another_scene_is_named(tmp_path: Path, save) -> None:
    folder = rooms(tmp_path, save)
    Image.new("L", (20, 30), 99).save(folder / "depth/0003.png")
    message = r"depth/0003\.png has 30×20 pixels and its photograph .*0003\.jpg 40×60: it is of another scene"
    with pytest.raises(UserError, match=message):
        hazy(tmp_path)
    assert any(re.search(message, problem) for problem in verify(SETS["nyu_depth"], tmp_path).problems)


def test_a_room_without_depth_is_named(tmp_path: Path, save) -> None:
    folder = rooms(tmp_path, save)
    (folder / "depth/0003.png").unlink()
    save(folder / "depth/0077.png", 1, (20, 30), grey=True)
    with pytest.raises(UserError, match=r"1 of 10 photographs have no depth map \(for example .*depth/0003\.png\)"):
        hazy(tmp_path)
    said = "\n".join(verify(SETS["nyu_depth"], tmp_path).problems)
    assert re.search(r"0003\.jpg has no partner .*depth/0003\.png: add it, or remove the photograph", said)
    assert "depth/0077.png belongs to no photograph" in said


def test_verify_tells_which_split_fits(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rain(tmp_path, save)
    monkeypatch.setattr(split_files, "FOLDER", tmp_path)
    lines = {name: f"{split_files.digest(folder / f'input/{name}.png')}  test  {name}" for name in "012"}
    (tmp_path / "rain100l.txt").write_text("\n".join(lines.values()))
    (tmp_path / "rain100l-old.txt").write_text(f"{'0' * 64}  test  9")
    report = verify(SETS["rain100l"], tmp_path)
    assert report.notes == ["the split rain100l fits"]
    known = replace(SETS["rain100l"], copies={report.digest: "ours"})
    assert any(
        "the split rain100l-old names 9, which this copy lacks" in one for one in verify(known, tmp_path).problems
    )


def test_verify_reports_what_is_missing_or_differs(tmp_path: Path, save) -> None:
    data = SETS["rain100l"]
    assert "nothing in" in verify(data, tmp_path).problems[0]
    folder = rain(tmp_path, save)
    save(folder / "target/9.png", 9)
    (folder / "target/0.png").unlink()
    save(folder / "target/1.png", 1, (24, 30))
    report = verify(data, tmp_path)
    assert report.found == 3
    said = "\n".join(report.problems)
    for expected in ("has no partner", "24×32 pixels and its partner", "target/9.png belongs to no mixture",
                     "3 images or pairs, officially 100", "1 images are not 320×480"):  # fmt: skip
        assert expected in said
    assert len(report.digest) == 64
    save(folder / "input/2.png", 77)
    assert verify(data, tmp_path).digest != report.digest


def test_the_layout_with_whole_pairs_wins(tmp_path: Path, save) -> None:
    """An image that fits two layouts belongs to the one whose truth is there."""
    save(tmp_path / "hazy/1400_2.png")
    save(tmp_path / "gt/1400.png")
    (pair,) = match(SETS["sots_indoor"], tmp_path)
    assert pair.layers["background"].endswith("gt/1400.png")


def test_real_images_can_be_resized_for_the_test(tmp_path: Path, save) -> None:
    for part in ("blended", "transmission"):
        save(tmp_path / "real20" / part / "0.png", 0, (40, 60))
    data = Reflection(source="real20", short_side=20, root=str(tmp_path))
    data.setup()
    (batch,) = data.test_dataloader()
    assert batch.mixture.shape == (1, 3, 20, 30)
    assert batch.layers.shape == (1, 1, 3, 20, 30)
    assert batch.mask.shape == (1, 1, 20, 30)
