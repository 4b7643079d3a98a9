"""Samples become batches: what is still to be blended, what came mixed, and what shares a batch with the other kind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.utils.data import default_collate

from datamodules.types import LayerBatch, SceneBatch, UnmixedBatch, UnpairedBatch, WovenBatch


class Unmixed(NamedTuple):
    """One sample of an ``UnmixedBatch``, without the leading B."""

    sources: torch.Tensor
    parameters: dict[str, torch.Tensor]
    mask: torch.Tensor
    name: str


class Mixed(NamedTuple):
    """One sample of a ``LayerBatch``, without the leading B."""

    mixture: torch.Tensor
    layers: torch.Tensor
    mask: torch.Tensor
    name: str


class Unpaired(NamedTuple):
    """One sample of an ``UnpairedBatch``: a scene of the mixture, and one for each layer."""

    mixture: Unmixed | Mixed
    layers: list[Unmixed | Mixed]


def collate_unpaired(items: Sequence[Unpaired]) -> UnpairedBatch:
    """A batch of unpaired training."""
    layers = zip(*(item.layers for item in items), strict=True)
    return UnpairedBatch(
        collate_scenes([item.mixture for item in items]), [collate_scenes(scenes) for scenes in layers]
    )


def collate_scenes(items: Sequence[Unmixed | Mixed]) -> SceneBatch:
    """A batch of scenes; a woven one where some of them are still to be blended and others are not."""
    unmixed = [item for item in items if isinstance(item, Unmixed)]
    mixed = [item for item in items if isinstance(item, Mixed)]
    if not mixed:
        return _unmixed(unmixed)
    if not unmixed:
        return _mixed(mixed)
    first, second = itertools.count(), itertools.count(len(unmixed))
    order = [next(first if isinstance(item, Unmixed) else second) for item in items]
    return WovenBatch(_unmixed(unmixed), _mixed(mixed), order)


def _unmixed(items: list[Unmixed]) -> UnmixedBatch:
    sources, parameters, mask, names = zip(*items, strict=True)
    return UnmixedBatch(torch.stack(sources), default_collate(list(parameters)), torch.stack(mask), list(names))


def _mixed(items: list[Mixed]) -> LayerBatch:
    mixture, layers, mask, names = zip(*items, strict=True)
    return LayerBatch(torch.stack(mixture), torch.stack(layers), torch.stack(mask), list(names))
