"""The scores of a test set, image by image. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.protocols import protocol as find
from benchmark.metrics.scales import PSNR_CAP


class Scores(NamedTuple):
    """What one method scored on N images with L scored layers, in the order of the images' indices.

    It is no dataclass: torchmetrics walks through what a metric computes, and refuses frozen ones.

    Attributes:
        protocols: full names; the first one is the task's own.
        assignment: (N, L) int8; layer j of image i is estimate ``assignment[i, j]``.
        values: protocol -> metric -> (N, L) float32. Under each protocol ``mse`` is of the images as that protocol
            compares them: of the luma under ``y@1``.
    """

    protocols: tuple[str, ...]
    assignment: NDArray[np.int8]
    values: dict[str, dict[str, NDArray[np.float32]]]

    @property
    def images(self) -> int:
        """Their number."""
        return len(self.assignment)

    @property
    def layers(self) -> int:
        """Number of scored layers."""
        return int(self.assignment.shape[1])

    def of(self, metric: str, protocol: str | None = None, layers: Sequence[int] | None = None) -> NDArray[np.float32]:
        """(N, L') scores of a metric.

        Args:
            metric: one of ``METRICS``.
            protocol: with or without its version; default the task's own.
            layers: which; default all.

        Raises:
            UserError: an unknown protocol.
            KeyError: these scores have none under this protocol.
        """
        values = self.values[self.protocols[0] if protocol is None else find(protocol).name][metric]
        return values if layers is None else values[:, list(layers)]

    def mean(self, metric: str, protocol: str | None = None, layers: Sequence[int] | None = None) -> float:
        """Mean over images and layers; the arguments are those of ``of``."""
        return float(_mean(self.of(metric, protocol, layers)))

    def layer_means(self, metric: str, protocol: str | None = None) -> list[float]:
        """Mean over images, layer by layer; the arguments are those of ``of``."""
        return [float(_mean(column)) for column in self.of(metric, protocol).T]

    def pooled_psnr(self, protocol: str | None = None, layers: Sequence[int] | None = None) -> float:
        """PSNR in dB of each layer's mean squared error over all images, averaged over the layers; at most 100.

        Much code reports it without saying so. It is lower than the mean of the images' PSNRs, since a few bad
        images weigh more. Each image counts alike, whatever its size and its mask. Under a
        channelwise protocol, too, it is of the error over all channels.

        Args:
            protocol: with or without its version; default the task's own.
            layers: which; default all.
        """
        errors = [float(_mean(column)) for column in self.of("mse", protocol, layers).T]
        return sum(PSNR_CAP if e <= 0 else min(PSNR_CAP, -10 * math.log10(e)) for e in errors) / len(errors)


def _mean(values: NDArray[np.float32]) -> Any:
    return np.ascontiguousarray(values).mean(dtype=np.float64)
