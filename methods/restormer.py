"""Restormer: a transformer for restoration whose attention is between channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.decibels import LOSSES, LossName
from methods.networks.resize import enlarge
from methods.networks.restormer import RestormerBackbone
from methods.networks.start import starting_layers
from methods.recipe import TrainedMethod


class Restormer(TrainedMethod):
    """A transformer that corrects the mixture; any number of layers and channels, any scale.

    What the network gives is added to the trivial answer: in restoration to the mixture itself for the first layer and
    to nothing for the others, for layers without an order to their equal shares.

    The defaults are the paper's (26.1 million parameters). Sizes for a processor: ``width: 16, encoder: [1, 2, 2],
    middle: 4, decoder: [2, 2, 1], refinement: 1``.

    Args:
        width: channels at full resolution, an even number; they double at each level below.
        encoder: blocks at each level on the way down; as many levels as numbers.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first; as many as ``encoder``.
        refinement: further blocks at full resolution.
        expansion: channels of the gated projections in units of their input's.
        loss: ``l1`` (paper), ``psnr`` or ``mse``.
        permutation_invariant: take the best assignment of layers per image; default where the data's layers have no
            order.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        clip: largest norm of all gradients together.
        weight_decay: decoupled.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022. Left out:
        crops that grow during the run, which are the data's, and the choice of the checkpoint on Rain100L, which is a
        test set.
    """

    card = MethodCard(
        title="Restormer", paper="Zamir et al., Restormer, CVPR 2022", year=2022, supervision="paired", residual=True,
        reconstructed=(
            "more than one layer of output; a last layer that starts at zero; a learning rate that falls from the "
            "start, where the paper holds it for 92 of 300 thousand steps"
        ),
    )  # fmt: skip

    def __init__(
        self,
        width: int = 48,
        encoder: Sequence[int] = (4, 6, 6),
        middle: int = 8,
        decoder: Sequence[int] = (6, 6, 4),
        refinement: int = 4,
        expansion: float = 2.66,
        loss: LossName = "l1",
        permutation_invariant: bool | None = None,
        lr: float = 3e-4,
        cosine: bool = True,
        clip: float = 0.01,
        weight_decay: float = 1e-4,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, clip=clip, weight_decay=weight_decay, **recipe)
        encoder, decoder = list(encoder), list(decoder)
        self.save_hyperparameters()
        blocks = [*encoder, middle, *decoder, refinement]
        if width < 2 or width % 2 or not encoder or len(encoder) != len(decoder) or min(blocks) < 0 or expansion < 1:
            raise UserError(
                f"width {width}, encoder {encoder}, middle {middle}, decoder {decoder}, refinement {refinement}, "
                f"expansion {expansion:g}: the width must be even and at least 2, encoder and decoder of the same "
                "length and not empty, expansion at least 1, and no number of blocks negative."
            )
        layers, channels, self.scale = (len(spec["layers"]), spec["channels"], spec["scale"]) if spec else (2, 3, 1)
        ordered = bool(spec and spec["ordered"])
        self.multiple = 2 ** len(encoder)
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.loss = LOSSES[loss]
        self.network = RestormerBackbone(
            channels, layers * channels, width, encoder, middle, decoder, refinement, expansion
        )

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        full = enlarge(mixture, self.scale)
        start = starting_layers(full, self.hparams["spec"])
        layers: Tensor = start + self.network(full).view_as(start)
        return layers

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        loss = self.loss(self(batch.mixture), batch.layers, permutation_invariant=self.permutation_invariant)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
