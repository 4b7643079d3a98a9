"""Means, intervals, ranks and tests: against scipy where it has them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmark import records, statistics
from benchmark.statistics import AVERAGE, holm, paired, table


def record(method: str = "unet", seed: int = 0, scores: Any = ((20.0, 22.0), (24.0, 26.0)), **changes: Any) -> Any:
    rows = [
        {"id": str(i), "assignment": [0, 1], "psnr": list(row), "ssim": [v / 50 for v in row],
         "lmse": [1 / v for v in row], "mse": [10 ** (-v / 10) for v in row]}
        for i, row in enumerate(scores)
    ]  # fmt: skip
    made = records.Record(
        suite="quick", dataset="digits", method=method, seed=seed, title=method.upper(), variant="", protocol="rgb",
        fit_hash="f" * 64, score_hash="5" * 64, data_digest="d", checkpoint_sha256=None,
        spec={"layers": ["a", "b"], "scored": ["a", "b"], "ordered": True, "mixing": "sum", "citation": "C"},
        config={}, training={"images_seen": 640, "seconds": 3.2, "peak_memory_mib": 1.0},
        cost={"parameters": 12, "flops": None, "latency_s": 0.002, "latency_threads": 1, "peak_memory_mib": 5.0},
        provenance={"commit": "abc", "processor": "some CPU, 2 cores", "device": "cpu"}, latent={}, rows=rows,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).gamma(2, 3, 60)
    low, high = statistics.interval(statistics.bootstrap_means(values[:, None], 10_000))
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert low[0] == pytest.approx(theirs.low, abs=0.05 * values.std())
    assert high[0] == pytest.approx(theirs.high, abs=0.05 * values.std())


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25, 0.5])
def test_p_agrees_with_the_paired_t_test(shift: float) -> None:
    generator = np.random.default_rng(3)
    a = generator.normal(20, 3, 200)
    b = a - shift + generator.normal(0, 1, 200)
    ours = paired(dict(enumerate(map(float, a))), dict(enumerate(map(float, b))), higher_is_better=True)  # type: ignore[arg-type]
    theirs = scipy.stats.ttest_rel(a, b)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.02)
    low, high = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.02)
    assert ours.difference == pytest.approx(float((a - b).mean()))
    assert ours.effect == pytest.approx(theirs.statistic / 200**0.5)
    assert ours.wins == pytest.approx(float((a > b).mean()))


def test_chance_is_found_significant_one_time_in_twenty() -> None:
    generator = np.random.default_rng(4)
    found = 0
    for _ in range(300):
        a, b = generator.normal(0, 1, (2, 40))
        pair = [{str(i): float(value) for i, value in enumerate(values)} for values in (a, b)]
        found += paired(*pair, higher_is_better=True, draws=1000).p < 0.05
    assert 4 <= found <= 30


def test_equal_methods_do_not_differ_and_lower_may_be_better() -> None:
    a = {str(i): float(i) for i in range(30)}
    same = paired(a, a, higher_is_better=True)
    assert (same.difference, same.p, same.wins, same.effect) == (0, 1, 0.5, 0)
    lower = paired({name: value - 1 for name, value in a.items()}, a, higher_is_better=False)
    assert lower.wins == 1
    assert lower.p < 0.001
    with pytest.raises(ValueError, match="1 images in common"):
        paired({"0": 1.0}, a, higher_is_better=True)


def test_holm_is_scipys_step_down() -> None:
    # Computed by hand: 4 × 0.01, 3 × 0.02, then never less than before.
    assert holm([0.02, 0.01, 0.04, 0.03]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_line_has_mean_spread_interval_and_rank_of_layers_and_average() -> None:
    lines = table(
        [(record("nmf", scores=((10, 12), (14, 12))),), (record(), record(seed=1, scores=((21, 23), (25, 27))))]
    )
    best = lines[0]
    assert best.first.method == "unet"
    psnr = best.score(AVERAGE, "psnr")
    assert psnr is not None
    assert (psnr.mean, psnr.std, psnr.rank) == (pytest.approx(23.5), pytest.approx(0.5**0.5), 1)
    assert (psnr.low, psnr.high) == (pytest.approx(21.5), pytest.approx(25.5)), "of two images, either or both"
    assert best.score("a", "psnr").mean == pytest.approx(22.5)  # type: ignore[union-attr]
    assert lines[1].score("b", "mse").rank == 2  # type: ignore[union-attr]
    assert lines[1].score(AVERAGE, "psnr").std is None  # type: ignore[union-attr]


def test_a_method_with_one_of_two_layers_is_ranked_on_that_layer_only() -> None:
    one = record("dark_channel", scores=((30.0,), (30.0,)))
    lines = {
        line.first.method: line for line in table([(one,), (record(),), (record("nmf", scores=((10, 40), (10, 40))),)])
    }
    assert lines["dark_channel"].score(AVERAGE, "psnr") is None
    assert lines["dark_channel"].score("b", "psnr") is None
    assert lines["dark_channel"].score("a", "psnr").rank == 1  # type: ignore[union-attr]
    assert {line.part for line in lines.values()} == {"a"}
    assert [lines[name].judged("psnr").rank for name in ("dark_channel", "unet", "nmf")] == [1, 2, 3]
    assert lines["nmf"].score(AVERAGE, "psnr").rank == 1  # type: ignore[union-attr]
    assert lines["unet"].score(AVERAGE, "psnr").rank == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("change", [{"protocol": "y"}, {"data_digest": "other"}, {"scores": ((50.0, 50.0),)}])
def test_what_was_judged_otherwise_is_shown_but_not_ranked(change: dict[str, Any]) -> None:
    lines = table([(record("odd", **change),), (record("a"),), (record("b"),)])
    assert [line.first.method for line in lines] == ["a", "b", "odd"]
    assert not lines[2].comparable
    assert all(score.rank is None for metrics in lines[2].scores.values() for score in metrics.values())
    assert lines[0].score(AVERAGE, "psnr").rank == 1  # type: ignore[union-attr]


def test_equal_scores_share_a_rank() -> None:
    lines = table([(record("a"),), (record("b"),), (record("c", scores=((1, 1), (1, 1))),)])
    assert [line.score(AVERAGE, "psnr").rank for line in lines] == [1, 1, 3]  # type: ignore[union-attr]
