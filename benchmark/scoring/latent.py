"""A method's latent spaces: what they say of a picture, and a drawing of them (SILS, Fig. 7)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch
from methods.base import Codes, SeparationMethod

IMAGES = 100
"""Test images whose codes are looked at, at most."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
SIDE, MARGIN, DOT, LINE = 480, 24, 4, 18
"""Pixels: of the picture's square, around it, of a dot's radius, of a line of text."""


@runtime_checkable
class Layered(Protocol):
    """A method with an encoder and a decoder for each of its layers."""

    @property
    def device(self) -> Any:
        """Where it computes."""

    def pad(self, image: Tensor) -> Tensor:
        """(..., H, W) -> the same with sides that ``encode`` takes."""

    def encode(self, mixture: Tensor) -> list[list[Tensor]]:
        """(B, C, H, W) -> for each layer its encoder's levels of features, each (B, F, h, w), the finest first."""

    def decode(self, codes: list[list[Tensor]], mixture: Tensor) -> Tensor:
        """Such codes, and the mixture they are of -> (B, K, C, H, W)."""


def codes(method: SeparationMethod, data: LayerDataModule, images: int = IMAGES) -> Codes:
    """Codes of the first test images; empty for a method that has no latent spaces.

    Args:
        method: ready to separate.
        data: set up.
        images: how many, at most.
    """
    parts: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
    seen = 0
    for batch in data.test_dataloader():
        moved = batch._replace(mixture=batch.mixture.to(method.device), layers=batch.layers.to(method.device))
        with torch.no_grad():
            found = method.embed(moved)
        for space, kinds in found.items():
            for kind, code in kinds.items():
                parts[space][kind].append(code.float().cpu())
        seen += len(batch.ids)
        if not found or seen >= images:
            break
    return {space: {kind: torch.cat(some)[:images] for kind, some in kinds.items()} for space, kinds in parts.items()}


@torch.no_grad()
def levels(method: Layered, data: LayerDataModule, images: int = IMAGES) -> dict[str, float]:
    """How far each level of a method's codes depends on the picture, and what is lost without that.

    Two encoders that each say the same of every picture are as far apart as one likes, and tell nothing; so what is
    measured is not how far they lie apart. Images are cut to the size that all of them have.

    Args:
        method: ready to separate.
        data: set up.
        images: how many, at most, the first of the test role.

    Returns:
        For each layer's encoder ``E_<name>`` and each level of its codes, 0 the finest: ``E_<name>.<level>.spread``,
        the root of the features' mean variance over images; ``….mean``, their mean absolute value; and, where the layer
        has a truth, ``….loss_db``: by how many dB the layer's PSNR falls where the level is replaced by its mean over
        images, 0 where the decoder does not use what it says of the picture.
    """
    batches: list[LayerBatch] = []
    for batch in data.test_dataloader():
        batches.append(batch)
        if sum(len(one.ids) for one in batches) >= images:
            break
    height, width = (min(batch.mixture.shape[axis] for batch in batches) for axis in (-2, -1))
    mixtures = [_cut(method, batch.mixture, height, width) for batch in batches]
    moments = _moments(method, mixtures)
    told: dict[str, float] = {}
    psnr = defaultdict(list)
    for batch, mixture in zip(batches, mixtures, strict=True):
        codes = method.encode(mixture)
        truth = batch.layers[..., :height, :width].to(mixture)
        for level in (None, *range(len(codes[0]))):
            changed = [
                [moments[k, i][0].to(code).expand_as(code) if i == level else code for i, code in enumerate(own)]
                for k, own in enumerate(codes)
            ]
            layers = method.decode(changed, mixture)[:, : truth.shape[1], :, :height, :width].float().clamp(0, 1)
            errors = ((layers - truth[:, : layers.shape[1]]) ** 2).mean((2, 3, 4)).clamp_min(1e-10)
            psnr[level].append(-10 * errors.log10())
    scored = {level: torch.cat(values).mean(0).tolist() for level, values in psnr.items()}
    for (k, level), (mean, variance) in moments.items():
        name = f"E_{data.spec['layers'][k]}.{level}"
        told[f"{name}.spread"], told[f"{name}.mean"] = float(variance.mean().sqrt()), float(mean.abs().mean())
        if k < len(scored[None]):
            told[f"{name}.loss_db"] = scored[None][k] - scored[level][k]
    return told


def _moments(method: Layered, mixtures: list[Tensor]) -> dict[tuple[int, int], tuple[Tensor, Tensor]]:
    """Mean and variance over images of each encoder's features at each level, each (F, h, w) float64."""
    totals: dict[tuple[int, int], list[Tensor]] = {}
    for mixture in mixtures:
        for k, codes in enumerate(method.encode(mixture)):
            for level, code in enumerate(codes):
                part = [values.sum(0) for values in (code.cpu().double(), code.cpu().double() ** 2)]
                so_far = totals.get((k, level))
                totals[k, level] = part if so_far is None else [a + b for a, b in zip(so_far, part, strict=True)]
    count = sum(len(mixture) for mixture in mixtures)
    return {
        key: (total / count, (squares / count - (total / count) ** 2).clamp_min(0))
        for key, (total, squares) in totals.items()
    }


def plane(found: Codes) -> Codes:
    """The codes' first two principal components, of all spaces together."""
    everything = torch.cat([code for kinds in found.values() for code in kinds.values()]).double()
    middle = everything.mean(0)
    _, _, axes = torch.linalg.svd(everything - middle, full_matrices=False)
    axes = axes[:2] * axes[:2].sum(1, keepdim=True).sign()  # an axis has no direction of its own
    return {
        space: {kind: (code.double() - middle) @ axes.T for kind, code in kinds.items()}
        for space, kinds in found.items()
    }


def scatter(found: Codes) -> Image.Image:
    """A colour for each space; in it a filled dot for each layer's code, a ring for each mixture's."""
    flat = plane(found)
    points = torch.cat([code for kinds in flat.values() for code in kinds.values()])
    low, high = points.min(0).values, points.max(0).values
    scale = (SIDE - 2 * DOT) / (high - low).max().clamp_min(1e-12)
    labels = [(space, kind) for space, kinds in flat.items() for kind in kinds]
    page = Image.new("RGB", (SIDE + 2 * MARGIN, SIDE + 2 * MARGIN + LINE * (len(labels) + 1)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    draw.rectangle((MARGIN, MARGIN, MARGIN + SIDE, MARGIN + SIDE), outline="lightgray")
    rows = enumerate((space, kind, COLOURS[i % len(COLOURS)]) for i, space in enumerate(flat) for kind in flat[space])
    for row, (space, kind, colour) in rows:
        for x, y in ((flat[space][kind] - (low + high) / 2) * scale).tolist():
            _mark(draw, MARGIN + SIDE / 2 + x, MARGIN + SIDE / 2 - y, colour, kind)
        height = SIDE + 2 * MARGIN + LINE * row
        _mark(draw, MARGIN + DOT, height + LINE / 2, colour, kind)
        draw.text((MARGIN + 4 * DOT, height), f"{space}({kind})", "black", font)
    height = SIDE + 2 * MARGIN + LINE * len(labels)
    spreads = [f"{space} {_spread(kinds['mixture']):.2g}" for space, kinds in found.items()]
    draw.text((MARGIN, height), f"spread of mixtures' codes over their mean: {', '.join(spreads)}", "black", font)
    return page


def report(method: SeparationMethod, data: LayerDataModule, picture: Path) -> dict[str, float]:
    """Draw a method's latent spaces, if it has two or more, and tell what their levels are worth.

    Returns:
        What ``levels`` tells, and the number of ``images``; empty for a method without encoders.
    """
    if not isinstance(method, Layered):
        return {}
    found = codes(method, data)
    if len(found) > 1:
        picture.parent.mkdir(parents=True, exist_ok=True)
        scatter(found).save(picture)
    return {"images": float(min(IMAGES, data.count("test"))), **levels(method, data)}


def _cut(method: Layered, mixture: Tensor, height: int, width: int) -> Tensor:
    """The upper left part of mixtures, with sides that the method takes."""
    return method.pad(mixture[..., :height, :width].to(method.device))


def _spread(code: Tensor) -> float:
    """Root of the mean variance over images of (B, F), over the mean absolute value."""
    return float(code.var(0, correction=0).mean().sqrt() / code.abs().mean().clamp_min(1e-12))


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, kind: str) -> None:
    fill = None if kind == "mixture" else colour
    draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=fill, outline=colour)
