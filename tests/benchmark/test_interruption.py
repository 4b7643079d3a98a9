"""Training that is asked to end, at any step, goes on to the very same weights; and options that only say how."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.files import read_json, write_json
from benchmark.plan.execution import Execution, Job
from benchmark.training import fit as fitting
from benchmark.training.interruption import INTERRUPTED, Resumable

NOISY = '''
import os
import signal

from torch import nn

from methods.base import MethodCard
from methods.losses.permutation import separation_loss, squared
from methods.networks.resize import enlarge
from methods.recipe import TrainedMethod

STOP = {}


class Noisy(TrainedMethod):
    """A small network with dropout and averaged weights, which asks its own process to end after some batches."""

    card = MethodCard(title="Noisy", paper="none", year=2026, supervision="paired")

    def __init__(self, lr: float = 0.01, cosine: bool = True, spec: dict | None = None) -> None:
        super().__init__(lr=lr, cosine=cosine, warm_up=0.2, average=0.9)
        self.save_hyperparameters()
        self.scale = 2
        self.network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(8, 2, 1))

    def separate(self, mixture, seeds):
        return self.network(enlarge(mixture, 2)).unsqueeze(2)

    def training_step(self, batch, batch_idx):
        if batch_idx == STOP.get("at"):
            os.kill(os.getpid(), STOP["signal"])
        return separation_loss(self(batch.mixture), batch.layers, squared, permutation_invariant=True)
'''


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "noisy.py").write_text(NOISY)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib
    import sys

    sys.modules.pop("noisy", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield importlib.import_module("noisy")
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.modules.pop("noisy", None)


def cell(directory: Path, model: str = "noisy.Noisy", images: int = 192, **execution: Any) -> Path:
    config = {
        "seed_everything": 3,
        "model": {"class_path": model, "init_args": {}},
        "data": {
            "class_path": "datamodules.digits.Digits",
            "init_args": {"images": images, "batch_size": 16, "selections": 3},
        },
        "trainer": {"precision": "32-true"},
    }
    Job(config, Execution(accelerator="cpu", **execution), "same").write(directory)
    return directory


def weights(directory: Path) -> dict[str, torch.Tensor]:
    held: dict[str, torch.Tensor] = torch.load(directory / "best.ckpt", weights_only=True)["state_dict"]
    return held


@pytest.mark.parametrize(
    ("stop_at", "number", "execution"),
    [
        (0, signal.SIGTERM, {}),  # the first step
        (3, signal.SIGUSR1, {}),  # where the select role is consulted: it ends one step later
        (6, signal.SIGTERM, {}),
        (9, signal.SIGTERM, {"accumulate": 2}),  # in the midst of a batch whose gradients are gathered
    ],
)
def test_a_training_asked_to_end_goes_on_to_the_same_weights(
    noisy: Any, tmp_path: Path, stop_at: int, number: int, execution: dict[str, Any]
) -> None:
    whole, broken = cell(tmp_path / "whole", **execution), cell(tmp_path / "broken", **execution)
    noisy.STOP.clear()
    fitting.fit(whole)
    noisy.STOP.update(at=stop_at, signal=number)
    with pytest.raises(SystemExit) as ended:
        fitting.fit(broken)
    assert ended.value.code == INTERRUPTED
    assert not (broken / "fit.json").exists()
    seen = torch.load(broken / "last.ckpt", weights_only=True)["Digits"]["images_seen"]
    assert 0 < seen < 192
    noisy.STOP.clear()
    fitting.fit(broken)
    one, other = (read_json(folder / "fit.json")["training"] for folder in (whole, broken))
    assert one["images_seen"] == other["images_seen"] == 192
    assert one["optimizer_steps"] == other["optimizer_steps"] == 12
    assert one["select_psnr"] == other["select_psnr"]
    expected, found = weights(whole), weights(broken)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not (broken / "last.ckpt").exists()


def test_a_checkpoint_of_other_networks_is_begun_anew(noisy: Any, tmp_path: Path) -> None:
    """The same key, as code that was accepted meanwhile has it; the method's parts have other names or shapes."""
    whole, broken = cell(tmp_path / "whole"), cell(tmp_path / "broken")
    noisy.STOP.clear()
    fitting.fit(whole)
    noisy.STOP.update(at=6, signal=signal.SIGTERM)
    with pytest.raises(SystemExit):
        fitting.fit(broken)
    noisy.STOP.clear()
    held = torch.load(broken / "last.ckpt", weights_only=True)
    held["state_dict"]["critic.weight"] = torch.zeros(3)
    torch.save(held, broken / "last.ckpt")
    with pytest.warns(UserWarning, match="begins anew"):
        fitting.fit(broken)
    one, other = (read_json(folder / "fit.json")["training"] for folder in (whole, broken))
    assert one["curve"] == other["curve"]
    expected, found = weights(whole), weights(broken)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_dropout_differs_from_step_to_step_and_from_seed_to_seed(noisy: Any, tmp_path: Path) -> None:
    class Data:
        seed = 0

    class Alone:
        datamodule, global_rank = Data(), 0

    drawn = set()
    for seed, rank, step in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)):
        Alone.datamodule.seed, Alone.global_rank = seed, rank
        Resumable(tmp_path).on_train_batch_start(Alone(), None, None, step)  # type: ignore[arg-type]
        drawn.add(float(torch.rand(())))
    assert len(drawn) == 4


def test_gathered_gradients_and_another_layout_train_the_same(tmp_path: Path) -> None:
    found = {}
    for name, execution in (("plain", {}), ("gathered", {"accumulate": 4}), ("layout", {"channels_last": True})):
        directory = cell(tmp_path / name, "methods.unet.UNet", **execution)  # type: ignore[arg-type]
        job = read_json(directory / "cell.json")
        job["config"]["model"]["init_args"] = {"width": 8, "norm": "group"}
        write_json(directory / "cell.json", job)
        fitting.fit(directory)
        found[name] = weights(directory)
        assert read_json(directory / "fit.json")["training"]["images_seen"] == 192
        assert read_json(directory / "fit.json")["training"]["optimizer_steps"] == 12
    for name, value in found["plain"].items():
        assert torch.allclose(value, found["gathered"][name], atol=2e-3), name
        assert torch.allclose(value, found["layout"][name], atol=2e-3), name


def test_networks_are_compiled_and_keep_their_names(noisy: Any) -> None:
    method = noisy.Noisy()
    names = list(method.state_dict())
    assert method.network._compiled_call_impl is None
    fitting.shape_for_speed(method, Execution(compile=True))
    assert method.network._compiled_call_impl is not None
    assert list(method.state_dict()) == names


def test_checkpoints_are_written_in_time(noisy: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Every step, where that is asked; none by time alone in a short run."""
    noisy.STOP.clear()
    written: list[float] = []
    from lightning.pytorch.strategies import SingleDeviceStrategy

    save = SingleDeviceStrategy.save_checkpoint

    def count(self: Any, checkpoint: Any, path: Any, *more: Any, **options: Any) -> None:
        if Path(path).name == "last.ckpt" and "Resumable" in str(checkpoint["callbacks"].keys()):
            written.append(time.monotonic())
        save(self, checkpoint, path, *more, **options)

    monkeypatch.setattr(SingleDeviceStrategy, "save_checkpoint", count)
    fitting.fit(cell(tmp_path / "seldom"))
    seldom = len(written)
    original = Resumable.__init__
    monkeypatch.setattr(Resumable, "__init__", lambda self, path: original(self, path, every=0.0))
    fitting.fit(cell(tmp_path / "often"))
    assert len(written) - seldom == seldom + 9  # 12 steps, of which 3 come before a look at the select role
