"""The lock: written the same way every time, and refused in one line where it is not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import lock

FIRST = lock.Accepted("0123456789abcdef", "2026-11-26", "first code of version 1", "none is needed")
SECOND = lock.Accepted("1234567890123456", "2026-11-27", "fused Adam", "20 steps: losses within 2e-07 × 1")


def test_what_is_written_is_read_again_and_sorted(tmp_path: Path) -> None:
    path = tmp_path / "versions.lock"
    held = {"unet": lock.Locked(1, (FIRST,)).with_one_more(SECOND), "metrics": lock.Locked(2, (FIRST_OF_METRICS,))}
    lock.write(held, path)
    assert lock.read(path) == held
    first = path.read_bytes()
    lock.write(dict(reversed(held.items())), path)
    assert path.read_bytes() == first
    text = first.decode()
    assert text.index("metrics:") < text.index("unet:")
    assert text.index(FIRST.fingerprint) < text.index(SECOND.fingerprint), "the oldest first"
    assert "× 1" in text
    assert held["unet"].holds(SECOND.fingerprint)
    assert not held["unet"].holds("f" * 16)


FIRST_OF_METRICS = lock.Accepted("fedcba9876543210", "2026-11-26", "first code of version 2", "none is needed")


def test_a_date_without_quotes_is_a_date(tmp_path: Path) -> None:
    path = tmp_path / "versions.lock"
    lock.write({"unet": lock.Locked(1, (FIRST,))}, path)
    path.write_text(path.read_text().replace("'2026-11-26'", "2026-11-26"))
    assert lock.read(path)["unet"].fingerprints == (FIRST,)


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    assert lock.read(tmp_path / "none.lock") == {}
    (tmp_path / "empty.lock").write_text("# nothing\n")
    assert lock.read(tmp_path / "empty.lock") == {}


ENTRY = "{fingerprint: %s, date: 2026-11-26, why: some reason, evidence: none}"
ONE, OTHER = ENTRY % "a123456789abcdef", ENTRY % "b123456789abcdef"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"unet: {{version: 1, fingerprints: [{ONE}, {ONE}]}}", "a123456789abcdef stands twice, for unet and for unet"),
        (
            f"rain: {{version: 1, fingerprints: [{ONE}]}}\nunet: {{version: 1, fingerprints: [{OTHER}, {ONE}]}}",
            "stands twice, for rain and for unet",
        ),
        (
            f"unet: {{version: 1, fingerprints: [{ONE}]}}\nunet: {{version: 2, fingerprints: [{OTHER}]}}",
            "unet stands tw",
        ),
        ("unet: [\n", "not valid YAML"),
        ("<<<<<<< HEAD\nunet: {}\n", "not valid YAML"),
        ("- unet\n", "expected keys with values"),
        ("unet: 3\n", "unet: expected keys with values, found 3"),
        ("unet: {version: 1}\n", "unet: expected version and fingerprints, found version"),
        (f"unet: {{version: 0, fingerprints: [{ONE}]}}", "version 0 is not a whole number"),
        (f"unet: {{version: yes, fingerprints: [{ONE}]}}", "version True is not a whole number"),
        ("unet: {version: 1, fingerprints: []}", "unet: it lists no fingerprints"),
        ("unet: {version: 1, fingerprints: [a123456789abcdef]}", "a fingerprint of unet: expected keys with values"),
        (f"unet: {{version: 1, fingerprints: [{ENTRY % 'abc'}]}}", "'abc' is no fingerprint of 16 hexadecimal digits"),
        (
            f"unet: {{version: 1, fingerprints: [{ONE.replace('why: some reason, ', '')}]}}",
            "expected fingerprint, date, why, evidence, found fingerprint, date, evidence",
        ),
    ],
)
def test_a_broken_lock_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "versions.lock"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        lock.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "from git anew" in str(caught.value)
