"""Overlapping patches: how one image gives many observations, and how they become an image again."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def extract(image: Tensor, size: int) -> NDArray[np.float64]:
    """All patches of an image, one pixel apart.

    Args:
        image: (C, H, W), both sides at least ``size``.
        size: side of a patch.

    Returns:
        (patches, C · size · size).
    """
    found: NDArray[np.float64] = F.unfold(image[None].double(), size)[0].T.cpu().numpy()
    return found


def overlap_mean(patches: NDArray[np.float64], like: Tensor, size: int) -> Tensor:
    """The image whose every pixel is the mean of what the patches say of it.

    Args:
        patches: (patches, C · size · size), as ``extract`` orders them.
        like: (C, H, W), for shape, type and device.
        size: side of a patch.

    Returns:
        (C, H, W).
    """
    columns = torch.from_numpy(patches.T.copy())[None]
    shape = (like.shape[-2], like.shape[-1])
    weight = F.fold(torch.ones_like(columns), shape, size)
    return (F.fold(columns, shape, size) / weight)[0].to(like)


def group(features: NDArray[np.float64], groups: int, seed: int) -> NDArray[np.int64]:
    """Group components whose features point the same way (k-means on the unit sphere).

    Args:
        features: (components, n).
        groups: number of groups.
        seed: of the initial centres.

    Returns:
        (components,) group of each.
    """
    from sklearn.cluster import KMeans

    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    if len(np.unique(unit.round(9), axis=0)) < groups:
        return np.arange(len(unit)) % groups  # nothing tells them apart
    found: NDArray[np.int64] = KMeans(groups, n_init=4, random_state=seed).fit_predict(unit)
    return found


def strongest_first(layers: Tensor) -> Tensor:
    """Layers in the order of their energy, the sum of squares.

    Components come out of k-means in no order; in tasks whose layers have one, the layer that is sought is the
    stronger one, as shoes are in the 7 : 3 mixtures of the cascaded-GAN paper.

    Args:
        layers: (K, C, H, W).

    Returns:
        The same, those with more energy first.
    """
    return layers[layers.square().sum((1, 2, 3)).argsort(descending=True, stable=True)]
