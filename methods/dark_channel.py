"""The dark channel prior: in most patches of a clear scene some pixel is dark in some colour."""

from __future__ import annotations

from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod
from methods.networks.scattering import brightest, farthest, layers_of, lift, patch_minimum, refine


class DarkChannel(SeparationMethod):
    """What is bright in the darkest colour of a patch is haze: A·(1 − t) of it.

    The dark channel of the mixture is its minimum over colours and over a patch. The airlight A is the brightest
    pixel where the dark channel is brightest; the transmission is t = 1 − ω·(dark channel of I / A), refined by a
    guided filter; the background is J = (I − A) / max(t, t0) + A. Without training, in one pass.

    It predicts the background and, of haze and clouds, the layer A·(1 − t); of other data the background alone.

    Args:
        patch: side of the patches in pixels, odd.
        omega: ω, the share of the haze that is taken away; some is left so that distance can be seen.
        least_transmission: t0, in (0, 1].
        airlight_share: of the pixels, those with the brightest dark channel, among which the airlight is sought.
        radius: of the guided filter in pixels; less where the image is smaller.
        epsilon: of the guided filter: how much colour must vary to count, as a variance.
        spec: of the data.

    Raises:
        UserError: an option outside its range.

    Source: He, Sun & Tang, IEEE TPAMI 2011 (CVPR 2009): Eq. 5 (dark channel), Eq. 12 (transmission), Eq. 22
        (background), Sec. 4.3 (airlight; "intensity" is taken as the mean over colours); refinement by the guided
        filter of He, Sun & Tang, ECCV 2010, instead of soft matting. The darkest airlight is taken as 0.001, since I is
        divided by it.
    """

    card = MethodCard(
        title="Dark channel prior", paper="He, Sun & Tang, IEEE TPAMI 2011; guided filter: ECCV 2010", year=2011,
        supervision="none", scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        patch: int = 15,
        omega: float = 0.95,
        least_transmission: float = 0.1,
        airlight_share: float = 0.001,
        radius: int = 20,
        epsilon: float = 1e-3,
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if patch < 1 or patch % 2 == 0 or radius < 1 or epsilon <= 0:
            raise UserError(
                f"patch {patch}, radius {radius}, epsilon {epsilon:g}: "
                "patch must be odd, radius at least 1 and epsilon above 0."
            )
        if not (0 <= omega <= 1 and 0 < least_transmission <= 1 and 0 < airlight_share <= 1):
            raise UserError(
                f"omega {omega:g}, least_transmission {least_transmission:g}, airlight_share {airlight_share:g}: "
                "all must be in [0, 1], the last two above 0."
            )
        self.patch, self.omega, self.least_transmission = patch, omega, least_transmission
        self.airlight_share, self.radius, self.epsilon = airlight_share, radius, epsilon
        self.layers = layers_of(spec)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        airlight = self.airlight(mixture)
        return lift(mixture, airlight, self.transmission(mixture, airlight), self.layers)

    def dark_channel(self, image: Tensor) -> Tensor:
        """(B, 1, H, W): minimum over the channels and the patch around each pixel, of (B, C, H, W)."""
        return patch_minimum(image.amin(1, keepdim=True), self.patch)

    def airlight(self, mixture: Tensor) -> Tensor:
        """(B, C, 1, 1): the colour of infinitely thick haze."""
        hazy = farthest(self.dark_channel(mixture), self.airlight_share)
        return brightest(mixture, hazy).clamp_min(1e-3)

    def transmission(self, mixture: Tensor, airlight: Tensor) -> Tensor:
        """(B, 1, H, W) in [t0, 1]: the share of the background's light that comes through."""
        raw = 1 - self.omega * self.dark_channel(mixture / airlight)
        return refine(raw, mixture, self.radius, self.epsilon).clamp(self.least_transmission, 1)
