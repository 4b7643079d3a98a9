"""The discrete cosine transform, on the device: torch has the Fourier transform alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct(image: Tensor) -> Tensor:
    """Orthonormal cosine transform (type II) of rows and columns.

    Args:
        image: (..., H, W).

    Returns:
        (..., H, W); entry (k, l) belongs to cos(πk(2i + 1) / 2H)·cos(πl(2j + 1) / 2W).

    Source: Makhoul, IEEE TASSP 1980 (one Fourier transform of the reordered values).
    """
    return _dct(_dct(image).transpose(-1, -2)).transpose(-1, -2)


def idct(coefficients: Tensor) -> Tensor:
    """The inverse of ``dct``.

    Args:
        coefficients: (..., H, W).

    Returns:
        (..., H, W).
    """
    return _idct(_idct(coefficients).transpose(-1, -2)).transpose(-1, -2)


def _dct(values: Tensor) -> Tensor:
    length = values.shape[-1]
    half = (length + 1) // 2
    # Even places in order, then odd places backwards: half a period of an even signal's Fourier transform.
    folded = torch.cat([values[..., ::2], values[..., 1::2].flip(-1)], -1)
    spectrum = torch.fft.rfft(folded) * _phase(values)
    # The imaginary parts are the coefficients of the upper half, backwards.
    both = torch.cat([spectrum.real, -spectrum.imag[..., 1:half].flip(-1)], -1)
    return both * _scale(values)


def _idct(coefficients: Tensor) -> Tensor:
    length = coefficients.shape[-1]
    half = (length + 1) // 2
    plain = coefficients / _scale(coefficients)
    # Of coefficient k, 0 to length // 2, the partner is length − k; that of 0 is zero.
    partner = torch.cat([torch.zeros_like(plain[..., :1]), plain.flip(-1)[..., : length // 2]], -1)
    spectrum = torch.complex(plain[..., : length // 2 + 1], -partner) * _phase(plain).conj()
    folded = torch.fft.irfft(spectrum, n=length)
    values = torch.empty_like(folded)
    values[..., ::2], values[..., 1::2] = folded[..., :half], folded[..., half:].flip(-1)
    return values


def _phase(values: Tensor) -> Tensor:
    length = values.shape[-1]
    angle = torch.arange(length // 2 + 1, device=values.device, dtype=values.dtype) * (-math.pi / (2 * length))
    return torch.polar(torch.ones_like(angle), angle)


def _scale(values: Tensor) -> Tensor:
    length = values.shape[-1]
    scale = values.new_full((length,), math.sqrt(2 / length))
    scale[0] = math.sqrt(1 / length)
    return scale
