"""The generator for photographs: VGG19 as encoder, a decoder that ends in dilated convolutions."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import UserError
from methods.networks.norms import NORMS, NormName
from methods.networks.vgg import DEVIATION, MEAN, STAGES, is_mirrored, load_vgg19

SKIPPED = (2, 2, 2)
"""Convolutions of the first three stages up to those whose features skip to the decoder: conv1_2, conv2_2, conv3_2."""

DILATIONS = (1, 2, 4, 8)
"""Of the decoder's last convolutions at full resolution."""


class VGGEncoder(nn.Module):
    """VGG19's sixteen convolutions, trained on; features after conv1_2, conv2_2, conv3_2 and conv5_4, each with ReLU.

    Takes (B, 3, H, W) about [0, 1], sides multiples of 16; gives 64, 128 and 256 channels at 1, 1/2 and 1/4 of the
    resolution, and 512 at 1/16.

    Args:
        inputs: channels of the image; 3.
        weights: to begin with: ``timm``, ``random`` or a file's path (see ``VGG19Features``). Convolutions that a file
            lacks begin at random.

    Raises:
        UserError: an image that is not in colour, or weights that cannot be had or do not fit.

    Source: SILS, Sec. 4, generator for real image separation tasks; conv5_4 from the authors' code.
    """

    first: Tensor
    shift: Tensor

    def __init__(self, inputs: int, weights: str = "timm") -> None:
        super().__init__()
        if inputs != 3:
            raise UserError(f"VGG19 takes 3 channels, the data have {inputs}: use the generator simple.")
        state = load_vgg19(weights)
        numbers = sorted({int(name.partition(".")[0]) for name in state})
        mirrored = is_mirrored(state)
        scale = torch.tensor(DEVIATION)
        first, shift = torch.diag(1 / scale), -torch.tensor(MEAN) / scale
        if mirrored:
            first, shift = state["0.weight"].float().flatten(1), state["0.bias"].float()
            numbers = numbers[1:]
        self.register_buffer("first", first[:, :, None, None])
        self.register_buffer("shift", shift)
        padding: Literal["reflect", "zeros"] = "reflect" if mirrored else "zeros"
        widths = iter(pairwise([3, *(width for stage in STAGES for width in stage)]))
        self.stages = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(*next(widths), 3, padding=1, padding_mode=padding) for _ in stage)
            for stage in STAGES
        )
        for i, convolution in enumerate(part for part in self.modules() if isinstance(part, nn.Conv2d)):
            if i < len(numbers):
                _copy(convolution, state, numbers[i], weights)
            else:
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features, from the finest level to the deepest."""
        x = F.conv2d(image, self.first, self.shift)
        features = []
        for i, stage in enumerate(self.stages):
            x = F.max_pool2d(x, 2) if i else x
            for j, convolution in enumerate(stage.children(), start=1):
                x = F.relu(convolution(x))
                if i < len(SKIPPED) and j == SKIPPED[i]:
                    features.append(x)
        return [*features, x]


class VGGDecoder(nn.Module):
    """Blocks of convolution and bilinear enlargement, then dilated convolutions.

    The encoder's features join where the resolution is theirs, at full resolution the picture itself does, too.

    Args:
        outputs: channels of the image, and of the picture that joins.
        width: channels at full resolution; 2, 4 and 8 times as many below.
        norm: kind of normalisation.

    Source: SILS, Sec. 4; where the features join, that the picture does, and the linear last layer from the authors'
        code. Reconstructed: four dilated convolutions (1, 2, 4, 8), whose
        number is an option of theirs, and a block at 1/8 of the resolution, where that code enlarges fourfold at once.
    """

    def __init__(self, outputs: int, width: int = 32, norm: NormName = "instance") -> None:
        super().__init__()
        widths = [512, 8 * width, 4 * width, 2 * width, width]
        skips = [0, 0, 256, 128]  # what joins before each block
        self.stages = nn.ModuleList(
            _block(before + skip, after, norm) for (before, after), skip in zip(pairwise(widths), skips, strict=True)
        )
        self.join = _block(width + 64 + outputs, width, norm)
        self.dilated = nn.Sequential(*(_block(width, width, norm, dilation) for dilation in DILATIONS))
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, features: list[Tensor], image: Tensor) -> Tensor:
        """Features, and the picture that they are of -> (B, outputs, H, W), unbounded."""
        fine, middle, coarse, x = features
        joins = [None, None, coarse, middle]
        for stage, skip in zip(self.stages, joins, strict=True):
            x = stage(x if skip is None else torch.cat([x, skip], 1))
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        made: Tensor = self.head(self.dilated(self.join(torch.cat([x, fine, image], 1))))
        return made


def _block(before: int, after: int, norm: NormName, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, NORMS[norm](after), nn.LeakyReLU(0.2))


def _copy(convolution: nn.Conv2d, state: dict[str, Tensor], number: int, weights: str) -> None:
    weight, bias = state.get(f"{number}.weight"), state.get(f"{number}.bias")
    if weight is None or bias is None or weight.shape != convolution.weight.shape:
        size = "×".join(map(str, convolution.weight.shape))
        raise UserError(
            f"weights {weights} are not VGG19's: layer {number} should have {size} values, and biases; "
            "give another file, timm or random."
        )
    with torch.no_grad():
        convolution.weight.copy_(weight)
        convolution.bias.copy_(bias)  # type: ignore[union-attr]
