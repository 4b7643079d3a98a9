"""Two methods, image by image; what cannot be compared is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import cli, compare, records
from benchmark.errors import UserError


def record(method: str, shift: float = 0.0, seed: int = 0, images: int = 40, **changes: Any) -> records.Record:
    noise = np.random.default_rng([len(method), seed])
    rows = []
    for i in range(images):
        psnr = [20 + i / 10 + shift + float(noise.normal(0, 0.5)) for _ in "ab"]
        rows.append(
            {
                "id": f"{i:03}",
                "assignment": [0, 1],
                "psnr": psnr,
                "ssim": [0.5, 0.5],
                "lmse": [0.1, 0.1],
                "mse": [0.01, 0.01],
            }
        )
    made = records.Record(
        suite="quick", dataset="digits", method=method, seed=seed, title=method.upper(), variant="", protocol="rgb",
        fit_hash="f" * 64, score_hash="5" * 64, data_digest="d", checkpoint_sha256=None,
        spec={"layers": ["a", "b"], "scored": ["a", "b"], "ordered": True, "mixing": "sum", "citation": "C"},
        config={}, training={"images_seen": 640, "seconds": 3.2, "peak_memory_mib": 1.0},
        cost={"parameters": 12, "flops": None, "latency_s": 0.002, "latency_threads": 1, "peak_memory_mib": 5.0},
        provenance={"commit": "abc", "processor": "some CPU, 2 cores", "device": "cpu"}, latent={}, rows=rows,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def groups(*found: records.Record) -> compare.Groups:
    made: compare.Groups = {}
    for one in found:
        made.setdefault((one.suite, one.dataset), []).append(one)
    return made


def test_a_better_method_is_found_better_on_each_data_set_and_corrected_for_their_number() -> None:
    a = groups(record("aa", 1), record("aa", 0.02, dataset="rain"))
    b = groups(record("bbb"), record("bbb", dataset="rain"), record("bbb", dataset="haze"))
    digits, rain = compare.compare(a, b)
    assert (digits.dataset, digits.result.images, digits.layers) == ("digits", 40, ("a", "b"))
    assert digits.result.difference == pytest.approx(1, abs=0.3)
    assert digits.corrected == pytest.approx(2 * digits.result.p)
    assert rain.corrected == rain.result.p > 0.05
    assert "AA is better than BBB by" in compare.verdict(digits, ["AA", "BBB"], "psnr")
    assert "single seed" in compare.verdict(digits, ["AA", "BBB"], "psnr")
    assert "no difference beyond the noise of these 40 images" in compare.verdict(rain, ["AA", "BBB"], "psnr")


def test_noise_over_seeds_is_told() -> None:
    a = groups(record("a", 4, seed=0), record("a", -3, seed=1))
    b = groups(record("b", 0, seed=0), record("b", 0.1, seed=1))
    (line,) = compare.compare(a, b)
    assert line.seeds == (2, 2)
    assert line.seed_noise == pytest.approx(3.5, abs=0.2)
    assert "within twice the standard error over seeds" in compare.verdict(line, ["A", "B"], "psnr")


def test_only_layers_and_images_that_both_have_are_compared() -> None:
    one_layer = record("a")
    one_layer = dataclasses.replace(
        one_layer, rows=[{**row, **{m: row[m][:1] for m in records.METRICS}} for row in one_layer.rows[:30]]
    )
    (line,) = compare.compare(groups(one_layer), groups(record("b")))
    assert (line.layers, line.result.images, line.left_out) == (("a",), 30, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "y"}, "quick, digits: protocols differ, rgb and y"),
        ({"data_digest": "e"}, "quick, digits: data digests differ, d and e"),
        ({"suite": "smoke"}, "suites differ: quick and smoke"),
        ({"dataset": "rain"}, "data sets differ: digits and rain"),
        ({"spec": {"layers": ["a"], "scored": ["a"]}}, "scored layers differ, a, b and a"),
        ({"rows": record("x").rows[:1]}, "1 images in common"),
    ],
)
def test_unlike_records_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare.compare(groups(record("a")), groups(record("b", **change)))


def test_seeds_of_unlike_protocols_are_refused() -> None:
    mixed = groups(record("a"), record("a", seed=1, protocol="y"))
    with pytest.raises(UserError, match="protocols differ"):
        compare.compare(mixed, mixed)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for one in (record("good", 1), record("poor"), record("poor", suite="smoke")):
        records.write(tmp_path / "runs" / one.suite / "records/digits" / one.method / "seed0.json", one)
    cli.main(["compare", "good", "poor", "--suite", "quick"])
    assert "GOOD is better than POOR" in capsys.readouterr().out
    cli.main(["compare", "runs/quick/records/digits/good", "poor"])
    assert "GOOD is better than POOR" in capsys.readouterr().out
    for arguments, message in (
        (["good", "pooor"], "unknown method in records 'pooor': did you mean poor"),
        (["good", "poor", "--suite", "smoke"], "good has no records of suite smoke: it has quick."),
        (["runs/quick/records", "poor"], "it has records of good, poor: name one method's folder"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(["compare", *arguments])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
