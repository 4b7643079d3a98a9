"""A trivial row: every layer is the mixture itself."""

from __future__ import annotations

from torch import Tensor

from datamodules.types import LayerSpec
from methods.base import MethodCard, SeparationMethod
from methods.networks.resize import enlarge


class Identity(SeparationMethod):
    """Answers with the mixture, for every layer; what a method must beat to have done anything.

    Args:
        spec: of the data.
    """

    card = MethodCard(title="Identity", paper="trivial", year=2026, supervision="none")

    def __init__(self, spec: LayerSpec | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers, self.scale = (len(spec["layers"]), spec["scale"]) if spec else (2, 1)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return enlarge(mixture, self.scale).unsqueeze(1).expand(-1, self.layers, -1, -1, -1)
