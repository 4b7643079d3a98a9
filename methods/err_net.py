"""ERRNet: a wide residual network on a hypercolumn, with attention to channels and to what lies around."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.gradients import slope_loss
from methods.losses.perceptual import BALANCED, perceptual
from methods.losses.relativistic import relativistic_losses
from methods.networks.norms import group_norm
from methods.networks.pointwise_hypercolumn import PointwiseHypercolumn
from methods.networks.pyramid_pooling import PyramidPooling
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

SIDES = (4, 8, 16, 32)
"""Of the squares of pyramid pooling."""

REDUCTION, LEAST = 8, 8
"""By what channel attention has fewer channels inside, and how many it has at least: few may all be silent."""


class ERRNet(TrainedMethod):
    """The background alone, drawn anew from the mixture and VGG19's view of it.

    It needs the background alone, so the data may have any number of layers.

    Args:
        width: channels of every convolution, a multiple of 4.
        blocks: residual blocks, at half the size.
        perceptual: weight of the loss on VGG19's features.
        adversarial: weight of the adversarial loss; 0 for no discriminator.
        residual: draw a correction of the mixture that is zero at the start, without the last activation.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        levels: of its features, from the finest on; fewer are cheaper.
        lr: learning rate of Adam, for both networks.
        cosine: let the learning rate fall to zero over the run, where the authors' has five steps.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a size that is impossible, or weights that cannot be had.

    Source: Wei et al., Single Image Reflection Removal Exploiting Misaligned Training Data, CVPR 2019, and the authors'
        code, which has the weights of the losses. Left out: the loss for pairs that do not lie on each other, and that
        the discriminator waits for a third of the run. The authors look at their test sets after each epoch; here the
        select role chooses. ``residual`` is ours, for small budgets.
    """

    card = MethodCard(
        title="ERRNet", paper="Wei et al., Exploiting Misaligned Training Data, CVPR 2019", year=2019,
        supervision="paired", channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    multiple = max(SIDES)

    def __init__(
        self,
        width: int = 256,
        blocks: int = 13,
        perceptual: float = 0.1,
        adversarial: float = 0.01,
        residual: bool = False,
        features: str = "timm",
        levels: int = 5,
        lr: float = 1e-4,
        cosine: bool = True,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or width % len(SIDES) or blocks < 0:
            raise UserError(
                f"width {width}, blocks {blocks}: the width must be a multiple of {len(SIDES)}, blocks not negative."
            )
        self.perceptual, self.adversarial, self.residual = perceptual, adversarial, residual
        self.vgg = VGG19Features(features, levels)
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in self.vgg.named_buffers()]
        self.network = EnhancedNetwork(self.vgg.channels, width, blocks)
        if residual:
            nn.init.zeros_(self.network.last.weight)
            nn.init.zeros_(self.network.last.bias)  # type: ignore[arg-type]
        self.critic = discriminator(max(1, width // 4)) if adversarial else None

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        with torch.no_grad():
            levels = self.vgg(mixture)
        found: Tensor = self.network(mixture, levels)
        return (mixture + found if self.residual else found.relu()).unsqueeze(1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, truth = self.pad(batch.mixture), self.pad(batch.layers[:, 0])
        found = self.separate(mixture, [])[:, 0].float()
        loss = 0.2 * (found - truth).square().mean() + 0.4 * slope_loss(found, truth)
        if self.perceptual:
            with torch.no_grad():
                known = self.vgg(truth)
            loss = loss + self.perceptual * perceptual(self.vgg(found), known, BALANCED)
        losses = {"generator": loss}
        if self.critic is not None:
            told, losses["discriminator"] = relativistic_losses(self.critic, found, truth)
            losses["generator"] = loss + self.adversarial * told
        return self.minimise(losses)


class EnhancedNetwork(nn.Module):
    """Convolutions of one width: three, residual blocks at half the size, two, pyramid pooling, two of 1×1.

    Args:
        channels: of the levels of features.
        width: of all convolutions.
        blocks: residual blocks.
    """

    def __init__(self, channels: list[int], width: int, blocks: int) -> None:
        super().__init__()
        self.column = PointwiseHypercolumn(channels, width)
        self.encode = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()
        )
        self.blocks = nn.Sequential(*(AttentiveBlock(width) for _ in range(blocks)))
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.around = PyramidPooling(width, width // len(SIDES), SIDES, bias=False)
        self.join, self.last = nn.Conv2d(2 * width, width, 1), nn.Conv2d(width, 3, 1)

    def forward(self, image: Tensor, levels: list[Tensor]) -> Tensor:
        """(B, 3, H, W), sides multiples of 32, and its features -> (B, 3, H, W), unbounded."""
        x = self.decode(self.blocks(self.encode(self.column(image, levels).relu())))
        found: Tensor = self.last(F.leaky_relu(self.join(self.around(x)), 0.2))
        return found


class AttentiveBlock(nn.Module):
    """x + a tenth of two convolutions whose channels are weighed by all channels' means.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(LEAST, channels // REDUCTION)
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.weigh = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.ReLU(), nn.Conv2d(inner, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        inner = self.body(x)
        weights = self.weigh(inner.mean((2, 3), keepdim=True)).sigmoid()
        result: Tensor = x + 0.1 * weights * inner
        return result


def discriminator(width: int) -> nn.Sequential:
    """Judges a whole picture: ten convolutions, five of them of stride 2, a mean, two 1×1 convolutions.

    Args:
        width: channels of the first convolution; widths double three times.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
    before = width
    for i, factor in enumerate((1, 2, 2, 4, 4, 8, 8, 8, 8)):
        after = factor * width
        layers += [nn.Conv2d(before, after, 3, 2 - i % 2, 1), group_norm(after), nn.LeakyReLU(0.2)]
        before = after
    head = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(before, 2 * before, 1), nn.LeakyReLU(0.2), nn.Conv2d(2 * before, 1, 1)]
    return nn.Sequential(*layers, *head)
