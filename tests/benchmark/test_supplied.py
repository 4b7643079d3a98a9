"""Pictures of a stranger's network: found, refused with reasons, and scored as the network itself would be."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from benchmark.errors import UserError
from benchmark.plan import catalogue
from benchmark.results import checks, collection
from benchmark.scoring import outputs
from benchmark.scoring.score import score_images
from benchmark.workflows import supplied
from datamodules.haze import Haze
from datamodules.pictures.images import Photo, write_photo
from methods.color_attenuation import ColorAttenuation
from methods.dark_channel import DarkChannel
from methods.identity import Identity

OPTIONS: dict[str, Any] = {"size": 48, "evaluation_images": 3}
IDS = ["1400_2", "1400", "7"]
LAYERS = ["background", "reflection"]


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 48), (10, 20, 30)).save(path)
    return folder


@pytest.mark.parametrize(
    ("names", "layers", "extra"),
    [
        (["1400", "1400_2", "7"], ["background"], []),
        (["1400", "1400_2", "7", "9"], ["background"], ["9"]),
        ([f"{image}-{layer}" for image in IDS for layer in (*LAYERS, "mixture")], LAYERS, []),
        ([f"{layer}/{image}" for image in IDS for layer in LAYERS], LAYERS, []),
        ([f"{image}/{layer}" for image in IDS for layer in LAYERS], LAYERS, []),
        ([f"{image}/net_{kind}" for image in IDS for kind in ("t", "r", "rr")], LAYERS, []),
        ([f"{image}/{name}" for image in IDS for name in ("net_l", "net_r", "m_input")], LAYERS, []),
        ([f"{image}/{image}_{kind}_net_epoch_3" for image in IDS for kind in ("clean", "reflection")], LAYERS, []),
        ([f"{image}_120" for image in IDS], ["background"], []),
    ],
)  # fmt: skip
def test_what_other_projects_write_is_recognised(
    tmp_path: Path, names: list[str], layers: list[str], extra: list[str]
) -> None:
    found = outputs.find(pictures(tmp_path, *names), IDS, LAYERS, ["background"])
    assert found.layers == tuple(layers)
    assert set(found.pictures) == {(image, layer) for image in IDS for layer in layers}
    assert all(len(paths) == 1 for paths in found.pictures.values())
    assert [path.stem for path in found.extra] == extra
    for (image, _), (path,) in found.pictures.items():
        assert image in path.relative_to(tmp_path).as_posix()


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path, *(f"rain-{image}_out" for image in IDS))
    assert set(outputs.find(folder, IDS, LAYERS, ["background"], pattern="rain-{image}_out.png").pictures) == {
        (image, "background") for image in IDS
    }
    with pytest.raises(UserError, match=r"none of its 3 pictures, such as rain-1400_2_out\.png, is named like a test"):
        outputs.find(folder, IDS, LAYERS, ["background"])
    with pytest.raises(UserError, match="must hold"):
        outputs.find(folder, IDS, LAYERS, ["background"], pattern="*.png")
    with pytest.raises(UserError, match="layer 'sky': these data score background, reflection"):
        outputs.find(folder, IDS, LAYERS, ["background"], layer="sky")


def scored(folder: Path, runs: Path, **options: Any) -> tuple[Any, str]:
    stream = io.StringIO()
    entry = catalogue.dataset("Haze")
    record = supplied.score(
        folder, entry, supplied.Row("score", "haze", OPTIONS), supplied.Said("Mine", ["BSDS500"]),
        Console(file=stream, width=200), runs, **options,
    )  # fmt: skip
    return record, stream.getvalue()


@pytest.fixture(scope="module")
def batch() -> Any:
    data = Haze(**OPTIONS)
    data.open()
    return next(iter(data.test_dataloader()))


@pytest.mark.parametrize("method_class", [Identity, DarkChannel, ColorAttenuation])
def test_a_folder_scores_what_its_method_scores(tmp_path: Path, batch: Any, method_class: Any) -> None:
    data = Haze(**OPTIONS)
    method = method_class(spec=data.spec)
    layers = method(batch.mixture, [0] * 3)
    for name, own in zip(batch.ids, layers, strict=True):
        (tmp_path / "out").mkdir(exist_ok=True)
        write_photo(tmp_path / "out" / f"{name}.png", Photo(own[0], None, 8))
    record, _ = scored(tmp_path / "out", tmp_path / "runs")
    direct = score_images(method, data, seed=0, folder=tmp_path / "direct", accelerator="cpu")
    assert direct is not None
    assert record.ids == direct.ids
    for protocol in record.scores.protocols:
        there = direct.scores.values[protocol]["psnr"][:, 0].mean()
        assert record.mean("psnr", protocol) == pytest.approx(there, abs=0.02)


def test_the_record_can_be_read_checked_and_tells_what_was_judged(tmp_path: Path, batch: Any) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name, mixture in zip(batch.ids, batch.mixture, strict=True):
        write_photo(folder / f"{name}.png", Photo(mixture, None, 8))
    record, _ = scored(folder, tmp_path)
    path = tmp_path / "score/records/haze/mine/seed0.json"
    assert checks.read(path).supplied
    assert [one.record.variant for one in collection.collect([tmp_path / "score"])] == ["outputs supplied"]
    assert record.provenance["trained_on"] == ["BSDS500"]
    assert record.cost["parameters"] is None
    done = subprocess.run(["sha256sum", "-c", str(path.with_suffix(".sha256"))], cwd=folder, check=False)
    assert done.returncode == 0
    assert (tmp_path / "score/samples/haze/mine/seed0/0.json").is_file()
    before = record.key
    write_photo(folder / f"{batch.ids[0]}.png", Photo(batch.mixture[1], None, 8))
    assert scored(folder, tmp_path)[0].key != before


def test_every_fault_is_told_and_nothing_is_written(tmp_path: Path, batch: Any) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    first, second, third = batch.ids
    write_photo(folder / f"{first}.png", Photo(batch.mixture[0, :1], None, 16))  # grey, 16 bits
    Image.new("P", (40, 48)).save(folder / f"{second}.png")  # a palette, and too narrow
    pictures(folder, "else")
    with pytest.raises(UserError, match="not scored, and nothing written"):
        _raised(folder, tmp_path / "runs")
    said = (tmp_path / "said.txt").read_text()
    for line in (
        f"note: 1 picture ({first}.png): 16 bits, read at that depth",
        f"note: 1 picture ({first}.png): grey, given three equal channels",
        f"note: 1 picture ({second}.png): a palette, read as the colours that it names",
        "note: 1 picture (else.png): of no test image, left out",
        f"refused: no picture of background for 1 of the images: {third}",
        f"refused: 1 picture ({second}.png): not of the truth's size; write them at that size, or say --resize",
        f"{second}.png  48 × 40",
    ):
        assert line in said
    assert not list((tmp_path / "runs").rglob("*.json"))
    (folder / f"{third}.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="not scored"):
        _raised(folder, tmp_path / "runs")
    assert f"refused: cannot read {folder / third}.png" in (tmp_path / "said.txt").read_text()


def _raised(folder: Path, runs: Path) -> None:
    with (runs.parent / "said.txt").open("w") as stream:
        supplied.score(
            folder, catalogue.dataset("Haze"), supplied.Row("score", "haze", OPTIONS), supplied.Said("Mine"),
            Console(file=stream, width=200), runs,
        )  # fmt: skip


def test_resized_pictures_are_marked(tmp_path: Path, batch: Any) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name, mixture in zip(batch.ids, batch.mixture, strict=True):
        write_photo(folder / f"{name}.png", Photo(mixture[:, ::2, ::2], None, 8))
    record, said = scored(folder, tmp_path, resize=True)
    assert record.variant == "outputs supplied, resized"
    assert ": resized to the truth's size" in said


def test_layers_without_an_order_are_all_needed(tmp_path: Path) -> None:
    data = catalogue.dataset("Superimposed")
    module = data.load()(size=48)
    module.open()
    names = [name for batch in module.test_dataloader() for name in batch.ids]
    layer = module.spec["scored"][0]
    folder = pictures(tmp_path / "out", *(f"{name}-{layer}" for name in names))
    row = supplied.Row("score", "superimposed", {"size": 48})
    with pytest.raises(UserError, match=r"but none of .*: the layers are without an order, and scored together"):
        supplied.score(folder, data, row, supplied.Said("Mine"), Console(file=io.StringIO()), tmp_path)


def test_the_row_stands_in_the_suite_that_has_the_data() -> None:
    rain = catalogue.dataset("Rain")
    row = supplied.place(rain, {"source": "rain100l", "size": 128, "mixing": None}, None)
    assert (row.suite, row.dataset) == ("rain", "rain-rain100l")
    assert row.options["train_source"] == "bsds500"
    assert supplied.place(rain, {"source": "rain100l"}, "cross_task").suite == "cross_task"
    assert supplied.place(rain, {"source": "rain200h"}, None) == supplied.Row(
        "score", "rain-rain200h", {"source": "rain200h"}, "rain200h"
    )
    for options in ({"size": 64}, {"size": 128, "evaluation_images": 48}):  # embedded pictures are no real set's
        assert supplied.place(rain, options, None).suite in ("score", "quick", "smoke", "tasks")
        assert "source" not in supplied.place(rain, options, None).options
    assert supplied.place(rain, {"size": 64, "evaluation_images": 20}, "quick").dataset == "rain"
    assert supplied.place(rain, {}, None) == supplied.Row("score", "rain", {})
    with pytest.raises(UserError, match="suite haze has no data set Rain with source rain100l"):
        supplied.place(rain, {"source": "rain100l"}, "haze")


@pytest.mark.slow("test_a_folder_scores_what_its_method_scores")
def test_the_documentation_does_what_it_says(tmp_path: Path, unblend: Any) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/outputs.md").read_text()
    before, _, rest = page.partition("```python\n")
    code, _, after = rest.partition("```\n")
    (tmp_path / "denoise.py").write_text(code)
    page = before + after
    blocks = re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line]
    assert [line.split()[:2] for line in lines] == [
        ["unblend", "predict"], ["python", "denoise.py"], ["unblend", "score"], ["unblend", "explain"],
    ]  # fmt: skip
    for line in lines:
        command, *arguments = shlex.split(line)
        if command == "python":
            subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True)
            continue
        done = unblend(*arguments, cwd=tmp_path, PYTHONPATH=str(Path(__file__).resolve().parents[2]))
        assert done.returncode == 0, done.stdout + done.stderr
    assert "TV denoiser, outputs supplied on Rain: background of 6 images" in done.stdout
    assert (tmp_path / "runs/score/index.html").is_file()
