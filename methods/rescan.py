"""RESCAN: rain is taken off in stages by dilated recurrent layers, whose channels are weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.recurrent import CELLS, CellName, State
from methods.networks.squeeze_excitation import SqueezeExcitation
from methods.stepped import SteppedMethod


class RESCAN(SteppedMethod):
    """Each stage gives the whole rain layer of what the stage before has left over; layers remember earlier stages.

    Layers are recurrent cells of growing dilation, each followed by squeeze and excitation, and a decoder. All stages
    have the same weights. The mixture minus the last stage's rain is the background. Every stage is taught.

    It predicts the background alone, of any ordered layers.

    Args:
        width: channels of each layer.
        cells: recurrent layers; the dilation is 1 for the first two, and doubles from one to the next.
        unit: ``gru``, ``lstm`` or ``rnn``.
        stages: how often the network is applied.
        framework: ``full``, where each stage gives all of the rain, or ``additive``, where it gives what is to be added
            to the rain of the stages before.
        lr: learning rate of Adam.
        milestones: shares of the run at which the learning rate falls.
        fall: its factor.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Li et al., Recurrent Squeeze-and-Excitation Context Aggregation Net for Single Image Deraining, ECCV 2018,
        and the authors' code: squeeze and excitation have a quarter of the channels between their layers, and
        act on what a cell remembers as well. Ours: the last convolution starts at zero, and so does the rain; what
        comes into the layers starts so strong, and is weighed so little, that it reaches the last of them. With torch's
        own start it shrinks to a thousandth on the way, and nothing is learnt for thousands of steps.
    """

    card = MethodCard(
        title="RESCAN", paper="Li et al., Recurrent Squeeze-and-Excitation Context Aggregation Net, ECCV 2018",
        year=2018, supervision="paired", scales=(1,), ordered_only=True, residual=True,
    )  # fmt: skip
    layer_names = ("background",)

    def __init__(
        self,
        width: int = 24,
        cells: int = 5,
        unit: CellName = "gru",
        stages: int = 4,
        framework: Literal["full", "additive"] = "full",
        lr: float = 5e-3,
        milestones: Sequence[float] = (0.75, 0.875),
        fall: float = 0.1,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        milestones = list(milestones)
        super().__init__(lr=lr, milestones=milestones, fall=fall, **recipe)
        self.save_hyperparameters()
        if min(width, cells, stages) < 1:
            raise UserError(f"width {width}, cells {cells}, stages {stages}: all must be at least 1.")
        if unit not in CELLS or framework not in ("full", "additive"):
            raise UserError(
                f"unit {unit}, framework {framework}: units are {', '.join(CELLS)}; frameworks are full and additive."
            )
        self.stages, self.framework = stages, framework
        self.network = RecurrentAggregation(spec["channels"] if spec else 3, width, cells, unit)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return (mixture - self.rains(mixture)[-1]).unsqueeze(1)

    def rains(self, mixture: Tensor) -> list[Tensor]:
        """The rain layer after each stage, each (B, C, H, W); the mixture is of that shape, too."""
        rains, states, left = list[Tensor](), None, mixture
        for _ in range(self.stages):
            rain, states = self.network(left, states)
            if self.framework == "additive" and rains:
                rain = rains[-1].detach() + rain
            rains.append(rain)
            left = mixture - rain
        return rains

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        truth = batch.mixture - batch.layers[:, 0]
        loss = torch.stack([(rain - truth).square().mean() for rain in self.rains(batch.mixture)]).sum()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class RecurrentAggregation(nn.Module):
    """What is applied in each stage.

    Args:
        channels: of the image.
        width: of each layer.
        cells: recurrent layers.
        unit: kind of their cells.
    """

    def __init__(self, channels: int, width: int, cells: int, unit: CellName) -> None:
        super().__init__()
        inputs = [channels, *[width] * (cells - 1)]
        dilations = [1, *(2**k for k in range(cells - 1))]
        self.cells = nn.ModuleList(map(CELLS[unit], inputs, [width] * cells, dilations))
        for cell in self.cells:  # of the strength that a tanh does not diminish
            incoming: nn.Conv2d = cell.incoming  # type: ignore[assignment]
            nn.init.normal_(incoming.weight, std=5 / 3 / incoming.weight[0].numel() ** 0.5)
        self.weigh = nn.ModuleList(_excitation(width) for _ in range(cells))
        last = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.decode = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), _excitation(width), last)

    def forward(self, image: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """(B, C, H, W) and the states of the layers -> the rain, of the same shape, and the next states."""
        after: list[State] = []
        x = image
        for k, (cell, weigh) in enumerate(zip(self.cells, self.weigh, strict=True)):
            h, state = cell(x, states[k] if states else None)
            x = weigh(h)
            after.append((x, *state[1:]))
        rain: Tensor = self.decode(x)
        return rain, after


def _excitation(width: int) -> nn.Sequential:
    return nn.Sequential(SqueezeExcitation(width, max(1, width // 4), start=2.0), nn.LeakyReLU(0.2))
