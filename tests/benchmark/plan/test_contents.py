"""Data are known by content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmark.plan import contents


def test_values_are_known_whatever_the_order_of_keys() -> None:
    assert contents.of_value({"a": 1, "b": [2]}) == contents.of_value({"b": [2], "a": 1})
    assert contents.of_value({"a": 1}) != contents.of_value({"a": 1.5})


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert contents.of_file(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_data_are_known_by_content(tmp_path: Path) -> None:
    file, note = tmp_path / "images.bin", tmp_path / "data.json"
    file.write_bytes(b"abc")
    digest = contents.write_data_digest(note, [file])
    assert contents.read_data_digest(note) == digest
    file.write_bytes(b"abc")  # touched, not changed
    assert contents.read_data_digest(note) == digest
    file.write_bytes(b"abd")
    assert contents.read_data_digest(note) is None
    assert contents.write_data_digest(note, [file]) != digest
    file.unlink()
    assert contents.read_data_digest(note) is None
    assert contents.read_data_digest(tmp_path / "nothing.json") is None
