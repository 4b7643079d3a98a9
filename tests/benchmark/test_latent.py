"""The picture of latent spaces and its number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark import cli, latent
from datamodules.shapes import Shapes
from methods.half_mixture import HalfMixture
from methods.sils import SILS


def clouds(distance: float) -> latent.Codes:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 2, 50, 8, generator=generator)
    other[..., 0] += distance
    return {"E_a": {"mixture": one[0], "a": one[1]}, "E_b": {"mixture": other[0], "b": other[1]}}


def test_separation_is_the_distance_of_centres_over_that_within() -> None:
    square = {"E_a": {"mixture": torch.tensor([[0.0, 1.0], [0.0, -1.0]])}, "E_b": {"b": torch.tensor([[4.0, 2.0]] * 2)}}
    square["E_b"]["b"][:, 1] = torch.tensor([1.0, -1.0])
    assert latent.separation(square) == pytest.approx(4)
    values = [latent.separation(clouds(distance)) for distance in (0, 3, 30)]
    assert values[0] < 0.3 < values[1] < 2 < values[2]


def test_the_first_axis_is_the_one_that_separates() -> None:
    flat = latent.plane(clouds(30))
    one, other = (torch.cat(list(kinds.values()))[:, 0] for kinds in flat.values())
    assert max(one.min(), other.min()) > min(one.max(), other.max()), "the spaces do not overlap"
    assert latent.scatter(clouds(30)).tobytes() == latent.scatter(clouds(30)).tobytes()
    assert latent.scatter(clouds(30)).tobytes() != latent.scatter(clouds(3)).tobytes()


def test_the_report_is_of_methods_with_latent_spaces(tmp_path: Path) -> None:
    data = Shapes(size=64, evaluation_images=5, pairing="unpaired")
    data.setup()
    method = SILS(width=4, spec=data.spec).eval()
    found = latent.report(method, data, tmp_path / "a" / "latent.png")
    assert found["images"] == 5
    assert found["separation"] == pytest.approx(latent.separation(latent.codes(method, data)))
    assert (tmp_path / "a" / "latent.png").is_file()
    assert latent.report(HalfMixture(spec=data.spec), data, tmp_path / "b.png") == {}
    assert not (tmp_path / "b.png").exists()


def test_show_draws_a_checkpoints_latent_spaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Shapes(size=64, pairing="unpaired")
    method = SILS(width=4, spec=data.spec)
    options = {**method.hparams, "_class_path": "methods.sils.SILS"}
    torch.save({"state_dict": method.state_dict(), "hyper_parameters": options}, tmp_path / "best.ckpt")
    arguments = ["--size", "64", "--evaluation_images", "4", "--latent", str(tmp_path / "best.ckpt")]
    cli.main(["show", "Shapes", *arguments, "--out", str(tmp_path / "latent.png")])
    assert "4 images, separation" in capsys.readouterr().out
    assert (tmp_path / "latent.png").is_file()
    for wrong, message in (
        (["show", "Shapes", "--layers", "3", *arguments], "separates square, circle, not square, circle, triangle"),
        (["show", "Superimposed", "--latent", str(tmp_path / "best.ckpt")], "SILS needs layers with an order"),
        (["show", "Shapes", "--latent", "no.ckpt"], "no checkpoint no.ckpt"),
    ):
        with pytest.raises(SystemExit):
            cli.main([*wrong, "--out", str(tmp_path / "wrong.png")])
        assert message in capsys.readouterr().err
