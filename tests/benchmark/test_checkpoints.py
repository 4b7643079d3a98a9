"""Checkpoints of strangers: weights are read, code is not."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from benchmark.commands import main as cli
from benchmark.errors import UserError
from benchmark.training import checkpoints
from methods.unet import UNet


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def traps(folder: Path) -> list[Path]:
    sprung = Trap(folder / "sprung")
    (folder / "plain.ckpt").write_bytes(pickle.dumps({"state_dict": sprung}))
    torch.save({"state_dict": {}, "callbacks": sprung}, folder / "torch.ckpt")
    torch.save(UNet(), folder / "module.ckpt")
    return [folder / name for name in ("plain.ckpt", "torch.ckpt", "module.ckpt")]


def test_a_pickled_checkpoint_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    for path in traps(tmp_path):
        with pytest.raises(UserError, match="is refused: it holds Python objects") as caught:
            checkpoints.read(path)
        assert str(path) in str(caught.value)
        assert "state_dict" in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "command",
    [
        "evaluate --model UNet --data Digits --checkpoint {}",
        "validate --model UNet --data Digits --ckpt_path {}",
        "predict --model UNet --data Digits --ckpt_path={}",
        "fit --model UNet --data Digits --ckpt_path {}",
        "separate {image} --model UNet --checkpoint {}",
    ],
)
def test_every_command_refuses_it_in_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.new("L", (32, 32)).save(tmp_path / "image.png")
    with pytest.raises(SystemExit) as caught:
        cli.main(command.format(traps(tmp_path)[1], image=tmp_path / "image.png").split())
    assert caught.value.code == 2
    assert "torch.ckpt is refused: it holds Python objects" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "sprung").exists()


def test_weights_alone_are_read_from_either_form(tmp_path: Path) -> None:
    weights = UNet(width=8).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    save_file(weights, tmp_path / "a.safetensors")
    for name in ("a.ckpt", "a.safetensors"):
        held = checkpoints.read(tmp_path / name)["state_dict"]
        assert held.keys() == weights.keys()
        assert all(torch.equal(held[key], weights[key]) for key in weights)


@pytest.mark.parametrize("name", ["a.ckpt", "a.safetensors"])
def test_half_a_file_and_no_file_are_told(tmp_path: Path, name: str) -> None:
    weights = UNet(width=8).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    save_file(weights, tmp_path / "a.safetensors")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cannot be read|is refused"):
        checkpoints.read(path)
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.read(tmp_path / "nothing.ckpt")
    with pytest.raises(UserError, match="download it first"):
        checkpoints.read(Path("https://example.org/a.ckpt"))
    torch.save(weights, path.with_suffix(".pt"))
    with pytest.raises(UserError, match="it has no state_dict"):
        checkpoints.read(path.with_suffix(".pt"))
