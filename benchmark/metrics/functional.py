"""Metrics of single images: PSNR, SSIM, LMSE and mean squared error.

All take ``estimate`` and ``truth`` (B, C, H, W), layers in [0, 1], and give (B,) float32, one value for each image,
whatever else is in the batch. They compute in float32 or better, and want to be called outside autocast. Where
``mask`` is given, (B, 1, H, W) bool, only what is True counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

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
    return _decibel(*_prepare(estimate, truth, mask), over=(-3, -2, -1))


def psnr_per_channel(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the channels of each channel's PSNR in dB, each at most 100.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.

    Raises:
        UserError: unequal shapes, or a mask without a True.
    """
    return _decibel(*_prepare(estimate, truth, mask), over=(-2, -1)).mean(1)


def psnr_of_pairs(
    estimates: Tensor, truths: Tensor, mask: Tensor | None = None, *, channelwise: bool = False
) -> Tensor:
    """PSNR in dB of each estimate as each layer, to find out which is which.

    Args:
        estimates: (B, K, 1, C, H, W), or with K for the 1 where an estimate depends on the truth it is compared to.
        truths: (B, 1, K, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.
        channelwise: as ``psnr_per_channel``, not as ``psnr``.

    Returns:
        (B, K, K); entry [b, i, j] is that of estimate i with truth j.
    """
    some = None if mask is None else mask[:, None, None]
    values = _decibel(estimates, truths, some, over=(-2, -1) if channelwise else (-3, -2, -1))
    return values.mean(-1) if channelwise else values


def ssim(estimate: Tensor, truth: Tensor, mask: Tensor | None = None, window: Window = "gaussian") -> Tensor:
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
    return ssim_by_window(estimate, truth, mask, (window,))[window]


def ssim_by_window(
    estimate: Tensor, truth: Tensor, mask: Tensor | None = None, windows: Sequence[Window] = ("gaussian", "uniform")
) -> dict[Window, Tensor]:
    """``ssim`` with several windows, which share what does not depend on the window.

    The windows' means are weighted sums of moved copies, first along columns, then along rows, in float64: on a CPU a
    fraction of what torch's convolution takes. Images go through in pieces that stay in the processor's cache.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored; default everywhere.
        windows: which.

    Returns:
        window -> (B,).

    Raises:
        UserError: as ``ssim``.
    """
    estimate, truth, mask = _prepare(estimate, truth, mask)
    sizes = {"gaussian": 11, "uniform": 7}
    for window in windows:
        if window not in sizes:
            raise UserError(f"unknown SSIM window {window!r}: there are {' and '.join(sizes)}.")
        _require_size(truth, sizes[window], "SSIM")
    batch, channels, height, width = truth.shape
    flat = estimate.flatten(0, 1), truth.flatten(0, 1)
    scored = None if mask is None else mask.expand_as(truth).flatten(0, 1)
    totals = {window: truth.new_zeros(batch * channels, dtype=torch.float64) for window in windows}
    margin = max(sizes[window] // 2 for window in windows)
    for some, top, bottom in _pieces(batch * channels, height, width, truth.device):
        above, below = max(top - margin, 0), min(bottom + margin, height)
        sums = _sums(*(image[some, above:below].double() for image in flat))
        for window in windows:
            border = sizes[window] // 2
            first, last = max(top, border), min(bottom, height - border)
            if first >= last:
                continue
            similarity = _similarity(sums[:, :, first - border - above : last + border - above], window, sizes[window])
            if scored is not None:
                similarity *= scored[some, first:last, border : width - border]
            totals[window][some].add_(similarity.sum((1, 2)))
    means = {}
    for window, total in totals.items():
        border = sizes[window] // 2
        count = torch.tensor((height - 2 * border) * (width - 2 * border), device=truth.device)
        if mask is not None:
            count = mask[..., border : height - border, border : width - border].sum((1, 2, 3))
            if not count.all():
                raise UserError(
                    f"an image's mask has no True {border} pixels from the edge: SSIM has nothing to average."
                )
        means[window] = (total.view(batch, channels).sum(1) / (count * channels)).float()
    return means


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

    products = truth.new_empty(3, *truth.shape)
    for product, (one, other) in zip(products, ((estimate, estimate), (estimate, truth), (truth, truth)), strict=True):
        torch.mul(one, other, out=product)
    # Windows overlap by half or more: sum blocks of one step each, then windows of blocks.
    blocks = products.reshape(*products.shape[:3], rows // step, step, columns).sum(-2)
    blocks = blocks.reshape(*blocks.shape[:4], columns // step, step).sum(-1, dtype=torch.float64)
    sums = F.avg_pool2d(blocks.flatten(0, 1), size // step, 1) * (size // step) ** 2
    ee, et, tt = sums = sums.view(*blocks.shape[:3], *sums.shape[-2:])
    scale = torch.where(ee > 1e-5, et / ee.clamp_min(1e-5), 0)
    # Σ (t − s·e)² = tt − 2s·et + s²·ee; rounding must not make it negative.
    error = (tt - scale * (2 * et - scale * ee)).clamp_min(0).sum((1, 2, 3))
    of_estimate, _, energy = sums.sum((2, 3, 4))
    without_truth = (of_estimate > 1e-5).to(energy)
    return torch.where(energy > 0, error / energy.clamp_min(1e-300), without_truth).float()


def luma(image: Tensor) -> Tensor:
    """Luma of the limited range, as MATLAB's ``rgb2ycbcr``: black is 16/255, white 235/255.

    Args:
        image: (..., 3, H, W) in [0, 1]; a grey (..., 1, H, W) counts as three equal channels.

    Returns:
        (..., 1, H, W) in [16/255, 235/255].

    Source: ITU-R BT.601.
    """
    image = image.to(torch.promote_types(image.dtype, torch.float32))
    weights = torch.tensor([65.481, 128.553, 24.966], device=image.device, dtype=image.dtype).view(3, 1, 1)
    return (16 + (weights * image).sum(-3, keepdim=True)) / 255


def fit_scale(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """An estimate times the one number that brings it nearest to the truth; 0 where it has no energy.

    Args:
        estimate: (..., C, H, W).
        truth: (..., C, H, W), leading dimensions that broadcast with the estimate's.
        mask: (..., 1, H, W) bool, True where scored; default everywhere.

    Returns:
        (..., C, H, W).

    Source: Grosse et al. 2009, Eq. 3.
    """
    estimate, truth = estimate.float(), truth.float()
    weight = 1.0 if mask is None else mask
    energy = (estimate * estimate * weight).sum((-3, -2, -1), keepdim=True, dtype=torch.float64)
    agreement = (estimate * truth * weight).sum((-3, -2, -1), keepdim=True, dtype=torch.float64)
    return estimate * torch.where(energy > 1e-5, agreement / energy.clamp_min(1e-5), 0).float()


def _pieces(images: int, height: int, width: int, device: torch.device) -> Iterator[tuple[slice, int, int]]:
    """Images and rows that are worked on at once; which rows does not depend on how many images there are."""
    pixels = 2**16 if device.type == "cpu" else 2**24  # a GPU would rather have few large pieces
    rows = max(1, pixels // width)
    together = max(1, pixels // (height * width))
    for first in range(0, images, together):
        for top in range(0, height, rows):
            yield slice(first, min(first + together, images)), top, min(top + rows, height)


def _sums(estimate: Tensor, truth: Tensor) -> Tensor:
    """(4, N, H, W): e + t, e − t and their squares; all that SSIM needs of two images are these one's means."""
    sums = estimate.new_empty(4, *estimate.shape)
    torch.add(estimate, truth, out=sums[0])
    torch.sub(estimate, truth, out=sums[1])
    torch.mul(sums[:2], sums[:2], out=sums[2:])
    return sums


def _similarity(sums: Tensor, window: Window, size: int) -> Tensor:
    """(N, H', W') SSIM at each pixel whose window lies in the image.

    With s = e + t and d = e − t: 4 μe μt = μs² − μd² and 2 (μe² + μt²) = μs² + μd²; the same holds for covariance and
    variances. Each factor of Eq. 13 stands here times 2.
    """
    means = _window_means(sums, _line(window, size))
    means[:2].square_()
    means[2:].sub_(means[:2])
    if window == "uniform":  # sample covariance
        means[2:].mul_(size**2 / (size**2 - 1))
    mean_s, mean_d, var_s, var_d = means
    mean_s.add_(2 * 0.01**2)
    var_s.add_(2 * 0.03**2)
    similarity: Tensor = (mean_s - mean_d).mul_(var_s - var_d)
    similarity.div_(mean_s.add_(mean_d).mul_(var_s.add_(var_d)))
    return similarity[..., : sums.shape[-1] - size + 1]


@cache
def _line(window: Window, size: int) -> list[float]:
    """One axis of a window; the window is its product with itself."""
    if window == "uniform":
        return [1 / size] * size
    weights = [math.exp(-0.5 * (place - size // 2) ** 2 / 1.5**2) for place in range(size)]
    return [weight / sum(weights) for weight in weights]


def _window_means(images: Tensor, line: list[float]) -> Tensor:
    """(..., H, W) -> (..., H', W), the weighted means over the windows that fit; of each row only the first W' are so.

    Rows are not cut to W' in between: images then stay whole runs of memory, which are moved as one.
    """
    count = images.shape[-2] - len(line) + 1
    columns = images.narrow(-2, 0, count) * line[0]
    for place, weight in enumerate(line[1:], start=1):
        columns.add_(images.narrow(-2, place, count), alpha=weight)
    means, flat = columns * line[0], columns.view(-1)
    inner = means.view(-1)[: len(flat) - len(line) + 1]
    for place, weight in enumerate(line[1:], start=1):
        inner.add_(flat[place : place + len(inner)], alpha=weight)
    return means


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
        share = mask.double().mean((-3, -2, -1))
        value = value + 10 * share.log10().view(*share.shape, *(1,) * (value.ndim - share.ndim))
    return value.clamp_max(PSNR_CAP).float()


def _require_size(image: Tensor, size: int, what: str) -> None:
    height, width = image.shape[-2:]
    if min(height, width) < size:
        raise UserError(
            f"{what} needs images of at least {size}×{size} pixels, this one has {height}×{width}: leave it out."
        )


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
