"""BigTime: albedo and shading learnt from sequences of one scene under changing light, without their truths."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.norms import Norm, normalisation
from methods.recipe import TrainedMethod

GAMMA = 0.4545
"""Of display: what the network gives is a logarithm of light, and pictures are this power of light."""

LEAST = 1e-3
"""Value below which a picture's logarithm is that of this value."""

BRIGHTEST = 0.99
"""Share of the pixels whose shading is at most 1, when a picture is separated."""


class BigTime(TrainedMethod):
    """A network that must find one albedo in all pictures of a sequence, and smooth shading in each.

    The data have no sequences; they are made here, of one scene's albedo and of the shadings of several others
    (``pairing: unpaired``). The losses look at the sequence's pictures alone: nothing says what an albedo is but that
    it stays when the light changes. It is for data whose mixture is the layers' product.

    Args:
        width: channels of the first convolution; they double three times.
        depth: convolutions on the way down; sides are padded to multiples of 2^depth.
        lights: pictures of a sequence; a batch has as many sequences as there are lights in it, and at least one.
        norm: ``batch`` (authors), ``group``, ``instance`` or ``none``.
        residual: draw what the albedo has beyond the mixture, from zero on, in place of the albedo itself.
        consistency: weight of the difference between the albedos of a sequence's pictures.
        relighting: weight of the error of each picture, made of its own shading and another one's albedo.
        smoothness: weight of the shading's slopes, over four scales.
        brightness: weight of the shading's distance from 1.
        steadiness: how much a step of the sequence's median picture excuses one of the shading.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes that are impossible.

    Source: Li & Snavely, Learning Intrinsic Image Decomposition from Watching the World, CVPR 2018, and the authors'
        code. SILS's "LK18" may be this paper or, by its way of naming, rather Lettry, Vanhoey & Van Gool 2018, of which
        no code was found: SILS lists both. Left out: the dense smoothness of the albedo over space and time, which
        needs a bilateral grid. Ours: ``residual``, for small budgets; and that 99 of 100 pixels of a picture's shading
        are at most 1, since losses and scores leave a factor between albedo and shading nearly open.
    """

    card = MethodCard(
        title="BigTime", paper="Li & Snavely, Learning Intrinsic Image Decomposition from Watching the World, CVPR",
        year=2018, supervision="unpaired", layers=(2,), channels=(3,), scales=(1,), ordered_only=True,
        reconstructed=(
            "the sequences, the factor between the layers and the weights of the shading's slopes, exp(−steadiness·d²) "
            "where the logarithm of the median picture has a step d"
        ),
    )  # fmt: skip
    version: ClassVar[int] = 2
    layer_names = ("albedo", "shading")

    def __init__(
        self,
        width: int = 64,
        depth: int = 7,
        lights: int = 4,
        norm: Norm = "batch",
        residual: bool = False,
        consistency: float = 2.0,
        relighting: float = 2.0,
        smoothness: float = 1.0,
        brightness: float = 0.1,
        steadiness: float = 10.0,
        lr: float = 5e-4,
        cosine: bool = False,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, **recipe)
        self.save_hyperparameters()
        weights = (consistency, relighting, smoothness, brightness)
        if width < 1 or depth < 2 or lights < 2 or min(*weights, steadiness) < 0:
            raise UserError(
                f"width {width}, depth {depth}, lights {lights}, weights {weights}, steadiness {steadiness:g}: width "
                "must be at least 1, depth and lights at least 2, the others not negative."
            )
        self.multiple, self.lights, self.weights, self.steadiness = 2**depth, lights, weights, steadiness
        self.network, self.residual = TwoDecoders(width, depth, norm), residual
        for weight in self.network.albedo[-1].parameters() if residual else ():
            nn.init.zeros_(weight)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        albedo, shading = self.draw(mixture)
        grey = shading.mean(1).flatten(1)
        factor = grey.kthvalue(max(1, round(BRIGHTEST * grey.shape[1]))).values.view(-1, 1, 1, 1)
        return torch.stack([albedo + factor, shading - factor], 1).exp()

    def draw(self, image: Tensor) -> list[Tensor]:
        """Logarithms of albedo and of shading, each (B, 3, H, W), of pictures (B, 3, H, W)."""
        albedo, shading = (layer.float() for layer in self.network(image))
        if self.residual:
            albedo = albedo + image.clamp_min(LEAST).log()
        return [albedo, shading]

    def sequences(self, layers: Tensor) -> Tensor:
        """Pictures (S, M, 3, H, W) of S scenes in M lights, from albedo and shading (B, 2, 3, H, W), S·M ≤ B."""
        scenes = max(1, len(layers) // self.lights)
        lights = len(layers) // scenes
        shading = layers[: scenes * lights, 1].unflatten(0, (scenes, lights))  # type: ignore[no-untyped-call]
        pictures: Tensor = layers[:scenes, :1] * shading
        return pictures

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        pictures = self.sequences(self.pad(batch.layers))
        found = [layer.view_as(pictures) / GAMMA for layer in self.draw(pictures.flatten(0, 1))]
        loss = self.loss(pictures, found[0], found[1])
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss

    def loss(self, pictures: Tensor, albedo: Tensor, shading: Tensor) -> Tensor:
        """What the network minimises.

        Args:
            pictures: (S, M, 3, H, W), of sequences.
            albedo: (S, M, 3, H, W), the logarithm of light.
            shading: (S, M, 3, H, W), likewise.
        """
        seen = pictures.clamp_min(LEAST).log() / GAMMA
        consistency, relighting, smoothness, brightness = self.weights
        # Of all pairs i, j: the mean of |R_i − R_j|² is twice the variance.
        loss = consistency * 2 * albedo.var(1, correction=0).mean()
        # |log I_i − S_i − R_j|², the mean over j: to the mean of R, and the variance around it.
        rest = seen - shading
        apart = (rest - albedo.mean(1, keepdim=True)).square() + albedo.var(1, correction=0, keepdim=True)
        luminance = pictures.mean(2, keepdim=True).clamp_min(LEAST) ** 0.125
        loss = loss + relighting * (luminance * apart).mean()
        median = seen.median(1, keepdim=True).values.mean(2, keepdim=True)
        grey, smooth = shading.mean(2, keepdim=True), []
        for scale, weight in enumerate((1, 1 / 2, 1 / 3, 1 / 4)):
            if min(grey.shape[-2:]) < 2**scale * 2:
                break
            small, steady = (F.avg_pool2d(each.flatten(0, 1), 2**scale) for each in (grey, median))
            smooth.append(weight * rough(small, steady.repeat_interleave(grey.shape[1], 0), self.steadiness))
        return loss + smoothness * torch.stack(smooth).sum() + brightness * shading.abs().mean()


def rough(shading: Tensor, steady: Tensor, steadiness: float) -> Tensor:
    """Mean square of the steps between neighbours, also diagonal ones, where another picture has none.

    Args:
        shading: (B, 1, H, W).
        steady: (B, 1, H, W), whose steps excuse those of the shading.
        steadiness: how much.
    """
    height, width = shading.shape[-2:]
    total = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (..., slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (..., slice(down, height), slice(max(0, right), width + min(0, right)))
        excuse = torch.exp(-steadiness * (steady[here] - steady[there]).square())
        total.append((excuse * (shading[here] - shading[there]).square()).mean())
    return torch.stack(total).mean()


class TwoDecoders(nn.Module):
    """A U-Net with a decoder for albedo, one for shading, and the colour of the light from its innermost features.

    Source: BigTime, the authors' code.

    Args:
        width: channels of the first convolution.
        depth: convolutions on the way down.
        norm: not after the first and the innermost convolution.
    """

    def __init__(self, width: int, depth: int, norm: Norm) -> None:
        super().__init__()
        widths = [width * 2 ** min(i, 3) for i in range(depth)]
        down = [nn.Sequential(nn.Conv2d(3, width, 4, 2, 1))]
        for i in range(1, depth):
            normed = normalisation(norm, widths[i]) if i < depth - 1 else []
            convolution = nn.Conv2d(widths[i - 1], widths[i], 4, 2, 1, bias=not normed)
            down.append(nn.Sequential(nn.LeakyReLU(0.2), convolution, *normed))
        self.down = nn.ModuleList(down)
        self.albedo, self.shading = (nn.ModuleList(self._decoder(widths, norm, outputs)) for outputs in (3, 1))
        inner = 4 * width
        self.colour = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.ReLU(), nn.Conv2d(widths[-1], inner, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(inner, 3),
        )  # fmt: skip

    @staticmethod
    def _decoder(widths: list[int], norm: Norm, outputs: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for i in reversed(range(len(widths))):
            given = widths[i] if i == len(widths) - 1 else 2 * widths[i]
            after = widths[i - 1] if i else outputs
            normed = normalisation(norm, after) if i else []
            grow = nn.ConvTranspose2d(given, after, 4, 2, 1, bias=not normed)
            layers.append(nn.Sequential(nn.ReLU(), grow, *normed))
        return layers

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> logarithms of albedo and of shading, each (B, 3, H, W), of pictures' values."""
        skips: list[Tensor] = []
        x = image
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        drawn = []
        for decoder in (self.albedo, self.shading):
            y = x
            for i, layer in enumerate(decoder):
                y = layer(torch.cat([y, skips[-1 - i]], 1) if i else y)
            drawn.append(y)
        return GAMMA * drawn[0], GAMMA * (drawn[1] + self.colour(x)[:, :, None, None])
