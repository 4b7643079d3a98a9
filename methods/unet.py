"""The plain supervised baseline: one U-Net from the mixture to all layers."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec
from methods.base import MethodCard, SeparationMethod
from methods.losses.permutation import absolute, separation_loss, squared
from methods.networks.resize import enlarge
from methods.networks.unet import Norm, UNetBackbone, group_norm


class UNet(SeparationMethod):
    """What everyone would try first; any number of layers and channels, any scale factor.

    The mixture is brought to the layers' size and added, in equal shares, to what the network
    gives, so that training starts from the trivial answer.

    Args:
        width: channels at full resolution.
        depth: halvings of the resolution.
        norm: ``batch`` learns faster; ``group`` does not depend on the batch, nor on how processes share it.
        loss: elementwise distance.
        permutation_invariant: take the best assignment of layers per image; default where the
            data's layers have no order.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.

    Source: Ronneberger et al., MICCAI 2015.
    """

    card = MethodCard(
        title="U-Net", paper="Ronneberger et al., MICCAI 2015 (baseline)", year=2015, supervision="paired"
    )

    def __init__(
        self,
        width: int = 32,
        depth: int = 2,
        norm: Literal["batch", "group"] = "batch",
        loss: Literal["mse", "l1"] = "mse",
        permutation_invariant: bool | None = None,
        lr: float = 2e-3,
        cosine: bool = True,
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers, self.channels, self.scale, ordered = (
            (len(spec["layers"]), spec["channels"], spec["scale"], spec["ordered"]) if spec else (2, 1, 1, False)
        )
        self.gain = spec["gain"] if spec else 1.0
        self.multiple = 2**depth
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.distance = {"mse": squared, "l1": absolute}[loss]
        normalisation: Norm = nn.BatchNorm2d if norm == "batch" else group_norm
        self.network = UNetBackbone(self.channels, self.layers * self.channels, width, depth, normalisation)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        full = enlarge(mixture, self.scale)
        share = self.gain / self.layers * full
        layers: Tensor = self.network(full).view(-1, self.layers, *full.shape[1:]) + share.unsqueeze(1)
        return layers

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        estimates = self(batch.mixture)
        loss = separation_loss(estimates, batch.layers, self.distance, permutation_invariant=self.permutation_invariant)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss
