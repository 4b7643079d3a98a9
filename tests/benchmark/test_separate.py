"""``unblend separate``: any picture in, one PNG for each layer out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kornia_rs.io import write_image_png_u16
from PIL import Image
from torch import Tensor

from benchmark.commands import main as cli
from benchmark.scoring import inference, separate
from benchmark.scoring.inference import memory_per_pixel, separate_image
from datamodules.errors import UserError
from datamodules.pictures.images import Photo, read_photo, write_photo
from methods import bits_net
from methods.base import MethodCard, SeparationMethod


class Shares(SeparationMethod):
    """Two shares of the mixture; their order changes from call to call where it is told to."""

    card = MethodCard(title="Shares", paper="none", year=2026, supervision="none")

    def __init__(self, *, swapping: bool = False, scale: int = 1, spec: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.swapping, self.scale, self.calls = swapping, scale, 0
        self.multiple = 4

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        assert max(mixture.shape[-2:]) <= 128
        large = mixture.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)
        layers = torch.stack([0.8 * large, 0.2 * large], 1)
        self.calls += 1
        return layers.flip(1) if self.swapping and self.calls % 2 == 0 else layers


def run(*arguments: object) -> None:
    cli.main(["separate", *map(str, arguments)])


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (24, 32)) -> np.ndarray:
    height, width = size
    y, x = np.mgrid[:height, :width]
    colour = np.stack([40 + 5 * x, 30 + 6 * y, 90 + 2 * x + 2 * y, 128 + 3 * x], 2).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(colour, "RGBA").convert(mode)
    image.save(path)
    return np.asarray(image)


def test_a_picture_that_would_fill_the_memory_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(SystemExit):
        run(tmp_path / "a.png", "--model", "Identity", "--out", tmp_path / "out")
    said = capsys.readouterr().err
    assert re.search(r"error: .*a\.png: Image size \(768 pixels\) exceeds limit.*; reduce the picture", said)
    assert "Traceback" not in said


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
def test_eight_bit_pictures_come_back_in_layers(tmp_path: Path, mode: str) -> None:
    pixels = picture(tmp_path / "a.png", mode)
    run(tmp_path / "a.png", "--model", "Identity", "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a-layer_1.png", "a-layer_2.png", "a-sheet.png"}
    layer = Image.open(tmp_path / "out/a-layer_1.png")
    expected = {"RGB": "RGB", "L": "L", "RGBA": "RGBA", "LA": "RGBA", "P": "RGBA", "1": "L"}[mode]
    assert layer.mode == expected
    assert np.array_equal(np.asarray(layer), np.asarray(Image.open(tmp_path / "a.png").convert(expected)))
    if mode == "RGBA":
        assert np.array_equal(np.asarray(layer)[..., 3], pixels[..., 3])
    assert Image.open(tmp_path / "out/a-sheet.png").size[0] > 3 * 32


@pytest.mark.parametrize("mode", ["rgb", "mono", "rgba"])
def test_sixteen_bit_pictures_keep_their_levels(tmp_path: Path, mode: str) -> None:
    channels = {"rgb": 3, "mono": 1, "rgba": 4}[mode]
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 24, channels), dtype=np.uint16)
    write_image_png_u16(str(tmp_path / "a.png"), pixels, mode)
    run(tmp_path / "a.png", "--model", "Identity", "--out", tmp_path)
    photo, layer = read_photo(tmp_path / "a.png"), read_photo(tmp_path / "a-layer_2.png")
    assert layer.bits == 16
    assert torch.equal(photo.pixels, layer.pixels)
    assert len(layer.pixels.unique()) > 400
    assert (layer.alpha is None) == (mode != "rgba")
    if layer.alpha is not None and photo.alpha is not None:
        assert torch.equal(layer.alpha, photo.alpha)


def test_layers_beyond_the_range_are_clipped(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", Photo(torch.tensor([[[-1.0, 0.5, 2.0]]]), None, 8))
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 128, 255]]


def test_bits_net_separates_pictures_together_and_writes_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bits_net, "LOOK_EVERY", 20)
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    picture(tmp_path / "c.png", "L", (40, 20))
    out = tmp_path / "out"
    options = ("--model=BITSNet", "--model.iterations=40", "--model.widths=[8,8]", "--model.skips=[0,4]")
    run(*(tmp_path / f"{name}.png" for name in "abc"), *options, "--out", out, "--snapshots=20", "--seed=3")
    written = {path.name for path in out.iterdir()}
    assert written == {f"{n}-{k}.png" for n in "abc" for k in ("layer_1", "layer_2", "sheet")} | {"snapshots"}
    assert {path.name for path in (out / "snapshots").iterdir()} == {
        f"{n}-{i:06d}-layer_{k}.png" for n in "abc" for i in (20, 40) for k in (1, 2)
    }
    one, two = (np.asarray(Image.open(out / f"a-layer_{k}.png")) / 255 for k in (1, 2))
    mixture = np.asarray(Image.open(tmp_path / "a.png")) / 255
    assert np.abs((one + two) / 2 - mixture).mean() < 0.2
    for k in (1, 2):
        last = np.asarray(Image.open(out / f"snapshots/c-000040-layer_{k}.png"))
        assert last.shape == (40, 20)  # grey, without padding
        assert np.array_equal(last, np.asarray(Image.open(out / f"c-layer_{k}.png")))
    first = {path.name: path.read_bytes() for path in out.glob("*.png")}
    run(*(tmp_path / f"{name}.png" for name in "abc"), *options, "--out", out, "--seed=3")
    assert first == {path.name: path.read_bytes() for path in out.glob("*.png")}


def test_an_interrupted_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    options = (tmp_path / "a.png", "--model=DoubleDIP", "--model.widths=[8,8]", "--model.skips=[0,4]",
               "--model.iterations=150")  # fmt: skip
    run(*options, "--out", tmp_path / "whole")
    steps: list[int] = []

    def stop(self: object, *_: object) -> Any:
        def watch(done: int, *_: object) -> None:
            steps.append(done)
            if done == 100 and steps.count(100) == 1:
                raise KeyboardInterrupt

        return watch

    monkeypatch.setattr(separate.Separation, "_watch", stop)
    monkeypatch.setattr("methods.resume.SAVE_EVERY", -1.0)
    with pytest.raises(KeyboardInterrupt):
        run(*options, "--out", tmp_path / "broken")
    assert (tmp_path / "broken/.unfinished").is_dir()
    run(*options, "--out", tmp_path / "broken")
    assert steps == [50, 100, 150]
    assert not (tmp_path / "broken/.unfinished").exists()
    for k in (1, 2):
        assert (tmp_path / f"broken/a-layer_{k}.png").read_bytes() == (tmp_path / f"whole/a-layer_{k}.png").read_bytes()


def test_a_trained_method_needs_its_checkpoint_and_uses_its_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from methods.unet import UNet

    spec = {
        "layers": ["digit_1", "digit_2"], "scored": [], "ordered": False, "channels": 1, "scale": 2, "mixing": "sum",
        "gain": 1.0, "pairing": "paired", "protocol": "rgb", "citation": "", "licence": "",
    }  # fmt: skip
    method = UNet(width=8, spec=spec).eval()  # type: ignore[arg-type]
    checkpoint = {"state_dict": method.state_dict(), "hyper_parameters": dict(method.hparams)}
    torch.save(checkpoint, tmp_path / "best.ckpt")
    picture(tmp_path / "a.png", "RGB", (24, 32))
    run(tmp_path / "a.png", "--model=UNet", "--checkpoint", tmp_path / "best.ckpt", "--out", tmp_path)
    assert "note: U-Net was trained on grey pictures: colour is averaged." in capsys.readouterr().err
    layer = Image.open(tmp_path / "a-digit_1.png")
    assert layer.size == (64, 48)
    with torch.no_grad():
        grey = read_photo(tmp_path / "a.png").pixels.mean(0, keepdim=True)[None]
        expected = (method(grey)[0, 0, 0].clamp(0, 1) * 255).round().byte().numpy()
    assert np.abs(np.asarray(layer).astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.png", "name a method"),
        ("a.png --model BITSNett", "unknown method 'BITSNett': did you mean BITSNet"),
        ("a.png --model UNet", "U-Net is trained: give --checkpoint"),
        ("a.png --model UNet --checkpoint no.ckpt", "no checkpoint no.ckpt"),
        ("a.png --model UNet --checkpoint a.png", "checkpoint a.png is refused"),
        ("nothing.png --model Identity", "no picture nothing.png"),
        (". --model Identity", ". is a folder: name the pictures in it"),
        ("text.png --model Identity", "cannot read text.png: it is no image file"),
        ("dot.png --model Identity", "dot.png has 1×1 pixels, at least 16×16"),
        ("a.png a.png --model Identity", "two pictures are called a"),
        ("a.png --model Identity --tile 4", "tile 4: it must be at least 16"),
        ("a.png --model BITSNet --tile 64", "tile 64: BITS-Net needs at least 96 pixels"),
        ("a.png --model BITSNet --model.iterations 0", "iterations 0"),
        ("a.png --model BITSNet --model.denoiser magic", "denoiser"),
        ("a.png --model LiGT --checkpoint a.png", "checkpoint a.png is refused"),
        ("a.png --model Identity --device cdua", "device cdua"),
        ("--model Identity", "images"),
    ],
)
def test_errors_are_one_line(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("hello")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(SystemExit) as caught:
        run(*arguments.split())
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("unblend: error: ")]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (64, 150), (131, 97)])
def test_tiles_blend_into_what_the_whole_would_be(scale: int, ordered: bool, size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    method = Shares(swapping=not ordered, scale=scale)
    layers = separate_image(method, image, tile=64, ordered=ordered)
    large = image.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    assert torch.allclose(layers, torch.stack([0.8 * large, 0.2 * large]), atol=1e-5)
    assert (method.calls == 1) == (size == (64, 64))


def test_tiles_come_by_themselves_where_memory_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(3, 300, 260, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(inference, "SMALL", 0)
    method = Shares()
    per_pixel = memory_per_pixel_of(method, image)
    monkeypatch.setattr(inference, "free_memory", lambda device: int(2 * per_pixel * 64 * 64) + 1)
    layers = separate_image(method, image)
    assert method.calls > 10
    assert torch.allclose(layers.sum(0), image, atol=1e-5)
    monkeypatch.setattr(inference, "free_memory", lambda device: 1000)
    with pytest.raises(UserError, match="free memory allows Shares tiles of 0 pixels, it needs 16"):
        separate_image(method, image)


def test_attention_over_a_whole_photograph_is_cut_into_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from methods.ligt import LiGT
    from methods.unet import UNet

    image = torch.rand(1, 90, 200, generator=torch.Generator().manual_seed(0))
    seen: list[int] = []
    separate = LiGT.separate

    def noted(self: LiGT, mixture: Tensor, seeds: list[int]) -> Tensor:
        seen.append(max(mixture.shape[-2:]))
        return separate(self, mixture, seeds)

    monkeypatch.setattr(LiGT, "separate", noted)
    method = LiGT(width=0.25).eval()
    with torch.no_grad():
        pixels = inference.pixels_for_attention(method, image)
        assert 32**2 < pixels < 64**2  # 49 × 49: its attention is as much work there as its convolutions
        layers = separate_image(method, image, ordered=False)
        assert layers.shape == (2, 1, 180, 400)
        assert max(seen[2:]) <= 64
        assert inference.images_that_fit(method, image) == 1
        assert inference.pixels_for_attention(UNet(width=4).eval(), image) > 10**9
        small = image[:, :60, :64]
        assert torch.equal(separate_image(method, small), method(small[None], [0])[0])


def memory_per_pixel_of(method: Shares, image: Tensor) -> float:
    limited = image[:, :64, :64]
    per_pixel = memory_per_pixel(method, limited)
    assert 6 * 4 < per_pixel < 100 * 4  # six values of four bytes a pixel come out
    return per_pixel


@pytest.mark.parametrize(
    ("method", "layers"),
    [
        ("DarkChannel", ["background", "haze"]),
        ("ConvexReflectionSuppression", ["background"]),
        ("RelativeSmoothness", ["background", "reflection"]),
    ],
)
def test_a_prior_names_the_layers_of_any_picture(tmp_path: Path, method: str, layers: list[str]) -> None:
    picture(tmp_path / "a.png")
    run(tmp_path / "a.png", "--model", method, "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"a-{name}.png" for name in [*layers, "sheet"]}
