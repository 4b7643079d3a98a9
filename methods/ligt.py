"""LiGT: a transformer that restores and separates at once.

Source: Ranganath et al., Image Separation Using Transformer Attention Models (ConvSep and LiGT), Sec. III, Fig. 3. The
text fixes a compressor of convolutions whose features go to a transformer encoder, a transformer decoder that attends
from the features to the encoder's output, and an expander into two images, 2,301,865 parameters in all. A literal
one-channel feature map of the same total learns far more slowly. Measured at width 0.25 and 0.5, 60 s on one core, best
assignment of layers, where half of the mixture has 17.4 dB: this grid 18.7 dB (19.6 with heads 16 wide at every width,
as here), a 14×14 grid at most 13.8 dB, being some six times slower; a skip from the features to the expander gained
nothing.

Eq. 2 is the Huber function of an image's whole L1 norm, which for δ = 1 has the L1 loss's gradient in nearly every
image; but the text names it HuberLoss, as PyTorch does, whose is of each pixel and for δ = 1 half the squared error.
``loss: l1`` is the former.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec
from methods.base import MethodCard
from methods.losses.permutation import PixelLoss, pixel_loss, separation_loss
from methods.recipe import TrainedMethod

HEAD = 16
"""Channels of each head of attention."""

LAYERS = 4
"""Of the transformer's encoder, and as many of its decoder."""


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _enlarging(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sinusoidal positions of a grid, half of the channels for each axis, so that any grid fits.

    Returns:
        (height · width, channels).

    Source: Vaswani et al. 2017, Sec. 3.5, once for rows and once for columns.
    """
    half = channels // 2
    rates = torch.exp(torch.arange(0, half, 2, device=like.device) * (-math.log(100.0) / half))

    def axis(length: int) -> Tensor:
        angles = torch.arange(length, device=like.device)[:, None] * rates
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    rows = axis(height)[:, None].expand(-1, width, -1)
    columns = axis(width)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1).to(like.dtype)


class Attention(nn.Module):
    """Multi-head attention from normalised tokens (B, T, d) to tokens of a memory, heads 16 wide.

    Torch's own module turns its tensors from (images, tokens) to (tokens, images) and back: a tenth of LiGT's step.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.query, self.key_value, self.out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        for linear in (self.query, self.key_value):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (self.query, self.key_value, self.out):
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor, memory: Tensor | None = None) -> Tensor:
        tokens = self.norm(tokens)
        memory = tokens if memory is None else memory
        queries = self.query(tokens).unflatten(2, (-1, HEAD)).transpose(1, 2)
        keys, values = self.key_value(memory).unflatten(2, (2, -1, HEAD)).unbind(2)
        found = F.scaled_dot_product_attention(queries, keys.transpose(1, 2), values.transpose(1, 2))
        attended: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return attended


class _Layer(nn.Module):
    """A pre-normalised transformer layer; one of a decoder attends to a memory as well."""

    def __init__(self, d: int, decodes: bool) -> None:
        super().__init__()
        self.own = Attention(d)
        self.other = Attention(d) if decodes else None
        self.feed = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.ReLU(inplace=True), nn.Linear(2 * d, d))

    def forward(self, tokens: Tensor, memory: Tensor | None = None) -> Tensor:
        tokens = tokens + self.own(tokens)
        if self.other is not None:
            tokens = tokens + self.other(tokens, memory)
        fed: Tensor = tokens + self.feed(tokens)
        return fed


class LiGT(TrainedMethod):
    """Limited-informed Generative Transformer: compressor, transformer, expander.

    Args:
        width: multiplies the channels; 1 is the paper's size (within 1 %).
        permutation_invariant: take the best assignment of layers per image; the paper's order is fixed.
        loss: ``huber``, of each pixel, or ``l1``.
        delta: of the Huber loss (paper: 1).
        lr: learning rate of Adam; the paper gives none.
        cosine: let the learning rate fall to zero over the run; the paper does not say.
        spec: of the data.
        **recipe: of training (``methods.recipe``).
    """

    version: ClassVar[int] = 2
    card = MethodCard(
        title="LiGT",
        paper="Ranganath et al., Image Separation Using Transformer Attention Models",
        year=2023,
        supervision="paired",
        layers=(2,),
        channels=(1,),
        scales=(2,),
        low_precision=False,
        reconstructed=(
            "one feature token for each cell of a 7×7 grid, 4 + 4 pre-normalised layers, fixed sinusoidal positions, "
            "an expander with a head for each layer, and PyTorch's HuberLoss of each pixel"
        ),
    )
    scale = 2
    multiple = 2

    def __init__(
        self,
        width: float = 1.0,
        permutation_invariant: bool = False,
        loss: PixelLoss = "huber",
        delta: float = 1.0,
        lr: float = 1e-3,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        self.permutation_invariant, self.distance = permutation_invariant, pixel_loss(loss, delta)
        d = HEAD * max(1, round(width * 8))
        self.compressor = nn.Sequential(_convolution(1, d // 2), _convolution(d // 2, d), _convolution(d, d, stride=2))
        self.encoder = nn.ModuleList(_Layer(d, decodes=False) for _ in range(LAYERS))
        self.decoder = nn.ModuleList(_Layer(d, decodes=True) for _ in range(LAYERS))
        self.encoded, self.decoded = nn.LayerNorm(d), nn.LayerNorm(d)
        last = round(d * 7 / 16)  # brings the total within 1 % of the paper's
        self.expanders = nn.ModuleList(
            nn.Sequential(_enlarging(d, d), _enlarging(d, last), nn.Conv2d(last, 1, 3, padding=1)) for _ in range(2)
        )

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        features = self.compressor(mixture)
        height, width = features.shape[-2:]
        tokens = features.flatten(2).transpose(1, 2)
        tokens = tokens + positions(height, width, tokens.shape[2], tokens)
        memory = tokens
        for layer in self.encoder:
            memory = layer(memory)
        memory = self.encoded(memory)
        for layer in self.decoder:
            tokens = layer(tokens, memory)
        decoded = self.decoded(tokens).transpose(1, 2).unflatten(2, (height, width))
        return torch.stack([expander(decoded) for expander in self.expanders], dim=1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        # Eq. 4: L(x̂₁, x₁) + L(x̂₂, x₂)
        loss = 2 * separation_loss(
            self(batch.mixture), batch.layers, self.distance, permutation_invariant=self.permutation_invariant
        )
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
