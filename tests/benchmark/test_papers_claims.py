"""Which claims of the papers hold: what is refused, every verdict, and the page that the published records give."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.plan import catalogue, suite
from benchmark.plan.suite import PAPER
from benchmark.reports import leaderboard, published
from benchmark.reports.claims import reading, sizes, text, verdicts
from benchmark.reports.claims.reading import PARAMETERS, Claim, Greater, Untestable, Within
from benchmark.reports.claims.verdicts import Verdict
from benchmark.results import collection, records
from benchmark.results.records import Record
from benchmark.speed import made

SUITE, DATASET = "rain", "rain-rain100l"
NAMES = {"dmgn": "dmgn.DMGN", "pix2pix": "pix2pix.Pix2Pix", "identity": "identity.Identity", "nmf": "nmf.NMF"}
FLAT = [[100, 18.0], [200, 19.0], [300, 20.0], [400, 20.0]]
RISING = [[100, 18.0], [200, 19.0], [300, 20.0], [400, 21.0]]


def record(method: str, level: float, seed: int = 0, *, spread: float = 0.1, images: int = 20, **more: Any) -> Record:
    """A record of a row of ``rain`` as in its paper; more says what is not."""
    trained = more.pop("trained", method not in ("identity", "nmf"))
    options, size, curve = more.pop("options", {}), more.pop("size", 256), more.pop("curve", FLAT)
    noise = np.random.default_rng([len(method), seed]).normal(0, spread, (images, 1))
    base = made.record()
    psnr = np.hstack([level + noise, level - 5 + noise])
    return made.record(
        method, seed, psnr, target=["background"], suite=SUITE, dataset=DATASET,
        config={
            **base.config,
            "model": {"class_path": f"methods.{NAMES[method]}", "init_args": options},
            "data": {"class_path": "datamodules.rain.Rain", "init_args": {"source": "rain100l", "size": size}},
        },
        training={**base.training, "images_seen": 400 if trained else 0, "curve": curve if trained else []},
        **more,
    )  # fmt: skip


def claim(test: Greater | Within | Untestable, metric: str = "psnr", target: str | None = None) -> Claim:
    return Claim("c", "dmgn", "Table V", "dmgn-5", "It is so.", SUITE, DATASET, metric, target, test)


BETTER = Greater("dmgn", ("pix2pix",))
BLIND = record("identity", 10.0)


def judged(*found: Record, test: Greater | Within | Untestable = BETTER, **more: Any) -> Verdict:
    (verdict,) = verdicts.verdicts([claim(test, **more)], found)
    return verdict


# The published records


def now() -> list[Verdict]:
    found = collection.collect(collection.folders_of(collection.COMMITTED))
    return verdicts.current([one.record for one in found])


def test_the_page_is_what_the_published_records_give() -> None:
    assert text.path().read_text() == text.markdown(now()), "run `unblend claims`"


def test_every_table_of_the_papers_has_a_claim_and_few_are_beyond_reach() -> None:
    claims = reading.read(reading.path())
    assert {claim.table for claim in claims} - {""} == set(published.tables())
    assert {claim.paper for claim in claims} == set(reading.papers())
    assert 30 <= len(claims) <= 60
    assert sum(isinstance(claim.test, Untestable) for claim in claims) <= 10


@pytest.mark.parametrize("name", [name for name in catalogue.suites() if name.endswith(PAPER)])
def test_suites_of_the_papers_sizes_name_them(name: str) -> None:
    for cell in suite.load(name):
        task = cell.config["data"]["class_path"].rpartition(".")[2]
        assert task == "Digits" or "size" in cell.config["data"]["init_args"], cell.name


# What is refused

SOUND = {
    "id": "one",
    "paper": "dmgn",
    "place": "Table V",
    "says": "It is so.",
    "data": "rain/rain-rain100l",
    "greater": {"better": "dmgn", "than": "identity"},
}


def read(folder: Path, *claims: Any) -> list[Claim]:
    file = folder / "claims.yaml"
    file.write_text(json.dumps(list(claims)))
    return reading.read(file)


def test_a_claim_is_read(tmp_path: Path) -> None:
    several = {**SOUND, "id": "two", "metric": "ssim", "target": "background", "table": "dmgn-5"}
    several["greater"] = {"better": "dmgn", "than": ["identity", "unet"]}
    within = {**SOUND, "id": "three", "within": {"row": "dmgn", "value": 38.53, "tolerance": 1}}
    del within["greater"]
    never = {key: SOUND[key] for key in ("paper", "place", "says")} | {"id": "four", "untestable": "nobody\n was asked"}
    one, two, three, four = read(tmp_path, SOUND, several, within, never)
    assert (one.suite, one.dataset, one.metric, one.target, one.task) == ("rain", "rain-rain100l", "psnr", None, "rain")
    assert one.test == Greater("dmgn", ("identity",))
    assert (two.metric, two.target, two.rows) == ("ssim", "background", ("dmgn", "identity", "unet"))
    assert three.test == Within("dmgn", 38.53, 1.0)
    assert (four.test, four.rows, four.task) == (Untestable("nobody was asked"), (), "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "rian/rain-rain100l"}, "unknown suite 'rian': did you mean rain"),
        ({"data": "rain"}, "data 'rain': name a suite and one of its data sets, such as rain/rain-rain100l"),
        ({"data": "rain/rain-rain100h"}, "unknown data set of suite rain 'rain-rain100h': did you mean rain-rain100l"),
        (
            {"greater": {"better": "dmgm", "than": "unet"}},
            "unknown row of rain/rain-rain100l 'dmgm': did you mean dmgn",
        ),
        ({"greater": {"better": "dmgn", "than": ["unet", 3]}}, "unknown row of rain/rain-rain100l '3'"),
        ({"greater": {"better": "dmgn", "than": "dmgn"}}, "greater needs a row, and others than it, each of them once"),
        ({"greater": {"better": "dmgn", "than": []}}, "greater needs a row, and others than it"),
        ({"greater": {"better": "dmgn"}}, "greater needs the keys better and than"),
        ({"metric": "pnsr"}, "unknown metric 'pnsr': did you mean psnr"),
        ({"paper": "dmng"}, "unknown paper 'dmng': did you mean dmgn"),
        ({"table": "dmgn-9"}, "unknown table 'dmgn-9': did you mean dmgn-"),
        ({"says": " "}, "says ' ' is no text"),
        ({"place": 3}, "place 3 is no text"),
        ({"place": None}, "place None is no text"),
        ({"where": "here"}, "needs the keys id, paper, place, says, may have data, greater, id, metric"),
        ({"untestable": "a reason"}, "needs one of greater, within, untestable, has greater and untestable"),
        ({"greater": "", "within": ""}, "has greater and within"),
    ],
)
def test_a_wrong_claim_is_refused_with_its_id(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, {**SOUND, "id": "first"}, {**SOUND, **change})
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'claims.yaml'}: claim one: ")
    assert message in said


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"within": {"row": "dmgn", "value": 38}}, "within needs the keys row, value and tolerance"),
        ({"within": {"row": "dmgn", "value": "38", "tolerance": 1}}, "value '38', tolerance 1: two numbers"),
        ({"within": {"row": "dmgn", "value": 38, "tolerance": 0}}, "value 38, tolerance 0: two numbers"),
        ({"within": {"row": "no", "value": 38, "tolerance": 1}}, "unknown row of rain/rain-rain100l 'no'"),
        ({"within": {}, "metric": PARAMETERS}, "parameters are compared with another row's"),
        ({"untestable": ""}, "untestable needs the reason"),
        ({"untestable": "a reason", "metric": "psnr"}, "what is untestable has neither metric nor target"),
        ({"untestable": "a reason", "data": "rain/no"}, "unknown data set of suite rain 'no'"),
        ({}, "needs one of greater, within, untestable, has none"),
    ],
)
def test_other_tests_are_refused_as_well(tmp_path: Path, test: dict[str, Any], message: str) -> None:
    sound = {key: value for key, value in SOUND.items() if key != "greater"}
    with pytest.raises(UserError, match=f"claim one: .*{re.escape(message)}"):
        read(tmp_path, {**sound, **test})


def test_an_id_stands_once_and_a_file_is_a_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="claim one: it stands twice"):
        read(tmp_path, SOUND, SOUND)
    with pytest.raises(UserError, match="claim number 2: needs the keys"):
        read(tmp_path, SOUND, "two")
    for held, message in (
        ("a: 1", "expected a list of claims, found dict"),
        ("[", "it cannot be read"),
        ("- {id: a, id: b}", "it cannot be read .id stands twice"),
    ):
        (tmp_path / "claims.yaml").write_text(held)
        with pytest.raises(UserError, match=message):
            reading.read(tmp_path / "claims.yaml")
    with pytest.raises(UserError, match="it cannot be read"):
        reading.read(tmp_path / "none.yaml")


# Verdicts


def test_it_holds_where_the_row_is_better_on_the_images() -> None:
    verdict = judged(BLIND, record("dmgn", 30.0), record("pix2pix", 28.0))
    assert (verdict.text, verdict.why, verdict.seeds) == ("holds", "", {"dmgn": 1, "pix2pix": 1})
    (finding,) = verdict.findings
    assert finding.measured == pytest.approx(2, abs=0.2)
    assert finding.low is not None
    assert finding.high is not None
    assert 1.5 < finding.low < finding.measured < finding.high < 2.5
    assert text.measured(verdict).startswith("+")
    assert text.measured(verdict).endswith(" against pix2pix")


def test_it_does_not_hold_where_the_other_is_better() -> None:
    verdict = judged(BLIND, record("dmgn", 28.0), record("pix2pix", 30.0))
    assert (verdict.text, verdict.why) == ("does not hold", "")


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"options": {"width": 16, "lr": 0.1, "l1": 1}}, "width 16 (64)"),
        (
            {"options": {"features": "random", "noise_branch": False}},
            "features random (timm), noise_branch false (true)",
        ),
        ({"size": 128}, "128×128 pixels (256×256)"),
    ],
)
def test_it_holds_at_reduced_size_where_a_row_is_not_as_in_its_paper(change: dict[str, Any], differs: str) -> None:
    verdict = judged(BLIND, record("dmgn", 30.0, **change), record("pix2pix", 28.0))
    assert verdict.text == "holds at reduced size"
    assert {name: ", ".join(parts) for name, parts in verdict.differs.items()} == {"dmgn": differs}
    worse = judged(BLIND, record("dmgn", 26.0, **change), record("pix2pix", 28.0))
    assert worse.text == "does not hold at reduced size"


def test_it_is_undecided_where_zero_is_in_the_interval() -> None:
    verdict = judged(BLIND, record("dmgn", 28.0, spread=3.0), record("pix2pix", 28.0, spread=3.0))
    assert (verdict.text, verdict.why) == ("undecided", "zero is in the interval against pix2pix")


def test_it_is_undecided_where_seeds_disagree_even_those_of_one_row() -> None:
    wide = [record("dmgn", 34.0), record("dmgn", 28.0, 1)]
    verdict = judged(BLIND, *wide, record("pix2pix", 29.0))
    assert (verdict.text, verdict.why) == ("undecided", "against pix2pix it is within what seeds vary")
    assert verdict.seeds == {"dmgn": 2, "pix2pix": 1}
    narrow = [record("dmgn", 31.1), record("dmgn", 30.9, 1)]
    assert judged(BLIND, *narrow, record("pix2pix", 29.0), record("pix2pix", 29.1, 1)).text == "holds"


def test_it_is_not_testable_without_a_record_of_each_row() -> None:
    assert judged(BLIND).why == "no record of dmgn and pix2pix"
    verdict = judged(BLIND, record("dmgn", 30.0))
    assert (verdict.text, verdict.why) == ("not testable", "no record of pix2pix")
    elsewhere = record("pix2pix", 20.0, spec=BLIND.spec)
    assert judged(BLIND, record("dmgn", 30.0), elsewhere).text == "holds", "it changes by itself"


def test_it_is_not_testable_while_a_row_was_still_learning() -> None:
    verdict = judged(BLIND, record("dmgn", 30.0), record("pix2pix", 20.0, curve=RISING))
    assert (verdict.text, verdict.why) == ("not testable", "pix2pix was still learning")
    assert judged(BLIND, record("dmgn", 30.0, curve=RISING), record("pix2pix", 20.0)).text == "holds", "it is ahead"
    assert judged(BLIND, record("dmgn", 20.0), record("pix2pix", 30.0, curve=RISING)).text == "does not hold"
    even = judged(BLIND, record("dmgn", 30.0, spread=3.0, curve=RISING), record("pix2pix", 30.0, spread=3.0))
    assert even.why == "dmgn was still learning"
    seeds = [record("dmgn", 30.0), record("dmgn", 30.1, 1, curve=RISING)]
    assert judged(BLIND, *seeds, record("pix2pix", 35.0)).why == "dmgn was still learning"


def test_it_is_not_testable_where_the_better_or_a_trained_row_is_below_what_looks_at_nothing() -> None:
    blind = record("identity", 29.0)
    assert judged(blind, record("dmgn", 28.0), record("pix2pix", 30.0)).why == "dmgn is below the mixture itself"
    assert judged(blind, record("dmgn", 30.0), record("pix2pix", 28.0)).why == "pix2pix is below the mixture itself"
    both = judged(blind, record("dmgn", 28.0), record("pix2pix", 28.0))
    assert both.why == "dmgn is below the mixture itself; pix2pix is below the mixture itself"
    prior = judged(blind, record("dmgn", 30.0), record("nmf", 28.0), test=Greater("dmgn", ("nmf",)))
    assert prior.text == "holds", "what is not trained is what it is"
    base = dataclasses.replace(record("dmgn", 28.0), method="dmgn-base")
    ablation = judged(blind, record("dmgn", 30.0), base, test=Greater("dmgn", ("dmgn-base",)))
    assert ablation.text == "holds", "a part without which it fails is what the claim is of"
    alone = judged(record("dmgn", 30.0), record("pix2pix", 28.0))
    assert alone.why == "no record of identity or half_mixture, which it has to be above"


def test_a_rival_below_what_looks_at_nothing_counts_where_its_paper_prints_no_better() -> None:
    found = [record("identity", 29.0), record("dmgn", 30.0), record("pix2pix", 28.0)]
    better = claim(BETTER)

    def word(value: float, **more: Any) -> str:
        return verdicts.verdicts([better, claim(Within("pix2pix", value, 0.5), **more)], found)[0].text

    assert word(28.2) == "holds"
    assert word(29.5) == "not testable", "it has not what its paper prints"
    assert word(28.2, target="reflection") == "not testable", "that is another layer"
    own = claim(Within("dmgn", 30.0, 0.5))
    assert verdicts.verdicts([better, own], found)[0].text == "not testable", "that is another row"


def test_against_an_answer_that_looks_at_nothing_it_is_judged_as_it_is() -> None:
    assert judged(record("identity", 29.0), record("dmgn", 28.0), test=Greater("dmgn", ("identity",))).text == (
        "does not hold"
    )


def test_it_is_not_testable_on_unlike_data() -> None:
    verdict = judged(BLIND, record("dmgn", 30.0), record("pix2pix", 28.0, data_digest="e" * 64))
    assert verdict.text == "not testable"
    assert verdict.why.startswith("rain, rain-rain100l: data digests differ")
    assert judged(BLIND, record("dmgn", 30.0, images=1), record("pix2pix", 28.0, images=1)).why == (
        "1 images in common: at least 2 are needed"
    )


def test_metric_and_layer_are_those_of_the_claim() -> None:
    found = [BLIND, record("dmgn", 30.0), record("pix2pix", 28.0)]
    error = judged(*found, metric="mse")
    assert error.text == "holds"
    assert text.measured(error).startswith("-"), "a lower error is the better one"
    assert judged(*found, metric="mse", test=Greater("pix2pix", ("dmgn",))).text == "does not hold"
    assert judged(*found, target="reflection").text == "holds"
    assert "layer rain: not both have scores of it" in judged(*found, target="rain").why


def test_one_counterexample_is_enough_and_one_part_left_open_leaves_it_open() -> None:
    test = Greater("dmgn", ("pix2pix", "nmf", "unet"))
    found = [BLIND, record("dmgn", 28.0), record("pix2pix", 30.0)]
    assert judged(*found, test=test).text == "does not hold"
    found = [BLIND, record("dmgn", 28.0), record("pix2pix", 26.0)]
    assert judged(*found, test=test).why == "no record of nmf and unet"
    found += [record("nmf", 28.0, spread=3)]
    open_ = judged(*found, test=Greater("dmgn", ("pix2pix", "nmf")))
    assert (open_.text, open_.why) == ("undecided", "zero is in the interval against nmf")


def test_a_printed_value_holds_within_its_tolerance() -> None:
    def within(value: float, tolerance: float = 0.5, **more: Any) -> Verdict:
        return judged(record("dmgn", 30.0, spread=1.0, **more), test=Within("dmgn", value, tolerance))

    assert within(30.3).text == "holds"
    assert within(30.3, options={"width": 8}).text == "holds at reduced size"
    assert within(33.0).text == "does not hold"
    assert within(27.0).text == "does not hold"
    between = within(30.3, 0.05)
    assert (between.text, between.why) == ("undecided", "the interval reaches what is printed, the mean does not")
    assert within(30.3, curve=RISING).why == "dmgn was still learning"
    assert judged(test=Within("dmgn", 30, 1)).why == "no record of dmgn"
    assert judged(record("dmgn", 30.0), test=Within("dmgn", 30, 1), target="rain").why == "dmgn has no scores of rain"
    unlike = [record("dmgn", 30.0), record("dmgn", 30.0, 1, data_digest="e" * 64)]
    assert judged(*unlike, test=Within("dmgn", 30, 1)).why == "its seeds were judged on unlike data"
    assert text.measured(within(33.0)).endswith(", printed 33.00")


def test_parameters_are_compared_as_in_the_papers_alone() -> None:
    small, large = ({**BLIND.cost, "parameters": count} for count in (10, 30))
    found = [record("dmgn", 30.0, cost=small, curve=RISING), record("pix2pix", 28.0, cost=large)]
    verdict = judged(*found, metric=PARAMETERS)
    assert (verdict.text, text.measured(verdict)) == ("holds", "-20 against pix2pix")
    assert judged(*found, metric=PARAMETERS, test=Greater("pix2pix", ("dmgn",))).text == "does not hold"
    narrow = judged(found[0], record("pix2pix", 28.0, cost=large, options={"width": 8}), metric=PARAMETERS)
    assert narrow.why == "pix2pix is not as in the paper"
    unknown = judged(found[0], record("pix2pix", 28.0, cost={**large, "parameters": None}), metric=PARAMETERS)
    assert unknown.why == "the size of pix2pix is not known"
    assert judged(found[0], metric=PARAMETERS).why == "no record of pix2pix"


def test_what_nobody_can_measure_says_why() -> None:
    verdict = judged(test=Untestable("nobody was asked"))
    assert (verdict.text, verdict.why, text.measured(verdict)) == ("not testable", "nobody was asked", "")


# Sizes


@pytest.mark.parametrize("entry", catalogue.methods().values(), ids=lambda entry: entry.name)
def test_defaults_are_those_of_the_constructor(entry: catalogue.Entry) -> None:
    real: Mapping[str, inspect.Parameter] = inspect.signature(entry.load().__init__).parameters
    found = sizes.defaults(entry.class_path)
    assert all(real[name].default == value for name, value in found.items())
    missing = {name for name, one in real.items() if one.default is not one.empty} - set(found)
    assert missing <= {"threshold", "mask", "milestones"}, "only what is computed is left out"


def test_options_are_compared_with_those_of_the_papers_row_of_the_same_name() -> None:
    options = {"synthesis": "given", "width": 32}
    held = record("dmgn", 30.0, options=options).config
    config = {**held, "model": {"class_path": "methods.cascade_gan.CascadeGAN", "init_args": options}}
    named = record("dmgn", 30.0)
    assert sizes.differences(_of(named, method="cascade_gan-pagan", config=config)) == ("width 32 (64)",)
    other = sizes.differences(_of(named, method="cascade_gan-pagan-correcting", config=config))
    assert other == ("synthesis given (ugan)", "width 32 (64)"), "no row of this name: the defaults"


def _of(one: Record, **changes: Any) -> Record:
    return made.record(**{"suite": one.suite, "dataset": one.dataset, "training": one.training, **changes})


def test_the_size_counts_where_a_row_learnt_from_it_or_is_tested_on_it() -> None:
    assert sizes.differences(record("dmgn", 30.0, size=128)) == ("128×128 pixels (256×256)",)
    assert sizes.differences(record("nmf", 30.0, size=128)) == ()
    small = {**BLIND.cost, "image": [3, 128, 128]}
    assert sizes.differences(record("nmf", 30.0, size=128, cost=small)) == ("128×128 pixels (256×256)",)
    assert sizes.differences(record("dmgn", 30.0, size=512)) == ()


def test_data_without_a_suite_of_the_papers_size_and_strangers_say_so() -> None:
    lacking = "no suite has these data at the paper's size"
    config = {**BLIND.config, "data": {"class_path": "datamodules.rain.Rain", "init_args": {"source": "rain100h"}}}
    assert sizes.differences(record("identity", 10.0)) == ()
    assert sizes.differences(_of(BLIND, method="identity", config=config)) == (lacking,)
    assert sizes.differences(_of(BLIND, method="identity", config=BLIND.config, suite="quick")) == (lacking,)
    for model in ({"class_path": "somebody.Else", "init_args": {}}, {}, None, {"class_path": 3, "init_args": 4}):
        config = {**BLIND.config, "model": model}
        assert sizes.differences(_of(BLIND, method="identity", config=config)) == ("its class is not here",)


# What is written


def test_the_page_counts_and_explains() -> None:
    found = [BLIND, record("dmgn", 30.0, options={"width": 16}), record("pix2pix", 28.0)]
    claims = [claim(BETTER), claim(Untestable("nobody | was asked"))]
    page = text.markdown(verdicts.verdicts(claims, found))
    assert "**2 claims: holds at reduced size 1, not testable 1.**" in page
    row = next(line for line in page.splitlines() if line.startswith("| c: It is so. | Table V (dmgn-5) | **holds"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == len(text.HEADER)
    assert cells[2] == "**holds at reduced size**"
    assert re.fullmatch(r"\+2\.\d\d dB \(\+\d\.\d\d … \+\d\.\d\d\) against pix2pix", cells[3])
    assert cells[4:] == ["dmgn: 1 seed; pix2pix: 1 seed", "dmgn: width 16 (64)", "rain/rain-rain100l, PSNR, rgb@1"]
    assert r"**not testable**: nobody \| was asked" in page
    assert "0.3 dB in the last quarter" in " ".join(page.split())
    assert page.count("## ") == 1, "papers without claims have no part"


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of published records with one claim of them."""
    folder = tmp_path / "leaderboards"
    monkeypatch.setattr(collection, "COMMITTED", folder)
    for one in (BLIND, record("dmgn", 30.0), record("pix2pix", 28.0)):
        records.write(folder / SUITE / "records" / DATASET / one.method / "seed0.json", one)
    read(folder, {**SOUND, "greater": {"better": "dmgn", "than": "identity"}})
    return folder


def test_the_command_writes_and_checks(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["claims", "--check"])
    assert caught.value.code == 1
    assert "CLAIMS.md is not what the records give: run `unblend claims`." in capsys.readouterr().err
    assert not text.path().exists(), "to check writes nothing"
    cli.main(["claims"])
    said = capsys.readouterr().out
    assert "1 claim: holds 1: " in said
    assert "against identity" in said
    cli.main(["claims", "--check"])
    worse = record("dmgn", 5.0)
    records.write(committed / SUITE / "records" / DATASET / "dmgn" / "seed0.json", worse)
    with pytest.raises(SystemExit):
        cli.main(["claims", "--check"])
    assert "does not hold 1" in capsys.readouterr().out


def test_a_bad_file_ends_the_command_in_one_line(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (committed / "claims.yaml").write_text(json.dumps([{**SOUND, "metric": "no"}]))
    with pytest.raises(SystemExit) as caught:
        cli.main(["claims"])
    assert caught.value.code == 2
    assert "claim one: unknown metric 'no'" in capsys.readouterr().err


def test_building_the_leaderboard_writes_it_and_the_page_shows_it(committed: Path) -> None:
    leaderboard.build(None, Console(file=(committed / "said").open("w")))
    assert "| one: It is so. | Table V | **holds** |" in text.path().read_text()
    held = re.findall(r'id="data">(.*?)</script>', (committed / "index.html").read_text(), re.DOTALL)[0]
    (shown,) = json.loads(held)["views"]["rain/rain-rain100l"]["claims"]
    assert shown[:5] == ["It is so.", "Table V", "", "holds", ""]
    assert shown[5].endswith("against identity")
    (committed / "claims.yaml").unlink()
    text.path().unlink()
    leaderboard.build(None, Console(file=(committed / "said").open("w")))
    assert not text.path().exists(), "a checkout without claims has no page of them"
