"""VGG19's convolutions as a frozen extractor of features, from whatever weights are at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import UserError

STAGES = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of the convolutions; each stage begins at half the resolution of the one before."""

FIRST = (0, 5, 10, 19, 28)
"""Numbers of the stages' first convolutions among the layers of VGG19's ``features``, others and pooling included."""

FIRST_MIRRORED = (2, 9, 16)
"""The same in the activation-normalised network."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's statistics, which the networks expect to be taken out of an image."""

SEED = 19
"""Of random weights."""


class VGG19Features(nn.Module):
    """Features after one convolution and ReLU of each stage: relu1_1, relu2_1, … relu5_1, never trained.

    Args:
        weights: ``timm`` (ImageNet's, downloaded on first use), ``random`` (of a fixed seed), or a state dict's path,
            as it is or below ``$UNBLEND_DATA``: torchvision's or timm's VGG19, or the activation-normalised one of
            style transfer, truncated after conv3_1, whose first layer, a 1×1 convolution, maps RGB to centred BGR.
        levels: how many stages, from the finest on, 1 to 5; weights that end sooner give fewer.
        tap: which convolution of each stage, 1 or 2; the normalised network gives the first ones alone.
        pooling: ``max``, or ``mean``, between stages.

    Raises:
        UserError: weights that cannot be had or do not fit.

    Attributes:
        channels: of each level of features.

    Source: Simonyan & Zisserman, ICLR 2015, configuration E; Gatys et al., CVPR 2016 (normalised activations).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: str = "timm",
        levels: int = len(STAGES),
        tap: Literal[1, 2] = 1,
        pooling: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        if not 1 <= levels <= len(STAGES):
            raise UserError(f"levels {levels}: VGG19 has 1 to {len(STAGES)} levels of features.")
        state = load_vgg19(weights)
        self.mirrored = is_mirrored(state)
        if tap > 1 and self.mirrored:
            raise UserError(f"weights {weights} end before a stage's second convolution: give VGG19's own, or random.")
        self.tap, self.pool = tap, F.max_pool2d if pooling == "max" else F.avg_pool2d
        last = (FIRST_MIRRORED if self.mirrored else FIRST)[:levels][-1] + 2 * (tap - 1)
        state = {name: value for name, value in state.items() if int(name.partition(".")[0]) <= last}
        numbers = sorted({int(name.partition(".")[0]) for name in state})
        flat = [width for stage in STAGES for width in stage]
        widths = [3, *([3] if self.mirrored else []), *flat][: len(numbers) + 1]
        for number, before, after in zip(numbers, widths, widths[1:], strict=False):
            size = 1 if self.mirrored and number == 0 else 3
            weight, bias = state.get(f"{number}.weight"), state.get(f"{number}.bias")
            if weight is None or bias is None or tuple(weight.shape) != (after, before, size, size):
                raise UserError(
                    f"weights {weights} are not VGG19's: layer {number} should have {after}×{before}×{size}×{size} "
                    "values, and biases; give another file, timm or random."
                )
            # Buffers that no checkpoint holds: the option names them.
            self.register_buffer(f"weight{number}", weight.float(), persistent=False)
            self.register_buffer(f"bias{number}", bias.float(), persistent=False)
        self.first, rest = (numbers[:1], numbers[1:]) if self.mirrored else ([], numbers)
        self.stages: list[list[int]] = []
        for stage in STAGES:
            if rest:
                self.stages.append(rest[: len(stage)])
                rest = rest[len(stage) :]
        self.stages[-1] = self.stages[-1][:tap]
        self.channels = [stage[0] for stage in STAGES[: len(self.stages)]]
        # The normalised network brings its own in the first layer.
        mean, std = ((0.0,) * 3, (1.0,) * 3) if self.mirrored else (MEAN, DEVIATION)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """One map for each level.

        Args:
            image: (B, 3, H, W) in [0, 1].

        Returns:
            (B, channels[l], H / 2^l, W / 2^l) for each level l.
        """
        features = []
        x = (image - self.mean) / self.std
        for number in self.first:
            x = F.conv2d(x, self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}"))
        for i, stage in enumerate(self.stages):
            x = self.pool(x, 2) if i else x
            for number in stage:
                x = F.pad(x, (1, 1, 1, 1), mode="reflect") if self.mirrored else x
                weight, bias = self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")
                x = F.conv2d(x, weight, bias, padding=0 if self.mirrored else 1).relu_()
                if number == stage[self.tap - 1]:
                    features.append(x)
        return features


def is_mirrored(state: dict[str, Tensor]) -> bool:
    """Whether a state dict is the activation-normalised network, which pads by reflection."""
    return tuple(state["0.weight"].shape[2:]) == (1, 1)


def load_vgg19(weights: str) -> dict[str, Tensor]:
    """VGG19's convolutions, or as many as there are.

    Args:
        weights: ``timm``, ``random`` or a state dict's path, as ``VGG19Features`` takes them.

    Returns:
        Weights and biases, named by their layers' numbers in VGG19's ``features``.

    Raises:
        UserError: weights that cannot be had.
    """
    if weights == "random":
        return _random()
    if weights == "timm":
        return _download()
    path = Path(weights).expanduser()
    if not path.is_file():
        path = Path(os.environ.get("UNBLEND_DATA") or "data").expanduser() / weights
    if not path.is_file():
        raise UserError(f"no weights {weights}: give timm, random, or the path of a VGG19 state dict.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"cannot read the weights {weights}: {what}; give another file, timm or random.") from error
    if not isinstance(state, dict):
        raise UserError(f"weights {weights} hold no state dict: give another file, timm or random.")
    features = {name.removeprefix("features."): value for name, value in state.items()}
    found = {name: value for name, value in features.items() if name.partition(".")[0].isdigit()}
    if "0.weight" not in found:
        raise UserError(f"weights {weights} are not VGG19's: there is no 0.weight; give another file, timm or random.")
    return found


def _random() -> dict[str, Tensor]:
    """He's start, which keeps activations' sizes."""
    generator, state, before, number = torch.Generator().manual_seed(SEED), {}, 3, 0
    for stage in STAGES:
        for after in stage:
            deviation = (2 / (9 * before)) ** 0.5
            state[f"{number}.weight"] = deviation * torch.randn(after, before, 3, 3, generator=generator)
            state[f"{number}.bias"] = torch.zeros(after)
            before, number = after, number + 2
        number += 1  # the pooling
    return state


def _download() -> dict[str, Tensor]:
    import timm

    try:
        network = timm.create_model("vgg19.tv_in1k", pretrained=True)
    except Exception as error:
        raise UserError(
            "VGG19's weights are not here and cannot be downloaded: connect, or choose random weights, or the path of "
            "a local state dict."
        ) from error
    every = network.state_dict().items()
    return {name.removeprefix("features."): value for name, value in every if name.startswith("features.")}
