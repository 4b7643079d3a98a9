"""An edge-aware filter along rows and columns, with a slope for what is filtered and for the edges."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def domain_transform(
    image: Tensor, edges: Tensor, spatial: float = 30.0, range_: float = 0.25, iterations: int = 5
) -> Tensor:
    """Recursive filter of the domain transform: what lies behind an edge does not count.

    Args:
        image: (B, C, H, W).
        edges: (B, 1, H, W), not negative: the height of the step from the pixel before, along rows and columns.
        spatial: σ_s, reach of the filter in pixels.
        range_: σ_r, height of a step that stops it.
        iterations: each goes along the rows and back, then along the columns and back.

    Returns:
        (B, C, H, W) float32 or better.

    Source: Gastal & Oliveira, SIGGRAPH 2011, the recursive filter; its reach in each iteration is Eq. 14.
    """
    kind = torch.promote_types(image.dtype, torch.float32)
    image, distance = image.to(kind), 1 + spatial / range_ * edges.to(kind)
    for i in range(iterations):
        reach = spatial * math.sqrt(3) * 2 ** (iterations - i - 1) / math.sqrt(4**iterations - 1)
        feedback = torch.exp(-math.sqrt(2) / reach * distance)
        for axis in (-1, -2):
            image = recursion(image, feedback, axis)
            # On the way back the step is that to the pixel before in the other direction.
            back = feedback.roll(-1, axis)
            image = recursion(image.flip(axis), back.flip(axis), axis).flip(axis)
    return image


def recursion(image: Tensor, feedback: Tensor, axis: int) -> Tensor:
    """J[n] = (1 − a[n])·I[n] + a[n]·J[n − 1] along an axis, J[0] = I[0]; in as many steps as the length has bits.

    Args:
        image: (B, C, H, W), I.
        feedback: (B, 1, H, W), a; its first value along the axis does not matter.
        axis: −1 or −2.
    """
    length = image.shape[axis]
    first = torch.arange(length, device=image.device) == 0
    carried = feedback.masked_fill(first if axis == -1 else first[:, None], 0.0)
    value, shift = (1 - carried) * image, 1
    while shift < length:  # each value is that of the last `shift` pixels, and what those before are multiplied by
        edge = (shift, 0) if axis == -1 else (0, 0, shift, 0)
        kept = length - shift
        value = value + carried * F.pad(value.narrow(axis, 0, kept), edge)
        carried = carried * F.pad(carried.narrow(axis, 0, kept), edge)
        shift *= 2
    return value
