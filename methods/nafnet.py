"""NAFNet: a compact restorer without activations, the row to beat on every supervised task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.decibels import LOSSES, LossName
from methods.networks.nafnet import NAFNetBackbone
from methods.networks.resize import enlarge
from methods.networks.start import starting_layers
from methods.recipe import TrainedMethod


class NAFNet(TrainedMethod):
    """A network without nonlinear activations that corrects the mixture; any number of layers and channels, any scale.

    Blocks normalise each pixel's channels, never a batch, and have products of channels for activations. What the
    network gives is added to the trivial answer: in restoration to the mixture itself for the first layer and to
    nothing for the others, for layers without an order to their equal shares.

    The defaults are the paper's (17.1 million parameters, for denoising 29.2 with ``encoder: [2, 2, 4, 8], middle: 12,
    decoder: [2, 2, 2, 2]``). Sizes for a processor: ``width: 16, encoder: [1, 1, 1], middle: 1, decoder: [1, 1, 1]``.

    Args:
        width: channels at full resolution.
        encoder: blocks at each level on the way down; as many levels as numbers.
        middle: blocks at the lowest resolution.
        decoder: blocks at each level on the way up, the lowest first; as many as ``encoder``.
        window: when testing, the global means of channel attention are of squares of this side, in pixels of the
            picture; 0 for the whole. The authors take 1.5 times the side of the training crops.
        loss: ``psnr`` (paper: each layer's mean squared error in dB), ``l1`` or ``mse``.
        permutation_invariant: take the best assignment of layers per image; default where the data's layers have no
            order.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        warm_up: share of the run over which the learning rate rises; the paper has none.
        clip: largest norm of all gradients together.
        average: decay of the average of the weights, which separates; 0 for none; the paper has none.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Chen et al., Simple Baselines for Image Restoration, ECCV 2022, and the authors' code.
    """

    card = MethodCard(
        title="NAFNet", paper="Chen et al., Simple Baselines for Image Restoration, ECCV 2022", year=2022,
        supervision="paired", residual=True,
        reconstructed="more than one layer of output, a last layer that starts at zero, warm-up and averaged weights",
    )  # fmt: skip
    betas = (0.9, 0.9)

    def __init__(
        self,
        width: int = 32,
        encoder: Sequence[int] = (1, 1, 1, 28),
        middle: int = 1,
        decoder: Sequence[int] = (1, 1, 1, 1),
        window: int = 0,
        loss: LossName = "psnr",
        permutation_invariant: bool | None = None,
        lr: float = 1e-3,
        cosine: bool = True,
        warm_up: float = 0.05,
        clip: float = 1.0,
        average: float = 0.999,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, warm_up=warm_up, clip=clip, average=average, **recipe)
        encoder, decoder = list(encoder), list(decoder)
        self.save_hyperparameters()
        if width < 1 or len(encoder) != len(decoder) or min([*encoder, middle, *decoder]) < 0 or window < 0:
            raise UserError(
                f"width {width}, encoder {encoder}, middle {middle}, decoder {decoder}, window {window}: the width "
                "must be at least 1, encoder and decoder of the same length, and nothing negative."
            )
        layers, channels, self.scale = (len(spec["layers"]), spec["channels"], spec["scale"]) if spec else (2, 3, 1)
        ordered = bool(spec and spec["ordered"])
        self.multiple = 2 ** len(encoder)
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.loss = LOSSES[loss]
        self.network = NAFNetBackbone(channels, layers * channels, width, encoder, middle, decoder, window)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        full = enlarge(mixture, self.scale)
        start = starting_layers(full, self.hparams["spec"])
        layers: Tensor = start + self.network(full).view_as(start)
        return layers

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        loss = self.loss(self(batch.mixture), batch.layers, permutation_invariant=self.permutation_invariant)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
