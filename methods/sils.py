"""SILS: separate in latent space; layers told apart by encoders that never saw a mixture beside its layers."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import Codes, MethodCard
from methods.chance import uniform
from methods.losses.adversarial import CollapseGuard, Kind, Penalty, gradient_penalty, judge
from methods.losses.latent import self_supervision
from methods.networks.fusion import fuse, single_layers
from methods.networks.latent import MULTIPLE, SMALLEST, GeneratorKind, Generators
from methods.networks.multi_scale import MultiScaleDiscriminator
from methods.networks.norms import NormName, frozen_statistics
from methods.recipe import TrainedMethod

COMPARED = 4
"""Levels of features that L_SS compares, the deepest: all of VGG19's, all but the finest of the simple encoder's."""


class SILS(TrainedMethod):
    """For each layer an encoder, a decoder and a discriminator; learns from mixtures and layers of different scenes.

    Args:
        generator: ``simple`` for toy data, ``vgg`` for photographs, with ``norm: instance`` and ``scales: 3``.
        width: channels after the first convolution of discriminators and simple encoders, and at full resolution in
            decoders.
        norm: normalisation in encoders and decoders.
        scales: branches of each discriminator.
        cycle: whether the layers, fused again, must give the mixture, and this again the layers (L_CC, Eq. 8).
        self_supervision: whether codes of one layer must agree, of different layers differ (L_SS, Eq. 5).
        within: λ1 = λ2, weight of the distance between E_k(x) and E_k(y_k).
        between: λ3, weight of 1 − ψ of the distance between E_j(x) and E_k(x).
        alpha: α of ψ (Eq. 6).
        adversarial: λ4, weight of the generators' part of L_GAN (Eq. 7).
        mixture: weight of |fuse(ŷ, ẑ) − x|₁ in L_CC.
        layers: weight of each layer's |E … (fuse(ŷ, ẑ)) − ŷ|₁ in L_CC.
        single_layer: weight of a term that is not the paper's: a layer alone, taken for a mixture, must come out as
            it is in its place and as nothing in the others'.
        gan: kind of adversarial loss.
        penalty: on the discriminators' slope: ``one-centred`` on images between real and made ones, as in the authors'
            code; ``r1``, zero-centred on real ones; or ``none``.
        gradient_penalty: its weight, in the discriminators' loss; of one place's slope, whatever the image's size.
        features: VGG19's weights to begin with: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: weights, widths or decays that are impossible.

    Source: Liu & Lu, Separate In Latent Space (SILS). From the authors' code: α, the distance and the four levels that
        are compared, the networks, and a one-centred penalty. The default λ1 … λ3 are from a third party's
        reproduction. The penalty's weight was tried on toy images of 64×64 pixels (width 8, the paper's losses, PSNR on
        the select role, half of the mixture 21.96 dB on both layers): with 0.1 23.0 and 23.1 dB after 10,000 images;
        without a penalty 22.2 and 21.6 after 6,000; with 10 the critics follow their penalty instead of the images,
        17.7 and 20.1 after 5,000; with R1 of 10 they say nearly the same of every image.
    """

    version: ClassVar[int] = 4
    card = MethodCard(
        title="SILS", paper="Separate In Latent Space (SILS)", year=2020, supervision="unpaired",
        scales=(1,), ordered_only=True,
        reconstructed=(
            "weights of Eq. 7 and 8, learning rate and momentums (from the authors' sibling work), the penalty's norm "
            "over whole images (the authors' is over channels, pixel by pixel) and its weight, and one step for "
            "generators and discriminators together where the paper alternates"
        ),
    )  # fmt: skip
    multiple = MULTIPLE
    smallest = SMALLEST
    betas = (0.5, 0.999)

    def __init__(
        self,
        generator: GeneratorKind = "simple",
        width: int = 32,
        norm: NormName = "batch",
        scales: int = 1,
        cycle: bool = True,
        self_supervision: bool = True,
        within: float = 0.5,
        between: float = 1.0,
        alpha: float = 1.4,
        adversarial: float = 1.0,
        mixture: float = 10.0,
        layers: float = 10.0,
        single_layer: float = 0.0,
        gan: Kind = "cross-entropy",
        penalty: Penalty = "one-centred",
        gradient_penalty: float = 0.1,
        features: str = "timm",
        lr: float = 1e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        if width < 1 or scales < 1 or alpha <= 0:
            raise UserError(
                f"width {width}, scales {scales}, alpha {alpha:g}: width and scales must be at least 1, alpha positive."
            )
        count, channels = (len(spec["layers"]), spec["channels"]) if spec else (2, 3)
        self.generators = Generators(count, generator, channels, width, norm, features)
        self.critics = nn.ModuleList(MultiScaleDiscriminator(channels, width, scales) for _ in range(count))
        self.guard = CollapseGuard(fatal=False)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.decode(self.encode(mixture), mixture)

    def encode(self, mixture: Tensor) -> list[list[Tensor]]:
        """Mixtures (B, C, H, W) -> E_k(x) of each layer k: levels of features (B, F, h, w), the finest first."""
        return [generate.encode(mixture) for generate in self.generators]

    def decode(self, codes: list[list[Tensor]], mixture: Tensor) -> Tensor:
        """Such codes, and the mixture they are of -> layers (B, K, C, H, W)."""
        pairs = zip(self.generators, codes, strict=True)
        return torch.stack([generate.decode(code, mixture) for generate, code in pairs], 1)

    def embed(self, batch: LayerBatch) -> Codes:
        """Of each layer's encoder the deepest features of mixtures and of its own layers, averaged to 4×4 places."""
        spaces: Codes = {}
        names = spec["layers"] if (spec := self.hparams["spec"]) else ["layer_1", "layer_2"]
        for k, (name, generate) in enumerate(zip(names, self.generators, strict=True)):
            images = {"mixture": batch.mixture}
            if k < batch.layers.shape[1]:
                images[name] = batch.layers[:, k]
            codes = {kind: generate.encode(self.pad(image))[-1] for kind, image in images.items()}
            spaces[f"E_{name}"] = {kind: F.adaptive_avg_pool2d(code, 4).flatten(1) for kind, code in codes.items()}
        return spaces

    def training_step(self, batch: LayerBatch, batch_idx: int) -> dict[str, Tensor]:
        given, spec = self.hparams, self.hparams["spec"]
        x, real = self.pad(batch.mixture), torch.stack([self.pad(layer) for layer in batch.layers.unbind(1)], 1)
        codes = self.encode(x)
        layers = self.decode(codes, x)
        terms: dict[str, Tensor] = {}
        margins, critics = {}, {}
        for k, critic in enumerate(self.critics):  # Eq. 7
            verdict = judge(critic, layers[:, k], real[:, k], kind=given["gan"])
            share = uniform(real[:, k], batch.ids, f"penalty {k}")
            between = torch.lerp(layers[:, k].detach().to(real), real[:, k], share)
            penalty = gradient_penalty(critic, real[:, k], between, given["penalty"])
            terms[f"generator_{k}"] = given["adversarial"] * verdict.generator
            terms[f"discriminator_{k}"] = verdict.discriminator + given["gradient_penalty"] * penalty
            margins[f"train/margin_{k}"] = verdict.margin
            critics[f"discriminator {k}"] = verdict.discriminator
        self.log_dict(margins)
        if given["gan"] == "cross-entropy":
            self.guard.watch(batch_idx, critics)
        with frozen_statistics(self.generators):
            if given["self_supervision"] and not given["single_layer"]:
                seen = [generate.encode(real[:, k]) for k, generate in enumerate(self.generators)]
            if given["single_layer"]:
                seen, terms["single_layer"] = self._alone(real, spec)
            if given["self_supervision"]:
                weights = given["within"], given["between"], given["alpha"]
                of_x, of_layers = ([code[-COMPARED:] for code in both] for both in (codes, seen))
                terms["self_supervision"] = self_supervision(of_x, of_layers, *weights)
            if given["cycle"]:  # Eq. 8
                fused = fuse(layers, spec)
                again = torch.stack([generate(fused) for generate in self.generators], 1)
                terms["cycle_mixture"] = given["mixture"] * F.l1_loss(fused, x)
                terms["cycle_layers"] = given["layers"] * len(self.generators) * F.l1_loss(again, layers)
        return self.minimise(terms)

    def _alone(self, real: Tensor, spec: LayerSpec | None) -> tuple[list[list[Tensor]], Tensor]:
        """E_k(y_k) for each k, and the loss of layers that are taken for mixtures."""
        mixtures, truths = single_layers(real, spec)
        seen, loss = [], torch.zeros((), device=real.device)
        for k, generate in enumerate(self.generators):
            code = generate.encode(mixtures.flatten(0, 1))
            made = generate.decode(code, mixtures.flatten(0, 1))
            loss = loss + len(mixtures) * F.l1_loss(made, truths[:, :, k].flatten(0, 1))
            seen.append([level.chunk(len(mixtures))[k] for level in code])
        return seen, self.hparams["single_layer"] * loss
