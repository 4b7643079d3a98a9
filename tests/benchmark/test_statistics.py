"""Means, intervals, ranks and tests: against scipy where it has them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats

from benchmark.results import resampling, statistics
from benchmark.results.resampling import holm, paired
from benchmark.results.statistics import POOLED, per_image, table
from benchmark.speed.made import record, scores

BOTH = {"background": 0, "reflection": 1}


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).gamma(2, 3, 60)
    low, high = resampling.interval(resampling.bootstrap_means(values[:, None], 10_000))
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


def test_a_line_has_mean_spread_interval_and_rank_of_layers_and_target() -> None:
    lines = table(
        [
            (record("nmf", psnr=((10, 12), (14, 12))),),
            (record(), record(seed=1, psnr=((21, 23), (25, 27)))),
        ]
    )
    best = lines[0]
    assert best.first.method == "unet"
    psnr = best.judged("psnr")
    assert psnr is not None
    assert (psnr.mean, psnr.std, psnr.rank) == (pytest.approx(23.5), pytest.approx(0.5**0.5), 1)
    assert (psnr.low, psnr.high) == (pytest.approx(21.5), pytest.approx(25.5)), "of two images, either or both"
    assert best.score("background", "psnr").mean == pytest.approx(22.5)  # type: ignore[union-attr]
    assert lines[1].score("reflection", "mse").rank == 2  # type: ignore[union-attr]
    assert lines[1].judged("psnr").std is None  # type: ignore[union-attr]


def test_rows_are_ranked_by_the_target_alone_whatever_else_they_predict_well() -> None:
    noise = record("noise", psnr=((20, 60), (20, 60)), target=["background"])
    picture = record("picture", psnr=((26, 10), (26, 10)), target=["background"])
    lines = table([(noise,), (picture,)])
    assert [line.first.method for line in lines] == ["picture", "noise"]
    assert [line.judged("psnr").mean for line in lines] == [26, 20]  # type: ignore[union-attr]
    assert [line.judged("psnr").rank for line in lines] == [1, 2]  # type: ignore[union-attr]
    assert [line.score("reflection", "psnr").rank for line in lines] == [2, 1]  # type: ignore[union-attr]
    assert lines[0].target == lines[0].layers["background"]
    assert per_image([noise], "psnr") == {"000000": 20, "000001": 20}
    assert per_image([noise], "psnr", ["reflection"]) == {"000000": 60, "000001": 60}


def test_a_row_without_every_target_layer_is_ranked_on_the_layers_that_it_gives_only() -> None:
    one = record("one", psnr=((30,), (30,)))
    lines = {line.first.method: line for line in table([(one,), (record(),), (record("nmf", psnr=((10, 40),) * 2),)])}
    assert lines["one"].judged("psnr") is None
    assert not lines["one"].ranked
    assert lines["one"].score("reflection", "psnr") is None
    assert lines["one"].score("background", "psnr").rank == 1  # type: ignore[union-attr]
    assert lines["nmf"].judged("psnr").rank == 1  # type: ignore[union-attr]
    assert lines["unet"].judged("psnr").rank == 2  # type: ignore[union-attr]
    assert list(lines) == ["nmf", "unet", "one"], "what is not ranked stands last"


def test_one_layer_is_enough_where_the_task_is_for_it() -> None:
    one = record("one", psnr=((30,), (30,)), target=["background"])
    both = record(target=["background"])
    assert [line.judged("psnr").rank for line in table([(one,), (both,)])] == [1, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data_digest": "other"}, "its test data have other contents"),
        ({"psnr": ((50.0, 50.0),)}, "it was judged on 1 other images, not on the 2 of this table"),
        ({"ids": ("000000", "else")}, "it was judged on 2 other images, not on the 2 of this table"),
        (
            {"identities": {**record().identities, "metrics": "metrics@2"}},
            "its scores are of metrics@2, the others'",
        ),
        ({"identities": {**record().identities, "data": "digits@2"}}, "its data are of digits@2, the others' of"),
        ({"target": ["background"]}, "its task is for background, not for background and reflection"),
    ],
)
def test_what_was_judged_otherwise_is_shown_but_not_ranked(change: dict[str, Any], why: str) -> None:
    lines = table([(record("odd", **change),), (record("a"),), (record("b"),)])
    assert [line.first.method for line in lines] == ["a", "b", "odd"]
    assert why in lines[2].unlike
    assert lines[2].judged("psnr") is not None
    for measured in (lines[2].target, *lines[2].layers.values()):
        assert all(score.rank is None for score in measured.values())
    assert lines[0].judged("psnr").rank == 1  # type: ignore[union-attr]


def test_seeds_of_unlike_versions_are_not_ranked_as_one_row() -> None:
    identities = {**record().identities, "method": "unet@2"}
    lines = table([(record(), record(seed=1, identities=identities)), (record("nmf"),)])
    assert lines[1].unlike == "its seeds are of unet@1 and unet@2"


def test_equal_scores_share_a_rank() -> None:
    lines = table([(record("a"),), (record("b"),), (record("c", psnr=((1, 1), (1, 1))),)])
    assert [line.judged("psnr").rank for line in lines] == [1, 1, 3]  # type: ignore[union-attr]


def test_a_table_is_of_one_protocol_the_tasks_own_or_any_that_is_stored() -> None:
    groups = [(record("a"),), (record("b", protocols=["rgb@1"]),), (record("c"),)]
    assert statistics.protocols(groups) == ["rgb@1", "rgb-uniform@1"]
    own = table(groups)
    assert [line.judged("psnr").mean for line in own] == [23, 23, 23]  # type: ignore[union-attr]
    other = table(groups, "rgb-uniform@1")
    assert [line.judged("psnr").mean for line in other[:2]] == [24, 24]  # type: ignore[union-attr]
    assert other[2].unlike == "it has no scores under rgb-uniform@1, only under rgb@1"
    assert (other[2].target, other[2].layers) == ({}, {})


def test_a_row_of_another_own_protocol_is_ranked_under_the_tables_if_it_is_stored() -> None:
    groups = [(record("a"),), (record("b"),), (record("odd", protocols=["rgb-uniform@1", "rgb@1"]),)]
    assert {line.protocol for line in table(groups)} == {"rgb@1"}
    assert [line.judged("psnr").mean for line in table(groups)] == [24, 23, 23]  # type: ignore[union-attr]


def test_pooled_psnr_is_of_the_mean_error_and_so_is_its_interval() -> None:
    generator = np.random.default_rng(5)
    psnr = generator.normal(25, 4, (2, 60, 2))
    group = tuple(record(seed=seed, psnr=psnr[seed]) for seed in (0, 1))
    (line,) = table([group])
    errors = (10 ** (-psnr / 10)).mean(1)  # (seeds, layers)
    pooled = -10 * np.log10(errors)
    for layer, place in BOTH.items():
        score = line.score(layer, POOLED)
        assert score is not None
        assert score.mean == pytest.approx(pooled[:, place].mean(), abs=1e-5)
        assert score.mean == pytest.approx(np.mean([one.pooled_psnr(layer) for one in group]), abs=1e-9)
        assert score.std == pytest.approx(pooled[:, place].std(ddof=1), abs=1e-4)
    score = line.judged(POOLED)
    assert score is not None
    assert score.mean == pytest.approx(pooled.mean(), abs=1e-5)
    assert score.mean < line.judged("psnr").mean  # type: ignore[union-attr]

    def pool(a: np.ndarray, b: np.ndarray, axis: int = -1) -> Any:
        return np.mean([-10 * np.log10(np.mean(10 ** (-of / 10), axis)) for of in (a, b)], 0)

    columns = tuple(psnr[0, :, place] for place in (0, 1))
    (alone,) = table([(record(psnr=psnr[0]),)])
    theirs = scipy.stats.bootstrap(
        columns, pool, n_resamples=10_000, method="percentile", paired=True, rng=np.random.default_rng(6)
    ).confidence_interval
    score = alone.judged(POOLED)
    assert score is not None
    assert (score.low, score.high) == pytest.approx((theirs.low, theirs.high), abs=0.15)


def test_images_are_paired_by_name_whatever_their_order() -> None:
    psnr = np.random.default_rng(7).normal(20, 3, (30, 2))
    turned = record("b", psnr=psnr[::-1], ids=record(psnr=psnr).ids[::-1])
    first, second = table([(record("a", psnr=psnr),), (turned,)])
    assert (first.target, first.layers) == (second.target, second.layers)
    assert per_image([first.first, second.first], "ssim") == pytest.approx(per_image([first.first], "ssim"))


def test_seeds_that_lack_images_are_told_and_what_they_share_is_shown() -> None:
    group = (record(), dataclasses.replace(record(seed=1), scores=scores(((30, 32),)), ids=("000001",)))
    lines = table([group, (record("nmf"),)])
    assert lines[1].unlike.startswith("it was judged on 1 other images")
    assert lines[1].judged("psnr").mean == pytest.approx((25 + 31) / 2)  # type: ignore[union-attr]
