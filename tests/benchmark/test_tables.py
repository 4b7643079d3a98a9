"""Tables for people and programs: the same bytes each time, and nothing in a name breaks them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest

from benchmark import checks, leaderboard, records, tables
from benchmark.errors import UserError
from benchmark.files import write_json


def record(method: str = "unet", psnr: float = 20.0, layers: int = 2, **changes: Any) -> records.Record:
    def row(value: float) -> dict[str, Any]:
        scores = {"psnr": [value, value + 2], "ssim": [0.5, 0.7], "lmse": [0.1, 0.3], "mse": [0.01, 0.02]}
        return {"assignment": [0, 1], **{name: values[:layers] for name, values in scores.items()}}

    made = records.Record(
        suite="quick", dataset="digits", method=method, seed=0, title=method.upper(), variant="", protocol="rgb",
        fit_hash="f" * 64, score_hash="5" * 64, data_digest="d", checkpoint_sha256=None,
        spec={"layers": ["a", "b"], "scored": ["a", "b"], "ordered": True, "mixing": "sum", "citation": "C"},
        config={}, training={"images_seen": 640, "seconds": 3.2, "peak_memory_mib": 1.0},
        cost={"parameters": 12, "flops": 5e9, "latency_s": 0.002, "latency_threads": 1, "peak_memory_mib": 5.0},
        provenance={"commit": "abc", "processor": "some CPU, 2 cores", "device": "cpu"},
        latent={}, rows=[{"id": "0", **row(psnr)}, {"id": "1", **row(psnr + 4)}],
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


FOUND = [
    record("nmf", 10),
    record("nmf", 10, dataset="rain"),
    record("unet"),
    record("unet", 21, seed=1),
    record("dark", 40, layers=1),
    record("dark", 40, layers=1, dataset="rain"),
]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rebuilding_changes_no_byte_whatever_the_order(tmp_path: Path) -> None:
    leaderboard.write(tmp_path, FOUND, latex=True)
    first = files(tmp_path)
    assert set(first) == {"README.md", "results.csv", "results.json", "results.tex"}
    leaderboard.write(tmp_path, FOUND[::-1], latex=True)
    assert files(tmp_path) == first


def test_markdown_has_matrix_averages_and_layers() -> None:
    text = tables.markdown("quick", leaderboard.lines(FOUND[:2] + FOUND[2:4]))
    assert "| method | digits | rain |" in text
    assert "| NMF | 13.00 (2) | 13.00 (1) |" in text
    assert "| 1 | UNET |  | 2 | 2 | 23.50 ± 0.71 | 21.50 … 25.50 | 0.600 ± 0.000 |" in text
    assert "| NMF |  | 2 | 12.00 | 0.500 | 0.100 | 0.0100 | 2 | 14.00 | 0.700 | 0.300 | 0.0200 |" in text


def test_where_one_row_gives_one_layer_all_are_judged_by_it() -> None:
    text = tables.markdown("quick", leaderboard.lines(FOUND))
    assert "| method | digits: a | rain: a |" in text
    assert "| DARK | 42.00 (1) | 42.00 (1) |" in text
    assert "| NMF | 12.00 (3) | 12.00 (2) |" in text
    assert "Scores and ranks are of a alone, which every row gives; no other layer is given by DARK." in text
    assert "| 2 | UNET |  | 2 | 2 | 22.50 ± 0.71 | 20.50 … 24.50 | 0.500 ± 0.000 |" in text
    assert "| DARK |  | 1 | 42.00 | 0.500 | 0.100 | 0.0100 |  |  |  |  |  |" in text
    digits = text[text.index("## digits") : text.index("Layer by layer")]
    assert digits.index("| DARK |") < digits.index("| UNET |") < digits.index("| NMF |")


def test_csv_leaves_the_average_of_a_part_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.results_csv(leaderboard.lines(FOUND)))))
    dark = next(row for row in rows if row["method"] == "dark")
    assert (dark["psnr"], dark["layers"], dark["psnr_by_layer"]) == ("", "a", "42")
    assert next(row for row in rows if row["method"] == "nmf")["mse_by_layer"] == "0.01 0.02"


def test_json_has_all_that_the_tables_show() -> None:
    value = json.loads(tables.results_json("quick", leaderboard.lines(FOUND)))
    unet = next(line for line in value["datasets"]["digits"]["lines"] if line["method"] == "unet")
    assert unet["scores"]["average"]["psnr"] == {"mean": 23.5, "std": 0.707107, "interval": [21.5, 25.5], "rank": 1}
    assert unet["scores"]["b"]["mse"]["rank"] == 1
    assert (unet["parameters"], unet["seeds"], unet["peak_memory_mib"]) == (12, [0, 1], 5)


def test_latex_escapes_and_marks_the_best() -> None:
    found = leaderboard.lines([*FOUND[2:4], record("nmf", 10, title=r"100% _NMF_ \input{x}")])
    text = tables.latex(found)
    assert r"\textbf{23.50 $\pm$ 0.71}" in text
    assert r"100\% \_NMF\_ \textbackslash{}input\{x\}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert line.count("&") == 5


def test_markdown_escapes_what_is_no_text() -> None:
    text = tables.markdown("quick", leaderboard.lines([record(title="<script>alert(1)</script>|[a](b)")]))
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\|\\[a](b)" in text


def place(root: Path, one: records.Record) -> Path:
    path = root / "records" / one.dataset / one.method / f"seed{one.seed}.json"
    records.write(path, one)
    return path


SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"schema": 99}, "schema 99, this version reads"),
    ({"protocol": "rgbb"}, "unknown protocol 'rgbb': there are rgb, rgb-uniform, y, intrinsic"),
    ({"protocol": "rgb<script>"}, "unknown protocol"),
    ({"dataset": "../../else"}, "dataset '../../else' cannot name a folder"),
    ({"method": "a/b"}, "method 'a/b' cannot name a folder"),
    ({"suite": ".."}, "suite '..' cannot name a folder"),
    ({"seed": "../0"}, "seed '../0' is not a whole number"),
    ({"dataset": "other"}, "it says other/unet/seed0, which is not its place"),
    ({"title": ["x"]}, "title is no text"),
    ({"spec": 3}, "spec is no mapping"),
    ({"cost": {"parameters": "12"}}, "cost.parameters is missing or of the wrong kind"),
    ({"rows": [{"id": "0", "psnr": [1e999], "ssim": [1], "lmse": [1], "mse": [1]}]}, "row of image 0 is not whole"),
    ({"rows": [record().rows[0], record().rows[0]]}, "image '0' stands twice"),
    ({"rows": [{**record().rows[0], "psnr": [1.0]}]}, "the row of image '0' is not whole"),
    ({"rows": [3]}, "its fields are not what they should be"),
    ({"rows": []}, "it has no rows"),
]


@pytest.mark.parametrize(("change", "message"), SPOILT, ids=[message[:40] for _, message in SPOILT])
def test_a_strangers_record_is_refused_and_skipped_with_a_warning(
    tmp_path: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path, record("nmf"))
    path = place(tmp_path, record())
    value = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(value))
    with pytest.raises(UserError) as caught:
        checks.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert [one.record.method for one in leaderboard.collect([tmp_path])] == ["nmf"]
    assert f"unblend: warning: skipped: record {path}" in capsys.readouterr().err


def test_seeds_of_a_later_folder_replace_those_of_an_earlier_one(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        place(tmp_path / "old", record(seed=seed))
    place(tmp_path / "old", record("nmf"))
    place(tmp_path / "new", record(psnr=30))
    found = leaderboard.collect([tmp_path / "old", tmp_path / "new"])
    assert [(one.record.method, one.record.seed, one.record.mean("psnr")) for one in found] == [
        ("nmf", 0, 23),
        ("unet", 0, 33),
    ]
    write_json(tmp_path / "new/records/digits/unet/notes.json", {})
    assert len(leaderboard.collect([tmp_path / "new"])) == 1
