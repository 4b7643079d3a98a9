"""Protocols: what the field means by "PSNR" and "SSIM" of a layer. Imports no torch.

A protocol's name ends in its version. What a name means never changes: another convention gets another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.errors import UserError

Window = Literal["gaussian", "uniform"]


@dataclass(frozen=True)
class Protocol:
    """One way to turn an estimate and its truth into four numbers.

    Every protocol clips estimates to [0, 1] first, as saving an image would, takes 1 for the range, scores each
    image by itself and leaves out what the mask leaves out.

    Attributes:
        name: with its version.
        meaning: one sentence for people.
        luma: whether the luma is compared (BT.601, limited range), not the colours.
        channelwise: whether PSNR is each channel's own, averaged, not that of the error over all channels.
        window: of SSIM.
        scaled: whether an estimate is known up to a scale only: it is clipped below alone, then scaled to fit the
            truth; and LMSE averages the channels first.
    """

    name: str
    meaning: str
    luma: bool = False
    channelwise: bool = False
    window: Window = "gaussian"
    scaled: bool = False

    def label(self, height: int, width: int) -> str:
        """The name, with the side of the LMSE windows where images of this size have the small ones."""
        size, step = lmse_window(height, width)
        return self.name if size == 20 else f"{self.name}, LMSE windows {size}×{size} at step {step}"


PROTOCOLS: dict[str, Protocol] = {
    one.name: one
    for one in (
        Protocol(
            "rgb@1",
            "PSNR of the error over all colour channels; SSIM with the Gaussian window (11×11, σ 1.5), averaged over "
            "the channels.",
        ),
        Protocol(
            "rgb-uniform@1",
            "PSNR of each colour channel and SSIM with the uniform window (7×7, sample covariance), both averaged over "
            "the channels.",
            channelwise=True,
            window="uniform",
        ),
        Protocol(
            "y@1",
            "PSNR and SSIM with the Gaussian window of the luma (BT.601, limited range, as MATLAB's rgb2ycbcr).",
            luma=True,
        ),
        Protocol("y-uniform@1", "PSNR and SSIM with the uniform window of the luma.", luma=True, window="uniform"),
        Protocol(
            "intrinsic@1",
            "The estimate is scaled to fit the truth, and what the mask leaves out is ignored; LMSE of the channels' "
            "mean (Grosse et al. 2009).",
            scaled=True,
        ),
    )
}


def protocol(name: str) -> Protocol:
    """A protocol by its name.

    Args:
        name: with its version, or without for the newest one.

    Raises:
        UserError: there is none of this name.
    """
    matching = [one for full, one in PROTOCOLS.items() if name in (full, full.partition("@")[0])]
    if not matching:
        raise UserError(f"unknown protocol {name!r}: there are {', '.join(PROTOCOLS)}.")
    return matching[-1]


def stored_for(own: str, channels: int) -> tuple[str, ...]:
    """The protocols that each image of a task is scored under: its own, then the others that the field uses.

    An image in colour has RGB and luma, each with both windows of SSIM. A grey one has no luma beside itself. A layer
    that is known up to a scale has its own protocol alone: a protocol that does not fit the scale would measure
    what nobody can know.

    Args:
        own: the task's protocol, with or without its version.
        channels: of the images.

    Raises:
        UserError: an unknown protocol.
    """
    first = protocol(own)
    if first.scaled:
        return (first.name,)
    others = [one.name for one in PROTOCOLS.values() if not one.scaled and (channels == 3 or not one.luma)]
    return (first.name, *(name for name in others if name != first.name))


def lmse_window(height: int, width: int) -> tuple[int, int]:
    """Side and step of the LMSE windows for an image of this size."""
    return (8, 4) if min(height, width) < 40 else (20, 10)
