"""How estimated layers are judged: metrics, protocols, and scores for each image.

This package knows neither methods nor data sets. What is named here needs no torch, so that tables and the command
line may import it; the metrics themselves are in ``functional``, the class that gathers them over a test set in
``layer_scores``.
"""

from benchmark.metrics.protocols import PROTOCOLS, Protocol, lmse_window, protocol, stored_for
from benchmark.metrics.scales import METRICS, PSNR_CAP, SCALES, Scale
from benchmark.metrics.scores import Scores

__all__ = [
    "METRICS", "PROTOCOLS", "PSNR_CAP", "SCALES", "VERSION",
    "Protocol", "Scale", "Scores", "lmse_window", "protocol", "stored_for",
]  # fmt: skip

VERSION = 1
"""Of the metrics: raised when a change moves scores by more than rounding does."""
