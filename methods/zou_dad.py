"""ZouDAD: a U-Net draws both layers, and one of its critics judges whether they are apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import adversarial_losses
from methods.losses.permutation import absolute, best_assignment
from methods.losses.permutation import pairwise as distances
from methods.losses.replay import ReplayBuffer
from methods.networks.pix2pix import Pix2PixUNet
from methods.networks.start import starting_layers
from methods.recipe import TrainedMethod

SEPARATION_SIDE = 64
"""Side of the pictures that the separation critic is shown."""


class ZouDAD(TrainedMethod):
    """Deep adversarial decomposition: an L1 loss without an order, two critics of layers and one of their separation.

    For the separation critic, both layers together are real where they are the truth. In half of each batch its
    counterfeits are not the network's work but truths that are blended again, which is what a bad separation looks
    like. With a single true layer there is one critic of it, and none of separation.

    Args:
        width: channels of the first convolution of all networks.
        depth: convolutions of the U-Net on its way down (authors: 6 for sides of 64, 7 for 128, 8 for 256, 9 for 512).
        adversarial: weight of the sum of the critics' losses; 0 for none.
        adversarial_from: share of the run after which the critics' judgement counts.
        remixed: replace half of the separation critic's counterfeits by truths that are blended again.
        replay: older pictures that each critic learns from as well; 0 for none.
        residual: add what the network draws to the trivial answer, from zero on; the U-Net then has He's start, in
            place of the authors' N(0, 0.02), with which hundreds of steps pass before it moves.
        permutation_invariant: take the best order of the layers per image; default where the data's have no order.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Zou et al., Deep Adversarial Decomposition, CVPR 2020, and the authors' code: no normalisation in the U-Net
        and no bound on its output. Left out: their exclusion and kurtosis losses, which no published command uses.
        ``residual`` is ours, for small budgets.
    """

    card = MethodCard(
        title="Zou et al. (DAD)", paper="Zou et al., Deep Adversarial Decomposition, CVPR 2020", year=2020,
        supervision="paired", layers=(1, 2), scales=(1,),
        reconstructed=(
            "all networks step at once; the critics see the layers in the order that the L1 loss took; the critics' "
            "loss is not divided by 10,000, which Adam would not feel; and the learning rate falls along a cosine or "
            "not at all, where theirs falls to a tenth after half of the epochs"
        ),
    )  # fmt: skip
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        depth: int = 7,
        adversarial: float = 1e-4,
        adversarial_from: float = 0.05,
        remixed: bool = True,
        replay: int = 50,
        residual: bool = False,
        permutation_invariant: bool | None = None,
        lr: float = 1e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or depth < 2 or adversarial < 0 or not 0 <= adversarial_from < 1 or replay < 0:
            raise UserError(
                f"width {width}, depth {depth}, adversarial {adversarial:g}, adversarial_from {adversarial_from:g}, "
                f"replay {replay}: width must be at least 1, depth at least 2, adversarial_from from 0 up to 1, the "
                "others not negative."
            )
        count, channels = (len(spec["layers"]), spec["channels"]) if spec else (2, 3)
        ordered = bool(spec and spec["ordered"])
        self.permutation_invariant = not ordered if permutation_invariant is None else permutation_invariant
        self.multiple, self.adversarial, self.remixed, self.residual = 2**depth, adversarial, remixed, residual
        self.generator = Pix2PixUNet(channels, count * channels, width, depth, norm="none", dropout=0.0)
        outermost = self.generator.up[0]
        assert isinstance(outermost, nn.Sequential)
        del outermost[-1]  # the hyperbolic tangent
        for part in self.generator.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                # Of a transposed convolution of stride 2, four of the sixteen weights meet at a pixel.
                fan = 4 * part.in_channels if isinstance(part, nn.ConvTranspose2d) else 16 * part.in_channels
                nn.init.normal_(part.weight, std=(2 / fan) ** 0.5 if residual else 0.02)
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        for weight in outermost.parameters() if residual else ():
            nn.init.zeros_(weight)
        self.critics = nn.ModuleList()
        if adversarial:
            self.critics.extend(Critic(2 * channels, width, strided=2) for _ in range(count))
            self.critics.extend(Critic(2 * channels, width, strided=3) for _ in range(count - 1))
        self.replays = nn.ModuleList(ReplayBuffer(replay) for _ in self.critics)
        self.judged = True

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        layers: Tensor = self.generator(mixture).unflatten(1, (-1, mixture.shape[1]))
        return layers + starting_layers(mixture, self.hparams["spec"]) if self.residual else layers

    def on_train_batch_start(self, batch: LayerBatch, batch_idx: int) -> None:
        total = self.hparams["adversarial_from"] * self.trainer.estimated_stepping_batches
        self.judged = self.trainer.global_step >= total

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, truth = self.pad(batch.mixture), self.pad(batch.layers)
        layers = self.separate(mixture, []).float()
        cost = distances(layers, truth, absolute)
        if self.permutation_invariant:
            order, mean_cost = best_assignment(cost)
            layers = layers.gather(1, order[:, :, None, None, None].expand_as(layers))
            losses = {"generator": truth.shape[1] * mean_cost.mean()}
        else:
            losses = {"generator": cost.diagonal(dim1=1, dim2=2).sum(1).mean()}
        told = []
        for k, (critic, replay) in enumerate(zip(self.critics, self.replays, strict=True)):
            if k < truth.shape[1]:
                fake, real = (torch.cat([mixture, each[:, k]], 1) for each in (layers, truth))
            else:
                fake, real = (together(each) for each in (layers, truth))
                if self.remixed:
                    half = len(fake) // 2
                    fake = torch.cat([together(remix(truth[:half])), fake[half:]])
            generator, critic_loss = adversarial_losses(critic, fake, real, None, "cross-entropy", replay(fake))
            told.append(critic_loss)
            if self.judged:
                losses["generator"] = losses["generator"] + self.adversarial * generator
        if told:
            losses["critics"] = torch.stack(told).sum()
        return self.minimise(losses)


class Critic(nn.Sequential):
    """Convolutions 4×4 that judge each patch of a picture; large is real.

    Takes (B, inputs, H, W) and gives (B, 1, h, w), unbounded. It normalises its batch, as the authors' does: nothing
    is separated by it, and it has no part in testing.

    Args:
        inputs: channels.
        width: channels of the first convolution; they double.
        strided: convolutions of stride 2; two of stride 1 follow.

    Source: Isola et al., CVPR 2017, Sec. 6.1.2, with the padding of 2 of the authors' code.
    """

    def __init__(self, inputs: int, width: int, strided: int) -> None:
        channels = [inputs, *(width * 2**i for i in range(strided + 1)), 1]
        parts: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            normed = 0 < i <= strided
            parts.append(nn.Conv2d(before, after, 4, 2 if i < strided else 1, 2, bias=not normed))
            parts += [nn.BatchNorm2d(after)] if normed else []
            parts += [nn.LeakyReLU(0.2, inplace=True)] if i <= strided else []
        super().__init__(*parts)


def together(layers: Tensor) -> Tensor:
    """(B, 2, C, H, W) -> (B, 2·C, 64, 64): both layers as one small picture, for the separation critic."""
    small: Tensor = F.interpolate(layers.flatten(1, 2), size=(SEPARATION_SIDE, SEPARATION_SIDE), mode="nearest")
    return small


def remix(layers: Tensor) -> Tensor:
    """Layers (B, 2, C, H, W) as a bad separation gives them: α·x1 + (1 − α)·x2 and the reverse, α in [0.4, 0.6)."""
    share = 0.4 + 0.2 * torch.rand(len(layers), 1, 1, 1, 1, device=layers.device)
    return share * layers + (1 - share) * layers.flip(1)
