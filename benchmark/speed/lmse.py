"""LMSE over pooled sums against a plain loop over windows: ``python -m benchmark.speed.lmse``."""

from __future__ import annotations

from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmark.metrics import lmse_window
from benchmark.metrics.functional import lmse
from benchmark.speed.rows import Row, by_turns, number, quotients, row, show

ROUNDS = 15


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


def main() -> list[Row]:
    """Of a 512×512 colour image."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 3, 512, 512, generator=generator)
    estimate = truth + 0.1 * torch.randn(1, 3, 512, 512, generator=generator)
    times = by_turns({"sums": lambda: lmse(estimate, truth), "loop": lambda: lmse_loop(estimate[0], truth[0])}, ROUNDS)
    note = f"{number(median(times['loop']))} ms, {number(median(times['sums']))} ms"
    ratios = quotients(times["loop"], times["sums"])
    return [row("512×512, loop over windows / pooled sums", ratios, note=note, at_least=50)]


if __name__ == "__main__":
    show(main())
