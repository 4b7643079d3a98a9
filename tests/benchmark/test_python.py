"""The five functions for Python, and the tables that are written for others."""

from __future__ import annotations

import csv
import doctest
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from rich.console import Console

import benchmark
from benchmark.errors import UserError
from benchmark.plan.execution import DIAGNOSIS, Config, Execution, Job
from benchmark.reports import explain, export
from benchmark.results import checks, collection
from benchmark.scoring.score import score
from benchmark.speed.made import record as made
from benchmark.training.fit import fit
from benchmark.workflows import python
from datamodules.pictures.images import Photo, write_photo


def test_importing_loads_no_torch_and_only_five_names_are_for_everybody() -> None:
    code = "import sys, benchmark; print(benchmark.__all__, {'torch', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['evaluate', 'load', 'mixtures', 'published', 'separate'] set()\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        benchmark.nothing  # noqa: B018


def test_the_examples_are_true() -> None:
    assert doctest.testmod(python).failed == 0
    assert doctest.testmod(python).attempted >= 4


def test_a_network_and_the_folder_of_its_pictures_have_the_same_scores(tmp_path: Path) -> None:
    options = {"size": 32, "evaluation_images": 3}
    dim = benchmark.evaluate(lambda mixture: {"background": 0.9 * mixture}, "Haze", **options)
    module = python._data("Haze", None, options)
    module.open()
    for batch in module.test_dataloader():
        for name, mixture in zip(batch.ids, batch.mixture, strict=True):
            write_photo(tmp_path / f"{name}.png", Photo(0.9 * mixture, None, 8))
    again = benchmark.evaluate(tmp_path, "Haze", **options)
    assert again.mean("psnr") == pytest.approx(dim.mean("psnr"), abs=0.02)
    (tmp_path / f"{name}.png").unlink()
    with pytest.raises(UserError, match=f"no picture of background for 1 of the images: {name}"):
        benchmark.evaluate(tmp_path, "Haze", **options)


def test_a_folder_of_another_layer_alone_is_refused_as_by_the_command(tmp_path: Path) -> None:
    module = python._data("Digits", None, {"test_images": 2})
    module.open()
    for batch in module.test_dataloader():
        for name, layers in zip(batch.ids, batch.layers, strict=True):
            write_photo(tmp_path / f"{name}-digit_2.png", Photo(layers[1], None, 8))
    with pytest.raises(UserError, match="pictures of digit_2, but none of digit_1: the layers are without an order"):
        benchmark.evaluate(tmp_path, "Digits", test_images=2)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda mixture: {"sky": mixture}, "layer 'sky': these data have background"),
        (lambda mixture: {}, "give the first of background"),
        (lambda mixture: mixture * float("nan"), "not finite"),
        (lambda mixture: mixture[:, ::2], "layers of shape"),
    ],
)
def test_layers_that_cannot_be_scored_are_named(what: python.Network, message: str) -> None:
    with pytest.raises(UserError, match=message):
        benchmark.evaluate(what, "Haze", size=32, evaluation_images=1)


def test_unknown_data_are_named_with_what_is_near() -> None:
    with pytest.raises(UserError, match="unknown data 'rain100': did you mean"):
        benchmark.mixtures("rain100")


def test_weights_take_pictures_of_any_kind_apart(tmp_path: Path) -> None:
    picture = (numpy.random.default_rng(0).random((40, 56, 3)) * 255).astype(numpy.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    apart = benchmark.load("rain/nafnet")
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    kinds = [
        picture,
        Image.fromarray(picture),
        tensor,
        tensor.float() / 255,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
    ]
    found = [apart(one) for one in kinds]
    assert list(found[0]) == ["background", "rain"]
    assert found[0]["background"].shape == (3, 40, 56)
    assert all(torch.equal(one["background"], found[0]["background"]) for one in found)
    assert torch.equal(benchmark.separate(picture, "rain/nafnet")["rain"], found[0]["rain"])
    with pytest.raises(UserError, match=r"a picture of shape \(2, 40, 56\)"):
        apart(torch.zeros(2, 40, 56))


def test_results_are_rows_or_a_frame() -> None:
    rows = benchmark.published("rain")
    records = [one.record for one in collection.collect([collection.COMMITTED / "rain"])]
    assert len(rows) == sum(r.scores.images * r.scores.layers * len(r.scores.protocols) for r in records)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: pip install 'unblend[frame]'")
    frame = benchmark.published("rain", as_frame=True)
    assert isinstance(frame, pandas.DataFrame)
    own = frame[(frame.method == "identity") & (frame.protocol == "y@1")].psnr.mean()
    assert own == pytest.approx(next(r for r in records if r.method == "identity").mean("psnr"), abs=1e-3)
    with pytest.raises(UserError, match="unknown suite with published results 'rian': did you mean rain"):
        benchmark.published("rian")


def test_tables_for_others_hold_every_score_and_configuration(tmp_path: Path) -> None:
    records = [made("unet", psnr=[[20.0], [30.0]]), made("dmgn", psnr=[[21.0], [31.0]])]
    beside, count = export.write(tmp_path / "all.csv", records)
    with (tmp_path / "all.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == count == 2 * 2 * len(records[0].scores.protocols)
    assert [row["psnr"] for row in rows if row["method"] == "dmgn"][:2] == ["21.0", "31.0"]
    with beside.open() as stream:
        configurations = list(csv.DictReader(stream))
    assert [row["record"] for row in configurations] == [record.score_key[:12] for record in records]
    with pytest.raises(UserError, match=r"all\.txt: write \.csv or \.parquet, not \.txt"):
        export.write(tmp_path / "all.txt", records)
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'unblend[frame]'")
    export.write(tmp_path / "all.parquet", records)
    assert parquet.read_table(tmp_path / "all.parquet").num_rows == count


def test_a_number_is_explained_by_its_conventions_and_the_papers(tmp_path: Path) -> None:
    stream = io.StringIO()
    path = collection.COMMITTED / "clouds/records/clouds-rice-i-generated/color_attenuation/seed0.json"
    explain.explain(path, Console(file=stream, width=200))
    said = stream.getvalue()
    assert "nearest to the paper" in said
    assert "cascade_gan-2" in said
    assert "all pixels of all images" in said
    with pytest.raises(UserError, match="no record"):
        explain.explain(tmp_path / "seed0.json", Console(file=stream))


def test_looks_are_scored_on_the_test_set_after_the_choice(tmp_path: Path) -> None:
    cell, path = tmp_path / "d/cells/digits/unet/seed0", tmp_path / "d/records/digits/unet/seed0.json"
    data = {"images": 64, "batch_size": 16, "selections": 2, "test_images": 4}
    config: Config = {
        "seed_everything": 0,
        "model": {"class_path": "methods.unet.UNet", "init_args": {"width": 4, "depth": 2}},
        "data": {"class_path": "datamodules.digits.Digits", "init_args": data},
        "trainer": {"precision": "32-true"},
    }
    identities = {"method": "unet@2", "data": "digits@2", "training": "training@2", "metrics": "metrics@1"}
    how = Execution(accelerator="cpu", diagnose=True)
    Job(config, how, "k", "s", str(path), identities, "d", "digits", "unet").write(cell)
    fit(cell)
    score(cell)
    record = checks.read(path)
    looks = json.loads((cell / DIAGNOSIS).read_text())["looks"]
    assert [look["images_seen"] for look in looks] == [32, 64]
    chosen = max(record.training["curve"], key=lambda point: point[1])[0]
    own = next(look["test"] for look in looks if look["images_seen"] == chosen)
    assert own == pytest.approx(record.mean("psnr"), abs=1e-3)
    assert not (cell / "looks").exists()
    stream = io.StringIO()
    explain.explain(path, Console(file=stream, width=200))
    assert "no table has them" in stream.getvalue()
    explain.explain(tmp_path / "d", Console(file=stream, width=200))
    assert "Best look on the test set minus the chosen one" in stream.getvalue()
    with pytest.raises(UserError, match="no cell of it was diagnosed"):
        explain.explain(tmp_path, Console(file=stream))
