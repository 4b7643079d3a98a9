"""The recipe of training: schedules, clipping, decay, and averages that separate, ship and survive an interruption."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from datamodules.digits import Digits
from datamodules.types import LayerBatch, UserError
from methods.base import MethodCard
from methods.losses.permutation import separation_loss, squared
from methods.networks.resize import enlarge
from methods.recipe import TRAINED, Schedule, TrainedMethod


class Small(TrainedMethod):
    """Two layers of which one has two names, and batch normalisation."""

    card = MethodCard(title="Small", paper="none", year=2026, supervision="paired")
    scale = 2

    def __init__(self, lr: float = 0.02, spec: Any = None, **recipe: Any) -> None:
        super().__init__(lr=lr, **recipe)
        self.save_hyperparameters()
        self.first, self.last = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4)), nn.Conv2d(4, 2, 1)
        self.again = self.last
        self.weights_before: list[Tensor] = []
        self.judged: list[Tensor] = []

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        if not self.training:
            self.judged.append(self.last.weight.detach().clone())
        layers: Tensor = self.again(self.first(enlarge(mixture, 2)))
        return layers.unsqueeze(2)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        return separation_loss(self(batch.mixture), batch.layers, squared, permutation_invariant=True)

    def validation_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        layers: Tensor = self(batch.mixture)
        self.log("select/psnr", layers.mean())  # whatever it is chosen by
        return layers

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.weights_before.append(self.last.weight.detach().clone())


def trainer(folder: Path, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", max_epochs=1, logger=False, use_distributed_sampler=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, num_sanity_val_steps=0, **options,
    )  # fmt: skip


def data() -> Digits:
    return Digits(images=96, batch_size=16, selections=2)


def test_averaged_weights_are_judged_and_kept_while_training_goes_on_with_its_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = Small(average=0.5, spec=data().spec)
    kept = ModelCheckpoint(dirpath=tmp_path, filename="{step}", save_top_k=-1, monitor="select/psnr", mode="max")
    trainer(tmp_path, callbacks=[kept], val_check_interval=3).fit(method, datamodule=data())
    assert len(method.weights_before) == 6

    def average(steps: int) -> Tensor:
        """By hand: the first looks are mostly at the newest weights."""
        expected = method.weights_before[0]
        for t in range(steps):
            decay = min(0.5, (1 + t) / (10 + t))
            expected = decay * expected + (1 - decay) * own(t + 1)
        return expected

    def own(step: int) -> Tensor:
        return method.weights_before[step] if step < 6 else held["6"][TRAINED]["last.weight"]

    held = {
        str(step): torch.load(tmp_path / f"step={step}.ckpt", weights_only=True)  # plain values and tensors
        for step in (3, 6)
    }
    for step in (3, 6):
        state = held[str(step)]["state_dict"]
        assert torch.allclose(state["last.weight"], average(step))
        assert torch.equal(state["last.weight"], state["again.weight"]), "one weight, two names"
        assert torch.equal(held[str(step)][TRAINED]["again.weight"], held[str(step)][TRAINED]["last.weight"])
        assert not torch.allclose(state["last.weight"], own(step), atol=1e-6)
        assert state.keys() == method.state_dict().keys(), "nothing else is in what ships"
    assert torch.equal(held["3"][TRAINED]["last.weight"], method.weights_before[3]), "training went on with its own"
    assert not torch.equal(held["6"]["state_dict"]["first.1.running_mean"], held["6"][TRAINED]["first.1.running_mean"])
    looks = len(method.judged) // 2
    assert torch.allclose(method.judged[0], average(3))
    assert torch.allclose(method.judged[looks], average(6))
    assert torch.allclose(method.last.weight, average(6)), "the average is what was trained"
    fresh = Small.load_from_checkpoint(tmp_path / "step=6.ckpt", weights_only=True)
    assert torch.equal(fresh.last.weight, held["6"]["state_dict"]["last.weight"])


def test_a_resumed_training_has_both_weights_again(tmp_path: Path) -> None:
    found = []
    for resumed in (False, True):
        torch.manual_seed(0)
        method = Small(average=0.9, warm_up=0.4, cosine=True, spec=data().spec)
        kept = ModelCheckpoint(dirpath=tmp_path / str(resumed), filename="{step}", save_top_k=-1, monitor="select/psnr")
        # The second run goes on from a checkpoint that the first wrote in the midst of looking at the select role.
        checkpoint = str(tmp_path / "False/step=3.ckpt") if resumed else None
        trainer(tmp_path, callbacks=[kept], val_check_interval=3).fit(
            method, datamodule=data(), ckpt_path=checkpoint, weights_only=True
        )
        assert len(method.weights_before) == (3 if resumed else 6)
        found.append(torch.load(tmp_path / str(resumed) / "step=6.ckpt", weights_only=True))
    for part in ("state_dict", TRAINED):
        assert all(torch.equal(value, found[1][part][name]) for name, value in found[0][part].items()), part


def test_gathered_gradients_count_as_one_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = Small(average=0.9, spec=data().spec)
    steps: list[int] = []
    update = method.update_average
    method.update_average = lambda step: (steps.append(step), update(step))[1]  # type: ignore[method-assign,func-returns-value]
    trainer(tmp_path, enable_checkpointing=False, accumulate_grad_batches=2, limit_val_batches=0).fit(
        method, datamodule=data()
    )
    assert steps == list(range(6))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_by_their_common_norm(tmp_path: Path, precision: Any) -> None:
    norms = []

    class Watched(Small):
        def on_before_zero_grad(self, optimizer: Any) -> None:
            norms.append(sum(float(w.grad.norm() ** 2) for w in self.parameters() if w.grad is not None) ** 0.5)

    for clip in (0.0, 1e-3):
        norms.clear()
        method = Watched(clip=clip, spec=data().spec)
        trainer(tmp_path, enable_checkpointing=False, limit_val_batches=0, precision=precision).fit(
            method, datamodule=data()
        )
        seen = [norm for norm in norms if norm]
        assert len(seen) >= 5
        assert max(seen) > 1e-2 if not clip else max(seen) < 1.01e-3


def test_only_weights_that_multiply_decay() -> None:
    method = Small(weight_decay=0.1)
    optimizer = method.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    decayed, plain = optimizer.param_groups
    assert {weight.ndim for weight in decayed["params"]} == {4}
    assert {weight.ndim for weight in plain["params"]} == {1}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert type(Small().configure_optimizers()) is torch.optim.Adam


def test_the_cosine_is_torchs_and_the_warm_up_a_line() -> None:
    method = Small(lr=0.1, cosine=True)
    method.trainer = SimpleNamespace(estimated_stepping_batches=40)  # type: ignore[assignment]
    scheduler = method.configure_optimizers()["lr_scheduler"]["scheduler"]
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.Adam(nn.Linear(1, 1).parameters(), lr=0.1), 40)
    for _ in range(40):
        assert scheduler.get_last_lr()[0] == pytest.approx(oracle.get_last_lr()[0], abs=1e-9)
        scheduler.optimizer.step()
        scheduler.step()
        oracle.optimizer.step()
        oracle.step()
    rising = Schedule(100, 0.1, cosine=True)
    factors = [rising(step) for step in range(101)]
    assert factors[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert factors[10] == 1
    assert sorted(factors[10:], reverse=True) == factors[10:]
    assert factors[100] == pytest.approx(0)
    assert Schedule(100, 0.1, cosine=False)(99) == 1


@pytest.mark.parametrize(
    "options", [{"lr": 0.0}, {"warm_up": 1.0}, {"clip": -1.0}, {"weight_decay": -0.1}, {"average": 1.0}]
)
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(options))} {next(iter(options.values())):g}"):
        Small(**options)
