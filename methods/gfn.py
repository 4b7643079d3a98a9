"""GFN: three pictures derived from the mixture, blended by learnt confidence maps, from coarse to fine."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.recipe import TrainedMethod

SLOPE = 0.1
"""Of the leaky activation below zero."""

SCALES = (4, 2, 1)
"""By what the pictures are reduced, the coarsest first."""


class GFN(TrainedMethod):
    """White balance, contrast and gamma each uncover a part of the background; a network says where which does.

    It predicts the background alone.

    Args:
        width: channels of each hidden convolution; one of them has twice as many.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run, where the authors' falls as (1 − share)².
        weight_decay: of the weights.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width that is impossible.

    Source: Ren et al., Gated Fusion Network for Single Image Dehazing, CVPR 2018, and the authors' released network and
        solver, which has no adversarial term. Their decay is added to the gradient, here it is decoupled.
        Ours: the maps start at ⅓ each.
    """

    card = MethodCard(
        title="GFN", paper="Ren et al., Gated Fusion Network, CVPR 2018", year=2018, supervision="paired",
        channels=(3,), scales=(1,), ordered_only=True,
        reconstructed=(
            "which convolutions end the six groups that the confidence maps are made from (every third; the last "
            "group has two)"
        ),
    )  # fmt: skip
    layer_names = ("background", "haze")
    multiple = max(SCALES)

    def __init__(
        self,
        width: int = 32,
        lr: float = 1e-4,
        cosine: bool = True,
        weight_decay: float = 1e-5,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, weight_decay=weight_decay, **recipe)
        self.save_hyperparameters()
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1; the paper has 32.")
        self.coarse = ConfidenceMaps(12, width, size=3, dilation=1, wide=True)
        self.middle = ConfidenceMaps(15, width, size=5, dilation=2)
        self.fine = ConfidenceMaps(15, width, size=7, dilation=3)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, 1) for _ in SCALES[1:])

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.blend(mixture)[-1].unsqueeze(1)

    def blend(self, mixture: Tensor) -> list[Tensor]:
        """The background at each scale.

        Args:
            mixture: (B, 3, H, W) in [0, 1], sides multiples of 4.

        Returns:
            (B, 3, H / s, W / s) for each s of ``SCALES``.
        """
        views = derived(mixture)
        found: list[Tensor] = []
        for i, (network, scale) in enumerate(zip((self.coarse, self.middle, self.fine), SCALES, strict=True)):
            seen = F.max_pool2d(views, scale)
            above = [F.leaky_relu(self.grow[i - 1](found[-1]), SLOPE)] if i else []
            maps = network(torch.cat([seen, *above], 1)).unsqueeze(2)
            found.append((maps * torch.stack(seen[:, 3:].chunk(3, 1), 1)).sum(1))
        return found

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        mixture, truth = self.pad(batch.mixture), self.pad(batch.layers[:, 0])
        errors = [
            (estimate.float() - F.avg_pool2d(truth, scale)).square().mean()
            for estimate, scale in zip(self.blend(mixture), SCALES, strict=True)
        ]
        loss = torch.stack(errors).sum()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


def derived(mixture: Tensor) -> Tensor:
    """The mixture, and what white balance, contrast enhancement and gamma make of it.

    Args:
        mixture: (B, 3, H, W), nominally in [0, 1].

    Returns:
        (B, 12, H, W): four pictures of three channels.

    Source: Ren et al. and the authors' code: white balance by the grey-world assumption, contrast, and γ = 2.5.
    """
    colour = mixture.mean((2, 3), keepdim=True)
    mean = colour.mean(1, keepdim=True)
    balanced = mixture * (mean / colour.clamp_min(1e-3))
    contrast = 2 * (0.5 + mean) * (mixture - mean)
    return torch.cat([mixture, balanced, contrast, mixture.clamp(0, 1) ** 2.5], 1)


class ConfidenceMaps(nn.Module):
    """Nine convolutions, eight more, and a last one that sees the ends of all six groups of them; never down-sampled.

    Args:
        inputs: channels.
        width: of each convolution.
        size: of the first one's filters.
        dilation: of the first four.
        wide: whether the fourth has twice the width.
    """

    def __init__(self, inputs: int, width: int, size: int, dilation: int, wide: bool = False) -> None:
        super().__init__()
        channels = [inputs, *[width] * 17]
        if wide:
            channels[4] = 2 * width
        layers: list[nn.Module] = []
        for i in range(17):
            side, spread = size if i == 0 else 3, dilation if i < 4 else 1
            padding = spread * (side // 2)
            layer = nn.Conv2d(channels[i], channels[i + 1], side, padding=padding, dilation=spread)
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            layers.append(nn.Sequential(layer, nn.LeakyReLU(SLOPE)))
        self.groups = nn.ModuleList(nn.Sequential(*layers[i : i + 3]) for i in range(0, 17, 3))
        self.last = nn.Conv2d(6 * width, 3, 3, padding=1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.constant_(self.last.bias, 1 / 3)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 3, H, W)."""
        ends = []
        for group in self.groups:
            x = group(x)
            ends.append(x)
        return F.leaky_relu(self.last(torch.cat(ends, 1)), SLOPE)
