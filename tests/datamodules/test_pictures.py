"""Clean pictures: which file plays which role, how crops are cut, and what generated ones look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.base import LAYER_SCENES, MIXTURE_SCENES
from datamodules.errors import UserError
from datamodules.haze import Haze
from datamodules.pictures.dead_leaves import dead_leaves, product_picture
from datamodules.pictures.fields import octave_noise, relief, shading
from datamodules.pictures.kinds import Photographs, Products, photograph_paths
from datamodules.types import ROLES


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def names(root: Path, role: str, *, shared: bool = True, kind: str | None = None) -> list[str]:
    return [path.stem for path in photograph_paths("photos", role, root, shared=shared, kind=kind)]  # type: ignore[arg-type]


def test_a_flat_folder_is_split_by_photograph(tmp_path: Path, save) -> None:
    for i in range(20):
        save(tmp_path / f"photos/{i:02d}.png", i)
    parts = [names(tmp_path, role) for role in ROLES]
    assert [len(part) for part in parts] == [12, 4, 4]
    assert sorted(name for part in parts for name in part) == [f"{i:02d}" for i in range(20)]
    assert len(names(tmp_path, "test", shared=False)) == 20
    assert len(names(tmp_path, "train", shared=False)) == 16


def test_folders_of_roles_play_them(tmp_path: Path, save) -> None:
    for part, first in (("train", 0), ("val", 100)):
        for i in range(20):
            save(tmp_path / f"photos/{part}/{'shoes' if i % 2 else 'handbags'}/{first + i}.png", i)
    assert set(names(tmp_path, "test")) == {str(100 + i) for i in range(20)}
    assert not set(names(tmp_path, "train")) & set(names(tmp_path, "select"))
    assert len(names(tmp_path, "train")) == 18
    assert all(int(name) % 2 for name in names(tmp_path, "test", kind="shoes"))
    save(tmp_path / "photos/test/0.png", 0)
    assert names(tmp_path, "test") == ["0"]
    assert len(names(tmp_path, "select")) == 20
    assert len(names(tmp_path, "train")) == 20


def test_crops_are_the_samples_own(tmp_path: Path, save) -> None:
    pixels = save(tmp_path / "a.png", 0, (200, 300))
    photographs = Photographs([tmp_path / "a.png"], 64)
    one, two = (photographs.draw(1, 64, seeded(3), augment=True)[0] for _ in range(2))
    assert torch.equal(one.pixels, two.pixels)
    assert one.pixels.shape == (3, 64, 64)
    others = [photographs.draw(1, 64, seeded(seed), augment=True)[0].pixels for seed in range(8)]
    assert len({float(crop.mean()) for crop in others}) == 8
    # A test crop has one zoom and no flip: it is found again in the shrunken photograph.
    crop = photographs.draw(1, 64, seeded(1), augment=False)[0].pixels.numpy()
    side = round(200 / 1.5)
    whole = np.asarray(Image.fromarray(pixels).resize((round(300 * 64 / side), round(200 * 64 / side)))) / 255
    windows = np.lib.stride_tricks.sliding_window_view(whole.mean(2), (64, 64))
    assert np.abs(windows - crop.mean(0)).mean((2, 3)).min() < 0.02


def test_a_mixture_takes_different_photographs_of_its_scenes(tmp_path: Path, save) -> None:
    for i in range(6):
        save(tmp_path / f"{i}.png", i)
    photographs = Photographs(sorted(tmp_path.glob("*.png")), 16)
    for scenes, allowed in ((MIXTURE_SCENES, "024"), (LAYER_SCENES, "135")):
        for seed in range(10):
            drawn = [picture.name for picture in photographs.draw(3, 16, seeded(seed), scenes, augment=True)]
            assert sorted(drawn) == list(allowed)
    with pytest.raises(UserError, match="3 photographs where a mixture needs 4"):
        photographs.draw(4, 16, seeded(0), LAYER_SCENES, augment=True)


def test_a_depth_map_follows_its_photograph(tmp_path: Path) -> None:
    """The photograph's red channel is its depth: after any crop and flip they must still agree."""
    ramp = np.add.outer(np.linspace(0, 127, 60), np.linspace(0, 127, 90)).astype(np.uint8)
    (tmp_path / "photos/depth").mkdir(parents=True)
    for i in range(8):
        grey = ramp if i % 2 else ramp[:, ::-1]
        Image.fromarray(np.stack([grey] * 3, 2)).save(tmp_path / f"photos/{i}.png")
        Image.fromarray(grey).save(tmp_path / f"photos/depth/{i}.png")
    data = Haze(source="photos", root=str(tmp_path), size=24, images=16, batch_size=8, selections=1)
    data.setup()
    for k in range(16):
        sources = data.draw("train", k, seeded(k)).sources
        assert torch.allclose(sources[0] * 255 / 254, sources[1], atol=0.03)
    assert not any("depth" in path.parent.name for path in data.opened("train").paths)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_depth_maps_may_be_arrays(tmp_path: Path, save, kind: str) -> None:
    save(tmp_path / "a.png", 0, (40, 60))
    (tmp_path / "depth").mkdir()
    depth = np.full((40, 60), 5.0)
    depth[:20] = np.nan
    zero = np.zeros_like(depth)
    with open(tmp_path / f"depth/a.{kind}", "wb") as file:
        np.save(file, depth) if kind == "npy" else np.savez(file, depth)
    photographs = Photographs([tmp_path / "a.png"], 16)
    far = photographs.draw(1, 16, seeded(0), augment=False)[0].depth
    assert far is not None
    assert float(far.min()) == 0  # where it is not a number
    assert float(far.max()) == 1
    with open(tmp_path / f"depth/a.{kind}", "wb") as file:
        np.save(file, zero) if kind == "npy" else np.savez(file, zero)
    with pytest.raises(UserError, match=r"depth/a\.np[yz] is zero everywhere"):
        Photographs([tmp_path / "a.png"], 16).draw(1, 16, seeded(0), augment=False)


def test_the_stereo_photograph_brings_its_depth() -> None:
    (path,) = (p for p in photograph_paths("embedded", "select", Path()) if p.name == "motorcycle_left.png")
    far = Photographs([path], 64).draw(1, 64, seeded(0), augment=False)[0].depth
    assert far is not None
    assert 0 <= float(far.min()) < float(far.max()) <= 1


@pytest.mark.parametrize("draw", [dead_leaves, lambda generator, size: product_picture(generator, size, "shoe"),
                                  lambda generator, size: product_picture(generator, size, "handbag")])  # fmt: skip
@pytest.mark.parametrize("size", [16, 65])
def test_generated_pictures_are_pictures(draw, size: int) -> None:
    one, again, other = draw(seeded(0), size), draw(seeded(0), size), draw(seeded(1), size)
    assert one.shape == (3, size, size)
    assert one.dtype == torch.float32
    assert torch.equal(one, again)
    assert float((one - other).abs().mean()) > 0.02
    assert 0 <= float(one.min()) < float(one.max()) <= 1


def test_dead_leaves_have_a_power_law_spectrum() -> None:
    """Amplitude falls about as 1 / frequency, as in photographs (exponent of power −2 ± 0.7)."""
    size = 128
    power = torch.stack(
        [torch.fft.fft2(dead_leaves(seeded(seed), size).mean(0)).abs() ** 2 for seed in range(24)]
    ).mean(0)
    frequency = torch.fft.fftfreq(size, 1 / size)
    radius = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt().round().long()
    rings = torch.tensor([float(power[radius == r].mean()) for r in range(2, 40)])
    line = np.polyfit(np.log(np.arange(2, 40)), rings.log().numpy(), 1)
    assert -3 < line[0] < -1.3


def test_flat_leaves_have_few_colours_and_textured_ones_many() -> None:
    flat, textured = (dead_leaves(seeded(0), 64, textured=textured) for textured in (False, True))
    counts = [len(picture.flatten(1).T.unique(dim=0)) for picture in (flat, textured)]
    assert counts[0] < 0.8 * counts[1]


def test_products_stand_on_white() -> None:
    for kind in ("shoe", "handbag"):
        (picture,) = Products(kind).draw(1, 64, seeded(0), augment=True)
        corners = picture.pixels[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        assert float(corners.min()) > 0.9
        assert 0.05 < float((picture.pixels.mean(0) < 0.8).float().mean()) < 0.7


def test_fields_stay_in_their_ranges() -> None:
    for seed in range(5):
        for height, width in ((40, 56), (17, 16)):
            noise = octave_noise(seeded(seed), height, width)
            assert noise.shape == (1, height, width)
            assert float(noise.min()) == 0
            assert float(noise.max()) == pytest.approx(1)
            depth = relief(seeded(seed), height, width)
            assert depth.shape == (1, height, width)
            assert 0 < float(depth.min()) < float(depth.max()) <= 1
            light = shading(seeded(seed), height, width)
            assert 0 < float(light.min()) < float(light.max()) == 1


def test_relief_recedes_upwards_and_its_edges_follow_a_picture() -> None:
    picture = torch.zeros(3, 48, 48)
    picture[:, :, 24:] = 0.8
    rises, at_edge, elsewhere = [], 0.0, 0.0
    for seed in range(60):
        depth = relief(seeded(seed), 48, 48, picture)[0]
        rises.append(float(depth[:16].mean() - depth[-16:].mean()))
        steps = depth.diff(dim=1).abs().mean(0)
        at_edge, elsewhere = at_edge + float(steps[20:27].max()), elsewhere + float(steps[5:12].max())
    assert sum(rises) / len(rises) > 0.1
    assert sum(rise > 0 for rise in rises) > 45
    assert at_edge > 1.3 * elsewhere
