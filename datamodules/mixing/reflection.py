"""A reflection in a pane of glass."""

from __future__ import annotations

import torch
from kornia.filters import filter2d_separable
from torch import Tensor

from datamodules.mixing.base import Mixing, check_range, image_like, require_sources, uniform

GAMMA = 2.2
"""Of a display: intensity of light = value ** GAMMA."""


class GlassReflection(Mixing):
    """I = clip((a·B^γ + R^γ)^(1/γ)): light adds before the camera's gamma; the reflection is out of focus.

    Sources are two photographs. The layers are the background B, as it is, and the reflection R, made
    from the other photograph: to linear light; Gaussian blur; where the sum with the background passes
    1, the mean excess, times ``attenuation``, is subtracted from the whole channel; clip; a vignette
    with its centre near the image; back from linear light. Pairs whose reflection is too dark are not used.

    Source: Zhang et al., CVPR 2018 (PLNet), Sec. 4.1, and the authors' synthesis code for the order of
        the steps and for the pairs that are left out; after Fan et al., ICCV 2017. Reconstructed: the vignette's size
        in units of the image. PLNet draws σ from 1 to 5; the default range is fitted to the real training pairs
        (``python -m datamodules.statistics.fit_generators reflection``), whose reflections are sharper.

    Args:
        sigma: range of the blur's standard deviation in pixels.
        attenuation: range of the factor on the excess.
        transparency: range of a, the share of the background's light that the glass lets through.
        vignette: standard deviation of the vignette in units of the longer side; None for none.
        gamma: γ ≥ 1; 1 adds the pictures' values as they are, as in CEILNet's own test images.

    Raises:
        UserError: a range that is empty or impossible.
    """

    symmetric = False

    def __init__(
        self,
        sigma: tuple[float, float] = (0.2, 2.5),
        attenuation: tuple[float, float] = (1.08, 1.18),
        transparency: tuple[float, float] = (0.8, 1.0),
        vignette: float | None = 0.6,
        gamma: float = GAMMA,
    ) -> None:
        check_range("sigma", sigma, 0.1, 50)
        check_range("attenuation", attenuation, 0, 10)
        check_range("transparency", transparency, 0, 1)
        if vignette is not None:
            check_range("vignette", (vignette, vignette), 0.01, 100)
        check_range("gamma", (gamma, gamma), 1, 10)
        self.gamma = gamma
        self.sigma, self.attenuation, self.transparency, self.vignette = sigma, attenuation, transparency, vignette
        self.window = 2 * round(3 * sigma[1]) + 1

    def gain(self, layers: int) -> float:
        return 1.0

    def too_dark(self, background: Tensor, reflection: Tensor) -> bool:
        """Whether a photograph is too dark to show as a background's reflection.

        Args:
            background: (C, H, W) in [0, 1].
            reflection: (C, H, W) in [0, 1], not yet blurred.

        Returns:
            Whether its mean is below half of the background's; such pairs are not used.

        Source: PLNet's synthesis code, on the values as they are stored.
        """
        return bool(reflection.mean() < background.mean() / 2)

    def draw(self, generator: torch.Generator, shape: torch.Size) -> dict[str, Tensor]:
        require_sources("a reflection", shape, 2)
        return {
            "sigma": uniform(generator, *self.sigma),
            "attenuation": uniform(generator, *self.attenuation),
            "transparency": uniform(generator, *self.transparency),
            "centre": uniform(generator, -0.6, 0.6, 2),  # from the image's middle, in units of its sides
        }

    def render(self, sources: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background, reflection = sources.unbind(1)
        height, width = background.shape[-2:]
        window = min(self.window, 2 * min(height, width) - 1)
        light = _blur(reflection**self.gamma, parameters["sigma"], window)
        blend = background**self.gamma + light
        light = (light - self._excess(blend) * image_like(parameters["attenuation"])).clamp(0, 1)
        if self.vignette is not None:
            light = light * self._vignette(light, parameters["centre"], self.vignette)
        return torch.stack([background, self._encode(light)], 1)

    def _excess(self, blend: Tensor) -> Tensor:
        """How far the values above 1 are above it in the mean, channel by channel; 0 where there are none."""
        return _mean_excess(blend, (2, 3))

    @staticmethod
    def _vignette(light: Tensor, centre: Tensor, sigma: float) -> Tensor:
        """(B, 1, H, W) how much is left of the light."""
        height, width = light.shape[-2:]
        rows = torch.linspace(-0.5, 0.5, height, device=light.device, dtype=light.dtype).view(1, 1, -1, 1)
        columns = torch.linspace(-0.5, 0.5, width, device=light.device, dtype=light.dtype).view(1, 1, 1, -1)
        down, right = (image_like(part) for part in centre.unbind(1))
        longer = max(height, width)
        squared = ((rows - down) * height / longer) ** 2 + ((columns - right) * width / longer) ** 2
        return torch.exp(-0.5 * squared / sigma**2)

    def forward(self, layers: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        background, reflection = layers.unbind(1)
        light = image_like(parameters["transparency"]) * background**self.gamma + reflection**self.gamma
        return self._encode(light).clamp(0, 1)

    def _encode(self, light: Tensor) -> Tensor:
        """Linear light to display values; black keeps a finite slope."""
        return light.clamp_min(1e-8) ** (1 / self.gamma) * (light > 1e-8)


class CEILNetReflection(GlassReflection):
    """I = clip(B + R): values add as they are; a stronger blur; where the sum passes 1, more is taken off; no vignette.

    The excess is that of all channels together, so that a reflection keeps its colour, and no pair is left out.

    Source: Fan et al., ICCV 2017 (CEILNet), Sec. 4, as ERRNet's authors publish it: σ 2 to 5, factor 1.3.

    Args:
        sigma: range of the blur's standard deviation in pixels.
        attenuation: range of the factor on the excess.

    Raises:
        UserError: a range that is empty or impossible.
    """

    def __init__(self, sigma: tuple[float, float] = (2.0, 5.0), attenuation: tuple[float, float] = (1.3, 1.3)) -> None:
        super().__init__(sigma, attenuation, transparency=(1.0, 1.0), vignette=None, gamma=1.0)

    def too_dark(self, background: Tensor, reflection: Tensor) -> bool:
        return False

    def _excess(self, blend: Tensor) -> Tensor:
        return _mean_excess(blend, (1, 2, 3))


def _mean_excess(blend: Tensor, over: tuple[int, ...]) -> Tensor:
    """max(0, mean of the values above 1, less 1) over some dimensions, which stay with size 1."""
    above = (blend > 1).to(blend)
    mean = (blend * above).sum(over, keepdim=True) / above.sum(over, keepdim=True).clamp_min(1)
    return (mean - 1).clamp_min(0)


def _blur(image: Tensor, sigma: Tensor, window: int) -> Tensor:
    """Gaussian blur with a width for each image; kornia's own looks at the widths from the host."""
    offsets = torch.arange(window, device=image.device, dtype=image.dtype) - window // 2
    line = torch.exp(-0.5 * (offsets / sigma.view(-1, 1)) ** 2)
    line = line / line.sum(1, keepdim=True)
    blurred: Tensor = filter2d_separable(image, line, line, border_type="reflect")
    return blurred
