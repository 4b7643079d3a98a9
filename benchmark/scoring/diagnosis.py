"""What a choice of the checkpoint on the test set would have gained: the price of a habit, in no table."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from benchmark.files import write_json
from benchmark.plan.execution import Look
from benchmark.scoring.judge import judge
from datamodules.base import LayerDataModule
from methods.base import SeparationMethod


def diagnose(
    method: SeparationMethod, data: LayerDataModule, seed_of: Callable[[str], int], looks: Path, out: Path
) -> list[Look]:
    """Score every look's checkpoint on the test role, write what came out, and remove the checkpoints.

    It comes after the choice, which was made on the select role, and changes nothing of it.

    Args:
        method: of these weights.
        data: whose test role is scored.
        seed_of: of an image's id.
        looks: folder of the checkpoints, each called by the images seen.
        out: file that is written.
    """
    device = next(method.parameters()).device
    target = [place for place, name in enumerate(data.spec["scored"]) if name in data.spec["target"]]

    def give(image: str, mixture: Tensor, shape: tuple[int, ...]) -> Tensor:
        with torch.no_grad():
            layers: Tensor = method(mixture[None].to(device), [seed_of(image)])[0]
        return layers[: shape[0]].cpu()

    found: list[Look] = []
    for path in sorted(looks.glob("*.ckpt"), key=lambda path: int(path.stem)):
        method.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
        judged = judge(data, give, metrics=("psnr",))
        assert judged is not None  # a method gives layers of every image
        values = judged[0].of("psnr")
        given = [place for place in target if place < values.shape[1]]
        found.append(Look(images_seen=int(path.stem), test=fmean(float(values[:, place].mean()) for place in given)))
    write_json(out, {"looks": found})
    shutil.rmtree(looks, ignore_errors=True)
    return found
