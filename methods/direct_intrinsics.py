"""Direct Intrinsics: albedo and shading regressed by a convolutional network of two scales (MSCR)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.stepped import SteppedMethod

OFFSET = 0.5
"""Added to a layer before its logarithm is taken, so that black is not infinitely far away."""

FASTER = 10
"""How many times faster the fine network learns than the coarse one, with stochastic gradient descent."""


class DirectIntrinsics(SteppedMethod):
    """A coarse network for the whole scene and a fine one for its edges give the logarithms of both layers.

    Up to a brightness that is half forgiven, the logarithms of each layer plus ½ should be right where the mask is.

    It predicts two layers in their order; any whose logarithms make sense, such as albedo and shading.

    Args:
        width: channels of the fine network; the coarse one, AlexNet's convolutions, has them in proportion.
        dropout: in training, after the fine network's convolutions.
        forgiven: λ, how much of a layer's mean error does not count: 0 for none, 1 for all.
        momentum: of stochastic gradient descent, with which the coarse network learns ten times more slowly; None for
            Adam, with one rate for all.
        lr: learning rate of the coarse network, or of Adam.
        power: of what is left of the run, along which the learning rates fall to zero.
        weight_decay: of stochastic gradient descent, added to the gradients; decoupled with Adam.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Narihira, Maire & Yu, Direct Intrinsics, ICCV 2015 (MSCR with dropout, HC left out), and the authors' code.
    """

    card = MethodCard(
        title="Direct Intrinsics", paper="Narihira, Maire & Yu, Direct Intrinsics, ICCV 2015", year=2015,
        supervision="paired", layers=(2,), channels=(3,), scales=(1,), ordered_only=True,
        reconstructed="the coarse network starts at random, by He's rule as all does, not from ImageNet's weights",
    )  # fmt: skip
    layer_names = ("albedo", "shading")
    multiple = 32
    smallest = 64

    def __init__(
        self,
        width: int = 64,
        dropout: float = 0.5,
        forgiven: float = 0.5,
        momentum: float | None = 0.9,
        lr: float = 2e-3,
        power: float = 0.5,
        weight_decay: float = 1e-6,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, power=power, **recipe)
        self.save_hyperparameters()
        if width < 4 or width % 4 or not 0 <= dropout < 1 or not 0 <= forgiven <= 1:
            raise UserError(
                f"width {width}, dropout {dropout:g}, forgiven {forgiven:g}: the width must be a multiple of 4, "
                "dropout at least 0 and below 1, forgiven from 0 to 1."
            )
        if momentum is not None and not 0 <= momentum < 1:
            raise UserError(f"momentum {momentum:g}: it must be at least 0 and below 1, or null for Adam.")
        self.forgiven, self.momentum = forgiven, momentum
        self.coarse, self.fine = CoarseNetwork(width), FineNetwork(width, dropout)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.logarithms(mixture).exp() - OFFSET

    def logarithms(self, mixture: Tensor) -> Tensor:
        """(B, 3, H, W), sides multiples of 32 -> (B, 2, 3, H, W), float32 logarithms of the layers plus ½."""
        found: Tensor = self.fine(mixture, self.coarse(mixture))
        return found.float()

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        height, width = batch.mixture.shape[-2:]
        found = self.logarithms(self.pad(batch.mixture))[..., :height, :width]
        loss = forgiving_loss(found, (batch.layers + OFFSET).log(), batch.mask[:, None], self.forgiven)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss

    def configure_optimizers(self) -> Any:
        if self.momentum is None:
            return super().configure_optimizers()
        groups: list[dict[str, Any]] = [
            {"params": self.coarse.parameters()},
            {"params": self.fine.parameters(), "lr": FASTER * self.lr},
        ]
        return self.scheduled(torch.optim.SGD(groups, self.lr, self.momentum, weight_decay=self.weight_decay))


class CoarseNetwork(nn.Sequential):
    """AlexNet's five convolutions: (B, 3, H, W) -> (B, 4·width, H/32, W/32).

    Args:
        width: of the fine network.
    """

    def __init__(self, width: int) -> None:
        first, second, third = 3 * width // 2, 4 * width, 6 * width

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        super().__init__(
            started(nn.Conv2d(3, first, 11, 4, 5)), nn.ReLU(), pool(), nn.LocalResponseNorm(5),
            started(nn.Conv2d(first, second, 5, padding=2, groups=2)), nn.ReLU(), pool(),
            nn.LocalResponseNorm(5),
            started(nn.Conv2d(second, third, 3, padding=1)), nn.ReLU(),
            started(nn.Conv2d(third, third, 3, padding=1, groups=2)), nn.ReLU(),
            started(nn.Conv2d(third, second, 3, padding=1, groups=2)), nn.ReLU(), pool(),
        )  # fmt: skip


class FineNetwork(nn.Module):
    """A quarter of the sides, joined with what the coarse network sees, and a head for each layer.

    Args:
        width: channels.
        dropout: after each convolution but the first.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        first = 3 * width // 2

        def row(inputs: int, size: int) -> list[nn.Module]:
            made = started(nn.Conv2d(inputs, width, size, padding=size // 2))
            return [made, nn.PReLU(width), nn.Dropout(dropout)]

        def head() -> nn.Sequential:
            return nn.Sequential(*row(width, 5), nn.ConvTranspose2d(width, 3, 8, 4, 2))

        self.scene = nn.Sequential(*row(4 * width, 1))
        self.edges = nn.Sequential(
            started(nn.Conv2d(3, first, 9, 2, 4)), nn.PReLU(first), nn.MaxPool2d(3, 2, ceil_mode=True)
        )
        self.joined = nn.Sequential(*row(first + width, 5), *row(width, 5), *row(width, 5))
        self.heads = nn.ModuleList(head() for _ in range(2))

    def forward(self, image: Tensor, coarse: Tensor) -> Tensor:
        """(B, 3, H, W) and the coarse maps -> (B, 2, 3, H, W), unbounded."""
        scene = self.scene(F.interpolate(coarse, scale_factor=8.0, mode="bilinear", align_corners=False))
        x = self.joined(torch.cat([self.edges(image), scene], 1))
        return torch.stack([head(x) for head in self.heads], 1)


def forgiving_loss(found: Tensor, truth: Tensor, mask: Tensor, forgiven: float) -> Tensor:
    """Mean squared error less a part of the squared mean error, of each layer of each image, where the mask is.

    Args:
        found: (B, K, C, H, W) logarithms.
        truth: (B, K, C, H, W) logarithms.
        mask: (B, 1, 1, H, W) bool; an image without a True counts nothing.
        forgiven: λ, the part.

    Returns:
        (), summed over layers, the mean over images.

    Source: Direct Intrinsics, its scale-invariant loss; Eigen et al., NeurIPS 2014, their training loss.
    """
    error = torch.where(mask, found - truth, 0.0)
    count = (mask.sum((2, 3, 4)) * found.shape[2]).clamp_min(1)
    squared, mean = error.square().sum((2, 3, 4)) / count, error.sum((2, 3, 4)) / count
    return (squared - forgiven * mean.square()).sum(1).mean()


def started(convolution: nn.Conv2d) -> nn.Conv2d:
    """A convolution with He's start."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution
