"""Two methods, image by image; what cannot be compared is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.reports import compare
from benchmark.results import records
from benchmark.speed import made


def record(method: str, shift: float = 0.0, seed: int = 0, images: int = 40, **changes: Any) -> records.Record:
    noise = np.random.default_rng([len(method), seed]).normal(0, 0.5, (images, 2))
    return made.record(method, seed, 20 + np.arange(images)[:, None] / 10 + shift + noise, **changes)


def groups(*found: records.Record) -> compare.Groups:
    made: compare.Groups = {}
    for one in found:
        made.setdefault((one.suite, one.dataset), []).append(one)
    return made


def test_a_better_method_is_found_better_on_each_data_set_and_corrected_for_their_number() -> None:
    a = groups(record("aa", 1), record("aa", 0.02, dataset="rain"))
    b = groups(record("bbb"), record("bbb", dataset="rain"), record("bbb", dataset="haze"))
    digits, rain = compare.compare(a, b)
    assert (digits.dataset, digits.result.images, digits.layers) == ("digits", 40, made.LAYERS)
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
    whole = record("a")
    part = dataclasses.replace(whole, scores=made.scores(whole.values("psnr")[:30, :1]), ids=whole.ids[:30])
    (line,) = compare.compare(groups(part), groups(record("b")))
    assert (line.layers, line.result.images, line.left_out) == (("background",), 30, 10)
    assert compare.verdict(line, ["A", "B"], "psnr").endswith(
        "; of the background; 10 images that only one of them has are left out."
    )


def test_the_layers_that_the_task_is_for_are_compared_or_the_one_that_is_named() -> None:
    good = made.record("a", psnr=np.tile([30.0, 10.0], (20, 1)), target=["background"])
    noise = made.record("b", psnr=np.tile([20.0, 50.0], (20, 1)), target=["background"])
    (line,) = compare.compare(groups(good), groups(noise))
    assert (line.layers, line.result.difference) == (("background",), 10)
    (line,) = compare.compare(groups(good), groups(noise), layer="reflection")
    assert (line.layers, line.result.difference) == (("reflection",), -40)
    with pytest.raises(UserError, match="layer rain: nothing that both have scores of has it; they share background"):
        compare.compare(groups(good), groups(noise), layer="rain")
    alone = made.record("c", psnr=np.tile([30.0], (20, 1)), target=["reflection"])
    with pytest.raises(UserError, match="no layer that the task is for: name one with --layer, background"):
        compare.compare(groups(alone), groups(alone))


def test_any_protocol_that_both_are_stored_under_is_compared() -> None:
    a = record("a", protocols=["rgb@1", "y@1"])
    b = record("b", protocols=["y@1", "rgb@1"])
    lines = {name: compare.compare(groups(a), groups(b), protocol=name)[0] for name in ("rgb@1", "y@1")}
    assert [line.protocol for line in lines.values()] == list(lines)
    # Under its second protocol a made-up record has a dB more.
    apart = lines["y@1"].result.difference - lines["rgb@1"].result.difference
    assert apart == pytest.approx(2, abs=1e-5)
    with pytest.raises(UserError, match="protocols differ, rgb@1 and y@1: name one with --protocol"):
        compare.compare(groups(a), groups(b))
    other = groups(record("a"), record("a", dataset="rain", protocols=["rgb@1", "y@1"]))
    (line,) = compare.compare(other, other, protocol="y@1")
    assert line.dataset == "rain", "what is not stored under it is left out"
    with pytest.raises(UserError, match="protocol y@1: nothing that both have scores of has it; they share rgb@1"):
        compare.compare(groups(record("a")), groups(record("b", protocols=["rgb@1", "y@1"])), protocol="y@1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocols": ["y@1"]}, "quick, digits: protocols differ, rgb@1 and y@1: name one with --protocol"),
        ({"data_digest": "e"}, "quick, digits: data digests differ, d+ and e:"),
        ({"suite": "smoke"}, "suites differ: quick and smoke"),
        ({"dataset": "rain"}, "data sets differ: digits and rain"),
        ({"spec": {**record("a").spec, "scored": ["a", "b"]}}, "scored layers differ, background, reflection and a, b"),
        ({"images": 1}, "1 images in common"),
        ({"identities": {**record("a").identities, "metrics": "metrics@2"}}, "versions of the metrics differ"),
        ({"identities": {**record("a").identities, "data": "digits@2"}}, "versions of the data differ, digits@1 and"),
    ],
)
def test_unlike_records_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare.compare(groups(record("a")), groups(record("b", **change)))


def test_unlike_seeds_are_refused() -> None:
    mixed = groups(record("a"), record("a", seed=1, protocols=["y@1"]))
    with pytest.raises(UserError, match="protocols differ"):
        compare.compare(mixed, mixed)
    identities = {**record("a").identities, "method": "a@2"}
    mixed = groups(record("a"), record("a", seed=1, identities=identities))
    with pytest.raises(UserError, match="A cannot be compared: its seeds are of a@1 and a@2"):
        compare.compare(mixed, groups(record("b")))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for one in (record("good", 1), record("poor"), record("poor", suite="smoke")):
        records.write(tmp_path / "runs" / one.suite / "records/digits" / one.method / "seed0.json", one)
    cli.main(["compare", "good", "poor", "--suite", "quick"])
    assert "GOOD is better than POOR" in capsys.readouterr().out
    cli.main(["compare", "runs/quick/records/digits/good", "poor"])
    assert "GOOD is better than POOR" in capsys.readouterr().out
    cli.main(["compare", "good", "poor", "--protocol", "rgb-uniform", "--metric", "lmse", "--layer", "background"])
    said = capsys.readouterr().out
    assert "LMSE: GOOD minus POOR (lower is better)" in said
    assert "rgb-uniform@1" in said
    assert "of the background." in said
    for arguments, message in (
        (["good", "pooor"], "unknown method in records 'pooor': did you mean poor"),
        (["good", "poor", "--suite", "smoke"], "good has no records of suite smoke: it has quick."),
        (["runs/quick/records", "poor"], "it has records of good, poor: name one method's folder"),
        (
            ["good", "poor", "--protocol", "y"],
            "protocol y: nothing is stored under y@1; these records are stored under rgb@1, rgb-uniform@1.",
        ),
        (
            ["good", "poor", "--protocol", "rbg"],
            "unknown protocol 'rbg': there are rgb@1, rgb-uniform@1, y@1, y-uniform@1, intrinsic@1; these records are "
            "stored under rgb@1, rgb-uniform@1.",
        ),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(["compare", *arguments])
        assert caught.value.code == 2
        assert message in capsys.readouterr().err
