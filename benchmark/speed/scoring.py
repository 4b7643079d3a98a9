"""What scoring one 512×512 image takes, in each protocol: ``python -m benchmark.speed.scoring``.

All four metrics of one layer in colour, with everything that scoring does besides. The measure is one pass of
scikit-image's PSNR and SSIM (Gaussian window, as in protocol ``rgb``) over the same image in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmark.metrics import PROTOCOLS
from benchmark.metrics.layer_scores import score_layers
from benchmark.speed.rows import Row, by_turns, quotients, row, show

SIDE, ROUNDS, SECONDS = 512, 9, 20.0


def main() -> list[Row]:
    """Milliseconds in each protocol, and in terms of the reference."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 1, 3, SIDE, SIDE, generator=generator)
    estimate = truth + 0.1 * torch.randn(truth.shape, generator=generator)
    mask = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    cases: dict[str, Callable[[], object]] = {
        name: partial(score_layers, estimate, truth, mask, [how], ordered=True) for name, how in PROTOCOLS.items()
    }
    one, other = (image[0, 0].movedim(0, -1).contiguous().numpy() for image in (truth, estimate.clamp(0, 1)))
    times = by_turns({**cases, "reference": partial(reference, one, other)}, ROUNDS, seconds=SECONDS)
    rows = [row(f"{SIDE}×{SIDE}, scikit-image's PSNR and SSIM", times["reference"], "ms")]
    for name in cases:
        rows.append(row(f"{SIDE}×{SIDE}, four metrics, protocol {name}", times[name], "ms"))
        rows.append(row("    of scikit-image's PSNR and SSIM", quotients(times[name], times["reference"])))
    return rows


def reference(truth: np.ndarray, estimate: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of (H, W, C) images by scikit-image."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "truncate": 3.5}
    ssim = structural_similarity(truth, estimate, data_range=1, channel_axis=-1, **options)  # type: ignore[no-untyped-call]
    psnr = peak_signal_noise_ratio(truth, estimate, data_range=1)  # type: ignore[no-untyped-call]
    return psnr, ssim


if __name__ == "__main__":
    show(main())
