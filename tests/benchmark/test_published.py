"""What papers report: every number in its place, and beside what was measured."""

from __future__ import annotations

import dataclasses
import inspect
import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.errors import UserError
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.metrics.scales import METRICS
from benchmark.plan import catalogue
from benchmark.reports import published
from benchmark.results.records import Record
from benchmark.speed.made import record as made

NOT_MEASURED = {"printed_gflops", "printed_seconds", "vote_percent", "winning_samples"}
TABLES = published.tables()


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.id)
def test_every_table_keeps_the_schema_and_names_what_there_is(table: published.Table) -> None:
    assert table.known
    for column in table.columns:
        assert column.metric in {*METRICS, "parameters"} | NOT_MEASURED
        assert column.protocol is None or column.protocol in PROTOCOLS
        if column.data is None:
            assert table.missing or column.metric in NOT_MEASURED, "a column without data says why"
            continue
        entry = catalogue.dataset(column.data["class"])
        options = accepted(entry.class_path)
        assert set(column.data) - {"class"} <= options
    for row in table.rows:
        assert any(value is not None for value in row.values)
        if row.method is not None:
            assert set(row.options) <= accepted(catalogue.method(str(row.method)).class_path), row.name
        for column, value in zip(table.columns, row.values, strict=True):
            if value is not None:
                assert math.isfinite(value)
                if column.metric == "ssim":
                    assert 0 < value < 1
                if column.metric == "psnr":
                    assert 5 < value < 50


def test_all_rows_have_a_method_here_but_those_of_which_too_little_is_known() -> None:
    absent = {row.name: row.absent for table in TABLES.values() for row in table.rows if row.method is None}
    assert set(absent) == {"RGN", "DA"}
    assert "missing: no implementation here: RGN (its widths are not published)" in shown(TABLES["dmgn-5"], [])
    named = {row.method for table in TABLES.values() for row in table.rows if row.method is not None}
    assert named <= set(catalogue.methods())


def accepted(class_path: str) -> set[str]:
    """Options of a class and of those that it derives from."""
    classes = inspect.getmro(catalogue.load(class_path))
    return {option for one in classes if "__init__" in vars(one) for option in inspect.signature(one).parameters}


def test_all_numbers_are_there() -> None:
    """As counted in the papers' tables."""
    counted = {
        "bits_net-1": 16, "cascade_gan-1": 20, "cascade_gan-2": 20, "convsep_ligt-4": 40, "convsep_ligt-5": 6,
        "dmgn-1": 32, "dmgn-2": 64, "dmgn-3": 6, "dmgn-4": 8, "dmgn-5": 32, "dmgn-6": 72, "dmgn-7": 24,
        "sils-1": 26, "sils-2": 18, "sils-3": 10,
    }  # fmt: skip
    found = {
        name: sum(value is not None for row in table.rows for value in row.values) for name, table in TABLES.items()
    }
    assert found == counted


def test_a_paper_agrees_with_itself() -> None:
    """Numbers that stand in two tables of DMGN are the same in both; the text's differences are the tables'."""

    def value(table: str, row: str, column: str) -> Any:
        place = [one.title for one in TABLES[table].columns].index(column)
        return next(one.values[place] for one in TABLES[table].rows if one.name == row)

    for row in ("ERRNet", "DMGN"):
        for metric in ("PSNR", "SSIM"):
            assert value("dmgn-7", row, f"Real20, {metric}") == value("dmgn-2", row, f"Real20, {metric}")
    assert value("dmgn-7", "PReNet", "Rain100H, PSNR") == value("dmgn-5", "PReNet", "Rain100H, PSNR")
    assert value("dmgn-7", "DM2F-Net", "O-HAZE, SSIM") == value("dmgn-6", "DM2F-Net", "O-HAZE, SSIM")
    assert value("dmgn-1", "DMGN", "Wild, PSNR") == value("dmgn-2", "DMGN", "Wild, PSNR")
    # "a 0.21 improvement in SSIM and 0.18 dB in RICE-II, 1.41 dB in RICE-I"; "up to 9.15 dB and 0.32"
    gain = {
        m: value("cascade_gan-2", "Cascade GAN", m) - value("cascade_gan-2", "CAP", m)
        for m in ("RICE-I, PSNR", "RICE-II, PSNR", "RICE-II, SSIM")
    }
    assert list(gain.values()) == pytest.approx([1.41, 0.18, 0.21])
    assert value("bits_net-1", "BITS-Net", "y2, PSNR") - value(
        "bits_net-1", "Zhang et al.", "y2, PSNR"
    ) == pytest.approx(9.15)
    assert value("bits_net-1", "BITS-Net", "y2, SSIM") - value(
        "bits_net-1", "Zhang et al.", "y2, SSIM"
    ) == pytest.approx(0.32)


def record(
    psnr: float = 22.0, layers: int = 1, protocols: tuple[str, ...] = ("rgb-uniform@1",), **options: Any
) -> Record:
    return made(
        "dmgn", psnr=[[psnr] * layers] * 2, protocols=protocols, suite="real", dataset="reflection-real20",
        title="DMGN", variant="tiny",
        spec={"layers": ["background", "reflection"], "scored": ["background"], "target": ["background"]},
        config={
            "model": {"class_path": "methods.dmgn.DMGN", "init_args": options},
            "data": {"class_path": "datamodules.reflection.Reflection", "init_args": {"source": "real20"}},
        },
    )  # fmt: skip


def shown(table: published.Table, found: list[Record]) -> str:
    stream = io.StringIO()
    published.show(table, found, Console(file=stream, width=200))
    return stream.getvalue()


def test_measured_rows_stand_beside_the_papers_with_the_difference() -> None:
    text = shown(TABLES["dmgn-2"], [record(22.0), dataclasses.replace(record(23.0), seed=1)])
    assert "here: real, tiny, 2 seeds" in text
    assert "22.50 (-0.55)" in text
    assert "missing: Solid, PSNR: no record" in text
    assert "missing: no implementation here" not in text
    assert "Real20, PSNR: no record of YW19, BDN, PLNet, RmNet, ERRNet, IBCLN, Zou et al.\n" in text


def test_a_variant_fills_the_row_of_its_options_only() -> None:
    plain = record(21.0, cell="plain", noise_branch=False)
    text = shown(TABLES["dmgn-1"], [plain])
    assert "21.00 (+0.38)" in text
    assert text.count("here: real") == 1
    assert "Real20, PSNR: no record of RDMC" in text


def test_data_sets_that_stand_for_one_column_have_lines_of_their_own() -> None:
    other = dataclasses.replace(record(24.0), dataset="reflection-other training")
    text = shown(TABLES["dmgn-2"], [record(22.0), other])
    assert "22.00 (-1.05)" in text
    assert "24.00 (+0.95)" in text
    assert "reflection-other training" in " ".join(re.sub("[│ ]+", " ", text).split())


def test_the_papers_protocol_is_taken_if_it_is_stored_and_another_is_said() -> None:
    assert "[rgb@1]" in shown(TABLES["dmgn-2"], [record(21.0, protocols=("rgb@1",))])
    both = shown(TABLES["dmgn-2"], [record(21.0, protocols=("rgb@1", "rgb-uniform@1"))])
    assert "22.00 (-1.05)" in both, "the second protocol of a made-up record has a dB more"
    assert "[rgb" not in both


def test_a_layer_that_is_not_there_is_left_empty() -> None:
    column = dataclasses.replace(TABLES["dmgn-2"].columns[0], layer="reflection")
    assert column.value((record(),)) is None


def test_tables_that_cannot_be_filled_say_why() -> None:
    assert "not public" in shown(TABLES["bits_net-1"], [])
    assert re.search("`unblend bench [a-z_ ]*intrinsic", shown(TABLES["sils-1"], []))
    for table in TABLES.values():
        assert "missing: " in shown(table, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": [{"title": "x"}]}, "needs the keys metric, title"),
        ({"rows": [{"name": "a", "values": [1, 2]}]}, "row a has 2 values for 1 columns"),
        ({"rows": [{"name": "a", "values": ["12.0"]}]}, "is no number"),
        ({"rows": [{"name": "RGN", "values": [1.0]}]}, "needs either a method or"),
        ({"colums": []}, "needs the keys"),
        ({"protocol": "rbg"}, "t: unknown protocol 'rbg': there are rgb@1"),
    ],
)
def test_a_file_that_does_not_keep_the_schema_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    import yaml

    table = {
        "id": "t",
        "name": "T",
        "caption": "c",
        "known": "k",
        "columns": [{"title": "x", "metric": "mse"}],
        "rows": [],
    }
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"paper": "P", "tables": [{**table, **change}]}))
    with pytest.raises(UserError, match=message) as caught:
        published.tables(tmp_path)
    assert "bad.yaml" in str(caught.value)
