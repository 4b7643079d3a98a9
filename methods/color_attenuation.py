"""The colour attenuation prior: the farther through haze, the brighter and the paler."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import MethodCard, SeparationMethod
from methods.networks.scattering import brightest, farthest, layers_of, lift, patch_minimum, refine


class ColorAttenuation(SeparationMethod):
    """Depth as a linear function of brightness and saturation: d = θ0 + θ1·v + θ2·s.

    v is the largest colour of a pixel, s = 1 − smallest / largest. The minimum over a patch keeps white things from
    counting as far; a guided filter refines it. The airlight A is the brightest pixel where the depth is largest; the
    transmission is t = exp(−β·d); the background J = (I − A) / t + A. The three coefficients were learnt once by the
    authors; nothing is trained here.

    It predicts the background and, of haze and clouds, the layer A·(1 − t); of other data the background alone.

    Args:
        theta: θ0, θ1 and θ2.
        noise: σ of the linear model's residual, drawn for each pixel before the minimum over patches; the authors' code
            has 0.041, which takes 0.115 off the depth on average, since the minimum finds the lowest of 225 draws.
        beta: scattering coefficient β.
        patch: side of the patches in pixels, odd.
        transmission_range: least and largest t, in (0, 1].
        airlight_share: of the pixels, the farthest, among which the airlight is sought.
        radius: of the guided filter in pixels; less where the image is smaller.
        epsilon: of the guided filter: how much colour must vary to count, as a variance.
        spec: of the data.

    Raises:
        UserError: an option outside its range.

    Source: Zhu, Mai & Shao, IEEE TIP 2015: the linear model; its coefficients, the minimum over patches, β = 1, the
        guided filter's window (60 pixels across) and ε as in the authors' code. That code adds the model's residual to
        the depth (option ``noise``); by default it is its mean here, zero, so that the layers of an image do not depend
        on chance. It keeps t between 0.05 and 1, where the range here is narrower, and takes the largest value of each
        colour among up to twenty far pixels for the airlight, where here one pixel gives all colours.
    """

    card = MethodCard(
        title="Color attenuation prior", paper="Zhu, Mai & Shao, IEEE TIP 2015", year=2015, supervision="none",
        channels=(3,), scales=(1,), ordered_only=True,
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        theta: tuple[float, float, float] = (0.121779, 0.959710, -0.780245),
        noise: float = 0.0,
        beta: float = 1.0,
        patch: int = 15,
        transmission_range: tuple[float, float] = (0.1, 0.9),
        airlight_share: float = 0.001,
        radius: int = 30,
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
        least, largest = transmission_range
        if beta < 0 or noise < 0 or not (0 < least <= largest <= 1 and 0 < airlight_share <= 1):
            raise UserError(
                f"beta {beta:g}, noise {noise:g}, transmission_range {least:g} to {largest:g}, "
                f"airlight_share {airlight_share:g}: "
                "beta and noise must not be negative, the range must be rising and it and the share in (0, 1]."
            )
        self.noise = noise
        self.theta, self.beta, self.patch, self.range = tuple(theta), beta, patch, (least, largest)
        self.airlight_share, self.radius, self.epsilon = airlight_share, radius, epsilon
        self.layers = layers_of(spec)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        depth = self.depth(mixture, seeds)
        airlight = brightest(mixture, farthest(depth, self.airlight_share))
        return lift(mixture, airlight, self.transmission(mixture, depth), self.layers)

    def depth(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        """(B, 1, H, W): depth over patches, in units of 1 / β."""
        value, smallest = mixture.amax(1, keepdim=True), mixture.amin(1, keepdim=True)
        saturation = 1 - smallest / value.clamp_min(1e-6)
        saturation = saturation.clamp(0, 1) * (value > 0)  # black is grey
        base, of_value, of_saturation = self.theta
        depth = base + of_value * value + of_saturation * saturation
        if self.noise:
            draws = [torch.randn(depth.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            depth = depth + self.noise * torch.stack(draws).to(depth)
        return patch_minimum(depth, self.patch)

    def transmission(self, mixture: Tensor, depth: Tensor) -> Tensor:
        """(B, 1, H, W): the share of the background's light that comes through."""
        refined = refine(depth, mixture, self.radius, self.epsilon)
        return (-self.beta * refined).exp().clamp(*self.range)
