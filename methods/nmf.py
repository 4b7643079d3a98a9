"""Non-negative matrix factorisation of one image's patches."""

from __future__ import annotations

import warnings
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import LayerSpec
from methods.base import Lent, MethodCard, SeparationMethod
from methods.networks.patches import extract, group, overlap_mean, strongest_first
from methods.networks.resize import enlarge


class NMF(SeparationMethod):
    """Factor all patches V ≈ W·H, group the components, share the mixture among the groups.

    One image gives many observations: each of its overlapping patches (all channels together) is
    a row of V. Components whose activations W are strong in the same places, at the scale of a patch, are taken for
    one layer; a layer is the mixture times the part of W·H that its components make up, so that the
    layers sum to the mixture (to K mixtures where the data average K layers). Where the data's layers have an order,
    those with more energy come first.

    Args:
        components: of the factorisation.
        patch: side of a patch in pixels; less where the image is smaller.
        iterations: of the solver, at most.
        spec: of the data.

    Source: Lee & Seung, Nature 1999 (factorisation); Smaragdis & Brown, WASPAA 2003 (a single
        mixture as many observations). Solver: scikit-learn.
    """

    card = MethodCard(
        title="NMF", paper="Lee & Seung, Nature 1999; single mixture: Smaragdis & Brown, WASPAA 2003", year=2003,
        supervision="single-image", host="its solver is scikit-learn's, of NumPy arrays",
        reconstructed="an image's observations, which are its patches",
    )  # fmt: skip
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
        from sklearn.decomposition import NMF as Solver
        from sklearn.exceptions import ConvergenceWarning

        size = min(self.patch, *image.shape[-2:])
        patches = extract(image.clamp_min(0), size)
        components = min(self.components, *patches.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of iterations is meant
            solver = Solver(components, init="nndsvda", max_iter=iterations, random_state=seed)
            activations = solver.fit_transform(patches + 1e-6)
        rows, columns = (side - size + 1 for side in image.shape[-2:])
        maps = torch.from_numpy(activations.T.reshape(components, rows, columns))
        # Atoms of one texture take turns from pixel to pixel; what counts is where they are active.
        nearby = F.avg_pool2d(maps[None], size, stride=1, padding=size // 2, count_include_pad=False)[0]
        groups = group(nearby.flatten(1).numpy(), self.layers, seed)
        whole = activations @ solver.components_ + 1e-9
        shares = [
            overlap_mean(activations[:, groups == k] @ solver.components_[groups == k] / whole, image, size)
            for k in range(self.layers)
        ]
        share = torch.stack(shares)
        layers = self.gain * image * (share / share.sum(0).clamp_min(1e-6))
        return strongest_first(layers) if self.ordered else layers
