"""A method's latent spaces: how far they lie apart, and a picture of them (SILS, Fig. 7)."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from datamodules.base import LayerDataModule
from methods.base import Codes, SeparationMethod

IMAGES = 100
"""Test images whose codes are looked at, at most."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
SIDE, MARGIN, DOT, LINE = 480, 24, 4, 18
"""Pixels: of the picture's square, around it, of a dot's radius, of a line of text."""


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


def separation(found: Codes) -> float:
    """Mean distance between the centres of two spaces, over the mean distance of a code from its space's centre.

    Args:
        found: of two spaces or more, whose codes have one length.
    """
    spaces = [torch.cat(list(kinds.values())) for kinds in found.values()]
    centres = [space.mean(0) for space in spaces]
    between = torch.stack([(one - other).norm() for one, other in combinations(centres, 2)]).mean()
    within = torch.cat([(space - centre).norm(dim=1) for space, centre in zip(spaces, centres, strict=True)]).mean()
    return float(between / within.clamp_min(1e-12))


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
    text = f"distance between centres / within spaces: {separation(found):.2f}"
    draw.text((MARGIN, height), text, "black", font)
    return page


def report(method: SeparationMethod, data: LayerDataModule, picture: Path) -> dict[str, float]:
    """Write the picture of a method's latent spaces, if it has any.

    Returns:
        ``separation`` of the spaces and ``images`` looked at; empty where there are no such spaces.
    """
    found = codes(method, data)
    if len(found) < 2:
        return {}
    picture.parent.mkdir(parents=True, exist_ok=True)
    scatter(found).save(picture)
    images = len(next(iter(next(iter(found.values())).values())))
    return {"separation": separation(found), "images": images}


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, kind: str) -> None:
    fill = None if kind == "mixture" else colour
    draw.ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=fill, outline=colour)
