"""BIDeN: blind decomposition, with a head for each source that may be there and a judge that says which ones are."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.decomposition import MultiScaleEncoder, NamingDiscriminator, SourceHead
from methods.networks.start import starting_layers
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

PERCEPTUAL = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
"""Weights of VGG19's levels in the perceptual loss."""


class BIDeN(TrainedMethod):
    """One encoder, a head for each source, and one discriminator for all; each source is there, or it is not.

    In training a source is left out of a mixture now and then, which is blended anew of those that are there. Its head
    then learns nothing, and the discriminator learns to name the sources of a mixture: ``present`` says which there
    are, and ``train/sources_named`` is how often that is right.

    Args:
        width: channels of the first convolution of all networks.
        blocks: residual blocks in each of the encoder's three branches.
        presence: probability of each source to be in a mixture of training; 1 leaves the data's mixtures as they are.
        l1: weight of the L1 loss.
        perceptual: weight of the perceptual loss; 0 for none.
        adversarial: weight of the least-squares adversarial loss.
        residual: draw corrections of the trivial answer, from zero on, in place of layers in [0, 1].
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        levels: of its features, from the finest on.
        lr: learning rate of Adam, for all networks.
        cosine: let the learning rate fall to zero over the run; the authors' is constant for half of it, and then falls
            along a line.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: options that are impossible, or weights that cannot be had.

    Source: Han et al., Blind Image Decomposition, ECCV 2022, and the authors' code; VGG19 sees images in [−1, 1], not
        normalised. ``residual`` is ours, for small budgets.
    """

    card = MethodCard(
        title="BIDeN", paper="Han et al., Blind Image Decomposition, ECCV 2022", year=2022, supervision="paired",
        channels=(3,), scales=(1,), ordered_only=True,
        reconstructed=(
            "all networks step at once; where chance leaves no source, the likeliest is there; and layers that are "
            "summed, or multiplied, are so where some are left out, too, in place of their mean"
        ),
    )  # fmt: skip
    multiple = 4
    smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        presence: float = 0.9,
        l1: float = 30.0,
        perceptual: float = 10.0,
        adversarial: float = 1.0,
        residual: bool = False,
        features: str = "timm",
        levels: int = 5,
        lr: float = 3e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or blocks < 0 or not 0 < presence <= 1 or min(l1, perceptual, adversarial) < 0:
            raise UserError(
                f"width {width}, blocks {blocks}, presence {presence:g}, l1 {l1:g}, perceptual {perceptual:g}, "
                f"adversarial {adversarial:g}: width must be at least 1, presence above 0 and at most 1, the others "
                "not negative."
            )
        self.count = len(spec["layers"]) if spec else 2
        self.summed, self.product = bool(spec and spec["gain"] == 1), bool(spec and spec["fusion"] == "product")
        self.presence, self.weights, self.residual = presence, (l1, perceptual, adversarial), residual
        self.encoder = MultiScaleEncoder(3, width, blocks)
        self.heads = nn.ModuleList(SourceHead(3, width) for _ in range(self.count))
        self.judge = NamingDiscriminator(3, width, self.count)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.xavier_normal_(part.weight, gain=0.02)
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        for head in self.heads if residual else ():
            for weight in head[-1].parameters():  # type: ignore[index]
                nn.init.zeros_(weight)
        self.vgg = VGG19Features(features, levels) if perceptual else None
        # Frozen and the same everywhere: DDP need not send them before each step.
        frozen = self.vgg.named_buffers() if self.vgg is not None else ()
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in frozen]

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        seen = self.encoder(2 * mixture - 1)
        drawn = torch.stack([head(seen) for head in self.heads], 1)
        if self.residual:
            return drawn + starting_layers(mixture, self.hparams["spec"])
        return (drawn.tanh() + 1) / 2

    def present(self, mixture: Tensor) -> Tensor:
        """(B, K): the probability of each source to be in mixtures (B, 3, H, W)."""
        logits: Tensor = self.judge(2 * self.pad(mixture) - 1)[1]
        return logits.float().sigmoid()

    def draw(self, batch: LayerBatch) -> tuple[Tensor, Tensor]:
        """Mixtures of some of the layers, and which they are.

        Returns:
            (B, 3, H, W) and (B, K) of 0 and 1. A mixture of all its layers is the data's own.
        """
        layers = batch.layers
        chance = torch.rand(layers.shape[:2], device=layers.device)
        there = (chance < self.presence) | (chance == chance.amin(1, keepdim=True))
        where = there[:, :, None, None, None]
        if self.product:
            blended = layers.where(where, torch.ones_like(layers)).prod(1)
        else:
            total = (layers * where).sum(1)
            blended = total if self.summed else total / there.sum(1).view(-1, 1, 1, 1)
        return batch.mixture.where(there.all(1).view(-1, 1, 1, 1), blended), there.float()

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        mixture, there = self.draw(batch)
        mixture, truth = self.pad(mixture), 2 * self.pad(batch.layers) - 1
        found = 2 * self.separate(mixture, []).float() - 1
        l1, perceptual, adversarial = self.weights

        def of_present(costs: Tensor) -> Tensor:
            """(B·K, …) costs of the sources -> (), summed over those that are there, the mean over the batch."""
            return (costs.flatten(1).mean(1).view_as(there) * there).sum(1).mean()

        fake, real = found.flatten(0, 1), truth.flatten(0, 1)
        fixed = {name: weight.detach() for name, weight in self.judge.named_parameters()}
        judged = functional_call(self.judge, fixed, (fake,))[0].float()
        generator = l1 * of_present((fake - real).abs()) + adversarial * of_present((judged - 1).square())
        if self.vgg is not None:
            with torch.no_grad():
                known = self._look(real)
            pairs = zip(PERCEPTUAL, self._look(fake), known, strict=False)
            apart = [weight * of_present((ours - theirs).abs().float()) for weight, ours, theirs in pairs]
            generator = generator + perceptual * torch.stack(apart).sum()
        forged, true = (self.judge(images)[0].float() for images in (fake.detach(), real))
        told = (of_present(forged.square()) + of_present((true - 1).square())) / 2
        named = self.judge(2 * mixture - 1)[1].float()
        naming = F.binary_cross_entropy_with_logits(named, there)
        right = ((named.detach() > 0).float() == there).float().mean()
        self.log("train/sources_named", right, batch_size=len(batch.ids))
        return self.minimise({"generator": generator, "discriminator": told + naming})

    def _look(self, image: Tensor) -> list[Tensor]:
        """VGG19's features of an image in [−1, 1], which is not normalised."""
        assert self.vgg is not None
        levels: list[Tensor] = self.vgg(image * self.vgg.std + self.vgg.mean)
        return levels
