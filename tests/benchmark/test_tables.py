"""Tables for people and programs: the same bytes each time, and nothing in a name breaks them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.files import write_json
from benchmark.plan import identity
from benchmark.reports import export, leaderboard, notes, tables
from benchmark.results import checks, collection, records
from benchmark.speed.made import record as made


def record(method: str = "unet", psnr: float = 20.0, layers: int = 2, **changes: Any) -> records.Record:
    return made(method, psnr=[[psnr, psnr + 2][:layers], [psnr + 4, psnr + 6][:layers]], **changes)


RAINY = {
    "dataset": "rain-heavy", "data_variant": "Heavy", "target": ["background"],
    "config": {**made("any").config, "data": {"class_path": "datamodules.rain.Rain", "init_args": {}}},
}  # fmt: skip

FOUND = [
    record("nmf", 10),
    record("nmf", 10, **RAINY),
    record("unet"),
    record("unet", 21, seed=1),
    record("dark", 40, layers=1),
    record("dark", 40, layers=1, **RAINY),
]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rebuilding_changes_no_byte_whatever_the_order(tmp_path: Path) -> None:
    leaderboard.write(tmp_path, FOUND, latex=True)
    first = files(tmp_path)
    assert set(first) == {"README.md", "results.csv", "results.json", "results.tex"}
    leaderboard.write(tmp_path, FOUND[::-1], latex=True)
    assert files(tmp_path) == first


def test_markdown_has_matrix_targets_and_layers() -> None:
    text = tables.markdown("quick", collection.lines(FOUND))
    assert "| method | Digits | Rain, Heavy (background) |" in text
    assert "| NMF | 13.00 (2) | 12.00 (2) |" in text
    assert "| DARK | – | 42.00 (1) |" in text
    assert "| 1 | UNET |  | 2 | 2 | 23.50 ± 0.71 | 21.50 … 25.50 | 23.05 ± 0.71 | 0.470 ± 0.014 |" in text
    assert "judged by the mean over background and reflection; image formation: sum; protocol: rgb@1. made up." in text
    assert "judged by the background; image formation" in text
    digits = text[text.index("## Digits") : text.index("## Rain, Heavy")]
    assert "- DARK does not give reflection: without every target layer it is ranked layer by layer only." in digits
    assert "| – | DARK |  | 1 | 2 |  |  |  |  |  |  | 12 |" in digits
    assert "| DARK |  | 1 | 42.00 | 41.55 | 0.840 | 0.024 | 0.0001 |  |  |  |  |  |  |" in digits
    assert digits.index("| UNET |") < digits.index("| NMF |") < digits.index("| DARK |")


def test_the_protocol_is_named_with_the_windows_where_images_are_small() -> None:
    text = tables.markdown("quick", collection.lines([record(window="8×8 at step 4")]))
    assert "protocol: rgb@1, LMSE windows 8×8 at step 4. made up." in text


def test_what_is_not_ranked_says_why() -> None:
    old = {**record().identities, "metrics": "metrics@0"}
    text = tables.markdown("quick", collection.lines([*FOUND, record("old", identities=old)]))
    assert "- OLD is not ranked: its scores are of metrics@0, the others' of metrics@1." in text


def test_numbers_of_older_code_name_their_version(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"of_method": "unet@2", "of_dataset": "digits@1", "of_training": "training@3", "of_metrics": "metrics@1"}
    for name, version in versions.items():
        monkeypatch.setattr(identity, name, lambda *_, version=version, **more: version)
    ours = {
        "model": {"class_path": "methods.unet.UNet", "init_args": {}},
        "data": {"class_path": "datamodules.digits.Digits", "init_args": {}},
    }
    text = tables.markdown("quick", collection.lines([record(config=ours), record("nmf", 10)]))
    assert "- The training is of training@1, this checkout has training@3." in text
    assert "- UNET is of unet@1, this checkout has unet@2." in text
    assert "NMF is of" not in text, "a class that is not the project's has no version here"
    assert "The data are of" not in text
    new = {**record().identities, "method": "unet@2", "training": "training@3"}
    assert notes.of(collection.lines([record(config=ours, identities=new)])["digits"]) == []


def test_csv_has_a_line_for_each_record_and_protocol() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.results_csv(collection.lines(FOUND)))))
    assert len(rows) == 2 * len(FOUND)
    own = [row for row in rows if row["protocol"] == "rgb@1"]
    assert [row["protocol"] for row in rows[:4]] == ["rgb@1", "rgb-uniform@1"] * 2
    dark = next(row for row in own if row["method"] == "dark" and row["dataset"] == "digits")
    assert (dark["psnr"], dark["layers"], dark["psnr_by_layer"]) == ("", "background", "42")
    dark = next(row for row in own if row["method"] == "dark" and row["dataset"] == "rain-heavy")
    assert (dark["psnr"], dark["target"]) == ("42", "background")
    unet = next(row for row in rows if row["method"] == "unet" and row["protocol"] == "rgb-uniform@1")
    assert (float(unet["psnr"]), unet["psnr_by_layer"], unet["of"]) == (
        24, "23 25", "unet@1 digits@1 training@1 metrics@1"
    )  # fmt: skip
    assert float(unet["pooled_psnr"]) < 24


def test_json_has_all_that_the_tables_show_under_every_protocol() -> None:
    value = json.loads(tables.results_json("quick", collection.under_each_protocol(FOUND)))
    digits = value["datasets"]["digits"]
    assert [one["title"] for one in value["datasets"].values()] == ["Digits", "Rain, Heavy"]
    assert (digits["protocol"], digits["target"]) == ("rgb@1", ["background", "reflection"])
    unet = next(line for line in digits["lines"] if line["method"] == "unet")
    scores = unet["scores"]["rgb@1"]
    assert scores["target"]["psnr"] == {"mean": 23.5, "std": 0.707107, "interval": [21.5, 25.5], "rank": 1}
    assert unet["scores"]["rgb-uniform@1"]["target"]["psnr"]["mean"] == 24.5
    assert scores["layers"]["reflection"]["mse"]["rank"] == 1
    assert (unet["parameters"], unet["seeds"], unet["peak_memory_mib"]) == (12, [0, 1], 5)
    dark = next(line for line in digits["lines"] if line["method"] == "dark")
    assert (dark["ranked"], dark["scores"]["rgb@1"]["target"]) == (False, {})


def test_latex_escapes_and_marks_the_best() -> None:
    found = collection.lines([*FOUND[2:4], record("nmf", 10, title=r"100% _NMF_ \input{x}")])
    text = export.latex(found)
    assert r"\textbf{23.50 $\pm$ 0.71}" in text
    assert "Method & PSNR (dB) & SSIM & LMSE & MSE & Parameters" in text
    assert r"100\% \_NMF\_ \textbackslash{}input\{x\}" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert line.count("&") == 5


def test_markdown_escapes_what_is_no_text() -> None:
    text = tables.markdown("quick", collection.lines([record(title="<script>alert(1)</script>|[a](b)")]))
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\|\\[a](b)" in text


def test_the_command_shows_any_protocol_that_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for one in (*FOUND, record("nmf", dataset="albedo", protocols=["intrinsic@1"])):
        place(tmp_path / "quick", one)
    cli.main(["leaderboard", str(tmp_path / "quick"), "--protocol", "rgb-uniform", "--latex"])
    said = capsys.readouterr().out
    assert "Digits, judged by the mean over background and reflection; rgb-uniform@1" in said
    assert "24.50 ± 0.71" in said
    assert "albedo: not stored under rgb-uniform@1, only under intrinsic@1" in said
    written = {path.name for path in (tmp_path / "quick").iterdir()}
    assert written == {"records", "images", "results.tex"}, "files keep each task's own protocol"
    assert "protocol: rgb-uniform@1" in (tmp_path / "quick/results.tex").read_text()
    for name, message in (
        ("y", "protocol y: nothing is stored under y@1; these records are stored under rgb@1, rgb-uniform@1, intr"),
        ("rgb@2", "unknown protocol 'rgb@2': there are rgb@1, rgb-uniform@1, y@1, y-uniform@1, intrinsic@1; these"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(["leaderboard", str(tmp_path / "quick"), "--protocol", name])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def place(root: Path, one: records.Record) -> Path:
    path = root / "records" / one.dataset / one.method / f"seed{one.seed}.json"
    records.write(path, one)
    return path


def of(part: str, **changes: Any) -> dict[str, Any]:
    return {part: {**getattr(record(), part), **changes}}


SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"schema": 99}, "schema 99, this version reads"),
    ({"schema": 2}, "schema 2, this version reads"),
    ({"protocols": ["rgbb@1"]}, "unknown protocol 'rgbb@1': there are rgb@1, rgb-uniform@1, y@1"),
    ({"protocols": ["rgb<script>"]}, "unknown protocol"),
    ({"protocols": ["rgb@1", "rgb@1"]}, "it has a protocol twice: rgb@1, rgb@1"),
    ({"protocols": []}, "its protocols have scores of unlike shapes"),
    ({"dataset": "../../else"}, "dataset '../../else' cannot name a folder"),
    ({"method": "a/b"}, "method 'a/b' cannot name a folder"),
    ({"suite": ".."}, "suite '..' cannot name a folder"),
    ({"suite": "store"}, "a suite cannot be called store: that is the folder of all cells"),
    ({"seed": "../0"}, "seed '../0' is not a whole number"),
    ({"dataset": "other"}, "it says other/unet/seed0, which is not its place"),
    ({"title": ["x"]}, "title is no text"),
    ({"key": 3}, "key is no text"),
    ({"spec": 3}, "spec is no mapping"),
    ({"more": 3}, "missing or unknown fields more"),
    (of("spec", target=[]), "no target layer (none) is among those scored"),
    (of("spec", target=["rain"]), "no target layer (rain) is among those scored"),
    (of("spec", target="background"), "spec.target is missing or of the wrong kind"),
    (of("spec", scored=["background"]), "it has scores of 2 layers, its spec scores 1"),
    (of("spec", scored=["background"] * 2), "spec.scored names a layer twice"),
    (of("cost", parameters="12"), "cost.parameters is missing or of the wrong kind"),
    (of("identities", metrics=1), "identities.metrics is missing or of the wrong kind"),
    (of("training", seconds=1e999), "it has numbers that are not finite"),
    ({"images": {"count": 2, "digest": "../../../../etc/passwd"}}, "the list of its images"),
    ({"images": {"count": 3, "digest": "IMAGES"}}, "2 rows for 2 images, 3 told"),
    ({"arrays": {"sha256": "0" * 64, "same": {}}}, "its checksum does not fit"),
]


@pytest.mark.parametrize(("change", "message"), SPOILT, ids=[message[:40] for _, message in SPOILT])
def test_a_strangers_record_is_refused_and_skipped_with_a_warning(
    tmp_path: Path, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path, record("nmf"))
    path = place(tmp_path, record())
    held = json.loads(path.read_text())
    path.write_text(json.dumps({**held, **change}).replace("IMAGES", held["images"]["digest"]))
    with pytest.raises(UserError) as caught:
        checks.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert [one.record.method for one in collection.collect([tmp_path])] == ["nmf"]
    assert f"unblend: warning: skipped: record {path}" in capsys.readouterr().err


ARRAYS: list[tuple[Any, str]] = [
    (lambda arrays: {}, "the scores rgb@1/psnr are missing or not whole"),
    (lambda arrays: {**arrays, "rgb@1/psnr": arrays["rgb@1/psnr"] / 0}, "the scores rgb@1/psnr are missing or not"),
    (lambda arrays: {**arrays, "rgb@1/psnr": arrays["rgb@1/psnr"].astype("f8")}, "the scores rgb@1/psnr are missing"),
    (lambda arrays: {**arrays, "rgb@1/mse": arrays["rgb@1/mse"][:1]}, "scores of unlike shapes"),
    (lambda arrays: {name.replace("@1", ""): array for name, array in arrays.items()}, "protocol 'rgb' has no version"),
    (lambda arrays: {name: array[:1] for name, array in arrays.items()}, "1 rows for 2 images, 2 told"),
    (lambda arrays: {**arrays, "assignment": arrays["rgb@1/psnr"].astype("i1")}, "names layers that are not there"),
    (lambda arrays: {**arrays, "assignment": arrays["rgb@1/psnr"][:1].astype("i1")}, "its assignment has the shape"),
]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(("change", "message"), ARRAYS, ids=[message[:40] for _, message in ARRAYS])
def test_a_strangers_arrays_are_checked_though_their_checksum_fits(tmp_path: Path, change: Any, message: str) -> None:
    path = place(tmp_path, record())
    arrays = path.with_suffix(".safetensors")
    save_file(change(load_file(arrays)), arrays)
    header = json.loads(path.read_text())
    if "rgb/psnr" in load_file(arrays):
        header["protocols"] = [name.partition("@")[0] for name in header["protocols"]]
    header["arrays"]["sha256"] = hashlib.sha256(arrays.read_bytes()).hexdigest()
    path.write_text(json.dumps(header))
    with pytest.raises(UserError, match=message) as caught:
        checks.read(path)
    assert str(path) in str(caught.value)


def test_a_strangers_files_are_not_read_if_they_are_huge(tmp_path: Path) -> None:
    path = place(tmp_path, record())
    with open(path.with_suffix(".safetensors"), "r+b") as stream:
        stream.truncate(200_000_000)
    with pytest.raises(UserError, match="has 200,000,000 bytes, a record's at most 100,000,000"):
        checks.read(path)
    with open(path, "r+b") as stream:
        stream.truncate(2_000_000)
    with pytest.raises(UserError, match=r"seed0\.json has 2,000,000 bytes, a record's at most 1,000,000"):
        checks.read(path)


def test_a_list_of_images_is_not_read_if_it_is_huge_or_another(tmp_path: Path) -> None:
    path = place(tmp_path, record())
    (listed,) = (tmp_path / "images").iterdir()
    listed.write_text("else\n")
    with pytest.raises(UserError, match="it is not the list of images that its name says"):
        checks.read(path)
    with open(listed, "r+b") as stream:
        stream.truncate(200_000_000)
    with pytest.raises(UserError, match="a list of images of more than 100,000,000 bytes is not read"):
        checks.read(path)


def test_an_image_that_stands_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="image 'a' stands twice"):
        checks.read(place(tmp_path, record(ids=("a", "a"))))


def test_seeds_of_a_later_folder_replace_those_of_an_earlier_one(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        place(tmp_path / "old", record(seed=seed))
    place(tmp_path / "old", record("nmf"))
    place(tmp_path / "new", record(psnr=30))
    found = collection.collect([tmp_path / "old", tmp_path / "new"])
    assert [(one.record.method, one.record.seed, one.record.mean("psnr")) for one in found] == [
        ("nmf", 0, 23),
        ("unet", 0, 33),
    ]
    write_json(tmp_path / "new/records/digits/unet/notes.json", {})
    assert len(collection.collect([tmp_path / "new"])) == 1
