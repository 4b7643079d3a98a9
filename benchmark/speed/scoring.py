"""What scoring takes, in each protocol: ``python -m benchmark.speed.scoring``.

All four metrics of one layer in colour, 512×512, with everything that scoring does besides. The measure is one pass of
scikit-image's PSNR and SSIM (Gaussian window, as in protocol ``rgb``) over the same image in float32. Then pairs of
small images without an order, in batches, as MNIST's 5,000 test pairs come.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmark.metrics import PROTOCOLS, protocol, stored_for
from benchmark.metrics.layer_scores import LayerScores, score_layers
from benchmark.results.provenance import processor
from benchmark.speed.rows import Row, by_turns, quotients, row, show

SIDE, ROUNDS, SECONDS = 512, 9, 20.0
PAIRS, BATCH = 5000, 16


def main() -> list[Row]:
    """Milliseconds in each protocol and in all together, and in terms of the reference; seconds of small pairs."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 1, 3, SIDE, SIDE, generator=generator)
    estimate = truth + 0.1 * torch.randn(truth.shape, generator=generator)
    mask = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    sets = {f"protocol {name}": [how] for name, how in PROTOCOLS.items()}
    sets["all protocols of a picture"] = [protocol(name) for name in stored_for("rgb", 3)]
    cases: dict[str, Callable[[], object]] = {
        name: partial(score_layers, estimate, truth, mask, protocols, ordered=True) for name, protocols in sets.items()
    }
    one, other = (image[0, 0].movedim(0, -1).contiguous().numpy() for image in (truth, estimate.clamp(0, 1)))
    times = by_turns({**cases, "reference": partial(reference, one, other)}, ROUNDS, seconds=SECONDS)
    rows = [row(f"{SIDE}×{SIDE}, scikit-image's PSNR and SSIM", times["reference"], "ms")]
    for name in cases:
        rows.append(row(f"{SIDE}×{SIDE}, four metrics, {name}", times[name], "ms"))
        target = 1.5 if name == "protocol rgb@1" else None
        ratios = quotients(times[name], times["reference"])
        rows.append(row("    of scikit-image's PSNR and SSIM", ratios, at_most=target, note=processor()))
    return rows + small_pairs(generator)


def small_pairs(generator: torch.Generator) -> list[Row]:
    """Seconds for 5,000 pairs of 28×28, two layers without an order."""
    layers = torch.rand(PAIRS, 2, 1, 28, 28, generator=generator)
    estimates = layers.flip(1) + 0.1 * torch.randn(layers.shape, generator=generator)
    mask = torch.ones(PAIRS, 1, 28, 28, dtype=torch.bool)

    def case(protocols: tuple[str, ...]) -> None:
        scores = LayerScores(protocols, ordered=False, expected=PAIRS)
        for chunk in torch.arange(PAIRS).split(BATCH):  # type: ignore[no-untyped-call]
            scores.update(estimates[chunk], layers[chunk], mask[chunk], chunk)
        scores.compute()

    cases = {"protocol rgb@1": ("rgb",), "all protocols of a grey picture": stored_for("rgb", 1)}
    times = by_turns({name: partial(case, protocols) for name, protocols in cases.items()}, 5, seconds=SECONDS)
    what = f"{PAIRS} pairs of 28×28 in batches of {BATCH}, four metrics"
    return [row(f"{what}, {name}", [t / 1000 for t in times[name]], "s", note=processor()) for name in cases]


def reference(truth: np.ndarray, estimate: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of (H, W, C) images by scikit-image."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "truncate": 3.5}
    ssim = structural_similarity(truth, estimate, data_range=1, channel_axis=-1, **options)  # type: ignore[no-untyped-call]
    psnr = peak_signal_noise_ratio(truth, estimate, data_range=1)  # type: ignore[no-untyped-call]
    return psnr, ssim


if __name__ == "__main__":
    show(main())
