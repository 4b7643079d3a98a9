"""FY18: albedo and shading from one network, and a filter that flattens the albedo by edges another one predicts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.domain_transform import domain_transform
from methods.networks.norms import Norm, normalisation
from methods.recipe import TrainedMethod

MIDDLE = 115.0
"""Grey of 255 that the networks see as 0."""


class FY18(TrainedMethod):
    """Revisiting deep intrinsic image decompositions: a direct network, a guidance network and a filter between them.

    The direct network draws both layers. The guidance network draws the edges that the albedo has, and the first
    layer is filtered, so that it is flat between these. All is trained end to end, since the filter has a slope.
    Values are from 0 to 255 inside, and so are the losses.

    Args:
        width: channels of all features.
        blocks: residual blocks of the common trunk, and as many of each branch.
        norm: ``batch`` (authors), ``group``, ``instance`` or ``none``.
        spatial: σ_s of the filter, in pixels.
        range_: σ_r of the filter, in units of edges: sums over colours of absolute differences, divided by 100.
        iterations: of the filter.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run; the authors' falls to a tenth near its end.
        weight_decay: decoupled.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Fan et al., Revisiting Deep Intrinsic Image Decompositions, CVPR 2018, and the authors' code for MIT. Left
        out: the authors' choice of the checkpoint by the loss on test images.
    """

    card = MethodCard(
        title="FY18", paper="Fan et al., Revisiting Deep Intrinsic Image Decompositions, CVPR 2018", year=2018,
        supervision="paired", layers=(2,), scales=(1,), ordered_only=True,
        reconstructed=(
            "all parts learn together from the first step on, where the authors train each network alone and then "
            "both; what the networks draw is relative to the same grey as what they see; a block adds to its input "
            "once, where the code's sum has a third term; and decay is decoupled"
        ),
    )  # fmt: skip
    layer_names = ("albedo", "shading")
    multiple = 2
    smallest = 16

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        norm: Norm = "batch",
        spatial: float = 30.0,
        range_: float = 0.25,
        iterations: int = 5,
        lr: float = 1e-2,
        cosine: bool = False,
        weight_decay: float = 5e-4,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, weight_decay=weight_decay, **recipe)
        self.save_hyperparameters()
        if width < 1 or blocks < 0 or spatial <= 0 or range_ <= 0 or iterations < 1:
            raise UserError(
                f"width {width}, blocks {blocks}, spatial {spatial:g}, range_ {range_:g}, iterations {iterations}: "
                "width and iterations must be at least 1, blocks not negative, the others above 0."
            )
        self.filter = (spatial, range_, iterations)
        channels = spec["channels"] if spec else 3
        self.direct = DirectNetwork(channels, width, blocks, norm)
        self.guidance = GuidanceNetwork(channels, width, norm)

    def draw(self, mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks give.

        Args:
            mixture: (B, C, H, W) in [0, 255].

        Returns:
            (B, 2, C, H, W), the layers of the direct network; (B, 1, H, W), the albedo's edges; and (B, C, H, W), the
            filtered albedo.
        """
        layers = self.direct(mixture - MIDDLE).float() + MIDDLE
        contours = edges(mixture)
        guide = contours + self.guidance(torch.cat([mixture, contours], 1) - MIDDLE).float()
        return layers, guide, domain_transform(layers[:, 0], guide.clamp_min(0), *self.filter)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        layers, _, albedo = self.draw(255 * mixture)
        return torch.stack([albedo, layers[:, 1]], 1) / 255

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        mixture, truth = (255 * self.pad(images) for images in (batch.mixture, batch.layers))
        layers, guide, albedo = self.draw(mixture)
        error = layers - truth
        loss = 0.2 * error.square().mean()
        for axis in (-1, -2):
            loss = loss + 0.35 * error.diff(dim=axis).square().mean()
        loss = 2 * loss  # the sum over the layers, where these are means over both
        loss = loss + 0.35 * (guide - edges(truth[:, 0])).square().mean()
        loss = loss + 0.2 * (albedo - truth[:, 0]).square().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


def edges(image: Tensor) -> Tensor:
    """(B, C, H, W) in [0, 255] -> (B, 1, H, W): absolute steps from the pixels before, over colours, by 100."""
    steps = [image.diff(dim=axis, prepend=image.narrow(axis, 0, 1)).abs().sum(1, keepdim=True) for axis in (-1, -2)]
    return (steps[0] + steps[1]) / 100


def layer(before: int, after: int, norm: Norm, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """A 3×3 convolution, its normalisation and ReLU."""
    convolution = nn.Conv2d(before, after, 3, stride, dilation, dilation)
    return [convolution, *normalisation(norm, after), nn.ReLU(inplace=True)]


def finish(width: int, outputs: int, norm: Norm) -> list[nn.Module]:
    """Back to the full resolution, and there to the output."""
    grow = [nn.ConvTranspose2d(width, width, 4, 2, 1), *normalisation(norm, width), nn.ReLU(inplace=True)]
    return [*grow, *layer(width, width, norm), nn.Conv2d(width, outputs, 1)]


class Residual(nn.Module):
    """x + two convolutions of it, with ReLU between them and, perhaps, after all.

    Args:
        width: channels.
        norm: after each convolution.
        dilation: of the convolutions.
        last: whether ReLU comes after all.
    """

    def __init__(self, width: int, norm: Norm, dilation: int = 1, last: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(*layer(width, width, norm, 1, dilation), *layer(width, width, norm, 1, dilation)[:-1])
        self.last = nn.ReLU() if last else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        result: Tensor = self.last(x + self.body(x))
        return result


class DirectNetwork(nn.Module):
    """A trunk at half of the resolution, and a branch for each of two layers."""

    def __init__(self, channels: int, width: int, blocks: int, norm: Norm) -> None:
        super().__init__()
        begin = [*layer(channels, width, norm), *layer(width, width, norm), *layer(width, width, norm, 2)]
        self.trunk = nn.Sequential(*begin, *(Residual(width, norm) for _ in range(blocks)))
        self.branches = nn.ModuleList(
            nn.Sequential(*(Residual(width, norm) for _ in range(blocks)), *finish(width, channels, norm))
            for _ in range(2)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2, C, H, W)."""
        features = self.trunk(image)
        return torch.stack([branch(features) for branch in self.branches], 1)


class GuidanceNetwork(nn.Sequential):
    """A picture with its edges (B, C + 1, H, W) -> (B, 1, H, W), what its albedo's edges have beyond its own."""

    def __init__(self, channels: int, width: int, norm: Norm) -> None:
        begin = [*layer(channels + 1, width, norm), *layer(width, width, norm), *layer(width, width, norm, 2)]
        blocks = [Residual(width, norm, dilation, last=True) for dilation in (2, 2, 4, 4, 8, 8)]
        super().__init__(*begin, *blocks, *finish(width, 1, norm))
