"""A trivial row: every layer is an equal share of the mixture."""

from __future__ import annotations

from torch import Tensor

from datamodules.types import LayerSpec
from methods.base import MethodCard, SeparationMethod
from methods.networks.resize import enlarge


class HalfMixture(SeparationMethod):
    """Answers with half of the mixture for each of two layers, with 1/K for each of K.

    Args:
        spec: of the data.
    """

    card = MethodCard(title="Half of the mixture", paper="trivial", year=2026, supervision="none")

    def __init__(self, spec: LayerSpec | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers, self.scale = (len(spec["layers"]), spec["scale"]) if spec else (2, 1)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        share = enlarge(mixture, self.scale) / self.layers
        return share.unsqueeze(1).expand(-1, self.layers, -1, -1, -1)
