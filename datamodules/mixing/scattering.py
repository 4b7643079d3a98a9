"""Light scattered on the way: haze and yellow haze."""

from __future__ import annotations

import torch
from torch import Tensor

from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform


class AtmosphericScattering(Mixing):
    """I = J·t + A·(1 − t), t = exp(−β·d): haze that thickens with depth.

    Sources are a clean picture J and its depth d in [0, 1] (larger is farther; the same in all channels);
    layers are the background J and the haze A·(1 − t), so that t can be had from the latter.

    Source: Koschmieder 1924; DMGN, Sec. IV.D, [56]; β and A as RESIDE draws them for its training set (Li et al. 2019,
        Sec. II), with the depth in units of the picture's largest; its test set, which has other values, is not used.

    Args:
        beta: range of the scattering coefficient β, in units of 1 / largest depth.
        airlight: range of the airlight A, one grey value for each image.

    Raises:
        UserError: an empty range, a negative β, or an airlight outside (0, 1].
    """

    symmetric = False

    def __init__(self, beta: tuple[float, float] = (0.6, 1.8), airlight: tuple[float, float] = (0.7, 1.0)) -> None:
        check_range("beta", beta, 0, 100)
        check_range("airlight", airlight, 1e-3, 1)
        self.beta, self.airlight = beta, airlight

    def gain(self, layers: int) -> float:
        return 1.0

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("haze", shape, 2)
        beta = uniform(generator, *self.beta)
        return {"beta": beta, "airlight": self.draw_airlight(generator, shape[1])}

    def draw_airlight(self, generator: torch.Generator, channels: int) -> Tensor:
        """(C, 1, 1) colour of the airlight."""
        return uniform(generator, *self.airlight).expand(channels, 1, 1).clone()

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background, depth = sources.unbind(1)
        transmission = torch.exp(-image_like(parameters["beta"]) * depth)
        return torch.stack([background, parameters["airlight"] * (1 - transmission)], 1)

    def transmission(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Transmission t.

        Args:
            layers: (B, 2, C, H, W) background and haze.
            parameters: of the samples.

        Returns:
            (B, C, H, W) in (0, 1].
        """
        return 1 - layers[:, 1] / parameters["airlight"]

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return layers[:, 0] * self.transmission(layers, parameters) + layers[:, 1]


class YellowHaze(AtmosphericScattering):
    """Haze with a yellow airlight, or one of another colour.

    Source: Cascaded GANs, Sec. 3.3, where UGAN adds a "yellow haze interference" to shoes. Reconstructed:
        the paper gives neither colour nor thickness; it is taken as atmospheric scattering, β as in haze.

    Args:
        red: range of the airlight's red, in units of ``airlight``.
        green: likewise.
        blue: likewise.
        beta: range of the scattering coefficient β.
        airlight: range of the airlight's strength.

    Raises:
        UserError: an empty range, or one outside [0, 1].
    """

    def __init__(
        self,
        red: tuple[float, float] = (0.85, 1.0),
        green: tuple[float, float] = (0.65, 0.85),
        blue: tuple[float, float] = (0.1, 0.4),
        beta: tuple[float, float] = (0.6, 1.8),
        airlight: tuple[float, float] = (0.7, 1.0),
    ) -> None:
        super().__init__(beta, airlight)
        for what, values in {"red": red, "green": green, "blue": blue}.items():
            check_range(what, values, 1e-3, 1)
        self.low, self.high = torch.tensor([red, green, blue]).unbind(1)

    def draw_airlight(self, generator: torch.Generator, channels: int) -> Tensor:
        colour = self.low + (self.high - self.low) * torch.rand(3, generator=generator)
        strength = uniform(generator, *self.airlight)
        return strength * (colour if channels == 3 else colour.mean().expand(channels)).view(-1, 1, 1)
