"""One picture of any size through a method: whole where memory allows it, else in tiles with blended seams."""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmark.scoring.cost import TensorMemory
from datamodules.errors import UserError
from methods.base import Lent, SeparationMethod
from methods.losses.permutation import best_assignment, pairwise, squared

SMALL = 256 * 256
"""Pixels of a picture for which memory is not asked."""

SHARE = 0.5
"""Of the free memory, that a picture may take."""


def separate_image(
    method: SeparationMethod,
    image: Tensor,
    seed: int = 0,
    *,
    tile: int | None = None,
    ordered: bool = True,
    lent: Lent | None = None,
) -> Tensor:
    """Split one picture into layers.

    Tiles overlap by a quarter of their side and are blended along linear ramps. Where layers have no
    order, each tile's are assigned to those beside it, by their difference in the overlap.

    Args:
        method: on the device of the image.
        image: (C, h, w) in [0, 1].
        seed: of the image's randomness; tile i gets seed + i.
        tile: side of the tiles in pixels; default the whole picture, or as large as memory and attention allow.
        ordered: whether the method's layer k is the same kind of layer in each tile.
        lent: to a method that optimises for each image.

    Returns:
        (K, C, scale·h, scale·w) float32.

    Raises:
        UserError: tiles that are too small, or no memory for the smallest.
    """
    height, width = image.shape[-2:]
    least = max(method.smallest, 16)
    if tile is not None and tile < least:
        raise UserError(f"tile {tile}: {method.card.title} needs at least {least} pixels.")
    side = tile or _side(method, image)
    if side < least:
        raise UserError(
            f"free memory allows {method.card.title} tiles of {side} pixels, it needs {least}: end other programs, "
            "or use --device cpu."
        )
    if side >= max(height, width):
        whole: Tensor = method(image[None], [seed], lent)[0]
        return whole
    overlap = side // 4
    scale, total, weights = method.scale, None, None
    places = [(top, left) for top in _starts(height, side, overlap) for left in _starts(width, side, overlap)]
    for i, (top, left) in enumerate(places):
        part = image[:, top : top + side, left : left + side]
        layers: Tensor = method(part[None], [seed + i], lent)[0]
        if total is None or weights is None:
            total = layers.new_zeros(*layers.shape[:2], scale * height, scale * width)
            weights = layers.new_zeros(1, 1, *total.shape[-2:])
        rows, columns = (slice(scale * a, scale * a + n) for a, n in zip((top, left), layers.shape[-2:], strict=True))
        known = weights[..., rows, columns]
        if not ordered and i:
            there = known > 0
            before = torch.where(there, total[..., rows, columns] / known.clamp_min(1e-12), 0)
            # Entry [i, j] compares the tile's layer i with layer j of what is there already.
            order = best_assignment(pairwise(torch.where(there, layers, 0)[None], before[None], squared))[0][0]
            layers = layers[order]
        weight = _ramp(layers, scale * overlap)
        total[..., rows, columns] += weight * layers
        known += weight
    assert total is not None
    assert weights is not None
    return total / weights


def free_memory(device: torch.device) -> int:
    """Bytes that can be had now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")


def memory_per_pixel(method: SeparationMethod, image: Tensor) -> float:
    """Bytes of tensors per pixel of the mixture, measured on a small part of it.

    Args:
        method: on the device of the image.
        image: (C, h, w).
    """
    side = max(method.smallest, 128)
    part = image[:, :side, :side]
    memory = TensorMemory()
    with memory:
        method(part[None], [0], Lent(iterations=2))
    padded = max(part.shape[-2], side) * max(part.shape[-1], side) if method.smallest > 1 else part[0].numel()
    return memory.peak / padded


def pixels_for_attention(method: SeparationMethod, image: Tensor) -> float:
    """Pixels of a picture where attention is as much work as all the rest; infinite where it does not grow faster.

    Attention between all places is work, and memory, in the square of their number: a transformer that learnt from
    digits would take a photograph for hours. Work is counted on two squares, in FLOPs.

    Args:
        method: on the device of the image.
        image: (C, h, w), whose values do not matter.
    """
    if not method.card.trains:
        return math.inf
    side = math.ceil(max(method.smallest, 32) / method.multiple) * method.multiple
    if image[0].numel() <= (2 * side) ** 2:
        return math.inf
    work = []
    for length in (side, 2 * side):
        with FlopCounterMode(display=False) as counter:
            method(image.new_zeros(1, len(image), length, length), [0])
        work.append(counter.get_total_flops() / length**2)
    growth = (work[1] - work[0]) / (3 * side**2)  # of the work per pixel, with each pixel more
    return (work[0] - growth * side**2) / growth if growth > 0 else math.inf


def images_that_fit(method: SeparationMethod, image: Tensor) -> int:
    """How many images like this one memory allows at once; at least 1.

    Args:
        method: on the device of the image.
        image: (C, h, w).
    """
    if image[0].numel() > pixels_for_attention(method, image):
        return 1
    pixels = SHARE * free_memory(image.device) / memory_per_pixel(method, image)
    return max(1, int(pixels / image[0].numel()))


def _side(method: SeparationMethod, image: Tensor) -> int:
    """Side of the largest square that memory and attention allow; of the whole picture, if they do."""
    height, width = image.shape[-2:]
    small = height * width <= SMALL
    pixels = SMALL if small else SHARE * free_memory(image.device) / memory_per_pixel(method, image)
    attended = pixels_for_attention(method, image)
    if height * width <= min(pixels, attended):
        return max(height, width, method.smallest, 16)
    # Attention is slow where it is large, but memory that is not there is not there.
    attended = max(attended, method.smallest**2, method.multiple**2, 32**2)
    return int(min(pixels, attended) ** 0.5) // method.multiple * method.multiple


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin along one axis; the last ends with the picture."""
    if length <= side:
        return [0]
    return [*range(0, length - side, side - overlap), length - side]


def _ramp(layers: Tensor, overlap: int) -> Tensor:
    """(1, 1, H, W) weights that rise from each edge over the overlap."""
    lines = []
    for length in layers.shape[-2:]:
        distance = torch.arange(length, device=layers.device, dtype=layers.dtype) + 1
        distance = torch.minimum(distance, distance.flip(0))
        lines.append((distance / (overlap + 1)).clamp_max(1))
    return (lines[0].view(-1, 1) * lines[1]).view(1, 1, *layers.shape[-2:])
