"""ConvSep: denoise and enlarge the mixture with an autoencoder, then split it with two separators.

Source: Ranganath et al., Image Separation Using Transformer Attention Models (ConvSep and LiGT), Sec. III, Fig. 2. Eq.
2 is the Huber function of an image's whole L1 norm, which for δ = 1 has the L1 loss's gradient in nearly every image;
but the text names it HuberLoss, as PyTorch does, whose is of each pixel. ``loss: l1`` is the former.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec
from methods.base import MethodCard
from methods.losses.permutation import PixelLoss, pixel_loss, separation_loss
from methods.recipe import TrainedMethod


def _convolutions(*channels: int) -> nn.Sequential:
    """3×3 convolutions, each with batch normalisation, ReLU between them."""
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(channels):
        parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts[:-1])


class ConvSep(TrainedMethod):
    """Encoder, decoder and expander restore z from y; two separators take z apart.

    In training the separators are given the clean z, in testing the restored ẑ (paper, Fig. 2).
    Separators that never saw ẑ can fail on it: they take its error for strokes (z with noise of as much error: 7.7 dB,
    z alone 14.6). ``train_separators_on: estimate`` trains them on ẑ, in either order of the layers. How far ẑ is from
    z in training is logged as ``train/restored_mse``.

    Args:
        width: multiplies the inner channels; 1 is the paper's size. Below ¼ the decoder's last features are 2 channels
            or fewer, and ẑ is hardly learnt.
        permutation_invariant: take the best assignment of layers per image; the paper's order is fixed.
        train_separators_on: the clean mixture z (paper) or the restored ẑ.
        loss: ``huber``, of each pixel, or ``l1``.
        delta: of the Huber loss (paper: 1).
        lr: learning rate of Adam; the paper gives none.
        cosine: let the learning rate fall to zero over the run; the paper does not say.
        spec: of the data.
        **recipe: of training (``methods.recipe``).
    """

    card = MethodCard(
        title="ConvSep",
        paper="Ranganath et al., Image Separation Using Transformer Attention Models",
        year=2023,
        supervision="paired",
        layers=(2,),
        channels=(1,),
        scales=(2,),
        reconstructed=(
            "the layer widths: of the designs that the text and Fig. 2 allow, this one has the paper's total of "
            "2,846,224 parameters, which is no proof that it is the authors'; and the loss, which is PyTorch's "
            "HuberLoss of each pixel"
        ),
    )
    scale = 2

    def __init__(
        self,
        width: float = 1.0,
        permutation_invariant: bool = False,
        train_separators_on: Literal["clean", "estimate"] = "clean",
        loss: PixelLoss = "huber",
        delta: float = 1.0,
        lr: float = 1e-3,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        self.permutation_invariant, self.on_clean = permutation_invariant, train_separators_on == "clean"
        self.distance = pixel_loss(loss, delta)
        w16, w64, w128, w256, w512 = (max(1, round(width * channels)) for channels in (16, 64, 128, 256, 512))
        self.encoder = _convolutions(1, w16, w64, w256, w512)
        self.decoder = _convolutions(w512, w256, w64, w16, 1)
        self.expander = nn.Sequential(nn.ConvTranspose2d(1, 1, 2, stride=2), nn.BatchNorm2d(1))
        self.separators = nn.ModuleList(_convolutions(1, w16, w64, w128, 1) for _ in range(2))

    def restore(self, mixture: Tensor) -> Tensor:
        """ẑ (B, 1, 2h, 2w): the clean, enlarged sum of the layers, from the measurement y (B, 1, h, w)."""
        restored: Tensor = self.expander(self.decoder(F.relu(self.encoder(mixture))))
        return restored

    def split(self, total: Tensor) -> Tensor:
        """(B, 2, 1, H, W) from the sum of the layers (B, 1, H, W)."""
        return torch.stack([separator(total) for separator in self.separators], dim=1)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.split(self.restore(mixture))

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        # Eq. 3: L(ẑ, z) + L(x̂₁, x₁) + L(x̂₂, x₂)
        total = batch.layers.sum(dim=1)
        restored = self.restore(batch.mixture)
        estimates = self.split(total if self.on_clean else restored)
        layers_loss = separation_loss(
            estimates, batch.layers, self.distance, permutation_invariant=self.permutation_invariant
        )
        loss = self.distance(restored, total).mean() + 2 * layers_loss
        self.log("train/restored_mse", F.mse_loss(restored.detach().float(), total), batch_size=len(batch.ids))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
