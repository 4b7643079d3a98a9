"""How estimated layers are judged: per-image scores, protocols, and the assignment of layers.

All functions take ``estimate`` and ``truth`` (B, C, H, W), layers in [0, 1], and return (B,) float32,
one value per image. They compute in float32 or better, outside autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import UserError
from methods.losses.permutation import best_assignment

PSNR_CAP = 100.0
"""dB of a perfect image, whose error is zero."""

Metric = Callable[[Tensor, Tensor, Tensor], Tensor]


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
    """Peak signal-to-noise ratio in dB for a range of 1, from the image's error over all channels; at most 100."""
    return _decibel(mse(estimate, truth, mask))


def psnr_per_channel(estimate: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the channels of each channel's PSNR in dB; at most 100."""
    channels = truth.shape[1]
    values = [psnr(estimate[:, c : c + 1], truth[:, c : c + 1], mask) for c in range(channels)]
    return torch.stack(values).mean(0)


def ssim(
    estimate: Tensor,
    truth: Tensor,
    mask: Tensor | None = None,
    window: Literal["gaussian", "uniform"] = "gaussian",
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


def lmse_window(height: int, width: int) -> tuple[int, int]:
    """Side and step of the LMSE windows for an image of this size."""
    return (8, 4) if min(height, width) < 40 else (20, 10)


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


def luma_bt601(image: Tensor) -> Tensor:
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


def fit_scale(estimate: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """An estimate times the one number that brings it nearest to the truth; 0 where it has no energy.

    Args:
        estimate: (B, C, H, W).
        truth: (B, C, H, W).
        mask: (B, 1, H, W) bool, True where scored.

    Returns:
        (B, C, H, W).

    Source: Grosse et al. 2009, Eq. 3.
    """
    estimate, truth = estimate.float(), truth.float()
    energy = (estimate * estimate * mask).sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    agreement = (estimate * truth * mask).sum((1, 2, 3), keepdim=True, dtype=torch.float64)
    return estimate * torch.where(energy > 1e-5, agreement / energy.clamp_min(1e-5), 0).float()


@dataclass(frozen=True)
class Protocol:
    """How a field computes its scores; each function takes estimate, truth and mask.

    Attributes:
        prepare: gives estimate and truth as they are scored.
        psnr: of prepared images.
        ssim: of prepared images.
        lmse: of prepared images.
        ceiling: estimates are clipped to this before anything else.
    """

    prepare: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    psnr: Metric
    ssim: Metric
    lmse: Metric = lmse
    ceiling: float = 1.0


def _unchanged(estimate: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return estimate, truth


def _luma(estimate: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return luma_bt601(estimate), luma_bt601(truth)


def _scaled(estimate: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return fit_scale(estimate, truth, mask), truth


def _ssim_uniform(estimate: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    return ssim(estimate, truth, mask, "uniform")


def _lmse_grey(estimate: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    return lmse(estimate.mean(1, keepdim=True), truth.mean(1, keepdim=True), mask)


PROTOCOLS = {
    "rgb": Protocol(_unchanged, psnr, ssim),
    "rgb-uniform": Protocol(_unchanged, psnr_per_channel, _ssim_uniform),
    "y": Protocol(_luma, psnr, ssim),
    # An estimate known up to a scale may pass 1 before it is scaled.
    "intrinsic": Protocol(_scaled, psnr, ssim, _lmse_grey, ceiling=float("inf")),
}


def protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        UserError: there is none of this name.
    """
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol {name!r}: there are {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def protocol_name(name: str, height: int, width: int) -> str:
    """A protocol's name for tables, with the LMSE window where images are small."""
    size, step = lmse_window(height, width)
    return name if size == 20 else f"{name}, LMSE windows {size}×{size} at step {step}"


def score(
    estimates: Tensor, layers: Tensor, mask: Tensor, *, protocol_name: str, ordered: bool
) -> list[dict[str, Any]]:
    """Score the estimated layers of a batch, image by image.

    Estimates are clipped to [0, 1] first, as saving an image would (``intrinsic``: to [0, ∞), since
    each is scaled to fit its truth). Where the layers have no order,
    the permutation with the best mean PSNR serves all metrics of an image.

    Args:
        estimates: (B, K', C, H, W), the first K' layers.
        layers: (B, K, C, H, W) in [0, 1], K ≥ K'.
        mask: (B, 1, H, W) bool, True where scored.
        protocol_name: of one of ``PROTOCOLS``.
        ordered: whether estimate k is for layer k.

    Returns:
        For each image ``assignment`` (layer j is estimate ``assignment[j]``), ``psnr`` (dB), ``ssim``,
        ``lmse`` and ``mse``, each a list over the layers.

    Raises:
        UserError: estimates that are not finite or have the wrong shape, or images too small.
    """
    if not torch.isfinite(estimates).all():
        bad = int((~torch.isfinite(estimates)).sum())
        raise UserError(
            f"the method gave {bad} of {estimates.numel()} values that are not finite: mend its separate()."
        )
    count = estimates.shape[1]
    if (len(estimates), *estimates.shape[2:]) != (len(layers), *layers.shape[2:]) or count > layers.shape[1]:
        raise UserError(f"the method gave layers of shape {_shape(estimates)}, the truth has {_shape(layers)}.")
    if not ordered and count != layers.shape[1]:
        raise UserError(f"layers without an order need one estimate each: {layers.shape[1]}, not {count}.")
    if layers.device.type == "mps":  # Apple's GPUs have no float64
        estimates, layers, mask = estimates.cpu(), layers.cpu(), mask.cpu()
    how = protocol(protocol_name)
    with torch.autocast(layers.device.type, enabled=False):
        estimates, layers = estimates.float().clamp(0, how.ceiling), layers[:, :count].float()
        order = torch.arange(count, device=layers.device).expand(len(layers), -1)
        if not ordered:
            pairs = [
                [how.psnr(*how.prepare(estimate, truth, mask), mask) for truth in layers.unbind(1)]
                for estimate in estimates.unbind(1)
            ]
            order = best_assignment(-torch.stack([torch.stack(row, 1) for row in pairs], 1))[0]
        index = order.view(*order.shape, 1, 1, 1).expand_as(layers)
        assigned = estimates.gather(1, index)
        judged = [how.prepare(e, t, mask) for e, t in zip(assigned.unbind(1), layers.unbind(1), strict=True)]
        metrics = {"psnr": how.psnr, "ssim": how.ssim, "lmse": how.lmse, "mse": mse}
        values = {
            name: torch.stack([metric(e, t, mask) for e, t in judged], 1).tolist() for name, metric in metrics.items()
        }
    rows = [{"assignment": order[b].tolist()} for b in range(len(layers))]
    return [{**row, **{name: value[b] for name, value in values.items()}} for b, row in enumerate(rows)]


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


def _decibel(error: Tensor) -> Tensor:
    return (-10 * error.clamp_min(1e-30).log10()).clamp_max(PSNR_CAP)


def _require_size(image: Tensor, size: int, what: str) -> None:
    height, width = image.shape[-2:]
    if min(height, width) < size:
        raise UserError(
            f"{what} needs images of at least {size}×{size} pixels, this one has {height}×{width}: leave it out."
        )


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
