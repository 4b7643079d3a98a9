"""Trained weights that ship: small, whole, and enough by themselves."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save_file
from torch import Tensor

from benchmark.commands import lightning as training
from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.plan import catalogue
from benchmark.results import checks, records, weights
from benchmark.training import checkpoints
from benchmark.workflows.shipping import measured, ship
from methods.base import SeparationMethod
from methods.dmgn import DMGN
from methods.sils import SILS
from methods.unet import UNet
from methods.unit import UNIT

SHIPPED = weights.shipped()


def spec_of(channels: int, scale: int, ordered: bool, layers: tuple[str, ...] = ("background", "rain")) -> Any:
    return {
        "layers": list(layers), "scored": [], "target": [], "derived": [], "ordered": ordered, "channels": channels,
        "scale": scale, "mixing": "sum", "gain": 1.0, "fusion": "sum", "gamma": 1.0, "pairing": "paired",
        "protocol": "rgb", "citation": "", "licence": "",
    }  # fmt: skip


def image(path: Path, mode: str = "RGB", size: tuple[int, int] = (44, 38)) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def separated(folder: Path, *arguments: object) -> dict[str, np.ndarray]:
    """The layers that ``unblend separate`` writes, by their files' names."""
    cli.main(["separate", *map(str, arguments), "--out", str(folder)])
    return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


def error(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command ends in."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main([*map(str, arguments)])
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unblend: error: ")]
    assert len(lines) == 1
    return lines[0]


Said = list[tuple[int, str]]
"""Exit status of each command, and what it said."""

EACH = """
import contextlib, io, json, sys
from benchmark.commands.main import main

for arguments in json.loads(sys.argv[1]):
    status, said = 0, io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(arguments)
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, said.getvalue()]))
"""


def ship_each(folder: Path, **cells: str) -> Said:
    """What ``unblend publish --weights`` says of each cell, called for all in one process of a project's own code."""
    commands = [["publish", "runs/tiny", "--weights", f"{cell}/seed0", "--as", name] for name, cell in cells.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    environment.pop("UNBLEND_DATA", None)
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps(commands)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(status, said) for status, said in map(json.loads, done.stdout.splitlines())]


@pytest.fixture(scope="module")
def shipping(project: Path) -> Path:
    """A copy of the project where a U-Net and a GAN, trained for a few steps, ship."""
    cells = {"digits/unet": "digits/unet", "rain/pagan": "rain/cascade_gan"}
    for name, (status, said) in zip(cells, ship_each(project, **cells), strict=True):
        assert status == 0, said
        assert f"{name} ships with 0." in said
    return project


@pytest.fixture
def here(shipping: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The project, whose weights are also those that this process knows; the working directory is another."""
    monkeypatch.setattr(weights, "FOLDER", shipping / "leaderboards/weights")
    monkeypatch.chdir(tmp_path)
    return shipping


@pytest.mark.parametrize(
    ("name", "cell", "mode"),
    [
        ("digits/unet", "digits/unet", "L"),
        ("digits/unet", "digits/unet", "RGB"),
        ("rain/pagan", "rain/cascade_gan", "RGB"),
        ("rain/pagan", "rain/cascade_gan", "LA"),
    ],
)
def test_what_ships_separates_like_its_checkpoint(here: Path, tmp_path: Path, name: str, cell: str, mode: str) -> None:
    picture = image(tmp_path / "a.png", mode)
    run = here / f"runs/tiny/cells/{cell}/seed0"
    shipped = here / f"leaderboards/weights/{name}"
    elsewhere = shutil.copytree(shipped, tmp_path / "elsewhere")
    expected = separated(tmp_path / "one", picture, "--checkpoint", run / "best.ckpt")
    assert len(expected) in (2, 3)  # one or two layers, and the sheet
    ways = (("--from", name), (f"--from={name}",), ("--from", elsewhere), ("--checkpoint", shipped / weights.WEIGHTS))
    for i, options in enumerate(ways):
        found = separated(tmp_path / str(i), picture, *options)
        assert found.keys() == expected.keys()
        # The weights have 16 bits.
        assert all(np.abs(found[key].astype(int) - expected[key]).max() <= 2 for key in expected)
    record = here / f"runs/tiny/records/{cell}/seed0.json"
    for suffix in (".json", ".safetensors"):
        beside = (shipped / f"record{suffix}").read_bytes()
        assert beside == record.with_suffix(suffix).read_bytes()
    assert weights.find(name).record().ids == records.read(record).ids


class Tinted(torch.nn.Module):
    """The truth, but for a channel that is too bright."""

    def __init__(self, truths: dict[bytes, Tensor], by: float) -> None:
        super().__init__()
        self.truths, self.by = truths, by

    def forward(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        layers = torch.stack([self.truths[one.numpy().tobytes()] for one in mixture]).clone()
        layers[:, :, 0] += self.by
        return layers


def test_the_cast_of_colour_and_the_time_are_beside_what_ships(here: Path) -> None:
    one = weights.find("digits/unet")
    cast, seconds = one.measured()
    assert cast is not None
    assert seconds is not None
    assert 0 <= cast < 1
    assert seconds > 0
    text = one.path.with_name("README.md").read_text()
    assert f"{100 * cast:.1f} % of full scale off" in text
    assert f"one core {seconds:.1f} s" in text
    row = dict(zip(weights.HEADER, next(row for row in weights.rows() if row[0] == one.name), strict=True))
    assert (row["cast (%)"], row["time (s)"]) == (f"{100 * cast:.1f}", f"{seconds:.1f}")
    record = one.record()
    data = catalogue.load(record.config["data"]["class_path"])(**record.config["data"]["init_args"])
    data.open()
    truths = {
        mixture.numpy().tobytes(): layers
        for batch in data.test_dataloader()
        for mixture, layers in zip(batch.mixture, batch.layers / 2, strict=True)
    }
    expected = measured.cast(Tinted(truths, 0.25), record, None)  # type: ignore[arg-type]
    darker = measured.cast(Tinted(truths, 0.0), record, None)  # type: ignore[arg-type]
    assert expected == pytest.approx(abs(0.25 - darker), abs=1e-6)
    assert darker > 0


def test_only_what_separates_ships(here: Path) -> None:
    path = here / "leaderboards/weights/rain/pagan/model.safetensors"
    held, trained = (checkpoints.read(one) for one in (path, here / "runs/tiny/cells/rain/cascade_gan/seed0/best.ckpt"))
    parameters = {name for name, _ in checkpoints.trained(path).pagan.generator.named_parameters()}  # type: ignore[union-attr]
    assert parameters
    assert {f"pagan.generator.{name}" for name in parameters} <= held["state_dict"].keys()
    assert not any("discriminator" in name or "num_batches_tracked" in name for name in held["state_dict"])
    assert any("discriminator" in name for name in trained["state_dict"])
    assert held["state_dict"].keys() | set(held["left_out"]) == trained["state_dict"].keys()
    assert held["hyper_parameters"] == {k: v for k, v in trained["hyper_parameters"].items() if k != "_instantiator"}
    assert all(value.dtype == torch.float16 for value in held["state_dict"].values())
    assert "optimizer_states" not in held
    held_there = sorted(file.name for file in path.parent.iterdir())
    assert held_there == [
        "README.md", "config.json", "example.webp", "images", "measured.json", "model.safetensors", "record.json",
        "record.safetensors",
    ]  # fmt: skip
    card = (path.parent / "README.md").read_text()
    assert card.startswith("---\nlicense: ")
    assert "in 16 bits, which changed the score by" in card
    assert "![A mixture that these weights took apart](example.webp)" in card
    assert sorted(one.name for one in path.parents[1].iterdir()) == ["pagan"]


@pytest.mark.parametrize(
    ("cell", "name", "message"),
    [
        (
            "",
            "digits/unet",
            "runs/tiny is no folder of a cell: give one such as runs/SUITE/cells/DATASET/METHOD/seed0.",
        ),
        ("cells/digits/unet/seed7", "digits/unet", "records/digits/unet/seed7.json: missing or not whole"),
        ("cells/digits/identity/seed0", "digits/id", "Identity is not trained, so that it has no weights to ship"),
        ("cells/digits/unet/seed0", "unet", "--as unet: it must be TASK/NAME, and the task is digits"),
        ("cells/digits/unet/seed0", "rain/unet", "--as rain/unet: it must be TASK/NAME, and the task is digits"),
        ("cells/digits/unet/seed0", "digits/../../a", "--as: name '../../a' cannot name a folder"),
    ],
)
def test_a_name_or_a_cell_that_is_none_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], cell: str, name: str, message: str
) -> None:
    assert message in error(capsys, "publish", here / "runs/tiny", "--weights", here / "runs/tiny" / cell, "--as", name)


def test_what_is_too_large_and_what_could_not_be_published_does_not_ship(here: Path) -> None:
    path = here / "runs/tiny/records/digits/unet/seed0.json"
    before, record = path.read_text(), json.loads(path.read_text())
    dirty = {**record["provenance"], "commit": record["provenance"]["commit"] + "+"}
    path.write_text(json.dumps({**record, "provenance": dirty, "checkpoint_sha256": "0" * 64}))
    other = weights.FOLDER / "haze/large/model.safetensors"
    other.parent.mkdir(parents=True)
    with open(other, "wb") as stream:
        stream.truncate(30_000_000 - 10_000 - weights.find("digits/unet").path.stat().st_size)
    cells = {"digits/wide": "digits/unet-wide", "digits/other": "digits/unet", "rain/pagan": "rain/cascade_gan"}
    large, unsound, together = ship_each(here, **cells)
    path.write_text(before)
    shutil.rmtree(other.parents[1])
    assert [status for status, _ in (large, unsound, together)] == [2, 2, 2]
    assert "MB, at most 10.0 MB ship: train it with a smaller width" in large[1].splitlines()[-1]
    for message in ("changes that were not committed", "its weights are others than"):
        assert message in unsound[1].splitlines()[-1]
    said = "those that ship have 30.0 MB, all together at most 30.0 MB: train it with a smaller width, or remove"
    assert said in together[1].splitlines()[-1]
    assert sorted(weights.shipped()) == ["digits/unet", "rain/pagan"]


def test_what_ships_is_listed_and_offered(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path / "a.png")
    assert "--from rain/pagan" in (said := error(capsys, "separate", "a.png", "--model", "CascadeGAN"))
    assert "UGAN + PAGAN is trained: give --checkpoint, for example runs/fit/best.ckpt, or what ships" in said
    assert "digits/unet" not in said
    said = error(capsys, "separate", "a.png", "--model", "LiGT")
    assert "weights of another method, which ship: --from digits/unet, --from rain/pagan." in said
    said = error(capsys, "separate", "a.png", "--from", "rain/pagen")
    assert "unknown weights 'rain/pagen': did you mean rain/pagan? There are digits/unet, rain/pagan." in said
    assert "there are digits/unet, rain/pagan." in error(capsys, "separate", "a.png", "--from", "q")
    assert "give one of them" in error(capsys, "separate", "a.png", "--from=q", "--checkpoint=b.ckpt")
    assert "does not fit UNet" in error(capsys, "separate", "a.png", "--from=rain/pagan", "--model=UNet")
    assert "width" in error(capsys, "separate", "a.png", "--from=rain/pagan", "--model.width=3")
    monkeypatch.setenv("COLUMNS", "200")
    cli.main(["list", "weights"])
    listed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    record = checks.sound(weights.FOLDER / "digits/unet/record.json")
    layers = ", ".join(record.spec["target"])
    size = weights.find("digits/unet").path.stat().st_size / 1e6
    cast, seconds = weights.find("digits/unet").measured()
    assert cast is not None
    told = f"Digits {layers} {record.mean('psnr'):.2f} – {100 * cast:.1f} {seconds:.1f} {size:.1f}"
    assert listed[1] == f"digits/unet U-Net Digits, embedded, 64 images {told}"
    assert listed[2].startswith("rain/pagan PAGAN Rain, embedded, 64 images Rain ")
    path = weights.FOLDER / "rain/pagan/record.json"
    path.rename(tmp_path / "aside.json")
    assert "missing or not whole" in "".join(row[1] for row in weights.rows())
    (tmp_path / "aside.json").rename(path)


def test_identitys_score_stands_beside_where_it_is_published(here: Path) -> None:
    path = here / "runs/tiny/records/digits/identity/seed0.json"
    assert [row[6] for row in weights.rows()] == ["–", "–"]
    published = here / "leaderboards/tiny/records/digits/identity/seed0.json"
    records.write(published, records.read(path))
    try:
        assert [row[6] for row in weights.rows()] == [f"{checks.read(path).mean('psnr'):.2f}", "–"]
    finally:
        shutil.rmtree(here / "leaderboards/tiny")


def test_nothing_ships_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "a.png")
    assert "none ship" in error(capsys, "separate", "a.png", "--from", "rain/dmgn")
    assert "no weights ship" in error(capsys, "separate", "a.png", "--model", "UNet")
    cli.main(["list", "weights"])
    assert "None ship" in capsys.readouterr().out


def method_of(entry: catalogue.Entry, seed: int = 0) -> SeparationMethod:
    """A small method of a class, with weights and statistics that differ from a new one's."""
    torch.manual_seed(seed)
    method_class = getattr(__import__(entry.class_path.rpartition(".")[0], fromlist=["_"]), entry.name)
    card = method_class.card
    spec = spec_of(card.channels[0] if card.channels else 3, card.scales[0] if card.scales else 2, True)
    small: dict[str, dict[str, Any]] = {
        "ConvSep": {"width": 0.125}, "LiGT": {"width": 0.25}, "DMGN": {"width": 4, "levels": 2, "features": "random"},
        "CascadeGAN": {"width": 4, "depth": 4}, "Pix2Pix": {"width": 4, "depth": 4},
        "SILS": {"width": 4, "average": 0.9}, "UNIT": {"width": 4}, "CycleGAN": {"width": 4},
    }  # fmt: skip
    options = small.get(entry.name, {"width": 4})
    if "features" in inspect.signature(method_class).parameters:
        options = {**options, "features": "random"}
    method: SeparationMethod = method_class(**options, spec=spec).eval()
    with torch.no_grad():
        if entry.name == "DehazeNet":  # at its start the transmission is 1 everywhere
            method.network.last.bias.sub_(1)  # type: ignore[union-attr,operator]
        for tensor in [*method.parameters(), *(b for b in method.buffers() if b.is_floating_point())]:
            if "random" not in str(method.hparams.get("features")) or tensor.requires_grad:
                tensor.add_(0.01 * torch.rand_like(tensor))
    return method


def packed(method: SeparationMethod, path: Path) -> Path:
    options = {**method.hparams, "_class_path": f"{type(method).__module__}.{type(method).__name__}"}
    ship.write(path, method, options, None)
    return path


def with_config(folder: Path, state: dict[str, Tensor], config: str) -> Path:
    """A folder of weights whose configuration may be anything."""
    folder.mkdir()
    save_file(state, folder / checkpoints.WEIGHTS)
    (folder / checkpoints.CONFIG).write_text(config)
    return folder


def layers(method: SeparationMethod, size: tuple[int, int] = (37, 70)) -> Tensor:
    channels = method.hparams["spec"]["channels"]
    with torch.no_grad():
        found: Tensor = method(torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(1)))
    return found


@pytest.mark.parametrize(
    "entry",
    [entry for entry in catalogue.methods().values() if entry.card["supervision"] in ("paired", "unpaired")],
    ids=lambda entry: entry.name,
)
@pytest.mark.slow("test_critics_stay_here_and_shared_weights_are_kept_once")
def test_every_trained_method_can_be_rebuilt_from_its_file(entry: catalogue.Entry, tmp_path: Path) -> None:
    method = method_of(entry)
    path = packed(method, tmp_path / "a")
    again = checkpoints.trained(path)
    assert type(again) is type(method)
    assert torch.equal(layers(method), layers(again.eval()))
    other = method_of(entry, seed=1)
    assert not torch.equal(layers(method), layers(other))
    training._load(other, path)  # as `unblend test --checkpoint` does, where options say which method it is
    assert torch.equal(layers(method), layers(other))
    trains_alone = [name for name in checkpoints.read(path)["left_out"] if "num_batches" not in name]
    assert any("critic" in name or "discriminator" in name for name in trains_alone) == any(
        "critic" in name or "discriminator" in name for name in method.state_dict()
    )
    state = checkpoints.read(path)["state_dict"]
    state.popitem()
    short = with_config(tmp_path / "short", state, _config(path))
    with pytest.raises(UserError, match=f"does not fit {entry.name}: 1 weights are missing"):
        checkpoints.trained(short)


def test_features_that_only_losses_look_at_need_not_be_here(tmp_path: Path) -> None:
    method = method_of(catalogue.methods()["AttentiveGAN"])
    path = packed(method, tmp_path / "a")
    options = json.loads(_config(path))
    options["hyper_parameters"]["features"] = "timm"  # which nobody has here
    again = checkpoints.trained(with_config(tmp_path / "b", checkpoints.read(path)["state_dict"], json.dumps(options)))
    assert again.hparams["features"] == "timm"
    assert torch.equal(layers(method), layers(again.eval()))


def _config(path: Path, **changes: Any) -> str:
    held = {key: value for key, value in checkpoints.read(path).items() if key != "state_dict"}
    return json.dumps({**held, **changes})


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    method = UNet(width=4, spec=spec_of(1, 1, True)).eval()
    folders = [packed(method, tmp_path / str(i)) for i in range(10)]
    for name in (checkpoints.WEIGHTS, checkpoints.CONFIG):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1


def test_critics_stay_here_and_shared_weights_are_kept_once(tmp_path: Path) -> None:
    critical = SILS(width=4, spec=spec_of(1, 1, True)).eval()
    kept = checkpoints.read(packed(critical, tmp_path / "a"))["state_dict"]
    assert {name.partition(".")[0] for name in critical.state_dict()} == {"generators", "critics"}
    assert {name.partition(".")[0] for name in kept} == {"generators"}
    shared = UNIT(width=4, spec=spec_of(1, 1, True)).eval()
    kept = load((packed(shared, tmp_path / "b") / checkpoints.WEIGHTS).read_bytes())
    first = "shared.first.weight"
    assert f"generators.0.encode_mixture.{first}" in kept
    assert f"generators.0.encode_layer.{first}" not in kept
    assert len([name for name in kept if name.startswith("generators.0.decode_") and name.endswith(first)]) == 1
    assert any(name.startswith("generators.0.decode_layer.own.") for name in kept)
    assert not any(name.startswith("generators.0.encode_layer.") for name in kept)


def test_features_from_a_file_need_it_no_more(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {0: (3, 3, 1, 1), 2: (64, 3, 3, 3), 5: (64, 64, 3, 3), 9: (128, 64, 3, 3), 12: (128, 128, 3, 3)}
    state: dict[str, Tensor] = {}
    for number, shape in {**shapes, 16: (256, 128, 3, 3)}.items():
        state[f"{number}.weight"] = 0.05 * torch.randn(shape, generator=generator)
        state[f"{number}.bias"] = 0.05 * torch.randn(shape[0], generator=generator)
    vgg19 = tmp_path / "vgg.pth"
    torch.save(state, vgg19)
    for levels in (2, 5):
        method = DMGN(width=4, levels=levels, features=str(vgg19), spec=spec_of(3, 1, True)).eval()
        vgg19.rename(tmp_path / "aside.pth")
        again = checkpoints.trained(packed(method, tmp_path / "a")).eval()
        (tmp_path / "aside.pth").rename(vgg19)
        assert again.hparams["features"] == str(vgg19)
        assert torch.equal(layers(method), layers(again))
    torch.save({f"{key}": value + 0.1 for key, value in state.items()}, vgg19)
    assert torch.equal(layers(method), layers(checkpoints.trained(tmp_path / "a").eval()))


HOSTILE = {
    "no JSON": "{",
    "no JSON, deeply": "[" * 100_000,
    "no mapping": "[1, 2]",
    "options that are no mapping": {"hyper_parameters": [1]},
    "no spec": {"hyper_parameters": {"_class_path": "methods.unet.UNet", "width": 4}},
    "a class that is no method": {"_class_path": "os.system"},
    "a class that is no method, in our package": {"_class_path": "methods.unet.UNetBackbone"},
    "no such module": {"_class_path": "methods.nothing.UNet"},
    "an odd module": {"_class_path": "methods..UNet"},
    "no class at all": {"_class_path": 3},
    "the base of all methods": {"_class_path": "methods.base.SeparationMethod"},
    "another method": {"_class_path": "methods.ligt.LiGT"},
    "an unknown option": {"colour": "red"},
    "an option of another kind": {"width": "wide"},
    "an impossible option": {"width": -4},
    "no layers": {"spec": {**spec_of(1, 2, True), "layers": []}},
    "layers that lead elsewhere": {"spec": spec_of(1, 2, True, ("../../a", "b"))},
    "five channels": {"spec": spec_of(5, 2, True)},
    "weights of no name": {"left_out": ["nothing"]},
    "left out what is there": {"left_out": ["network.head.bias"]},
    "left out no names": {"left_out": [[1]]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_configuration_is_told_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = packed(UNet(width=4, spec=spec_of(1, 2, True)).eval(), Path("a"))
    changes = HOSTILE[what]
    held = checkpoints.read(path)
    if isinstance(changes, str):
        config = changes
    elif changes.keys() & {"hyper_parameters", "left_out"}:
        config = _config(path, **changes)
    else:
        config = _config(path, hyper_parameters={**held["hyper_parameters"], **changes})
    with_config(Path("b"), held["state_dict"], config)
    image(tmp_path / "a.png")
    said = error(capsys, "separate", "a.png", "--from", "b")
    assert "checkpoint b" in said or "b/config.json is no" in said
    assert not (tmp_path / "runs").exists()
    assert separated(tmp_path / "good", "a.png", "--checkpoint", path)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_that_really_ships_is_what_its_record_says_and_separates(name: str, tmp_path: Path) -> None:
    one = SHIPPED[name]
    record, held = one.record(), checkpoints.read(one.path)
    assert one.path.stat().st_size <= weights.LARGEST
    assert held["checkpoint_sha256"] == record.checkpoint_sha256
    assert held["hyper_parameters"]["_class_path"] == record.config["model"]["class_path"]
    assert held["hyper_parameters"]["spec"]["layers"] == record.spec["layers"]
    assert name.partition("/")[0] == catalogue.dataset(record.config["data"]["class_path"]).folder
    assert record.dataset.partition("-")[0] == name.partition("/")[0]
    for mode, size in (("RGB", (90, 61)), ("L", (16, 33)), ("RGBA", (64, 64))):
        picture = image(tmp_path / f"{mode}.png", mode, size)
        found = separated(tmp_path / mode, picture, "--from", name, "--device", "cpu")
        written = [pixels for key, pixels in found.items() if "sheet" not in key]
        scale = held["hyper_parameters"]["spec"]["scale"]
        assert written
        assert all(pixels.shape[:2] == (scale * size[0], scale * size[1]) for pixels in written)


def test_all_that_really_ship_are_small_together() -> None:
    assert sum(one.path.stat().st_size for one in SHIPPED.values()) <= weights.TOGETHER
    beside = {path.parent for path in weights.FOLDER.glob("*/*/record.json")}
    assert beside == {one.path.parent for one in SHIPPED.values()}


@pytest.mark.slow("test_each_that_really_ships_is_what_its_record_says_and_separates")
@pytest.mark.parametrize("name", SHIPPED)
def test_each_that_really_ships_still_scores_what_its_record_says(name: str) -> None:
    """Weights are scored again, not trained again, where their data are."""
    one = SHIPPED[name]
    record = one.record()
    try:
        psnr = ship.psnr(checkpoints.trained(one.path).eval(), record, os.environ.get("UNBLEND_DATA"))
    except UserError as error:
        pytest.skip(f"{error} Set UNBLEND_DATA.")
    assert psnr == pytest.approx(record.mean("psnr"), abs=ship.HALF)
