"""Thin clouds over ground seen from above, scattered ones, and their shadows."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform
from datamodules.pictures.fields import octave_noise


class Clouds(Mixing, ABC):
    """I = J·(1 − s)·(1 − α) + C: a cloud C of opacity α, and its shadow s on the ground.

    The source is a clean picture J; layers are the background J and the cloud C. A subclass draws the
    thickness of a cloud; a shadow is the same field, moved by the sun's direction, and weaker.

    Args:
        brightness: range of the brightness of the thickest cloud.
        shadowed: share of the pictures that have shadows.
        shadow: range of the darkest shadow.

    Raises:
        UserError: an empty range, or one outside [0, 1].
    """

    symmetric = False

    def __init__(self, brightness: tuple[float, float], shadowed: float, shadow: tuple[float, float]) -> None:
        check_range("brightness", brightness, 1e-3, 1)
        check_range("shadowed", (shadowed, shadowed), 0, 1)
        check_range("shadow", shadow, 0, 1)
        self.brightness, self.shadowed, self.shadow = brightness, shadowed, shadow

    def gain(self, layers: int) -> float:
        return 1.0

    @abstractmethod
    def thickness(self, generator: torch.Generator, height: int, width: int) -> tuple[Tensor, Tensor]:
        """(1, height, width) opacity of a cloud, and the same field with 1 as its largest value."""

    def colour(self, opacity: Tensor, brightness: Tensor) -> Tensor:
        """What a cloud of some opacity adds to the picture; the shapes are broadcast."""
        return brightness * opacity

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("a cloud", shape, 1)
        height, width = shape[-2:]
        shadowed = float(torch.rand((), generator=generator)) < self.shadowed
        margin = max(1, max(height, width) // 6) if shadowed else 0
        opacity, field = self.thickness(generator, height + margin, width + margin)
        strength = uniform(generator, *self.shadow) if shadowed else torch.tensor(0.0)
        down, right = (int(torch.randint(margin + 1, (), generator=generator)) for _ in range(2))
        return {
            "opacity": opacity[:, :height, :width].contiguous(),
            "shadow": strength * field[:, down : down + height, right : right + width],
            "brightness": uniform(generator, *self.brightness),
        }

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background = sources[:, 0]
        cloud = self.colour(parameters["opacity"], image_like(parameters["brightness"]))
        return torch.stack([background, cloud.expand_as(background)], 1)

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background, cloud = layers.unbind(1)
        return background * (1 - parameters["shadow"]) * (1 - parameters["opacity"]) + cloud


class ThinClouds(Clouds):
    """I = J·(1 − α) + W·α² + g: a thin, nearly even cloud, as over RICE-I's pictures, and grain g.

    The opacity is α = m + d·n, clipped to [0, 1], with multi-octave noise n of mean 0 and standard deviation 1. The
    unevenness d is low · (high / low)^(u³) with a uniform number u: small in most pictures, large in a few.
    A thicker cloud is not only less transparent but also brighter: its colour is W·α. The grain is Gaussian;
    whoever takes a cloud away makes it stronger, by 1 / (1 − α).

    Source: the 70 training pairs of RICE-I (Lin et al. 2019), to which the defaults are fitted
        (``python -m datamodules.statistics.fit_generators clouds``): in each window of 32 pixels the cloudy picture is
        the clear one times (1 − α) plus c, with a residual of 0.004, one grey level; α has the quantiles 0.34 (5 %),
        0.53 (50 %) and 0.71 (95 %), its standard deviation within a picture 0.003, 0.007 and 0.1; c / α²
        is 0.96, 0.99 and 1.06, the same in all colours. No shadow was found; a few are drawn, since Cascaded GANs,
        Sec. 3.4, speaks of them. RICE-I's test pairs were not looked at.

    Args:
        opacity: range of the mean opacity m.
        unevenness: ends of the opacity's standard deviation d within a picture.
        brightness: range of W.
        shadowed: share of the pictures that have shadows.
        shadow: range of the darkest shadow.
        grain: range of the grain's standard deviation.

    Raises:
        UserError: an empty range, or one outside [0, 1].
    """

    def __init__(
        self,
        opacity: tuple[float, float] = (0.35, 0.72),
        unevenness: tuple[float, float] = (0.003, 0.15),
        brightness: tuple[float, float] = (0.97, 1.0),
        shadowed: float = 0.1,
        shadow: tuple[float, float] = (0.0, 0.3),
        grain: tuple[float, float] = (0.003, 0.005),
    ) -> None:
        super().__init__(brightness, shadowed, shadow)
        check_range("grain", grain, 0, 1)
        self.grain = grain
        check_range("opacity", opacity, 0, 1)
        check_range("unevenness", unevenness, 1e-4, 1)
        self.opacity, self.unevenness = opacity, unevenness

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        parameters = super().draw(generator, shape)
        strength = uniform(generator, *self.grain)
        return {**parameters, "grain": strength * torch.randn(shape[1:], generator=generator)}

    def thickness(self, generator: torch.Generator, height: int, width: int) -> tuple[Tensor, Tensor]:
        noise = octave_noise(generator, height, width, coarsest=2, persistence=0.5)
        least, most = self.unevenness
        uneven = least * (most / least) ** (torch.rand((), generator=generator) ** 3)
        even = (noise - noise.mean()) / noise.std().clamp_min(1e-6)
        return (uniform(generator, *self.opacity) + uneven * even).clamp(0, 1), noise

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return (super().forward(layers, parameters) + parameters["grain"]).clamp(0, 1)

    def colour(self, opacity: Tensor, brightness: Tensor) -> Tensor:
        return brightness * opacity**2


class ScatteredClouds(Clouds):
    """I = J·(1 − s)·(1 − α) + W·α: clouds with clear sky between them, as over many of RICE-II's pictures.

    The opacity is α = opacity · (v + (1 − v) · smoothstep((n − c) / (1 − c))) of multi-octave noise n, where c
    leaves the share ``cover`` of the picture under cloud and v is a veil over all of it.

    Source: Cascaded GANs, Sec. 3.4 ("multiple distribution types and different thicknesses"; "the information from the
        clouds and shadows"). Reconstructed: the paper names no model; alpha compositing of a bright, nearly
        white layer is assumed. Fitted to nothing: no pair of RICE-II was at hand.

    Args:
        opacity: range of the largest opacity.
        cover: range of the share of the picture under cloud.
        veil: range of the thinnest cloud's share of the opacity.
        brightness: range of the cloud's brightness W.
        shadowed: share of the pictures that have shadows.
        shadow: range of the darkest shadow.

    Raises:
        UserError: an empty range, or one outside [0, 1].
    """

    def __init__(
        self,
        opacity: tuple[float, float] = (0.4, 0.9),
        cover: tuple[float, float] = (0.3, 1.0),
        veil: tuple[float, float] = (0.0, 0.7),
        brightness: tuple[float, float] = (0.85, 1.0),
        shadowed: float = 0.5,
        shadow: tuple[float, float] = (0.0, 0.4),
    ) -> None:
        super().__init__(brightness, shadowed, shadow)
        for what, values in {"opacity": opacity, "cover": cover, "veil": veil}.items():
            check_range(what, values, 0, 1)
        self.opacity, self.cover, self.veil = opacity, cover, veil

    def thickness(self, generator: torch.Generator, height: int, width: int) -> tuple[Tensor, Tensor]:
        noise = octave_noise(generator, height, width, coarsest=3, persistence=0.55)
        cover, veil, opacity = (uniform(generator, *values) for values in (self.cover, self.veil, self.opacity))
        # A sample of the field is enough for its quantile, and spares a sort.
        edge = noise[:, ::4, ::4].quantile(1 - cover)
        ramp = ((noise - edge) / (1 - edge).clamp_min(1e-3)).clamp(0, 1)
        field = veil + (1 - veil) * ramp * ramp * (3 - 2 * ramp)
        return opacity * field, field
