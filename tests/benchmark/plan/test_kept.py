"""What is worked out from the source is kept, and never for other source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.plan import catalogue, contents, identity


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("benchmark/plan", "methods/networks", "datamodules"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "methods/one.py").write_text("x = 1\n")
    return tmp_path


def source(root: Path) -> str:
    return "".join(path.read_text() for path in sorted(root.glob("methods/**/*.py")))


def test_a_value_is_worked_out_once_for_each_state_of_the_source(root: Path) -> None:
    calls: list[str] = []

    def make() -> str:
        calls.append(source(root))
        return calls[-1]

    file = root / "methods/one.py"
    first, second = contents.Kept(root), contents.Kept(root)
    assert [first.value("a", make), first.value("a", make), second.value("a", make)] == ["x = 1\n"] * 3
    assert len(calls) == 1
    stat = file.stat()
    file.write_text("x = 2\n")  # as long as before, and with its time
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert contents.Kept(root).value("a", make) == "x = 2\n"
    file.write_text("x = 33\n")
    assert first.value("a", make) == "x = 33\n"
    (root / "methods/networks/two.py").write_text("y\n")  # a new file may be a name that was not found
    assert second.value("a", make) == source(root) == "y\nx = 33\n"
    file.unlink()
    assert second.value("a", make) == "y\n"
    assert second.value("b", lambda: 5) == 5
    assert contents.Kept(root).value("b", lambda: 6) == 5


def test_a_time_alone_changes_nothing(root: Path) -> None:
    assert contents.Kept(root).value("a", lambda: 1) == 1
    os.utime(root / "methods/one.py", ns=(1, 1))
    assert contents.Kept(root).value("a", lambda: 2) == 1


def test_what_was_edited_meanwhile_is_not_kept(root: Path) -> None:
    def make() -> int:
        (root / "methods/one.py").write_text("x = 1  # while it is read\n")
        return 1

    assert contents.Kept(root).value("a", make) == 1
    (root / "methods/one.py").write_text("x = 1\n")
    assert contents.Kept(root).value("a", lambda: 2) == 2


def test_a_broken_file_and_one_that_cannot_be_written_cost_time_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = contents.Kept(root)
    kept.value("a", lambda: 1)
    for broken in (b"", b"\x00", kept.path.read_bytes()[:-3]):
        kept.path.write_bytes(broken)
        assert contents.Kept(root).value("a", lambda: 2) == 2

    def refuse(path: Path, held: bytes) -> None:
        raise PermissionError(13, "read-only", str(path))

    monkeypatch.setattr(contents, "write_bytes", refuse)
    assert contents.Kept(root).value("c", lambda: 3) == 3


def test_what_is_kept_is_what_is_worked_out() -> None:
    known = identity.components()
    for one in [known[name] for name in ("unet", "rain", "training", "metrics")]:
        assert one.fingerprint() == one.fingerprint() == one.fingerprint(catalogue.ROOT)
    read = catalogue._read("methods", "SeparationMethod")
    assert catalogue.methods() == {name: entry for name, entry in read.items() if entry.card}
    assert catalogue.datasets() == catalogue._read("datamodules", "LayerDataModule")
