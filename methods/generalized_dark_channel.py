"""The generalised dark channel prior: what differs most from the ambient light is near, whatever its colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.color import linear_rgb_to_rgb, rgb_to_grayscale, rgb_to_lab
from kornia.filters import sobel
from kornia.morphology import reconstruction
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod
from methods.networks.scattering import farthest, layers_of, lift, patch_maximum, patch_minimum

_STRIP = 2**14
"""Pixels whose patches are sorted at once: 225 values for each of them."""

_SLOPE = 4.0
"""How soon a colour that changes with depth counts in full."""

_FAINT = 0.1
"""Mean of a colour below which its cast is not corrected further."""


class GeneralizedDarkChannel(SeparationMethod):
    """Ambient light of any colour, found by how colours change with depth; the cast that it leaves is corrected.

    What has few edges is taken for far. A colour that grows with this rough depth has a bright ambient light, one
    that falls a dark one; each counts by how steeply it changes: the depth is the least of the distances of colours
    to their end, over patches. (If all colours grow, it is the dark channel.) The ambient light A is the mean colour
    of the farthest pixels; the transmission is how much the most different colour differs from it,
    |I − A| / max(A, 1 − A), over patches, stretched to begin at ``least_transmission``. Where the mixture has a
    colour cast, A is brought nearer to grey in J = (I − A) / t + A, which corrects it.

    It predicts the background and, of haze and clouds, the layer A·(1 − t); of other data the background alone.

    Args:
        patch: side of the patches in pixels, odd.
        stretch_from: least transmission before the floor.
        least_transmission: floor of the transmission that the mixture is divided by.
        airlight_share: of the pixels, the farthest, whose mean is the ambient light.
        correct_cast: correct the colour cast.
        spec: of the data.

    Raises:
        UserError: an option outside its range.

    Source: Peng, Cao & Cosman, IEEE TIP 2018, with the details (Sobel edges on luma, filled holes, the tanh of the
        slopes, the median that makes the transmission smooth, CIELAB of values taken as linear) of the authors' code.
        That code brings pictures to a width of 480 first; here they stay as they are.
    """

    card = MethodCard(
        title="Generalized dark channel prior", paper="Peng, Cao & Cosman, IEEE TIP 2018", year=2018,
        supervision="none", channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        patch: int = 15,
        stretch_from: float = 0.2,
        least_transmission: float = 0.3,
        airlight_share: float = 0.001,
        correct_cast: bool = True,
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if patch < 1 or patch % 2 == 0:
            raise UserError(f"patch {patch}: it must be odd.")
        if not (0 <= stretch_from < 1 and 0 < least_transmission <= 1 and 0 < airlight_share <= 1):
            raise UserError(
                f"stretch_from {stretch_from:g}, least_transmission {least_transmission:g}, "
                f"airlight_share {airlight_share:g}: all must be in [0, 1], the last two above 0, the first below 1."
            )
        self.patch, self.stretch_from, self.least_transmission = patch, stretch_from, least_transmission
        self.airlight_share, self.correct_cast = airlight_share, correct_cast
        self.layers = layers_of(spec)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        # Conversions of colour are products of matrices, which must not be rounded.
        with torch.autocast(mixture.device.type, enabled=False):
            airlight = self.airlight(mixture)
            transmission = self.transmission(mixture, airlight)
            if self.correct_cast:
                airlight = airlight / self.cast(mixture)
            return lift(mixture, airlight, transmission, self.layers)

    def airlight(self, mixture: Tensor) -> Tensor:
        """(B, 3, 1, 1): the colour of the ambient light."""
        far = farthest(self.depth(mixture), self.airlight_share).to(mixture)
        return (mixture * far).sum((2, 3), keepdim=True) / far.sum((2, 3), keepdim=True)

    def depth(self, mixture: Tensor) -> Tensor:
        """(B, 1, H, W) in about [0, 1]: depth by the change of colour."""
        slope = _slope(mixture, self.rough_depth(mixture))
        weight = (_SLOPE * slope.abs()).tanh()
        end = (slope <= 0).to(mixture)  # colours that fall with depth are counted from 1
        distance = patch_minimum((end - mixture).abs(), self.patch)
        return (weight * distance + 1 - weight).amin(1, keepdim=True)

    def rough_depth(self, mixture: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1]: 1 where there are no edges near, nor around."""
        edges = patch_maximum(sobel(rgb_to_grayscale(mixture)), self.patch)
        return 1 - _stretch(_fill_holes(edges), 0.0, 1.0)

    def transmission(self, mixture: Tensor, airlight: Tensor) -> Tensor:
        """(B, 1, H, W) in [``least_transmission``, 1]: the share of the background's light that comes through."""
        difference = (mixture - airlight).abs() / torch.maximum(airlight, 1 - airlight)
        raw = _median(difference.amax(1, keepdim=True), self.patch).clamp(0, 1)
        return _stretch(raw, self.stretch_from, raw.amax((2, 3), keepdim=True)).clamp(self.least_transmission, 1)

    def cast(self, mixture: Tensor) -> Tensor:
        """(B, 3, 1, 1), at least 1: how much each colour falls short of the strongest, where there is a cast.

        There is one if the mean chroma is larger than its standard deviation.
        """
        chroma = rgb_to_lab(linear_rgb_to_rgb(mixture.clamp(0, 1)))[:, 1:].flatten(2)
        spread = chroma.var(2, correction=0).sum(1).sqrt().clamp_min(1e-6)
        excess = (chroma.mean(2).norm(dim=1) - spread) / spread
        colour = mixture.mean((2, 3), keepdim=True).clamp_min(_FAINT)
        short = colour.amax(1, keepdim=True) / colour
        power = 1 / excess.clamp_min(0).sqrt().clamp_min(1)
        return torch.where((excess > 0).view(-1, 1, 1, 1), short ** power.view(-1, 1, 1, 1), torch.ones_like(short))


def _slope(image: Tensor, depth: Tensor) -> Tensor:
    """(B, C, 1, 1): of the line that fits a channel's values over the depth, by least squares."""
    centred = depth - depth.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3), keepdim=True)
    covariance = (centred * (image - image.mean((2, 3), keepdim=True))).mean((2, 3), keepdim=True)
    return covariance / variance.clamp_min(1e-8)


def _stretch(image: Tensor, low: float, high: float | Tensor) -> Tensor:
    """An image's values brought to [low, high]; a flat image comes to high."""
    least, most = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    flat = most - least < 1e-6
    return torch.where(flat, torch.ones_like(image), (image - least) / (most - least + flat)) * (high - low) + low


def _fill_holes(image: Tensor) -> Tensor:
    """Raise each hollow that does not reach the border to the lowest pass out of it, across corners too.

    The flood comes in from the border by one pixel a step. As many steps as the image has rows and columns were more
    than enough for every photograph tried (1.25 times the longer side at most), and need no look at the values.
    """
    seed = image.amax((2, 3), keepdim=True).expand_as(image).clone()
    border = torch.ones_like(image, dtype=torch.bool)
    border[..., 1:-1, 1:-1] = False
    seed = torch.where(border, image, seed)
    filled: Tensor = reconstruction(seed, image, method="erosion", num_iters=sum(image.shape[-2:]))
    return filled


def _median(image: Tensor, patch: int) -> Tensor:
    """Median over the patch around each pixel; the image goes on as at its border. In strips, for memory's sake.

    A third of the time of kornia's, which brings the patches into place by convolution.
    """
    padded = F.pad(image, (patch // 2,) * 4, mode="replicate")
    patches = padded.unfold(2, patch, 1).unfold(3, patch, 1)
    strips = torch.split(patches, max(1, _STRIP // image.shape[-1]), 2)
    return torch.cat([strip.flatten(4).median(-1).values for strip in strips], 2)
