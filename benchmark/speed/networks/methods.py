"""Each network's training step and inference over its bare operations: ``python -m benchmark.speed methods``.

Widths are the papers', images and batches small enough for a CPU. A training step is forward, backward and optimiser;
of a method that optimises for each image it is one iteration, without the denoiser, which ``bits_net`` looks at. The
floor is ``bare``'s, of the same call. Both alternate, round by round, on one thread that keeps its memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmark.speed.networks.bare import floor, keep_memory
from benchmark.speed.rows import Row, by_turns, number, quotients, row, show
from datamodules.rain import Rain
from datamodules.types import LayerBatch
from methods.base import SeparationMethod
from methods.bits_net import BITSNet, Optimisation
from methods.cascade_gan import CascadeGAN
from methods.conv_sep import ConvSep
from methods.cyclegan import CycleGAN
from methods.dmgn import DMGN
from methods.double_dip import DoubleDIP
from methods.ligt import LiGT
from methods.nafnet import NAFNet
from methods.pix2pix import Pix2Pix
from methods.sils import SILS
from methods.unet import UNet
from methods.unit import UNIT

ROUNDS, SECONDS = 9, 10.0
"""For each row: so many rounds, or fewer where they take long."""

WARM_UP = 17
"""Iterations after which a per-image method has seen each view of its image."""


@dataclass(frozen=True)
class Case:
    """A method and what it is given.

    Attributes:
        name: for people.
        make: the method.
        mixture: (B, C, h, w).
        step_at_most: target of the training step over its floor.
    """

    name: str
    make: Callable[[], SeparationMethod]
    mixture: tuple[int, int, int, int]
    step_at_most: float | None = None


RAIN = Rain().spec

CASES = [
    Case("ConvSep", ConvSep, (8, 1, 14, 14)),
    Case("LiGT", LiGT, (32, 1, 14, 14), step_at_most=1.2),
    Case("U-Net", lambda: UNet(cosine=False, warm_up=0.0, spec=RAIN), (8, 3, 64, 64)),
    Case("NAFNet", lambda: NAFNet(cosine=False, warm_up=0.0, spec=RAIN), (8, 3, 64, 64)),
    Case("BITS-Net", lambda: BITSNet(denoise_every=10**9), (1, 3, 128, 128), step_at_most=1.3),
    Case("DoubleDIP", DoubleDIP, (1, 3, 128, 128)),
    Case("SILS", SILS, (8, 3, 64, 64)),
    Case("CycleGAN", CycleGAN, (8, 3, 64, 64)),
    Case("UNIT", UNIT, (8, 3, 64, 64)),
    Case("DMGN", lambda: DMGN(features="random"), (1, 3, 64, 64), step_at_most=1.4),
    Case("UGAN + PAGAN", CascadeGAN, (1, 3, 256, 256)),
    Case("PAGAN", lambda: CascadeGAN(synthesis="given"), (1, 3, 256, 256)),
    Case("pix2pix", Pix2Pix, (1, 3, 256, 256)),
]


def training_step(method: SeparationMethod, mixture: Tensor, *, low: bool = False) -> Callable[[], object]:
    """One step of a method's training, or of its optimisation of an image.

    Args:
        method: in training mode.
        mixture: (B, C, h, w).
        low: in mixed precision with bfloat16, as Lightning's ``bf16-mixed``.
    """
    if method.card.supervision == "single-image":
        run = Optimisation(method, mixture, list(range(len(mixture))))  # type: ignore[arg-type]
        for _ in range(WARM_UP):
            run.step()
        return run.step
    size = [side * method.scale for side in mixture.shape[2:]]
    layers = torch.rand(len(mixture), 2, mixture.shape[1], *size)
    ids = [str(i) for i in range(len(mixture))]
    batch = LayerBatch(mixture, layers, torch.ones(len(mixture), 1, *size, dtype=torch.bool), ids)
    # There is no trainer here.
    method.log = method.log_dict = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    optimizer: Any = method.configure_optimizers()

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(mixture.device.type, torch.bfloat16, enabled=low):
            told: Any = method.training_step(batch, 0)
        (told["loss"] if isinstance(told, dict) else told).backward()
        optimizer.step()

    return step


def measure(case: Case, rounds: int) -> list[Row]:
    """A method's rows."""
    torch.manual_seed(0)
    method, mixture = case.make().train(), torch.rand(case.mixture)
    name = f"{case.name}, {' × '.join(map(str, case.mixture))}"
    rows = [_row(f"{name}, step", training_step(method, mixture), rounds, case.step_at_most)]
    if method.card.trains:
        method.eval()
        with torch.no_grad():
            rows.append(_row(f"{name}, inference", lambda: method(mixture), rounds))
    return rows


def _row(what: str, call: Callable[[], object], rounds: int, at_most: float | None = None) -> Row:
    call()
    times = by_turns({"whole": call, "bare": floor(call)}, rounds, seconds=SECONDS)
    whole, bare = (row("", times[name]).figure for name in ("whole", "bare"))
    note = f"{number(whole)} ms, bare {number(bare)} ms"
    return row(what, quotients(times["whole"], times["bare"]), at_most=at_most, note=note)


def main(rounds: int = ROUNDS) -> list[Row]:
    """All methods' rows."""
    torch.set_num_threads(1)
    keep_memory()
    return [row for case in CASES for row in measure(case, rounds)]


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:2])))
