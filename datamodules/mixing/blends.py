"""Models that blend their sources as they are: sums, ratios, products, mattes, and a camera behind them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.errors import UserError
from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform
from datamodules.pictures.fields import octave_noise


class Sum(Mixing):
    """z = Σ x_k, in [0, K]; two sources on one detector.

    Source: ConvSep and LiGT, Sec. II, below Eq. 1.
    """

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return layers.sum(dim=1)

    def gain(self, layers: int) -> float:
        return 1.0


class Mean(Mixing):
    """z = 1/K Σ x_k, in [0, 1].

    Source: BITS-Net's experiments, which average two photographs.
    """

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return layers.mean(dim=1)


class Ratio(Mixing):
    """z = a·x_1 + (1 − a)·x_2, in [0, 1]; a fixed, or drawn uniformly from [low, high] per sample.

    Source: Cascaded GANs, the 7 : 3 mixtures (a = 0.7); SILS, toy data (a from U(0.2, 0.8)).

    Args:
        low: smallest weight of the first layer, in [0, 1].
        high: largest weight; ``None`` means ``low``.

    Raises:
        UserError: the weights are not 0 ≤ low ≤ high ≤ 1, or there are not exactly two layers.
    """

    def __init__(self, low: float = 0.7, high: float | None = None) -> None:
        self.low = low
        self.high = low if high is None else high
        check_range("ratio", (self.low, self.high), 0, 1)
        # A range that is its own mirror image, or an even blend, gives the layers no order.
        self.symmetric = abs(self.low + self.high - 1) < 1e-9

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("a ratio", shape, 2)
        return {"ratio": uniform(generator, self.low, self.high)}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        ratio = image_like(parameters["ratio"])
        return ratio * layers[:, 0] + (1 - ratio) * layers[:, 1]


class Product(Mixing):
    """z = a · s, in [0, 1]; albedo times shading, pixel by pixel.

    Source: SILS, introduction, the intrinsic decomposition; Barrow & Tenenbaum 1978.
    """

    symmetric = False
    fusion = "product"

    def gain(self, layers: int) -> float:
        return 2.0 * layers  # two layers of middle brightness make a quarter of full brightness

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("a product", shape, 2)
        return {}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return layers[:, 0] * layers[:, 1]


class AlphaCompositing(Mixing):
    """z = α·x_1 + (1 − α)·x_2, in [0, 1], with a soft matte α(p) of smooth random shape.

    Which of two pictures lies on top cannot be told where the matte covers half of the image.

    Source: Porter & Duff 1984, the operator "over". The matte is ours: multi-octave noise n, and
        α = smoothstep((n − ½) / softness + ½).

    Args:
        softness: range of the noise over which the matte goes from 0 to 1.

    Raises:
        UserError: a softness that is not positive.
    """

    def __init__(self, softness: float = 0.2) -> None:
        if softness <= 0:
            raise UserError(f"softness {softness}: it must be positive.")
        self.softness = softness

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("alpha compositing", shape, 2)
        noise = octave_noise(generator, *shape[-2:], persistence=0.4)
        ramp = ((noise - noise.median()) / self.softness + 0.5).clamp(0, 1)
        return {"alpha": ramp * ramp * (3 - 2 * ramp)}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        alpha = parameters["alpha"]
        return alpha * layers[:, 0] + (1 - alpha) * layers[:, 1]


class Camera(Mixing):
    """y = D(z) + g: another model's image z, area-averaged by ``scale``, plus white Gaussian noise.

    Source: ConvSep and LiGT, Eq. 1. Reconstructed: the paper gives neither σ nor the operator D;
    area averaging and σ = 0.1 on the [0, 1] scale are assumed.

    Args:
        mixing: the model that blends the layers at full resolution.
        scale: factor of the downsampling D along each side.
        sigma: standard deviation of the noise, in units of the layers' range.

    Raises:
        UserError: scale below 1, negative sigma, or a layer's side that scale does not divide.
    """

    def __init__(self, mixing: Mixing, scale: int = 2, sigma: float = 0.1) -> None:
        if scale < 1 or sigma < 0:
            raise UserError(f"camera with scale {scale} and sigma {sigma}: scale must be >= 1 and sigma >= 0.")
        self.mixing = mixing
        self.scale = scale * mixing.scale
        self.factor = scale
        self.sigma = sigma
        self.symmetric = mixing.symmetric
        self.fusion, self.gamma = mixing.fusion, mixing.gamma

    @property
    def name(self) -> str:
        return f"camera({self.mixing.name}, /{self.factor}, noise {self.sigma:g})"

    def gain(self, layers: int) -> float:
        return self.mixing.gain(layers)

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return self.mixing.render(sources, parameters)

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        _, channels, height, width = shape
        if height % self.scale or width % self.scale:
            raise UserError(f"layers of {height}×{width} cannot be downsampled by {self.scale}: crop them first.")
        noise = torch.randn(channels, height // self.scale, width // self.scale, generator=generator)
        return {**self.mixing.draw(generator, shape), "noise": self.sigma * noise}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        image = self.mixing.forward(layers, parameters)
        return F.avg_pool2d(image, self.factor) + parameters["noise"]
