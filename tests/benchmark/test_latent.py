"""What is told of latent spaces, and their picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.commands import main as cli
from benchmark.scoring import latent
from datamodules.shapes import Shapes
from datamodules.types import LayerBatch
from methods.half_mixture import HalfMixture
from methods.sils import SILS
from methods.unit import UNIT


def clouds(distance: float) -> latent.Codes:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 2, 50, 8, generator=generator)
    other[..., 0] += distance
    return {"E_a": {"mixture": one[0], "a": one[1]}, "E_b": {"mixture": other[0], "b": other[1]}}


def test_the_first_axis_is_the_one_that_separates() -> None:
    flat = latent.plane(clouds(30))
    one, other = (torch.cat(list(kinds.values()))[:, 0] for kinds in flat.values())
    assert max(one.min(), other.min()) > min(one.max(), other.max()), "the spaces do not overlap"
    assert latent.scatter(clouds(30)).tobytes() == latent.scatter(clouds(30)).tobytes()
    assert latent.scatter(clouds(30)).tobytes() != latent.scatter(clouds(3)).tobytes()


class Told(HalfMixture):
    """A method whose encoders have a level that says all, one that is constant, and one that is not looked at."""

    def encode(self, mixture: Tensor) -> list[list[Tensor]]:
        return [[mixture, torch.full_like(mixture, 0.5), 3 * mixture] for _ in range(2)]

    def decode(self, codes: list[list[Tensor]], mixture: Tensor) -> Tensor:
        return torch.stack([whole / 2 + constant - 0.5 for whole, constant, _ in codes], 1)


def shapes(**options: Any) -> Shapes:
    data = Shapes(size=64, evaluation_images=5, pairing="unpaired", **options)
    data.setup()
    return data


def test_a_level_that_says_nothing_of_the_picture_is_told() -> None:
    data = shapes()
    batches = list(data.test_dataloader())
    mixture, layers = (torch.cat([getattr(batch, part) for batch in batches]) for part in ("mixture", "layers"))
    found = latent.levels(Told(spec=data.spec), data)
    assert {name.rpartition(".")[0] for name in found} == {f"E_{n}.{i}" for n in ("square", "circle") for i in range(3)}
    assert found["E_square.0.spread"] == pytest.approx(float(mixture.var(0, correction=0).mean().sqrt()), rel=1e-4)
    assert found["E_square.0.mean"] == pytest.approx(float(mixture.mean()), rel=1e-4)

    def psnr(estimate: Tensor, k: int) -> float:
        return float(-10 * ((estimate - layers[:, k]) ** 2).mean((1, 2, 3)).log10().mean())

    for k, name in enumerate(("square", "circle")):
        lost = psnr(mixture / 2, k) - psnr(mixture.mean(0, keepdim=True) / 2, k)
        assert found[f"E_{name}.0.loss_db"] == pytest.approx(lost, abs=1e-3)
        assert found[f"E_{name}.1.spread"] == found[f"E_{name}.1.loss_db"] == 0
        assert found[f"E_{name}.1.mean"] == 0.5
        assert found[f"E_{name}.2.spread"] == pytest.approx(3 * found[f"E_{name}.0.spread"])
        assert found[f"E_{name}.2.loss_db"] == 0, "the decoder does not look at it"
    assert len(latent.levels(Told(spec=data.spec), data, images=2)) == len(found)


def test_images_of_several_sizes_are_cut_to_what_they_share() -> None:
    data = shapes()
    (batch,) = data.test_dataloader()
    sizes = [LayerBatch(x[..., :h, :w], y[..., :h, :w], m[..., :h, :w], [i])
             for (h, w), x, y, m, i in zip(((64, 40), (48, 64)), batch.mixture.split(1), batch.layers.split(1),
                                           batch.mask.split(1), batch.ids, strict=False)]  # fmt: skip
    data.test_dataloader = lambda: sizes  # type: ignore[method-assign,assignment,return-value]
    pair = batch.mixture[:2, ..., :48, :40]
    expected = float(pair.var(0, correction=0).mean().sqrt())
    assert latent.levels(Told(spec=data.spec), data)["E_square.0.spread"] == pytest.approx(expected, rel=1e-4)


def test_the_report_is_of_methods_with_latent_spaces(tmp_path: Path) -> None:
    data = shapes()
    method = SILS(width=4, spec=data.spec).eval()
    found = latent.report(method, data, tmp_path / "a" / "latent.png")
    assert found == {"images": 5, **latent.levels(method, data)}
    assert all(type(value) is float for value in found.values())
    assert len(found) == 1 + 2 * 5 * 3
    assert (tmp_path / "a" / "latent.png").is_file()
    unit = latent.report(UNIT(width=4, spec=data.spec).eval(), data, tmp_path / "b.png")
    assert set(unit) == {"images", "E_square.0.spread", "E_square.0.mean", "E_square.0.loss_db"}
    assert latent.report(HalfMixture(spec=data.spec), data, tmp_path / "b.png") == {}
    assert not (tmp_path / "b.png").exists()


def test_show_draws_a_checkpoints_latent_spaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Shapes(size=64, pairing="unpaired")
    method = SILS(width=4, spec=data.spec)
    options = {**method.hparams, "_class_path": "methods.sils.SILS"}
    torch.save({"state_dict": method.state_dict(), "hyper_parameters": options}, tmp_path / "best.ckpt")
    arguments = ["--size", "64", "--evaluation_images", "4", "--latent", str(tmp_path / "best.ckpt")]
    cli.main(["show", "Shapes", *arguments, "--out", str(tmp_path / "latent.png")])
    told = capsys.readouterr().out
    assert f"4 images: {tmp_path / 'latent.png'}" in told
    assert "E_circle.4: " in told
    assert (tmp_path / "latent.png").is_file()
    for wrong, message in (
        (["show", "Shapes", "--layers", "3", *arguments], "separates square, circle, not square, circle, triangle"),
        (["show", "Superimposed", "--latent", str(tmp_path / "best.ckpt")], "SILS needs layers with an order"),
        (["show", "Shapes", "--latent", "no.ckpt"], "no checkpoint no.ckpt"),
    ):
        with pytest.raises(SystemExit):
            cli.main([*wrong, "--out", str(tmp_path / "wrong.png")])
        assert message in capsys.readouterr().err
