"""Split files: they name images by digest, decide roles, and say what is missing."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import pytest

from datamodules.clouds import Clouds
from datamodules.errors import DataNotice, UserError
from datamodules.reflection import Reflection
from datamodules.sets import split_files
from datamodules.sets.real import SETS
from datamodules.types import ROLES

ROLE_OF = {"a": "test", "b": "train", "c": "select", "d": "train", "e": "left-out"}


@pytest.fixture
def clouds(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five pairs of RICE-I, and a split of them as the set's own."""
    for i, name in enumerate(ROLE_OF):
        save(tmp_path / f"rice1/cloudy/{name}.png", i)
        save(tmp_path / f"rice1/clear/{name}.png", 50 + i)
    monkeypatch.setattr(split_files, "FOLDER", tmp_path)
    write(tmp_path / "rice1.txt", tmp_path)
    return tmp_path


def write(path: Path, root: Path, roles: dict[str, str] | None = None) -> None:
    lines = ["# A split of five."]
    for name, role in (roles or ROLE_OF).items():
        contents = (root / f"rice1/cloudy/{name}.png").read_bytes()
        lines.append(f"{hashlib.sha256(contents).hexdigest()}  {role}  {name}")
    path.write_text("\n".join(lines) + "\n")


def names(data: Clouds) -> dict[str, str]:
    return {role: "".join(pair.name for pair in data.opened(role).pairs) for role in ROLES}


def own(root: Path, **options: object) -> Clouds:
    return Clouds(source="rice1", train_source="rice1", root=str(root), size=16, **options)  # type: ignore[arg-type]


def test_every_published_split_is_sound_and_belongs_to_a_set() -> None:
    owners = {name: data for data in SETS.values() for name in data.splits}
    assert set(split_files.published()) == set(owners)
    for name, data in owners.items():
        lines = split_files.read(name)
        assert len({line.digest for line in lines}) == len({line.name for line in lines}) == len(lines)
        assert 0 < len(lines) <= data.count


def test_the_published_splits_have_their_numbers() -> None:
    counts = {
        name: [sum(line.role == role for line in split_files.read(name)) for role in (*ROLES, "left-out")]
        for name in split_files.published()
    }
    assert counts["rice1"] == counts["rain100l"] == [70, 10, 20, 0]
    assert counts["rain100l-old"] == [0, 0, 100, 0]
    assert counts["real88"] == [80, 8, 0, 0]
    assert counts["real81"] == [73, 8, 0, 7]
    left_out = {line.name for line in split_files.read("real81") if line.role == "left-out"}
    assert left_out == {"10", "11", "24", "28", "38", "45", "48"}


def test_a_set_that_trains_and_tests_follows_its_split(clouds: Path) -> None:
    assert names(own(clouds)) == {"train": "bd", "select": "c", "test": "a"}
    (clouds / "rice1/cloudy/b.png").rename(clouds / "rice1/cloudy/z.png")  # the digest decides, not the name
    (clouds / "rice1/clear/b.png").rename(clouds / "rice1/clear/z.png")
    assert names(own(clouds)) == {"train": "dz", "select": "c", "test": "a"}


def test_a_set_that_only_tests_is_tested_whole_unless_its_split_is_asked_for(clouds: Path) -> None:
    options = {"source": "rice1", "train_source": "dead_leaves", "root": str(clouds), "size": 16}
    whole, part = Clouds(**options), Clouds(**options, split="rice1")  # type: ignore[arg-type]
    assert [len(data.opened("test")) for data in (whole, part)] == [5, 1]


def test_another_copy_is_split_by_name_without_what_is_left_out(clouds: Path, save) -> None:
    save(clouds / "rice1/cloudy/a.png", 99)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert names(own(clouds)) == {"train": "ab", "select": "c", "test": "d"}
    notices = [str(warning.message) for warning in said if issubclass(warning.category, DataNotice)]
    assert any("1 of the 5 images of the split rice1 are not in" in text for text in notices)


def test_a_split_that_names_a_missing_image_is_refused(clouds: Path) -> None:
    (clouds / "rice1/cloudy/d.png").unlink()
    with pytest.raises(
        UserError, match=r"RICE-I: the split rice1 names 5 images, of which 1 are not in .*example d, SHA"
    ):
        own(clouds, split="rice1").setup()


@pytest.mark.parametrize("line", ["abc  train  a", f"{'0' * 64}  tests  a", f"{'0' * 64} train a"])
def test_a_broken_split_file_names_its_line(clouds: Path, line: str) -> None:
    (clouds / "rice1.txt").write_text(f"# one\n{line}\n")
    with pytest.raises(UserError, match=r"rice1\.txt, line 2: it must be SHA-256, role and name"):
        own(clouds).setup()


def test_a_split_of_another_set_is_refused() -> None:
    with pytest.raises(UserError, match=r"split real81: no split file of rice1 .*they have rice1\."):
        Clouds(source="rice1", train_source="rice1", split="real81")
    with pytest.raises(UserError, match="they have none"):
        Reflection(split="real81")


def test_training_pairs_show_no_scene_of_the_test_set(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that another copy of the set has under the same name."""
    monkeypatch.setattr(split_files, "FOLDER", tmp_path)
    for i in range(20):
        for part in ("blended", "transmission"):
            save(tmp_path / f"real88/{part}/{i}.jpg", i)
            save(tmp_path / f"real20/{part}/{i}.png", 100 + i)
    (tmp_path / "real81.txt").write_text(f"{'0' * 64}  left-out  7\n")
    data = Reflection(source="real20", train_source="real88", root=str(tmp_path), size=16)
    kept = {pair.name for role in ("train", "select") for pair in data.opened(role).pairs}  # type: ignore[arg-type]
    assert kept == {str(i) for i in range(20)} - {"7"}
