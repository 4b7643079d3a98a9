"""DSRNet: background and reflection in two streams, each the other's gate, and a rest that their sum leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.exclusion import exclusion
from methods.losses.permutation import absolute, best_assignment, pairwise
from methods.networks.mutual_gates import DualStreamBackbone
from methods.networks.start import starting_layers
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

PERCEPTUAL = (1 / 2.6, 1 / 4.8, 1 / 3.7, 1 / 5.6, 10 / 1.5)
"""Weights of VGG19's levels in the perceptual loss."""


class DSRNet(TrainedMethod):
    """Two layers drawn by streams with the same weights, which VGG19's features feed; written for reflections.

    The mixture is explained by both layers and a rest, (T̂, R̂, rest), whose sum it should be; so it need not be the
    layers' sum. Where the data have one true layer, the second one's target is what the mixture has beyond it.

    The defaults are the paper's larger network (124.6 million parameters); the smaller one is ``width: 32, encoder:
    [2, 2, 2], middle: 4, decoder: [2, 2, 2], residue: [0, 0]`` (9.33 million). For a processor: ``width: 16, encoder:
    [1, 1, 1], middle: 1, decoder: [1, 1, 1], residue: [1, 1], levels: 3``.

    Args:
        width: channels of each stream at full resolution.
        encoder: blocks at each level on the way down; as many levels as numbers.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first; as many as ``encoder``.
        residue: blocks of two streams, and then of one, that find the rest.
        mse: weight of each layer's mean squared error.
        gradient: weight of the L1 loss of each layer's slopes.
        perceptual: weight of the perceptual loss of the first layer; 0 for none.
        exclusion: weight of the exclusion loss.
        reconstruction: weight of the L1 loss between the mixture and the sum of layers and rest.
        residual: add both layers to the trivial answer, from zero on; the paper draws them anew.
        permutation_invariant: take the best order of the layers per image; default where the data's have no order.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        levels: of its features, from the finest on; the paper has all five, fewer are cheaper.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible, or weights that cannot be had.

    Source: Hu & Guo, Single Image Reflection Separation via Component Synergy, ICCV 2023, and the authors' code. Left
        out: their synthesis of reflections, which is the data's, and the choice of the checkpoint on test sets.
        ``residual`` and layers without an order are ours.
    """

    card = MethodCard(
        title="DSRNet", paper="Hu & Guo, Single Image Reflection Separation via Component Synergy, ICCV 2023",
        year=2023, supervision="paired", layers=(1, 2), channels=(3,), scales=(1,),
        reconstructed="of data whose mixture is a mean, the sum is that of the mixture times the number of layers",
    )  # fmt: skip

    def __init__(
        self,
        width: int = 64,
        encoder: Sequence[int] = (2, 2, 4, 8),
        middle: int = 12,
        decoder: Sequence[int] = (2, 2, 2, 2),
        residue: Sequence[int] = (2, 4),
        mse: float = 0.3,
        gradient: float = 0.6,
        perceptual: float = 0.01,
        exclusion: float = 1.0,
        reconstruction: float = 0.2,
        residual: bool = False,
        permutation_invariant: bool | None = None,
        features: str = "timm",
        levels: int = 5,
        lr: float = 1e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        encoder, decoder, residue = list(encoder), list(decoder), list(residue)
        self.save_hyperparameters()
        blocks = [*encoder, middle, *decoder, *residue]
        if width < 1 or not encoder or len(encoder) != len(decoder) or len(residue) != 2 or min(blocks) < 0:
            raise UserError(
                f"width {width}, encoder {encoder}, middle {middle}, decoder {decoder}, residue {residue}: the width "
                "must be at least 1, encoder and decoder of the same length and not empty, residue two numbers, and "
                "nothing negative."
            )
        self.count = len(spec["layers"]) if spec else 2
        self.gain = spec["gain"] if spec else 1.0
        ordered = bool(spec and spec["ordered"])
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.weights = (mse, gradient, perceptual, exclusion, reconstruction)
        self.vgg = VGG19Features(features, levels)
        # Frozen and the same everywhere: DDP need not send them before each step.
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        found = len(self.vgg.channels)
        self.multiple = max(2 ** len(encoder), 2 ** (found - 1))
        self.network = DualStreamBackbone(
            3, self.vgg.channels, width, encoder, middle, decoder, (residue[0], residue[1])
        )
        self.residual = residual
        if residual:
            torch.nn.init.zeros_(self.network.last.weight)
            assert self.network.last.bias is not None
            torch.nn.init.zeros_(self.network.last.bias)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.explain(mixture)[0][:, : self.count]

    def explain(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Both layers and the rest.

        Args:
            mixture: (B, 3, H, W), sides that ``separate`` takes.

        Returns:
            (B, 2, 3, H, W) and (B, 3, H, W), the latter in (−1, 1).
        """
        with torch.no_grad():
            seen = self.vgg(mixture)
        layers, rest = self.network(mixture, seen)
        if self.residual:
            start = starting_layers(mixture, self.hparams["spec"])
            layers = layers + torch.cat([start, torch.zeros_like(start)], 1)[:, :2]
        return layers, rest

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        mixture, truth = self.pad(batch.mixture), self.pad(batch.layers)
        if truth.shape[1] == 1:
            truth = torch.cat([truth, (mixture - truth[:, 0]).unsqueeze(1)], 1)
        layers, rest = (found.float() for found in self.explain(mixture))
        if self.permutation_invariant:
            order, _ = best_assignment(pairwise(layers.detach(), truth, absolute))
            layers = layers.gather(1, order[:, :, None, None, None].expand_as(layers))
        mse, gradient, perceptual, exclusive, reconstruction = self.weights
        error = layers - truth
        slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        # Both layers' terms are added, and these are means over both.
        loss = 2 * (mse * error.square().mean() + gradient * slopes)
        loss = loss + reconstruction * (layers.sum(1) + rest - self.gain * mixture).abs().mean()
        if exclusive:
            loss = loss + exclusive * exclusion(layers[:, 0], layers[:, 1]).mean()
        if perceptual:
            with torch.no_grad():
                known = self.vgg(truth[:, 0])
            pairs = zip(PERCEPTUAL, self.vgg(layers[:, 0]), known, strict=False)
            apart = torch.stack([weight * (ours - theirs).abs().mean() for weight, ours, theirs in pairs]).sum()
            loss = loss + perceptual * apart
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
