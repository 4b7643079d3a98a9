"""UGAN, PAGAN and pix2pix: their networks, their losses, and what stops their training."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.plan.execution import Execution, Job
from benchmark.training.fit import fit
from benchmark.training.lightning_cli import NonFiniteLoss
from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.cascade_gan import CascadeGAN
from methods.losses.adversarial import CollapseGuard
from methods.networks.pix2pix import Pix2PixUNet
from methods.networks.self_attention import SelfAttention
from methods.pix2pix import Pix2Pix

ROOT = Path(__file__).resolve().parents[2]


def quiet(method: Any) -> Any:
    method.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer here
    return method


def batch(size: int = 32, count: int = 2) -> LayerBatch:
    generator = torch.Generator().manual_seed(0)
    layers = torch.rand(count, 2, 3, size, size, generator=generator)
    mixture = torch.rand(count, 3, size, size, generator=generator)
    return LayerBatch(mixture, layers, torch.ones(count, 1, size, size, dtype=torch.bool), list("abcd")[:count])


def test_self_attention_is_a_softmax_over_all_positions() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16).double()
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    assert torch.equal(attention(x), x)  # γ = 0
    attention.gamma.data.fill_(0.7)
    query, key, value = attention.project(x).flatten(2).split(attention.parts, 1)
    weights = torch.einsum("bci,bcj->bij", query, key).softmax(2)
    attended = torch.einsum("bij,bcj->bci", weights, value).view(2, 8, 5, 7)
    assert torch.allclose(attention(x), x + 0.7 * attention.out(attended), atol=1e-12)


def test_the_u_net_has_the_size_of_pix2pix() -> None:
    with torch.device("meta"):
        network = Pix2PixUNet(3, 3)
    # 16 weights for each pair of channels, two for each normalised one, and the biases of what is not.
    encoder = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    weights = sum(16 * a * b for a, b in pairwise(encoder))
    decoder = [(512, 512), *[(1024, 512)] * 3, (1024, 256), (512, 128), (256, 64), (128, 3)]
    weights += sum(16 * a * b for a, b in decoder)
    normalised = (128 + 256 + 4 * 512) + (4 * 512 + 256 + 128 + 64)
    biases = 64 + 512 + 3
    assert sum(p.numel() for p in network.parameters()) == weights + 2 * normalised + biases


@pytest.mark.parametrize("depth", [4, 6])
def test_attention_follows_the_fourth_convolution(depth: int) -> None:
    network = Pix2PixUNet(3, 3, width=4, depth=depth, attention=True)
    where = [i for i, layer in enumerate(network.down) if any(isinstance(part, SelfAttention) for part in layer)]
    assert where == [3]


def test_each_network_learns_from_its_own_loss_only() -> None:
    torch.manual_seed(0)
    method = quiet(CascadeGAN(width=4, depth=5, norm="instance", dropout=0))
    assert method.ugan is not None
    networks = {
        "UGAN generator": method.ugan.generator,
        "UGAN discriminator": method.ugan.discriminator,
        "PAGAN generator": method.pagan.generator,
        "PAGAN discriminator": method.pagan.discriminator,
    }
    kept: dict[str, Tensor] = {}
    method.minimise = lambda losses: kept.update(losses) or losses  # type: ignore[method-assign]
    for name in networks:
        method.zero_grad(set_to_none=True)
        method.training_step(batch(), 0)
        kept[name].backward()  # type: ignore[no-untyped-call]
        for other, network in networks.items():
            moved = any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
            assert moved == (other == name), f"the loss of the {name} moves the {other}"


def test_given_pairs_need_pairs_and_synthesis_needs_none() -> None:
    assert CascadeGAN(width=4, depth=5).card.supervision == "unpaired"
    given = CascadeGAN(synthesis="given", width=4, depth=5)
    assert (given.card.supervision, given.card.title) == ("paired", "PAGAN")
    assert CascadeGAN.card.supervision == "unpaired"
    assert given.ugan is None
    quiet(given).training_step(batch(), 0)["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in given.parameters())
    with pytest.raises(UserError, match="self-attention follows convolution 4"):
        CascadeGAN(depth=3)


def spec_of(*layers: str, pairing: str = "paired") -> LayerSpec:
    return LayerSpec(
        layers=list(layers), scored=[layers[0]], ordered=True, channels=3, scale=1, mixing="", gain=1.0, fusion="sum",
        gamma=1.0, pairing=pairing, protocol="rgb", citation="", licence="",
    )  # type: ignore[typeddict-item]  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
def test_pairs_with_one_true_layer_or_three_teach_pagan_and_pix2pix(count: int) -> None:
    spec, pairs = spec_of(*["background", "rain", "haze"][:count]), batch()
    pairs = pairs._replace(layers=pairs.layers[:, [0, 1, 1][:count]])
    for method in (
        CascadeGAN(synthesis="given", width=4, depth=5, spec=spec),
        Pix2Pix(width=4, depth=5, spec=spec),
    ):
        assert method.card.accepts(spec) is None
        assert torch.isfinite(quiet(method).training_step(pairs, 0)["loss"])
        assert method(pairs.mixture).shape == (2, 1, 3, 32, 32), "the target alone"


def test_synthesis_needs_clear_images_and_interference() -> None:
    refused = CascadeGAN(width=4, depth=5).card.accepts(spec_of("background", pairing="unpaired"))
    assert refused == "UGAN + PAGAN takes 2 layers, the data have 1"


def test_a_residual_generator_starts_from_the_mixture_and_all_of_it_learns() -> None:
    torch.manual_seed(0)
    pairs = batch()
    plain, methods = Pix2Pix(width=4, depth=5), []
    for options in ({"norm": "batch"}, {"norm": "none", "dropout": 0.0}):
        methods += [
            Pix2Pix(width=4, depth=5, residual=True, **options),
            CascadeGAN(synthesis="given", width=4, depth=5, residual=True, **options),
            CascadeGAN(width=4, depth=5, residual=True, **options),
        ]
    assert float((plain.eval()(pairs.mixture)[:, 0] - pairs.mixture).detach().abs().mean()) > 0.1
    for method in methods:
        assert torch.allclose(method.eval()(pairs.mixture)[:, 0], pairs.mixture, atol=1e-6), "clean in, clean out"
        optimizer = quiet(method.train()).configure_optimizers()
        for _ in range(3):  # the first step moves the last layer, the second one attention's weight, the third one all
            optimizer.zero_grad()
            method.training_step(pairs, 0)["loss"].backward()
            optimizer.step()
        assert all(p.grad is not None and bool(p.grad.any()) for p in method.parameters() if p.dim() > 1)


def test_sizes_that_the_networks_cannot_halve_are_padded_in_training() -> None:
    losses = quiet(CascadeGAN(width=4, depth=5, norm="instance")).training_step(batch(size=41), 0)
    assert torch.isfinite(losses["loss"])
    assert float(losses["loss"].detach()) == pytest.approx(
        sum(float(value) for name, value in losses.items() if name != "loss")
    )


@pytest.mark.parametrize(
    ("value", "how"),
    [(1e-7, "tells every image apart"), (math.log(2), "same of every image"), (0.69, "same of every image")],
)
def test_a_collapsed_discriminator_is_named_with_the_step(value: float, how: str) -> None:
    guard = CollapseGuard(patience=20, every=5)
    healthy, loss = torch.tensor(0.4), torch.tensor(value)
    for step in range(19):
        guard.watch(step, {"critic": loss, "other": healthy})
    guard.watch(19, {"critic": healthy, "other": healthy})  # one good step is enough to go on
    for step in range(20, 39):
        guard.watch(step, {"critic": loss, "other": healthy})
    with pytest.raises(UserError, match=f"the critic has collapsed at step 39: it .*{how}"):
        guard.watch(39, {"critic": loss, "other": healthy})


def test_a_guard_reads_the_device_once_in_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    tolist = torch.Tensor.tolist

    def noted(self: torch.Tensor) -> object:
        read.append(step)
        return tolist(self)

    def refuse(self: torch.Tensor) -> None:
        raise AssertionError("a value was read")

    guard, losses = CollapseGuard(every=10), {"one": torch.tensor(0.5), "other": torch.tensor(0.69)}
    with monkeypatch.context() as patch:
        for name in ("item", "__bool__", "__float__", "__int__"):
            patch.setattr(torch.Tensor, name, refuse)
        patch.setattr(torch.Tensor, "tolist", noted)
        for step in range(40):
            guard.watch(step, losses)
    assert read == [9, 19, 29, 39]


def fitted(directory: Path, **options: Any) -> None:
    """Train a small cascade on haze, as a cell of a suite."""
    config = {
        "seed_everything": 0,
        "model": {"class_path": "methods.cascade_gan.CascadeGAN", "init_args": {"width": 4, "depth": 5, **options}},
        "data": {
            "class_path": "datamodules.haze.Haze",
            "init_args": {
                "source": "dead_leaves", "size": 32, "pairing": "unpaired", "images": 104, "batch_size": 4,
                "selections": 1, "evaluation_images": 2,
            },
        },
        "trainer": {"precision": "32-true"},
    }  # fmt: skip
    Job(config, Execution(accelerator="cpu"), "key").write(directory)
    fit(directory)


def test_a_diverging_network_is_named_in_the_failure(tmp_path: Path) -> None:
    told = "training loss of the .*GAN.* was not finite at step 1 .after 4 images"
    with pytest.raises(NonFiniteLoss, match=told):
        fitted(tmp_path / "diverging", norm="none", lr=1e18)
    fitted(tmp_path / "fine", norm="instance")
    assert len(list((tmp_path / "fine/sheets").glob("mixtures-step*.png"))) == 1


LOSSES = """
import json, sys, torch
from lightning import Callback, Trainer, seed_everything
from datamodules.haze import Haze
from methods.cascade_gan import CascadeGAN


class Losses(Callback):
    rows = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.rows.append({k: float(trainer.strategy.reduce(v.clone(), reduce_op="mean")) for k, v in outputs.items()})


if __name__ == "__main__":
    seed_everything(0)
    data = Haze("dead_leaves", size=32, pairing="unpaired", images=24, batch_size=4, selections=1, evaluation_images=2)
    method = CascadeGAN(width=4, depth=5, norm="instance", dropout=0.0, spec=data.spec)
    losses, devices = Losses(), int(sys.argv[1])
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, use_distributed_sampler=False, limit_val_batches=0,
        callbacks=[losses],
    )
    trainer.fit(method, datamodule=data)
    if trainer.is_global_zero:
        print(json.dumps(losses.rows))
"""


@pytest.mark.slow("test_each_network_learns_from_its_own_loss_only")
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text(LOSSES)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    rows = []
    for devices in ("1", "2"):
        command = [sys.executable, str(tmp_path / "losses.py"), devices]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
    alone, together = rows
    assert len(alone) == len(together) == 6
    for one, two in zip(alone, together, strict=True):
        assert one == pytest.approx(two, rel=2e-3, abs=2e-3)
