"""docs/protocols.md shows on one picture how far the conventions lie apart; its table is computed here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from skimage import data
from skimage.filters import gaussian
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from benchmark.metrics import PROTOCOLS, functional, protocol, stored_for
from benchmark.metrics.layer_scores import LayerScores, score_layers

PAGE = Path(__file__).resolve().parents[3] / "docs" / "protocols.md"


def pictures(strength: float = 1.0) -> tuple[Tensor, Tensor]:
    """(1, 3, 400, 600) twice: a blurred, brighter, noisy estimate that leaves [0, 1], and the photograph."""
    truth = data.coffee() / 255
    noise = np.random.default_rng(0).standard_normal(truth.shape)
    estimate = 1.05 * gaussian(truth, sigma=1, channel_axis=2) + 0.025 * strength * noise
    tensors = (torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] for image in (estimate, truth))
    return tuple(tensors)  # type: ignore[return-value]


def by_protocol(name: str) -> tuple[float, float]:
    """PSNR and SSIM."""
    estimate, truth = (image[:, None] for image in pictures())
    mask = torch.ones(1, 1, *truth.shape[-2:], dtype=torch.bool)
    _, values = score_layers(estimate, truth, mask, [protocol(name)], ordered=True)
    return float(values[0, 0, 0, 0]), float(values[0, 0, 1, 0])


def quarters() -> tuple[float, float]:
    """Mean of the PSNRs of the picture's quarters, the noise four times as strong in the last; PSNR of their error."""
    height, width = 200, 300
    scores = LayerScores(["rgb"], ordered=True)
    for k in range(4):
        top, left = k // 2 * height, k % 2 * width
        cut = (image[:, None, :, top : top + height, left : left + width] for image in pictures(4 if k == 3 else 1))
        scores.update(*cut, torch.ones(1, 1, height, width, dtype=torch.bool), torch.tensor([k]))
    found = scores.compute()
    return found.mean("psnr"), found.pooled_psnr()


@cache
def rows() -> dict[str, tuple[float, float | None]]:
    """Convention -> PSNR, SSIM, as the page has them."""
    raw, truth = pictures()
    estimate = raw.clamp(0, 1)
    rounded = (255 * estimate).round() / 255
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    full = [(weights * image).sum(1, keepdim=True) for image in (estimate, truth)]
    padded = structural_similarity_index_measure(estimate.double(), truth.double(), data_range=1.0)
    mean, pooled = quarters()
    return {
        **{f"`{name}`": by_protocol(name) for name in ("rgb@1", "rgb-uniform@1", "y@1", "y-uniform@1")},
        "luma over the full range": (float(functional.psnr(*full)), float(functional.ssim(*full))),
        "not clipped": (float(functional.psnr(raw, truth)), float(functional.ssim(raw, truth))),
        "rounded to 8 bits": (float(functional.psnr(rounded, truth)), float(functional.ssim(rounded, truth))),
        "with the border": (float(functional.psnr(estimate, truth)), float(padded)),
        "four images, mean of their PSNRs": (mean, None),
        "four images, PSNR of the pooled error": (pooled, None),
    }


def test_the_page_has_the_numbers() -> None:
    text = PAGE.read_text().partition("## One picture")[2]
    for what, (psnr, ssim) in rows().items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {what}"))
        _, _, *cells, _ = (cell.strip() for cell in line.split("|"))
        assert cells[-2:] == [f"{psnr:.2f}", "" if ssim is None else f"{ssim:.4f}"], what


def test_every_protocol_is_on_the_page() -> None:
    text = PAGE.read_text()
    for name in PROTOCOLS:
        assert f"\n| `{name}` | " in text
    for own, channels in (("rgb", 3), ("rgb", 1), ("intrinsic", 3)):
        assert all(f"`{name}`" in text for name in stored_for(own, channels))


def test_what_the_page_concludes_is_so() -> None:
    found = rows()
    (rgb, rgb_ssim), (luma, luma_ssim) = found["`rgb@1`"], found["`y@1`"]
    assert rgb_ssim is not None
    assert luma_ssim is not None
    assert f"{luma - rgb:.1f} dB and {luma_ssim - rgb_ssim:.2f} of SSIM lie between" in PAGE.read_text()
    assert f"{luma - found['luma over the full range'][0]:.2f} dB" == "1.32 dB"
    assert f"is worth {(found['`rgb-uniform@1`'][1] or 0) - rgb_ssim:.3f}" in PAGE.read_text()
