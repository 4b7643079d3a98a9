"""What sets a record apart: a training that was cut off while its curve still rose."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.plan import catalogue, suite
from benchmark.plan.catalogue import ROOT
from benchmark.reports import notes, tables
from benchmark.results import marks, statistics
from benchmark.speed import made


def learning(curve: Any) -> bool:
    return marks.still_learning(made.record(training={**made.record().training, "curve": curve}))


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([[100, 20.0], [200, 21.0], [300, 21.5], [400, 21.9]], True),
        ([[100, 20.0], [200, 21.0], [300, 21.5], [400, 21.8]], False),  # by 0.3 dB, not by more
        ([[100, 22.0], [200, 21.0], [300, 21.5], [400, 22.2]], False),  # the best before it may be the first
        ([[100, 20.0], [350, 20.1], [380, 23.0], [400, 21.0]], True),  # the best need not be the last
        ([[100, 20.0], [300, 25.0], [400, 25.0]], False),  # three quarters of the images are not the last quarter
        ([[0, 8.0], [400, 20.0]], True),
        ([[400, 20.0]], False),  # a single look tells nothing
        ([], False),
        (None, False),
        ([["a", 2], [3], 4], False),  # a stranger's
    ],
)
def test_a_training_still_learns_where_its_last_quarter_rose_by_more_than_three_tenths(
    curve: Any, expected: bool
) -> None:
    assert learning(curve) is expected


def test_what_was_not_trained_does_not_learn() -> None:
    training = made.record().training
    del training["curve"]  # type: ignore[misc]
    assert not marks.still_learning(made.record(training=training))


def test_tables_say_which_rows_were_still_learning() -> None:
    rose = {**made.record().training, "images_seen": 400, "curve": [[100, 20.0], [300, 21.0], [400, 22.0]]}
    records = [made.record(method="unet", title="U-Net", training=rose), made.record(method="dmgn", title="DMGN")]
    table = statistics.table([(record,) for record in records])
    seen = {line.first.method: tables.costs(line)[4] for line in table}
    assert seen["unet"] == "400 ↗"
    assert "↗" not in seen["dmgn"]
    assert notes.of(table)[-1] == "Still learning when the budget ended: U-Net."
    assert notes.rising([line for line in table if line.first.method == "dmgn"]) == []


def test_tables_say_what_was_trained_in_which_precision() -> None:
    low: Any = {**made.record().training, "precision": "bf16-mixed"}
    learnt = [made.record(method="unet", title="U-Net, wide", training=low), made.record(method="dmgn", title="DMGN")]
    untrained: Any = {**made.record().training, "images_seen": 0}
    records = [*learnt, made.record(method="nmf", title="NMF", training=untrained)]
    table = statistics.table([(record,) for record in records])
    assert notes.precisions(table) == ["Trained in 32-true: DMGN.", "Trained in bf16-mixed: U-Net, wide."]
    assert notes.precisions([line for line in table if line.first.method != "unet"]) == []


def test_tables_say_which_rows_do_not_beat_what_looks_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = {"unet": 30.0, "dmgn": 20.0, "identity": 25.0, "half_mixture": 10.0}
    records = [
        made.record(method=name, title=name.upper(), suite="tiny", psnr=[[x, x]] * 2) for name, x in levels.items()
    ]
    table = statistics.table([(record,) for record in records])
    assert notes.below(table) == ["Below the mixture itself (25.00 dB), which looks at nothing: DMGN."]
    assert notes.below([line for line in table if line.first.method not in notes.TRIVIAL]) == []
    row = {"name": "DMGN", "note": "It sees a tenth of what it needs."}
    cells = suite.cells_of({"datasets": ["Digits"], "methods": [row]}, "tiny")  # type: ignore[typeddict-item]
    monkeypatch.setattr(suite, "load", lambda name: cells)
    monkeypatch.setattr(catalogue, "suites", lambda: {"tiny": "tiny.yaml"})
    assert notes.below(table)[1:] == ["DMGN: It sees a tenth of what it needs."]
    apart = [
        dataclasses.replace(line, unlike="it was judged on others") for line in table if line.first.method == "dmgn"
    ]
    others = [line for line in table if line.first.method != "dmgn"]
    assert notes.below([*others, *apart]) == ["DMGN: It sees a tenth of what it needs."], "unranked, it has its reason"
    with pytest.raises(UserError, match="method DMGN: note 3"):
        suite.cells_of({"datasets": ["Digits"], "methods": [{**row, "note": 3}]}, "tiny")  # type: ignore[typeddict-item]


def test_the_documentation_names_the_rise_that_counts() -> None:
    assert f"more than {marks.RISE} dB above the best before it" in (ROOT / "docs/leaderboards.md").read_text()
