"""GCANet: smoothed dilated convolutions, and gates that weigh what three depths have seen."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.norms import Norm, normalisation
from methods.networks.smoothed_dilation import SmoothedDilatedBlock
from methods.recipe import TrainedMethod


class GCANet(TrainedMethod):
    """A correction of the mixture, from its colours and its edges; of the first layer alone, in any restoration.

    Args:
        width: channels of every hidden convolution.
        norm: ``instance`` (authors), ``group``, ``batch`` or ``none``.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width that is impossible.

    Source: Chen et al., Gated Context Aggregation Network for Image Dehazing and Deraining, WACV 2019, and the authors'
        network. Their training code is not in their repository: reconstructed are the squared error and Adam with its
        rate. Their deraining model gives the picture itself, which their code calls a mistake; here every task has a
        correction. Ours: the last layer starts at zero, and so does the correction.
    """

    card = MethodCard(
        title="GCANet", paper="Chen et al., Gated Context Aggregation Network, WACV 2019", year=2019,
        supervision="paired", scales=(1,), ordered_only=True, residual=True,
    )  # fmt: skip
    multiple = 2
    smallest = 4

    def __init__(
        self,
        width: int = 64,
        norm: Norm = "instance",
        lr: float = 0.01,
        cosine: bool = True,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1:
            raise UserError(f"width {width}: it must be at least 1; the paper has 64.")
        self.network = GatedContext(spec["channels"] if spec else 3, width, norm)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        # The network counts in grey levels: its rate of learning is made for them.
        given = torch.cat([mixture, edges(mixture)], 1) * 255 - 128
        background: Tensor = mixture + self.network(given) / 255
        return background.unsqueeze(1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        loss: Tensor = (self(batch.mixture)[:, 0] - batch.layers[:, 0]).square().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


def edges(image: Tensor) -> Tensor:
    """How much a pixel differs from its four neighbours: the mean of all differences' sizes.

    Args:
        image: (B, C, H, W).

    Returns:
        (B, 1, H, W); over the border there is no difference.
    """
    rows = F.pad(image.diff(dim=-2).abs().mean(1, keepdim=True), (0, 0, 1, 1))
    columns = F.pad(image.diff(dim=-1).abs().mean(1, keepdim=True), (1, 1, 0, 0))
    return (rows[..., 1:, :] + rows[..., :-1, :] + columns[..., 1:] + columns[..., :-1]) / 4


class GatedContext(nn.Module):
    """Encoder, seven residual blocks of growing dilation, a gated sum of three depths, decoder.

    Args:
        channels: of the picture; the edge map is one more.
        width: of every hidden convolution.
        norm: after each of them.
    """

    def __init__(self, channels: int, width: int, norm: Norm) -> None:
        super().__init__()

        def normed(convolution: nn.Module) -> nn.Sequential:
            return nn.Sequential(convolution, *normalisation(norm, width), nn.ReLU())

        bias = norm == "none"
        self.encode = nn.Sequential(
            normed(nn.Conv2d(channels + 1, width, 3, padding=1, bias=bias)),
            normed(nn.Conv2d(width, width, 3, padding=1, bias=bias)),
            normed(nn.Conv2d(width, width, 3, 2, 1, bias=bias)),
        )
        near, far = ([SmoothedDilatedBlock(width, dilation, norm) for _ in range(3)] for dilation in (2, 4))
        self.middle = nn.Sequential(*near, far[0])
        self.deep = nn.Sequential(*far[1:], SmoothedDilatedBlock(width, 1, norm))
        self.gate = nn.Conv2d(3 * width, 3, 3, padding=1)
        self.decode = nn.Sequential(
            normed(nn.ConvTranspose2d(width, width, 4, 2, 1)),
            normed(nn.Conv2d(width, width, 3, padding=1)),
        )
        self.last = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, channels + 1, H, W), even sides -> (B, channels, H, W), unbounded."""
        shallow = self.encode(image)
        middle = self.middle(shallow)
        depths = [shallow, middle, self.deep(middle)]
        gates = self.gate(torch.cat(depths, 1)).split(1, 1)
        gated = torch.stack([gate * depth for gate, depth in zip(gates, depths, strict=True)]).sum(0)
        found: Tensor = self.last(self.decode(gated))
        return found
