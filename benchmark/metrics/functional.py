"""Metrics of single images: PSNR, SSIM, LMSE and mean squared error.

All take ``estimate`` and ``truth`` (B, C, H, W), layers in [0, 1], and give (B,) float32, one value for each image,
whatever else is in the batch. They compute in float32 or better, and want to be called outside autocast. Where
``mask`` is given, (B, 1, H, W) bool, only what is True counts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from benchmark.errors import UserError
from benchmark.metrics.protocols import Window, lmse_window
from benchmark.metrics.scales import PSNR_CAP


def mse(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error over all channels and scored pixels.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Raises:
        UserError: unequal shapes, or a mask without a True.
    """
    estimate, truth, mask = _prepare(estimate, truth, mask)
    error = (estimate - truth) ** 2
    if mask is None:
        return error.mean((1, 2, 3), dtype=torch.float64).float()
    scored = mask.sum((1, 2, 3)) * truth.shape[1]
    return ((error * mask).sum((1, 2, 3), dtype=torch.float64) / scored).float()


def psnr(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB for a range of 1, from the image's error over all channels; at most 100.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Raises:
        UserError: unequal shapes, or a mask without a True.
    """
    return _decibel(*_prepare(estimate, truth, mask), over=(1, 2, 3))


def psnr_per_channel(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the channels of each channel's PSNR in dB, each at most 100.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Raises:
        UserError: unequal shapes, or a mask without a True.
    """
    return _decibel(*_prepare(estimate, truth, mask), over=(2, 3)).mean(1)


def ssim(
    estimate: Tensor,
    truth: Tensor,
    mask: Tensor | None = None,
    window: Window = "gaussian",
) -> Tensor:
    """Structural similarity for a range of 1, per channel then averaged; 1 is best.

    ``gaussian``: 11×11, σ 1.5, population covariance. ``uniform``: 7×7, sample covariance. Both are
    averaged over the pixels whose whole window lies in the image, and of these over the scored ones.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.
        window: see above.

    Raises:
        UserError: unequal shapes, an image smaller than the window, or a mask without a True so far inside.

    Source: Wang et al. 2004, Sec. III.B, Eq. 13; K1 = 0.01, K2 = 0.03. Window conventions and the
        border that is left out: as scikit-image's ``structural_similarity``.
    """
    estimate, truth, mask = _prepare(estimate, truth, mask)
    sizes = {"gaussian": 11, "uniform": 7}
    if window not in sizes:
        raise UserError(f"unknown SSIM window {window!r}: there are {' and '.join(sizes)}.")
    size = sizes[window]
    _require_size(truth, size, "SSIM")
    if window == "gaussian":
        line = torch.exp(
            -0.5 * (torch.arange(size, dtype=torch.float64, device=truth.device) - size // 2) ** 2 / 1.5**2
        )
        line = line / line.sum()
        correction = 1.0
    else:
        line = torch.full((size,), 1 / size, dtype=torch.float64, device=truth.device)
        correction = size**2 / (size**2 - 1)
    average = _Window(line)
    estimate, truth = estimate.double(), truth.double()  # differences of squares lose digits
    mean_e, mean_t = average(estimate), average(truth)
    var_e = correction * (average(estimate * estimate) - mean_e**2)
    var_t = correction * (average(truth * truth) - mean_t**2)
    covariance = correction * (average(estimate * truth) - mean_e * mean_t)
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_e * mean_t + c1) * (2 * covariance + c2)) / (
        (mean_e**2 + mean_t**2 + c1) * (var_e + var_t + c2)
    )
    if mask is None:
        return similarity.mean((1, 2, 3)).float()
    border = size // 2
    inner = mask[..., border : mask.shape[-2] - border, border : mask.shape[-1] - border]
    if not inner.flatten(1).any(1).all():
        raise UserError(f"an image's mask has no True {border} pixels from the edge: SSIM has nothing to average.")
    return ((similarity * inner).sum((1, 2, 3)) / (inner.sum((1, 2, 3)) * truth.shape[1])).float()


def lmse(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Local mean squared error: each window's estimate is scaled to fit; 0 is best, 1 is an empty estimate.

    Windows of 20×20 at step 10 that fit entirely (8×8 at step 4 where the shorter side is below 40).
    Each channel has its own windows and scales; the squared errors of all are summed and divided by
    the truth's energy in the same windows. A window whose estimate has no energy (≤ 1e-5) has scale
    0. A truth without energy scores 0 if the estimate has none either, else 1.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Raises:
        UserError: unequal shapes, an image smaller than the window, or a mask without a True.

    Source: Grosse et al. 2009, Sec. 5.1, Eq. 4 to 6, and the authors' evaluation code for the windows.
    """
    estimate, truth, mask = _prepare(estimate, truth, mask)
    height, width = truth.shape[-2:]
    size, step = lmse_window(height, width)
    _require_size(truth, size, "LMSE")
    rows, columns = ((side - size) // step * step + size for side in (height, width))
    estimate, truth = estimate[..., :rows, :columns], truth[..., :rows, :columns]
    if mask is not None:
        estimate, truth = estimate * mask[..., :rows, :columns], truth * mask[..., :rows, :columns]

    def windows(product: Tensor) -> Tensor:
        # Windows overlap by half or more: sum blocks of one step each, then windows of blocks.
        blocks = product.reshape(*product.shape[:2], rows // step, step, columns).sum(-2)
        blocks = blocks.reshape(*blocks.shape[:3], columns // step, step).sum(-1, dtype=torch.float64)
        return F.avg_pool2d(blocks, size // step, 1) * (size // step) ** 2

    ee, et, tt = windows(estimate * estimate), windows(estimate * truth), windows(truth * truth)
    scale = torch.where(ee > 1e-5, et / ee.clamp_min(1e-5), 0)
    # Σ (t − s·e)² = tt − 2s·et + s²·ee; rounding must not make it negative.
    error = (tt - 2 * scale * et + scale * scale * ee).clamp_min(0).sum((1, 2, 3))
    energy = tt.sum((1, 2, 3))
    without_truth = (ee.sum((1, 2, 3)) > 1e-5).to(energy)
    return torch.where(energy > 0, error / energy.clamp_min(1e-300), without_truth).float()


def luma(image: Tensor) -> Tensor:
    """Luma of the limited range, as MATLAB's ``rgb2ycbcr``: black is 16/255, white 235/255.

    Args:
        image: (B, 3, H, W) in [0, 1]; a grey (B, 1, H, W) counts as three equal channels.

    Returns:
        (B, 1, H, W) in [16/255, 235/255].

    Source: ITU-R BT.601.
    """
    image = image.to(torch.promote_types(image.dtype, torch.float32))
    weights = torch.tensor([65.481, 128.553, 24.966], device=image.device, dtype=image.dtype).view(1, 3, 1, 1)
    return (16 + (weights * image.expand(-1, 3, -1, -1)).sum(1, keepdim=True)) / 255


def fit_scale(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """An estimate times the one number that brings it nearest to the truth; 0 where it has no energy.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Returns:
        (B, C, H, W).

    Source: Grosse et al. 2009, Eq. 3.
    """
    estimate, truth = estimate.float(), truth.float()
    weight = 1.0 if mask is None else mask
    energy = (estimate * estimate * weight).sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    agreement = (estimate * truth * weight).sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    return estimate * torch.where(energy > 1e-5, agreement / energy.clamp_min(1e-5), 0).float()


class _Window:
    """Weighted mean over the windows that lie in the image, one axis after the other."""

    def __init__(self, line: Tensor) -> None:
        self.line = line

    def __call__(self, image: Tensor) -> Tensor:
        batch, channels, height, width = image.shape
        flat = image.reshape(batch * channels, 1, height, width)
        flat = F.conv2d(F.conv2d(flat, self.line.view(1, 1, -1, 1)), self.line.view(1, 1, 1, -1))
        return flat.view(batch, channels, *flat.shape[-2:])


def _prepare(estimate: Tensor, truth: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Both images as float32, and a mask that has something to score."""
    if estimate.shape != truth.shape or truth.ndim != 4:
        raise UserError(f"estimate {_shape(estimate)} and truth {_shape(truth)}: both must be the same (B, C, H, W).")
    if mask is not None and not mask.flatten(1).any(1).all():
        raise UserError("an image's mask has no True: nothing of it is scored; leave the image out.")
    return estimate.float(), truth.float(), None if mask is None or bool(mask.all()) else mask


def _decibel(estimate: Tensor, truth: Tensor, mask: Tensor | None, over: tuple[int, ...]) -> Tensor:
    """PSNR in dB over some dimensions, at most 100.

    torchmetrics knows no mask: what is left out gets no error, and then its share of the pixels is taken out.
    """
    estimate, truth = estimate.double(), truth.double()  # float32 sums of a large image lose digits
    if mask is not None:
        estimate, truth = estimate * mask, truth * mask
    value = peak_signal_noise_ratio(estimate, truth, data_range=1.0, reduction="none", dim=over)
    if mask is not None:
        share = mask.double().mean((1, 2, 3))
        value = value + 10 * share.log10().view(-1, *(1,) * (value.ndim - 1))
    return value.clamp_max(PSNR_CAP).float()


def _require_size(image: Tensor, size: int, what: str) -> None:
    height, width = image.shape[-2:]
    if min(height, width) < size:
        raise UserError(
            f"{what} needs images of at least {size}×{size} pixels, this one has {height}×{width}: leave it out."
        )


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
