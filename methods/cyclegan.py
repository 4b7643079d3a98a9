"""CycleGAN: from mixtures to one kind of layer and back, by unpaired images of both."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.adversarial import Kind, adversarial_losses
from methods.losses.replay import ReplayBuffer
from methods.networks.latent import MULTIPLE, SMALLEST, GeneratorKind, Generators
from methods.networks.multi_scale import MultiScaleDiscriminator
from methods.networks.norms import NormName, frozen_statistics
from methods.recipe import TrainedMethod


class CycleGAN(TrainedMethod):
    """Beside SILS, with its generators and discriminators, where a layer and a mixture know nothing of other layers.

    Args:
        targets: how many layers are predicted, the first ones of the data; each by a CycleGAN of its own.
        generator: ``simple`` or ``vgg``, as of SILS.
        width: as of SILS.
        norm: normalisation in generators.
        scales: branches of each discriminator.
        cycle: weight of both cycle losses.
        identity: weight of the identity losses, in the authors' code half of ``cycle``; 0 for none, as in the paper's
            full objective.
        gan: kind of adversarial loss.
        replay: images in each discriminator's pool of older work; 0 for none.
        features: VGG19's weights to begin with: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: more targets than layers, or impossible widths.

    Source: Zhu et al., ICCV 2017, Eq. 1 and 2, and Sec. 5.2 (identity loss); weights and the pool as in the authors'
        code. Generators and discriminators are SILS's, so that the two compare at the same capacity; both step at once.
    """

    version: ClassVar[int] = 2
    card = MethodCard(
        title="CycleGAN", paper="Zhu et al., ICCV 2017", year=2017, supervision="unpaired",
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
        cycle: float = 10.0,
        identity: float = 5.0,
        gan: Kind = "least-squares",
        replay: int = 50,
        features: str = "timm",
        lr: float = 2e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        count, channels = (len(spec["layers"]), spec["channels"]) if spec else (2, 3)
        if not 1 <= targets <= count or width < 1 or scales < 1 or replay < 0:
            raise UserError(
                f"targets {targets}, width {width}, scales {scales}, replay {replay}: targets must be from 1 to the "
                f"data's {count} layers, width and scales at least 1, replay not negative."
            )
        self.separators, self.blenders = (
            Generators(targets, generator, channels, width, norm, features) for _ in range(2)
        )
        self.layer_critics, self.mixture_critics = (
            nn.ModuleList(MultiScaleDiscriminator(channels, width, scales) for _ in range(targets)) for _ in range(2)
        )
        self.layer_replays, self.mixture_replays = (
            nn.ModuleList(ReplayBuffer(replay) for _ in range(targets)) for _ in range(2)
        )

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return torch.stack([separate(mixture) for separate in self.separators], 1)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        x, kind = self.pad(batch.mixture), self.hparams["gan"]
        terms: dict[str, Tensor] = {}
        for k, (separate, blend) in enumerate(zip(self.separators, self.blenders, strict=True)):
            y = self.pad(batch.layers[:, k])
            layer, mixture = separate(x), blend(y)  # G(x), F(y)
            with frozen_statistics(separate, blend):
                cycle = F.l1_loss(blend(layer), x) + F.l1_loss(separate(mixture), y)  # Eq. 2
                if self.hparams["identity"]:
                    identity = F.l1_loss(separate(y), y) + F.l1_loss(blend(x), x)
                    terms[f"identity_{k}"] = self.hparams["identity"] * identity
            terms[f"cycle_{k}"] = self.hparams["cycle"] * cycle
            judges = [
                ("layer", self.layer_critics[k], layer, y, self.layer_replays[k]),
                ("mixture", self.mixture_critics[k], mixture, x, self.mixture_replays[k]),
            ]
            for name, critic, fake, real, replay in judges:  # Eq. 1
                fooled, told = adversarial_losses(critic, fake, real, kind=kind, replayed=replay(fake))
                terms[f"generator_{name}_{k}"], terms[f"discriminator_{name}_{k}"] = fooled, told
        return self.minimise(terms)
