"""Denoisers without training, batched and on the images' device: what regularisation by denoising asks for."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from kornia.filters import bilateral_blur, median_blur
from torch import Tensor

Denoiser = Callable[[Tensor], Tensor]
"""(N, C, H, W) in [0, 1] to the same, less noisy."""

SIGMA = 3 / 255
"""Standard deviation of the noise that BITS-Net's denoiser is told of, for a range of 1."""

_CUTOFF = 5.0
"""Distance beyond which a patch has no weight, as in scikit-image."""

_CHUNK = 2**17
"""Pixels, on the CPU, of so many channels as are denoised together: what a core's cache holds."""


def non_local_means(
    image: Tensor, patch: int = 5, reach: int = 6, h: float = 0.6 * SIGMA, sigma: float = SIGMA
) -> Tensor:
    """Mean of the pixels nearby, weighted by how much their surroundings look alike; channel by channel.

    The weight of a pixel at offset t is exp(−max(Σ (d² − 2σ²), 0) / (patch·h)²), where d are the differences of the
    patches around both, and 0 where the exponent is below −5. The image is mirrored at its border. As in
    scikit-image's fast mode the sum is over patch − 1 rows and columns, from half a patch less one before the
    pixel to half a patch after it.

    Args:
        image: (N, C, H, W).
        patch: side of the patches, odd.
        reach: largest offset along each axis.
        h: how fast weights fall with the distance.
        sigma: standard deviation of the noise.

    Returns:
        (N, C, H, W).

    Source: Buades, Coll & Morel, CVPR 2005; offsets and cut-off as scikit-image's ``denoise_nl_means`` with
        ``fast_mode=True``, which it equals to rounding.
    """
    planes = image.reshape(-1, *image.shape[-2:])
    if image.device.type != "cpu":
        return _non_local_means(planes, patch, reach, h, sigma).view_as(image)
    together = max(1, _CHUNK // planes[0].numel())
    parts = [_non_local_means(part, patch, reach, h, sigma) for part in torch.split(planes, together)]
    return torch.cat(parts).view_as(image)


def _non_local_means(planes: Tensor, patch: int, reach: int, h: float, sigma: float) -> Tensor:
    half = patch // 2
    height, width = planes.shape[-2:]
    margin = reach + half
    padded = F.pad(planes[:, None], (margin,) * 4, mode="reflect" if margin < min(height, width) else "replicate")[:, 0]
    inner = (slice(None), slice(margin, margin + height), slice(margin, margin + width))
    total, weights = planes.clone(), torch.ones_like(planes)  # the pixel itself
    scale = math.log2(math.e) / (patch * h) ** 2  # powers of 2: torch's exp is slow where it gives almost nothing
    bias, floor = 2 * (patch - 1) ** 2 * sigma**2 * scale, math.exp(-_CUTOFF)
    # An offset and its opposite share their distances: half of the offsets will do.
    for down in range(-reach, reach + 1):
        for right in range(0 if down > 0 else 1, reach + 1):
            # Pixels p whose weight for p + t is asked for: the image, and the image moved by −t.
            top, bottom = min(0, -down), height + max(0, -down)
            left, stop = -right, width
            rows = (margin + top - half + 1, margin + bottom + half)
            columns = (margin + left - half + 1, margin + stop + half)
            here = padded[:, rows[0] : rows[1], columns[0] : columns[1]]
            there = padded[:, rows[0] + down : rows[1] + down, columns[0] + right : columns[1] + right]
            difference = here - there
            distance = _box(difference.mul_(difference), patch - 1)
            weight = distance.mul_(-scale).add_(bias).clamp_(max=0).exp2_()
            weight = torch.threshold_(weight, floor, 0.0)
            forward = weight[:, -top : -top + height, right : right + width]
            backward = weight[:, -top - down : -top - down + height, :width]
            total.addcmul_(forward, _moved(padded, inner, down, right))
            total.addcmul_(backward, _moved(padded, inner, -down, -right))
            weights.add_(forward).add_(backward)
    return total.div_(weights)


def _moved(padded: Tensor, inner: tuple[slice, slice, slice], down: int, right: int) -> Tensor:
    _, rows, columns = inner
    return padded[:, rows.start + down : rows.stop + down, columns.start + right : columns.stop + right]


def _box(image: Tensor, size: int) -> Tensor:
    """Sums over windows of size × size, an even number, that lie in the image: pairs first, then pairs of pairs."""
    for axis in (-2, -1):
        pairs = image.narrow(axis, 0, image.shape[axis] - 1) + image.narrow(axis, 1, image.shape[axis] - 1)
        length = image.shape[axis] - size + 1
        image = pairs.narrow(axis, 0, length)
        for i in range(2, size, 2):
            image = image + pairs.narrow(axis, i, length)
    return image


def median(image: Tensor) -> Tensor:
    """Median of 3×3 pixels, channel by channel."""
    filtered: Tensor = median_blur(F.pad(image, (1, 1, 1, 1), mode="reflect"), 3)
    return filtered[..., 1:-1, 1:-1]


def bilateral(image: Tensor) -> Tensor:
    """Gaussian mean of 5×5 pixels that keeps edges; weights fall with the difference of colour, too."""
    filtered: Tensor = bilateral_blur(image, 5, 4 * SIGMA, (1.5, 1.5), border_type="reflect")
    return filtered


DENOISERS: dict[str, Denoiser] = {"nlm": non_local_means, "median": median, "bilateral": bilateral}
