"""DDN: the deep detail network, which sees what a smoothing filter leaves over and corrects the image by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.nafnet import local_mean
from methods.networks.norms import Norm, normalisation
from methods.stepped import SteppedMethod


class DDN(SteppedMethod):
    """A residual network on the detail layer of the mixture; what it gives is added to the mixture.

    The detail layer is the mixture minus its guided filtering by itself, channel by channel: it is sparse, and holds
    the edges of the scene and the rain. The network sees nothing else.

    It predicts the background alone, of any ordered layers.

    Args:
        width: channels between the first and the last convolution.
        blocks: residual blocks of two convolutions each; the paper's 26 convolutions are 12 blocks and two more.
        norm: ``batch`` (paper, with the training's running statistics when testing), ``instance``, ``group``, ``none``.
        radius: of the guided filter's window, in pixels.
        epsilon: of the guided filter: variances far below it are smoothed away; values are in [0, 1].
        momentum: of stochastic gradient descent; None for Adam.
        lr: learning rate.
        weight_decay: of stochastic gradient descent, added to the gradients; decoupled with Adam.
        milestones: shares of the run at which the learning rate falls.
        fall: its factor.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Fu et al., Removing Rain from Single Images via a Deep Detail Network, CVPR 2017, and the authors' own
        version in TensorFlow, whose schedule (falls at 1/3 and 2/3 of 60,000 steps) and guided filter are the
        defaults. Ours: the last normalisation starts at zero, and so does the correction; windows near the border are
        the nearest that fit.
    """

    card = MethodCard(
        title="DDN", paper="Fu et al., Removing Rain from Single Images via a Deep Detail Network, CVPR 2017",
        year=2017, supervision="paired", scales=(1,), ordered_only=True, residual=True,
    )  # fmt: skip
    layer_names = ("background",)

    def __init__(
        self,
        width: int = 16,
        blocks: int = 12,
        norm: Norm = "batch",
        radius: int = 15,
        epsilon: float = 1.0,
        momentum: float | None = 0.9,
        lr: float = 0.1,
        weight_decay: float = 1e-10,
        milestones: Sequence[float] = (1 / 3, 2 / 3),
        fall: float = 0.1,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        milestones = list(milestones)
        super().__init__(lr=lr, weight_decay=weight_decay, milestones=milestones, fall=fall, **recipe)
        self.save_hyperparameters()
        if width < 1 or blocks < 0 or radius < 1 or epsilon <= 0:
            raise UserError(
                f"width {width}, blocks {blocks}, radius {radius}, epsilon {epsilon:g}: width and radius must be at "
                "least 1, blocks not negative, and epsilon positive."
            )
        if momentum is not None and not 0 <= momentum < 1:
            raise UserError(f"momentum {momentum:g}: it must be at least 0 and below 1, or null for Adam.")
        self.radius, self.epsilon, self.momentum = radius, epsilon, momentum
        self.network = DetailNetwork(spec["channels"] if spec else 3, width, blocks, norm)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        detail = mixture - guided_smoothing(mixture, self.radius, self.epsilon)
        background: Tensor = mixture + self.network(detail)
        return background.unsqueeze(1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        loss: Tensor = (self(batch.mixture)[:, 0] - batch.layers[:, 0]).square().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss

    def configure_optimizers(self) -> Any:
        if self.momentum is None:
            return super().configure_optimizers()
        decay = self.weight_decay
        return self.scheduled(torch.optim.SGD(self.parameters(), self.lr, self.momentum, weight_decay=decay))


class DetailNetwork(nn.Module):
    """Convolutions at full resolution; each block of two adds to what it is given.

    Args:
        channels: of the image.
        width: channels in between.
        blocks: of two convolutions each.
        norm: ``batch``, ``instance``, ``group`` or ``none``.
    """

    def __init__(self, channels: int, width: int, blocks: int, norm: Norm) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int) -> list[nn.Module]:
            made = nn.Conv2d(inputs, outputs, 3, padding=1)
            nn.init.xavier_uniform_(made.weight)
            nn.init.zeros_(made.bias)  # type: ignore[arg-type]
            return [made, *normalisation(norm, outputs)]

        def block() -> nn.Sequential:
            return nn.Sequential(*layer(width, width), nn.ReLU(), *layer(width, width), nn.ReLU())

        self.first = nn.Sequential(*layer(channels, width), nn.ReLU())
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.last = nn.Sequential(*layer(width, channels))
        nn.init.zeros_(self.last[-1].weight)  # type: ignore[arg-type]

    def forward(self, detail: Tensor) -> Tensor:
        """(B, C, H, W), the detail layer -> the same, what to add to the image."""
        x: Tensor = self.first(detail)
        for block in self.blocks:
            x = x + block(x)
        correction: Tensor = self.last(x)
        return correction


def guided_smoothing(image: Tensor, radius: int, epsilon: float) -> Tensor:
    """The guided filter of each channel by itself: a·x + b of the window around each pixel, averaged over windows.

    Args:
        image: (B, C, H, W).
        radius: windows have a side of 2·radius + 1 pixels.
        epsilon: variance at which half of the detail stays in a window.

    Returns:
        (B, C, H, W).

    Source: He et al., Guided Image Filtering, Eq. 5, 6 and 8 by the count of the authors' code, with guide and input
        the same.
    """
    side = 2 * radius + 1
    mean = local_mean(image, side)
    variance = (local_mean(image.square(), side) - mean.square()).clamp_min(0)
    slope = variance / (variance + epsilon)
    return local_mean(slope, side) * image + local_mean((1 - slope) * mean, side)
