"""The number that a checkpoint is chosen by is the number that would be reported of the same images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor

from benchmark.metrics.layer_scores import LayerScores
from benchmark.training.lightning_cli import UnblendCLI
from benchmark.training.selection import SELECTED, Selection
from datamodules.base import EVERY_SCENE
from datamodules.digits import Digits
from datamodules.types import LayerSpec, Role, Sample, UserError
from methods.base import SeparationMethod
from methods.unet import UNet

ROOT = Path(__file__).resolve().parents[2]

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
    "use_distributed_sampler": False,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")


class Masked(Digits):
    """Digits of which a moving part is scored, up to a scale; the task is for the second one."""

    @property
    def spec(self) -> LayerSpec:
        changes: dict[str, Any] = {"protocol": "intrinsic", "ordered": True, "target": ["digit_2"]}
        return {**super().spec, **changes}  # type: ignore[typeddict-item]

    def draw(self, role: Role, k: int, generator: torch.Generator, scenes: slice = EVERY_SCENE) -> Sample:
        mask = torch.zeros(1, 28, 28, dtype=torch.bool)
        mask[:, 4:24, k % 8 : 20 + k % 8] = True
        return super().draw(role, k, generator, scenes)._replace(mask=mask)


class Swapped(UNet):
    """Gives its layers in the other order, and the first one twice as bright."""

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        layers = super().separate(mixture, seeds).flip(1)
        return torch.cat([2 * layers[:, :1], layers[:, 1:]], 1)


def reported(method: SeparationMethod, data: Digits) -> float:
    """The score of the select role, all images at once and with all metrics, as a test set's is reported."""
    spec: Any = dict(data.spec)
    scores = LayerScores([spec["protocol"]], ordered=spec["ordered"])
    data.open()
    batches = list(data.val_dataloader())
    mixture, layers, mask = (torch.cat([getattr(b, name) for b in batches]) for name in ("mixture", "layers", "mask"))
    with torch.no_grad():
        scores.update(method.eval()(mixture), layers, mask, torch.arange(len(mixture)))
    target = spec.get("target", spec["scored"])
    return scores.compute().mean("psnr", layers=[spec["scored"].index(name) for name in target])


@pytest.mark.parametrize("kind", [Digits, Masked])
def test_what_is_selected_by_is_what_is_reported(kind: type[Digits], tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = kind(images=32, batch_size=32)
    method = Swapped(width=2, spec=data.spec)
    trainer = Trainer(callbacks=[Selection(data.spec)], default_root_dir=tmp_path, **QUIET)
    for _ in range(2):  # a second look starts anew
        (found,) = trainer.validate(method, datamodule=data, verbose=False)
        assert found == {SELECTED: pytest.approx(reported(method, data), abs=1e-6)}


def test_the_checkpoint_that_is_kept_has_the_score_it_was_chosen_by(tmp_path: Path) -> None:
    config = {
        "model": {"class_path": "methods.unet.UNet", "init_args": {"width": 2, "lr": 0.01}},
        "data": {"class_path": "datamodules.digits.Digits",
                 "init_args": {"images": 256, "batch_size": 32, "selections": 4}},
        "trainer": {**QUIET, "logger": None, "default_root_dir": str(tmp_path), "num_sanity_val_steps": 2},
    }  # fmt: skip
    cli = UnblendCLI(args=config, run=False)
    cli.trainer.fit(cli.model, datamodule=cli.datamodule)
    kept = cli.trainer.checkpoint_callback
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    column = lines[0].split(",").index(SELECTED)
    looks = [float(cell) for line in lines[1:] if (cell := line.split(",")[column])]
    assert len(looks) == 4
    assert float(kept.best_model_score) == pytest.approx(max(looks), abs=1e-4)  # type: ignore[union-attr]
    held = torch.load(tmp_path / "best.ckpt", weights_only=True)
    cli.model.load_state_dict(held["state_dict"])
    expected = pytest.approx(reported(cli.model, cli.datamodule), abs=1e-6)  # type: ignore[arg-type]
    assert float(kept.best_model_score) == expected  # type: ignore[union-attr]


def test_estimates_that_cannot_be_scored_are_said(tmp_path: Path) -> None:
    data = Digits(images=32, batch_size=32)
    method = UNet(width=2, spec=data.spec)
    with torch.no_grad():
        next(iter(method.parameters())).fill_(float("nan"))
    trainer = Trainer(callbacks=[Selection(data.spec)], default_root_dir=tmp_path, **QUIET)
    with pytest.raises(UserError, match="values that are not finite: mend its separate"):
        trainer.validate(method, datamodule=data, verbose=False)


TWO = """
import multiprocessing, os, socket, torch
from lightning import Trainer
from benchmark.training.selection import Selection
from datamodules.digits import Digits
from methods.unet import UNet


def validate(rank, port):
    # Lightning takes these for two processes that somebody else has started.
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.manual_seed(0)
    data = Digits(images=32, batch_size=32)
    method = UNet(width=2, norm="group", spec=data.spec)
    trainer = Trainer(
        accelerator="cpu", devices=2, logger=False, enable_progress_bar=False, use_distributed_sampler=False,
        callbacks=[Selection(data.spec)],
    )
    found = trainer.validate(method, datamodule=data, verbose=False)
    assert trainer.world_size == 2
    with open(f"rank{trainer.global_rank}.txt", "w") as own:  # one pipe for both would mix their words
        own.write(float(found[0]["select/psnr"]).hex())
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")  # what both import is imported once
    both = [fork.Process(target=validate, args=(rank, port)) for rank in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    raise SystemExit(max(abs(one.exitcode) for one in both))
"""


def test_two_processes_select_by_the_same_number_as_one(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sync_dist" not in done.stderr
    first, second = ((tmp_path / f"rank{rank}.txt").read_text() for rank in (0, 1))
    assert first == second
    torch.manual_seed(0)
    data = Digits(images=32, batch_size=32)
    method = UNet(width=2, norm="group", spec=data.spec)
    assert float.fromhex(first) == pytest.approx(reported(method, data), abs=1e-5)
