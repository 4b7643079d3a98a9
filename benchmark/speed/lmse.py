"""LMSE over pooled sums against a plain loop over windows: ``python -m benchmark.speed.lmse``."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmark.metrics import lmse, lmse_window


def lmse_loop(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    """LMSE of one image (C, H, W), window by window, as its definition reads; the oracle of the tests."""
    channels, height, width = truth.shape
    size, step = lmse_window(height, width)
    weight = np.ones((height, width)) if mask is None else mask[0].double().numpy()
    estimates, truths = estimate.double().numpy() * weight, truth.double().numpy() * weight
    error = energy = estimate_energy = 0.0
    for c in range(channels):
        for top in range(0, height - size + 1, step):
            for left in range(0, width - size + 1, step):
                part = (slice(top, top + size), slice(left, left + size))
                e, t = estimates[c][part], truths[c][part]
                ee = float((e * e).sum())
                scale = float((e * t).sum()) / ee if ee > 1e-5 else 0.0
                error += float(((t - scale * e) ** 2).sum())
                energy += float((t * t).sum())
                estimate_energy += ee
    if energy == 0:
        return 1.0 if estimate_energy > 1e-5 else 0.0
    return error / energy


def main() -> None:
    """Print both medians and their ratio on a 512×512 colour image."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 3, 512, 512, generator=generator)
    estimate = truth + 0.1 * torch.randn(1, 3, 512, 512, generator=generator)
    times: dict[str, list[float]] = {"pooled sums": [], "loop": []}
    for _ in range(7):  # by turns, so that a busy machine slows both
        for name in times:
            begin = time.perf_counter()
            lmse(estimate, truth) if name == "pooled sums" else lmse_loop(estimate[0], truth[0])
            times[name].append(time.perf_counter() - begin)
    for name, seconds in times.items():
        print(f"{name:12} {1000 * median(seconds):9.2f} ms")
    print(f"ratio        {median(times['loop']) / median(times['pooled sums']):9.1f}")


if __name__ == "__main__":
    main()
