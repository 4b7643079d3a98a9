"""Image-formation models: how layers become a mixture.

Each model has two halves. ``draw`` picks one sample's parameters on the CPU from that sample's own
generator, so a sample does not depend on the device or on its neighbours; ``forward`` is batched
and runs where the layers are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import UserError


class Mixing(ABC):
    """An image-formation model.

    Attributes:
        symmetric: True where exchanging two layers leaves the mixture unchanged, so that their
            order cannot be told from it.
        scale: how many times larger a layer is than the mixture, along each side.
    """

    symmetric: bool = True
    scale: int = 1

    @property
    def name(self) -> str:
        """Name of the model, for tables and records."""
        return type(self).__name__.lower()

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        """Pick one sample's parameters.

        Args:
            generator: the sample's own generator.
            shape: (K, C, H, W) of the sample's layers.

        Returns:
            Named tensors without a batch dimension.
        """
        return {}

    def gain(self, layers: int) -> float:
        """The layers' sum in units of the mixture, if they are equally strong.

        Args:
            layers: how many there are.
        """
        return float(layers)

    @abstractmethod
    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Blend layers.

        Args:
            layers: (B, K, C, H, W) in [0, 1].
            parameters: what ``draw`` gave for each sample, stacked along a leading B.

        Returns:
            (B, C, H / scale, W / scale) mixture.
        """


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
        if not 0 <= self.low <= self.high <= 1:
            raise UserError(f"ratio from {self.low} to {self.high}: it must be 0 <= low <= high <= 1.")
        # A range that is its own mirror image, or an even blend, gives the layers no order.
        self.symmetric = abs(self.low + self.high - 1) < 1e-9

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        if shape[0] != 2:
            raise UserError(f"a ratio blends 2 layers, not {shape[0]}: use Mean or Sum.")
        return {"ratio": self.low + (self.high - self.low) * torch.rand((), generator=generator)}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        ratio = parameters["ratio"].view(-1, 1, 1, 1)
        return ratio * layers[:, 0] + (1 - ratio) * layers[:, 1]


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

    @property
    def name(self) -> str:
        return f"camera({self.mixing.name}, /{self.factor}, noise {self.sigma:g})"

    def gain(self, layers: int) -> float:
        return self.mixing.gain(layers)

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        _, channels, height, width = shape
        if height % self.scale or width % self.scale:
            raise UserError(f"layers of {height}×{width} cannot be downsampled by {self.scale}: crop them first.")
        noise = torch.randn(channels, height // self.scale, width // self.scale, generator=generator)
        return {**self.mixing.draw(generator, shape), "noise": self.sigma * noise}

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        image = self.mixing.forward(layers, parameters)
        return F.avg_pool2d(image, self.factor) + parameters["noise"]
