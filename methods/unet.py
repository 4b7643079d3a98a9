"""The plain supervised baseline: one U-Net from the mixture to all layers."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.decibels import LOSSES, LossName
from methods.networks.norms import Norm
from methods.networks.resize import enlarge
from methods.networks.start import starting_layers
from methods.networks.unet import UNetBackbone
from methods.recipe import TrainedMethod


class UNet(TrainedMethod):
    """What everyone would try first; any number of layers and channels, any scale factor.

    The mixture is brought to the layers' size, and the network adds to the trivial answer: in restoration to the
    mixture itself for the first layer and to nothing for the others, for layers without an order to their equal
    shares. Its last layer starts at zero, so training starts from that answer. By default nothing is normalised by the
    batch: the statistics of four crops are not those of a picture, and colours turn round.

    Args:
        width: channels at full resolution.
        depth: halvings of the resolution.
        blocks: residual blocks at each level, on the way down and on the way up.
        norm: ``none``, ``group``, ``instance`` or ``batch``.
        loss: ``psnr`` (each layer's mean squared error in dB), ``l1`` or ``mse``. On generated light rain, after 700
            steps of 8 crops, ``psnr`` was at 33.6 dB and ``l1`` at 31.8, and it never fell below the mixture.
        permutation_invariant: take the best assignment of layers per image; default where the
            data's layers have no order.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        warm_up: share of the run over which the learning rate rises.
        clip: largest norm of all gradients together; 0 for any.
        average: decay of the average of the weights, which separates; 0 for none.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: a width, depth or number of blocks that is impossible.

    Source: Ronneberger et al., MICCAI 2015, with residual blocks (He et al., CVPR 2016) and without normalisation
        (Lim et al., CVPRW 2017).
    """

    version: ClassVar[int] = 2

    card = MethodCard(
        title="U-Net", paper="Ronneberger et al., MICCAI 2015 (baseline)", year=2015, supervision="paired",
        residual=True,
    )  # fmt: skip

    def __init__(
        self,
        width: int = 32,
        depth: int = 3,
        blocks: int = 1,
        norm: Norm = "none",
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
        self.save_hyperparameters()
        if width < 1 or depth < 0 or blocks < 1:
            raise UserError(
                f"width {width}, depth {depth}, blocks {blocks}: width and blocks must be at least 1, and depth not "
                "negative."
            )
        layers, channels, self.scale = (len(spec["layers"]), spec["channels"], spec["scale"]) if spec else (2, 1, 1)
        ordered = bool(spec and spec["ordered"])
        self.multiple = 2**depth
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.loss = LOSSES[loss]
        self.network = UNetBackbone(channels, layers * channels, width, depth, blocks, norm)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        full = enlarge(mixture, self.scale)
        start = starting_layers(full, self.hparams["spec"])
        layers: Tensor = start + self.network(full).view_as(start)
        return layers

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        estimates = self(batch.mixture)
        loss = self.loss(estimates, batch.layers, permutation_invariant=self.permutation_invariant)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
