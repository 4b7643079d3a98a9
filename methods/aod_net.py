"""AOD-Net: five small convolutions find the one map that takes the haze away."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.recipe import TrainedMethod


class AODNet(TrainedMethod):
    """Transmission and airlight are one unknown, K: J = ReLU(K·I − K + 1).

    It predicts the background alone. Where K is 1 the background is the mixture, so that the network starts near it.

    Args:
        width: channels of each hidden convolution.
        lr: learning rate of Adam.
        weight_decay: of the weights.
        clip: largest norm of all gradients together.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width that is impossible.

    Source: Li et al., ICCV 2017 (K and its five convolutions); Adam and its rate, the decay and the clipping as in the
        PyTorch code that the authors offer beside their network, and that began as another's. Ours: hidden weights
        start after He and K's bias at 1. That code's start, N(0, 0.02) throughout, leaves whole channels of three dead
        at random. Its decay is added to the gradient, here it is decoupled.
    """

    card = MethodCard(
        title="AOD-Net", paper="Li et al., All-in-One Dehazing Network, ICCV 2017", year=2017, supervision="paired",
        channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        width: int = 3,
        lr: float = 1e-4,
        weight_decay: float = 1e-4,
        clip: float = 0.1,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, clip=clip, **recipe)
        self.save_hyperparameters()
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1; the paper has 3.")
        self.network = KEstimation(width)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        k: Tensor = self.network(mixture)
        return (k * mixture - k + 1).relu().unsqueeze(1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        loss: Tensor = (self(batch.mixture)[:, 0] - batch.layers[:, 0]).square().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class KEstimation(nn.Module):
    """K of each pixel and channel, by convolutions of 1, 3, 5, 7 and 3 pixels that see each other's results.

    Args:
        width: channels of each hidden convolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        shapes = ((3, 1), (width, 3), (2 * width, 5), (2 * width, 7))
        self.hidden = nn.ModuleList(nn.Conv2d(inputs, width, size, padding=size // 2) for inputs, size in shapes)
        self.last = nn.Conv2d(4 * width, 3, 3, padding=1)
        for layer in self.hidden.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.last.weight, std=0.02)
        nn.init.ones_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H, W), not negative."""
        one, three, five, seven = self.hidden
        first = one(image).relu()
        second = three(first).relu()
        third = five(torch.cat([first, second], 1)).relu()
        fourth = seven(torch.cat([second, third], 1)).relu()
        k: Tensor = self.last(torch.cat([first, second, third, fourth], 1)).relu()
        return k
