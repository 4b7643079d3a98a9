"""Random numbers of training that belong to an image: neither ranks, nor batches, nor an interruption change them."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def seed_of(name: str, which: str) -> int:
    """A number of 63 bits that a name and the name of a draw give."""
    digest = hashlib.blake2b(f"{name}/{which}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def normal(like: Tensor, ids: list[str], which: str) -> Tensor:
    """Standard normal noise, each image's its own.

    Args:
        like: (B, …), whose shape, type and device it takes.
        ids: of the images.
        which: name of the draw.
    """
    drawn = []
    for name in ids:
        generator = torch.Generator().manual_seed(seed_of(name, which))
        drawn.append(torch.randn(like.shape[1:], generator=generator))
    return torch.stack(drawn).to(like)


def uniform(like: Tensor, ids: list[str], which: str) -> Tensor:
    """(B, 1, …), a number in [0, 1) for each image.

    Args:
        like: (B, …), whose type, device and number of dimensions it takes.
        ids: of the images.
        which: name of the draw.
    """
    numbers = [seed_of(name, which) / 2**63 for name in ids]
    return like.new_tensor(numbers).view(-1, *[1] * (like.ndim - 1))
