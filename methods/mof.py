"""MOF: haze by a pixel's and by its patch's darkest colour, fused over two sizes of patch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod
from methods.networks.scattering import farthest, layers_of, lift, patch_minimum

TINY = 1e-5
"""In numerator and denominator of the fusion."""


class MOF(SeparationMethod):
    """Multi-scale optimal fusion: a dark channel prior that is sharp at edges, where patches leave haloes.

    The transmission of a patch is wrong where a patch holds an edge; that of a pixel alone is wrong where the pixel is
    bright itself. Where both differ much, the pixel's is taken, elsewhere the patch's; two sizes of patch are averaged,
    and a guided filter that keeps edges refines the result. It is a prior without training, in one pass.

    It predicts the background and, of haze and clouds, the layer A·(1 − t); of other data the background alone.

    Args:
        patch: side of the patches of the airlight's dark channel in pixels, odd.
        omega: ω, the share of the haze that is taken away.
        airlight_share: of the pixels, those with the brightest dark channel, whose mean colour is the airlight.
        radius: of the guided filter's windows, in pixels; they end with the image.
        epsilon: of the guided filter: how much grey must vary to count, as a variance.
        normalise: divide the background by its largest value where that is above 1.
        spec: of the data.

    Raises:
        UserError: an option outside its range.

    Source: Zhao et al., Multi-scale Optimal Fusion model for single image dehazing, 2019, with the constants of the
        authors' code; guided filter: Kou et al., IEEE TIP 2015. Left out: the correction of exposure, without which the
        authors' demonstration saves its pictures, and the filter's sub-sampling, which saves time alone. The code
        widens the Gaussian's window, but not its σ, for the larger patches; here it is the same.
    """

    card = MethodCard(
        title="MOF", paper="Zhao et al., Multi-scale Optimal Fusion model for single image dehazing, 2019", year=2019,
        supervision="none", scales=(1,), ordered_only=True,
        reconstructed=(
            "the guide is luma, not their decolorisation; patches have the odd side next above theirs; and a "
            "background that does not exceed 1 is not made brighter"
        ),
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        patch: int = 25,
        omega: float = 0.95,
        airlight_share: float = 0.001,
        radius: int = 60,
        epsilon: float = 1e-3,
        normalise: bool = True,
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if patch < 1 or patch % 2 == 0 or radius < 1 or epsilon <= 0:
            raise UserError(
                f"patch {patch}, radius {radius}, epsilon {epsilon:g}: "
                "patch must be odd, radius at least 1 and epsilon above 0."
            )
        if not (0 <= omega <= 1 and 0 < airlight_share <= 1):
            raise UserError(
                f"omega {omega:g}, airlight_share {airlight_share:g}: both must be in [0, 1], the last one above 0."
            )
        self.patch, self.omega, self.airlight_share = patch, omega, airlight_share
        self.radius, self.epsilon, self.normalise = radius, epsilon, normalise
        self.layers = layers_of(spec)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        airlight = self.airlight(mixture)
        layers = lift(mixture, airlight, self.transmission(mixture, airlight), self.layers)
        if self.normalise:
            brightest = layers[:, 0].amax((1, 2, 3)).clamp_min(1)
            layers = torch.cat([layers[:, :1] / brightest.view(-1, 1, 1, 1, 1), layers[:, 1:]], 1)
        return layers

    def airlight(self, mixture: Tensor) -> Tensor:
        """(B, C, 1, 1): the mean colour where the dark channel of (B, C, H, W) is brightest."""
        among = farthest(patch_minimum(mixture.amin(1, keepdim=True), self.patch), self.airlight_share)
        total = (mixture * among).sum((2, 3), keepdim=True)
        return (total / among.sum((2, 3), keepdim=True)).clamp_min(1e-3)

    def transmission(self, mixture: Tensor, airlight: Tensor) -> Tensor:
        """(B, 1, H, W) in [0.1, 1]: the share of the background's light that comes through."""
        dark = (mixture / airlight).amin(1, keepdim=True)
        small = 2 * int(math.log10(mixture.shape[-2] * mixture.shape[-1]))
        sides = (small, 2 * small)
        # The smaller patch weighs more.
        weights = [math.exp(0.138 * (side - 1)) for side in reversed(sides)]
        pixel = (1 - self.omega * dark).clamp(0, 1)
        coarse = torch.zeros_like(dark)
        for side, weight in zip(sides, weights, strict=True):
            patches = (1 - self.omega * patch_minimum(dark, side // 2 * 2 + 1)).clamp(0, 1)
            coarse = coarse + weight / sum(weights) * fuse(patches, pixel)
        guide = mixture.mean(1, keepdim=True)
        if mixture.shape[1] == 3:
            red, green, blue = mixture.chunk(3, 1)
            guide = 0.299 * red + 0.587 * green + 0.114 * blue
        return gradient_guided_filter(coarse, guide, self.radius, self.epsilon).clamp(0.1, 1)


def fuse(patches: Tensor, pixel: Tensor) -> Tensor:
    """One transmission of the patches' and the pixels' own: the latter where they differ much.

    Args:
        patches: (B, 1, H, W) in [0, 1], at least ``pixel``.
        pixel: (B, 1, H, W) in [0, 1].

    Returns:
        (B, 1, H, W).
    """
    apart = (patches - pixel).clamp_min(1e-3)
    least, most = apart.amin((2, 3), keepdim=True), apart.amax((2, 3), keepdim=True)
    apart = blur((apart - least) / (most - least).clamp_min(TINY))
    apart = 0.05 * apart + 0.95 * (apart >= 0.5)
    return (patches * (1 - apart) + pixel * apart + TINY) / ((1 - apart) ** 2 + apart**2 + TINY)


def blur(image: Tensor) -> Tensor:
    """A Gaussian of σ = 0.5 over 5×5 pixels, the border repeated; (B, 1, H, W) -> the same."""
    line = torch.exp(-2 * torch.arange(-2, 3, device=image.device, dtype=image.dtype) ** 2)
    line = (line / line.sum()).view(1, 1, 1, 5)
    wide = F.conv2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), line)
    return F.conv2d(wide, line.mT)


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Means of (B, C, H, W) over the squares of side 2·radius + 1 around each pixel; squares end with the image."""
    for size, edge in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        image = F.avg_pool2d(image, size, 1, edge, count_include_pad=False)
    return image


def gradient_guided_filter(raw: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """A guided filter that smooths less at the guide's edges, and there keeps its slope.

    Args:
        raw: (B, 1, H, W), what is filtered.
        guide: (B, 1, H, W) in [0, 1].
        radius: of the windows.
        epsilon: λ, how much the guide must vary to count, as a variance.

    Returns:
        (B, 1, H, W).

    Source: Kou et al., Gradient Domain Guided Image Filtering, IEEE TIP 2015, as MOF's code has it but for Γ: there χ
        is divided by its mean, with a floor of (0.01·range of ``raw``)². Reconstructed: here it is divided by its
        harmonic mean, with a fixed floor.
    """
    mean, raw_mean = box_mean(guide, radius), box_mean(raw, radius)
    covariance = box_mean(guide * raw, radius) - mean * raw_mean
    variance = (box_mean(guide**2, radius) - mean**2).clamp_min(0)
    near = (box_mean(guide**2, 1) - box_mean(guide, 1) ** 2).clamp_min(0)
    edges = (near * variance).sqrt()  # χ
    floor = 1e-6  # (0.001·L)², L = 1
    relative = (edges + floor) * (1 / (edges + floor)).mean((2, 3), keepdim=True)  # Γ
    middle, least = edges.mean((2, 3), keepdim=True), edges.amin((2, 3), keepdim=True)
    slope = torch.sigmoid(4 / (middle - least).clamp_min(1e-12) * (edges - middle))  # γ, 1 at edges
    weight = epsilon / relative
    a = (covariance + weight * slope) / (variance + weight)
    b = raw_mean - a * mean
    return box_mean(a, radius) * guide + box_mean(b, radius)
