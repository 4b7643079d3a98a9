"""UNIT: mixtures and one kind of layer, coded in one latent space by two variational autoencoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.chance import normal
from methods.losses.adversarial import Kind, adversarial_losses
from methods.networks.coupled import HALVINGS, Coupled
from methods.networks.latent import SMALLEST
from methods.networks.multi_scale import MultiScaleDiscriminator
from methods.recipe import TrainedMethod


class UNIT(TrainedMethod):
    """Beside SILS, where a mixture's code is taken for its layer's; with generators of its own.

    An image's code is all that its decoder sees: nothing skips by the latent space that mixtures and layers share.

    Args:
        targets: how many layers are predicted, the first ones of the data; each by a UNIT of its own.
        width: channels after the first convolution of generators and discriminators.
        scales: branches of each discriminator.
        adversarial: λ0, of the generators' adversarial losses.
        kl: λ1 and λ3, of the codes' divergence from the standard normal distribution.
        reconstruction: λ2 of an image from its own code, and λ4 of an image that was translated and back again.
        gan: kind of adversarial loss.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: more targets than layers, or impossible widths.

    Source: Liu et al., NeurIPS 2017: objective, weights and networks; L1 for the Laplacian likelihood. Discriminators
        are SILS's. Separation takes a code's mean. Generators and discriminators step at once.
    """

    version: ClassVar[int] = 2
    card = MethodCard(
        title="UNIT", paper="Liu et al., NeurIPS 2017", year=2017, supervision="unpaired",
        scales=(1,), ordered_only=True,
    )  # fmt: skip
    multiple = 2**HALVINGS
    smallest = SMALLEST
    betas = (0.5, 0.999)

    def __init__(
        self,
        targets: int = 1,
        width: int = 64,
        scales: int = 1,
        adversarial: float = 10.0,
        kl: float = 0.1,
        reconstruction: float = 100.0,
        gan: Kind = "cross-entropy",
        lr: float = 1e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        count, channels = (len(spec["layers"]), spec["channels"]) if spec else (2, 3)
        if not 1 <= targets <= count or width < 1 or scales < 1:
            raise UserError(
                f"targets {targets}, width {width}, scales {scales}: targets must be from 1 to the data's {count} "
                "layers, width and scales at least 1."
            )
        self.generators: Sequence[Coupled] = nn.ModuleList(  # type: ignore[assignment]
            Coupled(channels, width) for _ in range(targets)
        )
        self.layer_critics, self.mixture_critics = (
            nn.ModuleList(MultiScaleDiscriminator(channels, width, scales) for _ in range(targets)) for _ in range(2)
        )

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.decode(self.encode(mixture), mixture)

    def encode(self, mixture: Tensor) -> list[list[Tensor]]:
        """Mixtures (B, C, H, W) -> for each target the one level of their code, (B, F, H / 4, W / 4)."""
        return [[both.encode_mixture(mixture)] for both in self.generators]

    def decode(self, codes: list[list[Tensor]], mixture: Tensor) -> Tensor:
        """Codes, and the mixture they are of -> layers (B, K', C, H, W)."""
        pairs = zip(self.generators, codes, strict=True)
        return torch.stack([both.decode_layer(code) for both, (code,) in pairs], 1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        given, x = self.hparams, self.pad(batch.mixture)
        terms: dict[str, Tensor] = {}
        for k, both in enumerate(self.generators):
            y = self.pad(batch.layers[:, k])
            of_x, of_y = both.encode_mixture(x), both.encode_layer(y)
            near_x, near_y = (
                code + normal(code, batch.ids, f"{k}/{which}") for which, code in (("x", of_x), ("y", of_y))
            )
            layer, mixture = both.decode_layer(near_x), both.decode_mixture(near_y)
            own = F.l1_loss(both.decode_mixture(near_x), x) + F.l1_loss(both.decode_layer(near_y), y)
            back_x, back_y = both.encode_layer(layer), both.encode_mixture(mixture)
            cycle = F.l1_loss(both.decode_mixture(back_x + normal(back_x, batch.ids, f"{k}/back x")), x)
            cycle = cycle + F.l1_loss(both.decode_layer(back_y + normal(back_y, batch.ids, f"{k}/back y")), y)
            terms[f"reconstruction_{k}"] = given["reconstruction"] * own
            terms[f"cycle_{k}"] = given["reconstruction"] * cycle
            # KL(N(μ, 1) ‖ N(0, 1)) is μ²/2; a mean over features, as the authors' code has it.
            codes = (of_x, of_y, back_x, back_y)
            terms[f"kl_{k}"] = given["kl"] * torch.stack([(code.float() ** 2).mean() for code in codes]).sum()
            judges = [
                ("layer", self.layer_critics[k], layer, y),
                ("mixture", self.mixture_critics[k], mixture, x),
            ]
            for name, critic, fake, real in judges:
                fooled, told = adversarial_losses(critic, fake, real, kind=given["gan"])
                terms[f"generator_{name}_{k}"] = given["adversarial"] * fooled
                terms[f"discriminator_{name}_{k}"] = told
        return self.minimise(terms)
