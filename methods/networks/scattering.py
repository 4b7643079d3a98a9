"""What priors of haze share: extrema over patches, the far end, refinement, and the model of scattering inverted.

The model is I = J·t + A·(1 − t): a mixture I of a background J, seen through a transmission t, and the airlight A.
"""

from __future__ import annotations

import torch
from kornia.filters import guided_blur
from kornia.morphology import dilation, erosion
from torch import Tensor

from datamodules.types import LayerSpec

VEILS = ("haze", "cloud")
"""Layers that are the airlight's part of the light, A·(1 − t)."""


def layers_of(spec: LayerSpec | None) -> int:
    """How many of the data's layers the model of scattering predicts.

    Args:
        spec: of the data.

    Returns:
        2 where the second layer is the airlight's part of the light, or where nothing is known of the data; else 1,
        the background alone.
    """
    return 2 if spec is None or (len(spec["layers"]) > 1 and spec["layers"][1] in VEILS) else 1


def patch_minimum(image: Tensor, patch: int) -> Tensor:
    """Smallest value over the square patch around each pixel, channel by channel; patches end with the image.

    Args:
        image: (B, C, H, W).
        patch: side of the patch in pixels, odd.

    Returns:
        (B, C, H, W).
    """
    line = image.new_ones(1, patch)
    smallest: Tensor = erosion(erosion(image, line), line.T)
    return smallest


def patch_maximum(image: Tensor, patch: int) -> Tensor:
    """Largest value over the square patch around each pixel; see ``patch_minimum``."""
    line = image.new_ones(1, patch)
    largest: Tensor = dilation(dilation(image, line), line.T)
    return largest


def farthest(depth: Tensor, share: float) -> Tensor:
    """Where an image is farthest: its largest values, with all that equal the last of them.

    Equal values are common after a minimum over patches. All or none of them are taken, since which of them a sort
    puts first depends on the device.

    Args:
        depth: (B, 1, H, W), larger is farther.
        share: of the pixels, at least one is taken.

    Returns:
        (B, 1, H, W) bool.
    """
    values = depth.flatten(1)
    count = max(1, int(share * values.shape[1]))
    return depth >= values.topk(count).values[:, -1].view(-1, 1, 1, 1)


def brightest(mixture: Tensor, among: Tensor) -> Tensor:
    """Colour of the pixel with the largest mean over its channels.

    Args:
        mixture: (B, C, H, W).
        among: (B, 1, H, W) bool, the pixels in question.

    Returns:
        (B, C, 1, 1).
    """
    intensity = mixture.mean(1, keepdim=True).masked_fill(~among, -torch.inf)
    place = intensity.flatten(1).argmax(1).view(-1, 1, 1).expand(-1, mixture.shape[1], 1)
    return mixture.flatten(2).gather(2, place)[..., None]


def refine(raw: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """Guided filter: the raw map made a linear function of the guide's colour around each pixel.

    Args:
        raw: (B, 1, H, W).
        guide: (B, C, H, W).
        radius: of the windows in pixels; less where the image is smaller.
        epsilon: how much colour must vary to count, as a variance.

    Returns:
        (B, 1, H, W).

    Source: He, Sun & Tang, ECCV 2010, Eq. 14 to 16 by the count of the authors' code. Their windows end with the image;
        here it is mirrored.
    """
    window = 2 * min(radius, min(raw.shape[-2:]) - 1) + 1
    refined: Tensor = guided_blur(guide, raw, window, epsilon, separable=True)
    return refined


def lift(mixture: Tensor, airlight: Tensor, transmission: Tensor, layers: int) -> Tensor:
    """The layers of a mixture whose transmission is known: J = (I − A) / t + A, and the veil A·(1 − t).

    Args:
        mixture: (B, C, H, W).
        airlight: (B, C, 1, 1).
        transmission: (B, 1, H, W), above 0.
        layers: 1 for the background alone, 2 for the veil too.

    Returns:
        (B, layers, C, H, W). The background may leave [0, 1]; background · t + veil is the mixture.
    """
    background = (mixture - airlight) / transmission + airlight
    veil = (airlight * (1 - transmission)).expand_as(background)
    return torch.stack([background, veil][:layers], 1)


def scattering_of(mixture: Tensor, layers: Tensor) -> tuple[Tensor, Tensor]:
    """Transmission and airlight of a mixture whose background and veil are known.

    With V = A·(1 − t), the model says J − I + V = J·V / A: a line through the origin for each channel, whose slope
    gives A by least squares over all pixels. Then t = 1 − V / A, averaged over the channels.

    Args:
        mixture: I, (B, C, H, W).
        layers: (B, 2 or more, C, H, W), background J and veil V first.

    Returns:
        t, (B, 1, H, W), and A, (B, C, 1, 1), both in [0, 1]; where there is no veil, A is 1. Of data that are not
        scattered, something else within the bounds.
    """
    background, veil = layers[:, 0].float(), layers[:, 1].float()
    product = background * veil
    slope = (product * (background - mixture + veil)).mean((2, 3), keepdim=True)
    airlight = (product.square().mean((2, 3), keepdim=True) + 1e-8) / (slope + 1e-8).clamp_min(1e-8)
    airlight = torch.maximum(airlight, veil.amax((2, 3), keepdim=True)).clamp(1e-3, 1)
    return (1 - veil / airlight).mean(1, keepdim=True).clamp(0, 1), airlight
