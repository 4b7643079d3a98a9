"""NES: a mask that is learnt from one clean source and from guesses of the other, which it betters itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.norms import Norm, normalisation
from methods.recipe import TrainedMethod


class NES(TrainedMethod):
    """Neural egg separation: of two summed sources one is seen clean, B, the other, X, only within mixtures.

    A network finds the mask of B in a mixture. It is taught on mixtures made here, of clean B and of what earlier masks
    left of other mixtures: in the first round half of a mixture stands for its X, in each later round what the network
    of the round before finds. So X becomes cleaner from round to round. Of the layers of the data it looks at the known
    one alone, in training, and at mixtures of other scenes (``pairing: unpaired``).

    Args:
        known: which of the two layers is seen clean, 0 or 1.
        invert: separate 1 − v in place of v: for sources on white, where ink should count (authors: shoes and bags).
        shares: how strongly each layer is in the mixture; default 1 where the mixture is a sum, ½ where it is a mean.
        rounds: times that the estimates of X are made anew, the first guess included, evenly spread over the run.
        width: channels of the first convolution; they double three times.
        norm: ``group``, ``batch`` (authors), ``instance`` or ``none``.
        lr: learning rate of Adam, which begins anew in each round.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: options that are impossible, or layers that are not summed.

    Source: Halperin, Ephrat & Hoshen, Neural Separation of Observed and Unobserved Distributions, ICML 2019, and the
        authors' code. They keep one estimate of X for each training mixture and refresh all of them between rounds.
        Here the last round's network is kept, and its estimate is made when a mixture comes: for mixtures that come
        again it is the same estimate, and data that never yield a crop twice will do.
    """

    card = MethodCard(
        title="NES", paper="Halperin, Ephrat & Hoshen, ICML 2019", year=2019, supervision="unpaired", layers=(2,),
        scales=(1,), ordered_only=True,
        reconstructed="group normalisation, where theirs normalises batches, in testing too",
    )  # fmt: skip
    multiple = 16
    betas = (0.5, 0.999)

    def __init__(
        self,
        known: int = 0,
        invert: bool = True,
        shares: Sequence[float] | None = None,
        rounds: int = 10,
        width: int = 64,
        norm: Norm = "group",
        lr: float = 1e-3,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        if shares is None:
            shares = [1 / spec["gain"] if spec else 1.0] * 2
        shares = list(shares)
        self.save_hyperparameters()
        if known not in (0, 1) or len(shares) != 2 or min(shares) <= 0 or rounds < 1 or width < 1:
            raise UserError(
                f"known {known}, shares {shares}, rounds {rounds}, width {width}: known must be 0 or 1, shares two "
                "numbers above 0, rounds and width at least 1."
            )
        if spec and spec["fusion"] != "sum":
            raise UserError(f"NES: the mixture is the layers' {spec['fusion']}, and must be their sum; use other data.")
        self.known, self.invert, self.shares, self.rounds = known, invert, (shares[0], shares[1]), rounds
        self.mask = MaskNetwork(spec["channels"] if spec else 3, width, norm)
        self.previous = Snapshot(self.mask)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        total = sum(self.shares) - mixture if self.invert else mixture
        mask = self.mask(total).float()
        parts = [mask * total, (1 - mask) * total]
        if self.known:
            parts.reverse()
        layers = torch.stack([part / share for part, share in zip(parts, self.shares, strict=True)], 1)
        return 1 - layers if self.invert else layers

    def on_train_batch_start(self, batch: LayerBatch, batch_idx: int) -> None:
        round_ = self.trainer.global_step * self.rounds // int(self.trainer.estimated_stepping_batches)
        if round_ > self.previous.round:
            self.previous.take(self.mask, round_)
            self.trainer.optimizers[0].state.clear()

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        mixture, clean = self.pad(batch.mixture), self.pad(batch.layers[:, self.known])
        if self.invert:
            mixture, clean = sum(self.shares) - mixture, 1 - clean
        clean = self.shares[self.known] * clean
        with torch.no_grad():
            rest = 1 - self.previous(self.mask, mixture).float() if self.previous.round else 0.5
            total = clean + rest * mixture
        loss: Tensor = (self.mask(total).float() * total - clean).abs().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class MaskNetwork(nn.Sequential):
    """Four convolutions 4×4 of stride 2 and as many back, without skips: (B, C, H, W) -> the same, in (0, 1).

    Args:
        channels: of picture and mask.
        width: channels of the first convolution.
        norm: after all but the first and the last.

    Source: NES, the authors' code.
    """

    def __init__(self, channels: int, width: int, norm: Norm) -> None:
        widths = [width * 2**i for i in range(4)]
        parts: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            parts += [nn.Conv2d(before, after, 4, 2, 1, bias=False), *normalisation(norm, after), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths[::-1]):
            grow = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
            parts += [grow, *normalisation(norm, after), nn.ReLU()]
        super().__init__(*parts, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Sigmoid())


class Snapshot(nn.Module):
    """The weights that a network had; none of them is learnt. A checkpoint holds them.

    Args:
        network: whose weights are kept.

    Attributes:
        round: in which they were taken; 0 for never.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.round = 0
        self.names = list(network.state_dict())
        for i, value in enumerate(network.state_dict().values()):
            self.register_buffer(f"kept{i}", value.detach().clone())

    @torch.no_grad()
    def take(self, network: nn.Module, round_: int) -> None:
        """Keep the weights that the network has now."""
        for kept, value in zip(self.buffers(), network.state_dict().values(), strict=True):
            kept.copy_(value)
        self.round = round_

    def forward(self, network: nn.Module, x: Tensor) -> Tensor:
        """What the network gave with the weights that are kept."""
        found: Tensor = functional_call(network, dict(zip(self.names, self.buffers(), strict=True)), (x,))
        return found

    def get_extra_state(self) -> dict[str, int]:
        """What a checkpoint holds beside the weights."""
        return {"round": self.round}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on with what a checkpoint holds."""
        self.round = state["round"]
