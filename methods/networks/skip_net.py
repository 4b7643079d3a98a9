"""The encoder-decoder with skip connections of the deep image prior, many networks in one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import UserError


class SkipNet(nn.Module):
    """Independent networks of one shape, each with its own weights and one image of its own.

    Level i halves the resolution (convolution of stride 2, convolution), and mirrors it on the way up
    (bilinear enlargement, corners on corners, concatenation with a 1×1 skip, normalisation, convolution, 1×1
    convolution). All
    networks' channels lie side by side in one tensor, and each convolution has one group for each
    network, so that a device sees one large operation instead of many small ones. Normalisation over one image's
    pixels is what BatchNorm does with a batch of one.

    Defaults are the paper's; then a network has 1,544,987 parameters.

    Source: Ulyanov et al., CVPR 2018 (deep image prior), with the widths of BITS-Net and DoubleDIP and the enlargement
        of their authors' code (``align_corners``), whose outputs it equals with equal weights.

    Args:
        networks: how many.
        inputs: channels of a network's input.
        outputs: channels of a network's output, in (0, 1).
        widths: channels of each level, on the way down as on the way up.
        skips: channels of each level's skip connection; 0 for none.
        kernel: side of the convolutions' windows.
        slope: of the LeakyReLU below zero.

    Raises:
        UserError: no network, an even window, or lists of different lengths.
    """

    def __init__(
        self,
        networks: int = 1,
        inputs: int = 3,
        outputs: int = 3,
        widths: Sequence[int] = (8, 16, 32, 64, 128),
        skips: Sequence[int] = (0, 0, 0, 4, 4),
        kernel: int = 5,
        slope: float = 0.2,
    ) -> None:
        super().__init__()
        if networks < 1 or kernel % 2 == 0 or len(widths) != len(skips) or not widths:
            raise UserError(
                f"networks {networks}, kernel {kernel}, widths {tuple(widths)}, skips {tuple(skips)}: at least one "
                "network, an odd window, and as many skips as widths."
            )
        self.networks, self.slope = networks, slope
        self.multiple = 2 ** len(widths)
        self.smallest = self.multiple * (kernel // 2 + 1)
        """Side below which a window at the coarsest level would be larger than the mirrored image."""
        levels = []
        for i, (width, skip) in enumerate(zip(widths, skips, strict=True)):
            finer = widths[i - 1] if i else inputs
            coarser = widths[min(i + 1, len(widths) - 1)]
            levels.append(_Level(networks, finer, width, coarser, skip, kernel, slope))
        self.levels = nn.ModuleList(levels)
        self.last = _Convolution(networks, widths[0], outputs, 1)

    def start(self, generators: Sequence[torch.Generator]) -> None:
        """Draw the weights anew, network by network; the sequence of numbers is the generator's own.

        Args:
            generators: one for each network; several may be the same one.
        """
        for module in self.modules():
            if isinstance(module, _Convolution):
                module.start(generators)
            elif isinstance(module, _Normalisation):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, levels: Sequence[int] = ()) -> tuple[Tensor, list[Tensor]]:
        """One image for each network.

        Args:
            x: (networks, inputs, H, W), sides multiples of ``multiple`` and at least ``smallest``.
            levels: whose feature maps on the way up are wanted, 0 for the last ones, at full resolution.

        Returns:
            (networks, outputs, H, W) in (0, 1); and for each of the levels l its features, all networks' side by
            side: (1, networks · widths[l], H / 2^l, W / 2^l).
        """
        x = x.reshape(1, -1, *x.shape[2:]).contiguous(memory_format=torch.channels_last)
        steps: list[_Level] = list(self.levels)  # type: ignore[arg-type]
        inputs, features = [], {}
        for step in steps:
            inputs.append(x)
            x = step.down(x)
        for i, step in reversed(list(enumerate(steps))):
            x = step.up(x, inputs[i])
            if i in levels:
                features[i] = x
        image = self.last(x).contiguous()
        image = torch.sigmoid(image.to(torch.promote_types(image.dtype, torch.float32)))
        return image.view(self.networks, -1, *image.shape[2:]), [features[level] for level in levels]


class _Level(nn.Module):
    """One resolution of the networks."""

    def __init__(
        self, networks: int, finer: int, width: int, coarser: int, skip: int, kernel: int, slope: float
    ) -> None:
        super().__init__()
        self.networks = networks

        def block(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(
                _Convolution(networks, inputs, outputs, size, stride),
                _Normalisation(networks, outputs),
                nn.LeakyReLU(slope, inplace=True),
            )

        self.down = nn.Sequential(block(finer, width, kernel, 2), block(width, width, kernel))
        self.skip = block(finer, skip, 1) if skip else None
        self.joined = _Normalisation(networks, coarser + skip)
        self.mix = nn.Sequential(block(coarser + skip, width, kernel), block(width, width, 1))

    def up(self, deep: Tensor, x: Tensor) -> Tensor:
        """The way back to this level's resolution, from the level below and the level's own input."""
        large = F.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=True)
        if self.skip is not None:
            shape = (self.networks, -1, *large.shape[2:])
            large = torch.cat([self.skip(x).view(shape), large.view(shape)], 1).flatten(0, 1)[None]
        mixed: Tensor = self.mix(self.joined(large))
        return mixed


class _Convolution(nn.Module):
    """One convolution for each network, mirrored at the border."""

    def __init__(self, networks: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.networks, self.kernel, self.stride = networks, kernel, stride
        # Channels last, as a contiguous tensor: so the convolutions like it, and the optimiser does, too.
        self.weight = nn.Parameter(torch.empty(networks * outputs, kernel, kernel, inputs))
        self.bias = nn.Parameter(torch.empty(networks * outputs))
        self.start([torch.default_generator] * networks)

    @torch.no_grad()
    def start(self, generators: Sequence[torch.Generator]) -> None:
        """PyTorch's own start, from each network's generator."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        for parameter in (self.weight, self.bias):
            for part, generator in zip(parameter.chunk(self.networks), generators, strict=True):
                drawn = torch.empty(part.shape, dtype=part.dtype, device=generator.device)
                part.copy_(drawn.uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        edge = self.kernel // 2
        if edge:
            x = F.pad(x, (edge, edge, edge, edge), mode="reflect")
        return F.conv2d(x, self.weight.permute(0, 3, 1, 2), self.bias, self.stride, groups=self.networks)


class _Normalisation(nn.Module):
    """Each channel of each network to mean 0 and variance 1 over its pixels, then scaled and shifted."""

    def __init__(self, networks: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(networks * channels))
        self.bias = nn.Parameter(torch.zeros(networks * channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True)
