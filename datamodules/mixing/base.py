"""What every image-formation model is.

A model has three parts. ``draw`` picks one sample's parameters on the CPU from that sample's own
generator, so a sample does not depend on the device or on its neighbours. ``render`` makes the layers
from clean pictures (a reflection is blurred, rain is drawn) and ``forward`` blends them; both are
batched and run where the pictures are, without a look at their values from the host.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from datamodules.errors import UserError


class Mixing(ABC):
    """An image-formation model.

    Attributes:
        symmetric: True where exchanging two layers leaves the mixture unchanged (or as likely), so
            that their order cannot be told from it.
        scale: how many times larger a layer is than the mixture, along each side.
        fusion: ``product`` where the mixture is about the layers' product, ``sum`` where their sum over the gain.
        gamma: 1 where the layers' values blend, g where their values to the power of g do.
    """

    symmetric: bool = True
    scale: int = 1
    fusion: Literal["sum", "product"] = "sum"
    gamma: float = 1.0

    @property
    def name(self) -> str:
        """Name of the model, for tables and records."""
        return type(self).__name__.lower()

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        """Pick one sample's parameters.

        Args:
            generator: the sample's own generator.
            shape: (S, C, H, W) of the sample's sources.

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

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Make the layers, as they stand in the mixture, from clean pictures.

        Args:
            sources: (B, S, C, H, W) in [0, 1].
            parameters: what ``draw`` gave for each sample, stacked along a leading B.

        Returns:
            (B, K, C, H, W) layers in [0, 1].
        """
        return sources

    @abstractmethod
    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        """Blend layers.

        Args:
            layers: (B, K, C, H, W) in [0, 1].
            parameters: what ``draw`` gave for each sample, stacked along a leading B.

        Returns:
            (B, C, H / scale, W / scale) mixture.
        """


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform numbers in [low, high]."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def check_range(what: str, values: tuple[float, float], least: float, most: float) -> None:
    """Check the two ends of a range.

    Raises:
        UserError: they are not least ≤ low ≤ high ≤ most.
    """
    if not least <= values[0] <= values[1] <= most:
        raise UserError(f"{what} from {values[0]:g} to {values[1]:g}: it must be {least:g} <= low <= high <= {most:g}.")


def image_like(parameter: Tensor) -> Tensor:
    """(B,) numbers as (B, 1, 1, 1), to go with images."""
    return parameter.view(-1, 1, 1, 1)


def require_sources(what: str, shape: torch.Size, count: int) -> None:
    """Check how many pictures a model is given.

    Raises:
        UserError: another number.
    """
    if shape[0] != count:
        raise UserError(f"{what} takes {count} source pictures, not {shape[0]}: use Mean or Sum, or another data set.")
