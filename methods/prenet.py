"""PReNet: the progressive network, which looks at the mixture and at its own last answer, several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.ssim import ssim_loss
from methods.networks.recurrent import ConvLSTM, State
from methods.stepped import SteppedMethod


class PReNet(SteppedMethod):
    """One small residual network that is applied in stages; a convolutional LSTM carries what it knows from one on.

    The paper's four networks are options: *PReNet* by default; *PRN* ``recurrent: false``; *PReNet_r*
    ``shared: true``; and *PRN_r* both. Each stage corrects the mixture and sees the stage before, the first one the
    mixture twice.

    It predicts the background alone, of any ordered layers.

    Args:
        width: channels of all features.
        stages: how often the network is applied.
        blocks: residual blocks in each stage.
        recurrent: whether there is the LSTM.
        shared: whether all blocks of a stage are the same block.
        supervised: ``last`` (authors), or ``all`` stages have the loss, for fewer images.
        lr: learning rate of Adam.
        milestones: shares of the run at which the learning rate falls.
        fall: its factor.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Ren et al., Progressive Image Deraining Networks, CVPR 2019, and the authors' code, which adds the mixture
        to each stage's result. The loss is minus the SSIM of the last stage. Ours: the last convolution starts at zero,
        so that the first answer is the mixture.
    """

    card = MethodCard(
        title="PReNet", paper="Ren et al., Progressive Image Deraining Networks, CVPR 2019", year=2019,
        supervision="paired", scales=(1,), ordered_only=True, residual=True,
    )  # fmt: skip
    layer_names = ("background",)

    def __init__(
        self,
        width: int = 32,
        stages: int = 6,
        blocks: int = 5,
        recurrent: bool = True,
        shared: bool = False,
        supervised: Literal["last", "all"] = "last",
        lr: float = 1e-3,
        milestones: Sequence[float] = (0.3, 0.5, 0.8),
        fall: float = 0.2,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        milestones = list(milestones)
        super().__init__(lr=lr, milestones=milestones, fall=fall, **recipe)
        self.save_hyperparameters()
        if min(width, stages, blocks) < 1:
            raise UserError(f"width {width}, stages {stages}, blocks {blocks}: all must be at least 1.")
        if supervised not in ("last", "all"):
            raise UserError(f"supervised {supervised}: give last or all.")
        self.stages, self.supervised = stages, supervised
        self.network = ProgressiveStage(spec["channels"] if spec else 3, width, blocks, recurrent, shared)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.answers(mixture)[-1].unsqueeze(1)

    def answers(self, mixture: Tensor) -> list[Tensor]:
        """The background after each stage, each (B, C, H, W); the mixture is of that shape, too."""
        found, state = [mixture], None
        for _ in range(self.stages):
            correction, state = self.network(torch.cat([mixture, found[-1]], 1), state)
            found.append(mixture + correction)
        return found[1:]

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        answers = self.answers(batch.mixture)
        judged = answers if self.supervised == "all" else answers[-1:]
        loss = torch.stack([ssim_loss(answer, batch.layers[:, 0]) for answer in judged]).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class ProgressiveStage(nn.Module):
    """What is applied in each stage: a convolution, an LSTM, residual blocks and a convolution.

    Args:
        channels: of the image.
        width: of the features.
        blocks: residual blocks.
        recurrent: whether there is an LSTM.
        shared: whether the blocks are one and the same.
    """

    def __init__(self, channels: int, width: int, blocks: int, recurrent: bool, shared: bool) -> None:
        super().__init__()

        def convolution() -> nn.Conv2d:
            return nn.Conv2d(width, width, 3, padding=1)

        self.first = nn.Sequential(nn.Conv2d(2 * channels, width, 3, padding=1), nn.ReLU())
        self.cell = ConvLSTM(width, width, bias=False) if recurrent else None
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(), nn.ReLU(), convolution(), nn.ReLU()) for _ in range(1 if shared else blocks)
        )
        self.order = [0] * blocks if shared else list(range(blocks))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, state: State | None = None) -> tuple[Tensor, State | None]:
        """Mixture and last answer, (B, 2C, H, W), and the state -> the correction, (B, C, H, W), and the next state."""
        x: Tensor = self.first(images)
        if self.cell is not None:
            x, state = self.cell(x, state)
        for number in self.order:
            x = (x + self.blocks[number](x)).relu()
        return self.last(x), state
