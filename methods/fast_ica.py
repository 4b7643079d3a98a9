"""Independent component analysis of one image's shifted copies."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from datamodules.types import LayerSpec
from methods.base import Lent, MethodCard, SeparationMethod
from methods.networks.patches import extract, group, overlap_mean, strongest_first
from methods.networks.resize import enlarge


class FastICA(SeparationMethod):
    """Take an image's shifted copies for observations, group the components by the spectra of their filters.

    One image gives many observations: its copies shifted by up to ``patch`` pixels, that is, its
    overlapping patches. Each component is projected back to the observations, where its sign and
    scale are determined, and the copies are shifted back and averaged. Components whose filters
    have similar spectra make up one layer; what is common to all (the mean) is shared equally, so
    the layers sum to the mixture (to K mixtures where the data average K layers). Where the data's layers have an
    order, those whose components have more energy come first.

    Args:
        components: of the analysis.
        patch: shifts in pixels along each side; less where the image is smaller.
        iterations: of the solver, at most.
        spec: of the data.

    Source: Hyvärinen & Oja, Neural Networks 2000 (FastICA); Davies & James, Signal Processing 2007
        (a single sensor's delayed copies as observations, filters grouped by spectrum). Solver: scikit-learn.
    """

    card = MethodCard(
        title="FastICA",
        paper="Hyvärinen & Oja, Neural Networks 2000; single sensor: Davies & James, Signal Processing 2007",
        year=2007,
        supervision="single-image",
        host="its solver is scikit-learn's, of NumPy arrays",
        reconstructed="an image's observations, which are its shifts",
    )
    version: ClassVar[int] = 2

    def __init__(
        self, components: int = 12, patch: int = 5, iterations: int = 60, spec: LayerSpec | None = None
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.components, self.patch, self.iterations = components, patch, iterations
        self.layers, self.scale = (len(spec["layers"]), spec["scale"]) if spec else (2, 1)
        self.gain = spec["gain"] if spec else 1.0
        self.ordered = bool(spec and spec["ordered"])

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.optimise(mixture, seeds, Lent())

    def optimise(self, mixture: Tensor, seeds: list[int], lent: Lent) -> Tensor:
        iterations = lent.limit(self.iterations)
        split = [self._split(image, seed, iterations) for image, seed in zip(mixture, seeds, strict=True)]
        large = enlarge(torch.cat(split), self.scale)
        return large.view(len(split), self.layers, *large.shape[1:])

    def _split(self, image: Tensor, seed: int, iterations: int) -> Tensor:
        """(K, C, h, w) of one image."""
        from sklearn.decomposition import FastICA as Solver
        from sklearn.exceptions import ConvergenceWarning

        size = min(self.patch, *image.shape[-2:])
        patches = extract(image, size)
        mean = patches.mean(axis=0)
        rank = int(np.linalg.matrix_rank(patches - mean, tol=1e-4 * len(patches) ** 0.5))
        components = min(self.components, rank)
        if components < self.layers:  # too flat to tell anything apart
            return self.gain * (image / self.layers).expand(self.layers, -1, -1, -1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of iterations is meant
            solver = Solver(components, whiten="unit-variance", max_iter=iterations, random_state=seed)
            sources = solver.fit_transform(patches)
        filters = solver.mixing_.T.reshape(components, image.shape[0], size, size)
        groups = group(np.abs(np.fft.rfft2(filters)).sum(axis=1).reshape(components, -1), self.layers, seed)
        parts = [
            overlap_mean(sources[:, groups == k] @ solver.mixing_.T[groups == k], image, size)
            for k in range(self.layers)
        ]
        part = torch.stack(parts)
        part = strongest_first(part) if self.ordered else part
        # The mean, and the little that the chosen components do not explain, belong to all alike.
        return self.gain * (part + (image - part.sum(0)) / self.layers)
