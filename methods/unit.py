"""UNIT: mixtures and one kind of layer, coded in one latent space by two variational autoencoders."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import Kind, adversarial_losses
from methods.networks.latent import MULTIPLE, SMALLEST, GeneratorKind, Generators
from methods.networks.multi_scale import MultiScaleDiscriminator
from methods.networks.norms import NormName, frozen_statistics
from methods.recipe import TrainedMethod

Code = list[Tensor]


class UNIT(TrainedMethod):
    """Beside SILS, with its generators and discriminators, where a mixture's code is taken for its layer's.

    Args:
        targets: how many layers are predicted, the first ones of the data; each by a UNIT of its own.
        generator: ``simple`` or ``vgg``, as of SILS.
        width: as of SILS.
        norm: normalisation in generators.
        scales: branches of each discriminator.
        adversarial: λ0, of the generators' adversarial losses.
        kl: λ1 and λ3, of the codes' divergence from the standard normal distribution.
        reconstruction: λ2 of an image from its own code, and λ4 of an image that was translated and back again.
        gan: kind of adversarial loss.
        features: VGG19's weights to begin with: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: more targets than layers, or impossible widths.

    Source: Liu et al., NeurIPS 2017, Eq. 1 to 7; L1 for the Laplacian likelihood, weights of Sec. 5. Generators and
        discriminators are SILS's, so that the two compare at the same capacity: the shared latent space is that of
        the deepest features, the others skip by it; encoders share their last stage, decoders their first.
        Separation takes a code's mean. Generators and discriminators step at once.
    """

    card = MethodCard(
        title="UNIT", paper="Liu et al., NeurIPS 2017", year=2017, supervision="unpaired",
        scales=(1,), ordered_only=True,
    )  # fmt: skip
    multiple = MULTIPLE
    smallest = SMALLEST
    betas = (0.5, 0.999)

    def __init__(
        self,
        targets: int = 1,
        generator: GeneratorKind = "simple",
        width: int = 32,
        norm: NormName = "batch",
        scales: int = 1,
        adversarial: float = 10.0,
        kl: float = 0.1,
        reconstruction: float = 100.0,
        gan: Kind = "cross-entropy",
        features: str = "timm",
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
        self.of_mixtures, self.of_layers = (
            Generators(targets, generator, channels, width, norm, features) for _ in range(2)
        )
        for one, other in zip(self.of_mixtures, self.of_layers, strict=True):
            other.encode.stages[-1] = one.encode.stages[-1]
            other.decode.stages[0] = one.decode.stages[0]
        self.layer_critics, self.mixture_critics = (
            nn.ModuleList(MultiScaleDiscriminator(channels, width, scales) for _ in range(targets)) for _ in range(2)
        )

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        pairs = zip(self.of_mixtures, self.of_layers, strict=True)
        return torch.stack([layers.decode(mixtures.encode(mixture)) for mixtures, layers in pairs], 1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        given, x = self.hparams, self.pad(batch.mixture)
        terms: dict[str, Tensor] = {}
        for k, (mixtures, layers) in enumerate(zip(self.of_mixtures, self.of_layers, strict=True)):
            y = self.pad(batch.layers[:, k])

            def sampled(code: Code, which: int, k: int = k) -> Code:
                return [*code[:-1], code[-1] + noise(code[-1], batch.ids, f"{k}/{which}")]

            of_x = mixtures.encode(x)
            layer = layers.decode(sampled(of_x, 0))
            with frozen_statistics(mixtures, layers):
                of_y = layers.encode(y)
                mixture = mixtures.decode(sampled(of_y, 1))
                own = F.l1_loss(mixtures.decode(sampled(of_x, 0)), x) + F.l1_loss(layers.decode(sampled(of_y, 1)), y)
                back_x, back_y = layers.encode(layer), mixtures.encode(mixture)
                cycle = F.l1_loss(mixtures.decode(sampled(back_x, 2)), x)
                cycle = cycle + F.l1_loss(layers.decode(sampled(back_y, 3)), y)
            terms[f"reconstruction_{k}"] = given["reconstruction"] * own
            terms[f"cycle_{k}"] = given["reconstruction"] * cycle
            # KL(N(μ, 1) ‖ N(0, 1)) is μ²/2; a mean over features, as the authors' code has it.
            codes = (of_x, of_y, back_x, back_y)
            terms[f"kl_{k}"] = given["kl"] * torch.stack([(code[-1].float() ** 2).mean() for code in codes]).sum()
            judges = [
                ("layer", self.layer_critics[k], layer, y),
                ("mixture", self.mixture_critics[k], mixture, x),
            ]
            for name, critic, fake, real in judges:
                fooled, told = adversarial_losses(critic, fake, real, kind=given["gan"])
                terms[f"generator_{name}_{k}"] = given["adversarial"] * fooled
                terms[f"discriminator_{name}_{k}"] = told
        return self.minimise(terms)


def noise(like: Tensor, ids: list[str], which: str) -> Tensor:
    """Standard normal noise that belongs to each image; neither ranks nor an interruption change it.

    Args:
        like: (B, …), whose shape, type and device it takes.
        ids: of the images.
        which: name of the draw.
    """
    drawn = []
    for name in ids:
        digest = hashlib.blake2b(f"{name}/{which}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        drawn.append(torch.randn(like.shape[1:], generator=generator))
    return torch.stack(drawn).to(like)
