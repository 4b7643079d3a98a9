"""DehazeNet: a small network reads the transmission off patches, and the model of scattering does the rest."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.networks.scattering import brightest, farthest, layers_of, lift, refine
from methods.recipe import TrainedMethod

PATCH = 16
"""Side of what the network looks at."""

GROUP = 4
"""Channels of which a maxout unit takes the largest."""


class DehazeNet(TrainedMethod):
    """Transmission t from 16×16 patches; then a guided filter, the airlight A, and J = (I − A) / t + A.

    It learns from clear patches alone, on which it lays haze of one random t each, with A = 1; it never sees the
    data's own mixtures. It predicts the background and, of haze and clouds, the veil A·(1 − t); of other data the
    background alone.

    Args:
        width: channels of the first convolution, a multiple of 4.
        patches: clear patches cut from each training picture.
        least: smallest t that a background is divided by; the authors have no bound, and divide by zero.
        radius: of the guided filter in pixels; less where the image is smaller.
        epsilon: of the guided filter: how much the guide must vary to count, as a variance.
        airlight_share: of the pixels, those of the smallest t, among which the airlight is sought.
        lr: learning rate of Adam.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: an option outside its range.

    Source: Cai et al., DehazeNet, IEEE TIP 2016; the network and the recovery as in the authors' MATLAB code, which has
        no training. Reconstructed: Adam and its rate, and a squared error for patches of one random t in [0, 1]. Ours:
        weights that start after He and a last bias of ½, in the middle of the bounded activation; ``least``; the
        airlight is sought where the filtered t is smallest, in their code where it is before the filter; and grey is
        the mean of the colours, where theirs is luma.
    """

    card = MethodCard(
        title="DehazeNet", paper="Cai et al., DehazeNet, IEEE TIP 2016", year=2016, supervision="paired",
        channels=(3,), scales=(1,), ordered_only=True,
        reconstructed=(
            "patches come from the data's backgrounds, as many from each picture as `patches` says; the border is "
            "repeated where the code mirrors it"
        ),
    )  # fmt: skip
    layer_names = ("background", "haze")

    def __init__(
        self,
        width: int = 16,
        patches: int = 16,
        least: float = 0.1,
        radius: int = 50,
        epsilon: float = 1e-3,
        airlight_share: float = 0.01,
        lr: float = 1e-3,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, **recipe)
        self.save_hyperparameters()
        if width < GROUP or width % GROUP or patches < 1 or radius < 1 or epsilon <= 0:
            raise UserError(
                f"width {width}, patches {patches}, radius {radius}, epsilon {epsilon:g}: the width must be a multiple "
                f"of {GROUP}, patches and radius at least 1, and epsilon above 0."
            )
        if not (0 < least <= 1 and 0 < airlight_share <= 1):
            raise UserError(f"least {least:g}, airlight_share {airlight_share:g}: both must be in (0, 1].")
        self.patches, self.least, self.radius, self.epsilon = patches, least, radius, epsilon
        self.airlight_share, self.layers = airlight_share, layers_of(spec)
        self.network = PatchTransmission(width)

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        before = (PATCH - 1) // 2
        around = F.pad(mixture, (before, PATCH - 1 - before) * 2, mode="replicate")
        raw = self.network(around).float()
        with torch.autocast(mixture.device.type, enabled=False):  # a filter subtracts squares that are nearly equal
            refined = refine(raw, mixture.mean(1, keepdim=True), self.radius, self.epsilon)
            airlight = brightest(mixture, farthest(-refined, self.airlight_share))
            return lift(mixture, airlight, refined.clamp(self.least, 1), self.layers)

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        clear = self.cut(self.pad(batch.layers[:, 0]))
        transmission = torch.rand(len(clear), 1, 1, 1, device=clear.device)
        hazy = clear * transmission + 1 - transmission
        loss: Tensor = (self.network(hazy).float() - transmission).square().mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss

    def cut(self, pictures: Tensor) -> Tensor:
        """Patches at random places.

        Args:
            pictures: (B, 3, H, W), sides of at least 16.

        Returns:
            (B · patches, 3, 16, 16).
        """
        height, width = pictures.shape[-2:]
        shape, device = (len(pictures), self.patches, 1, 1), pictures.device
        top = (torch.rand(shape, device=device) * (height - PATCH + 1)).long()
        left = (torch.rand(shape, device=device) * (width - PATCH + 1)).long()
        line = torch.arange(PATCH, device=device)
        rows, columns = top + line.view(-1, 1), left + line
        which = torch.arange(len(pictures), device=device).view(-1, 1, 1, 1)
        return pictures.permute(0, 2, 3, 1)[which, rows, columns].flatten(0, 1).permute(0, 3, 1, 2)


class PatchTransmission(nn.Module):
    """Features by maxout, at three sizes, the largest of 7×7 places, and a last convolution, bounded to [0, 1].

    Args:
        width: channels of the first convolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 5)
        self.scales = nn.ModuleList(nn.Conv2d(width // GROUP, width, size, padding=size // 2) for size in (3, 5, 7))
        self.last = nn.Conv2d(3 * width, 1, 6)
        for layer in (self.first, *self.scales.children()):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.constant_(self.last.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H + 15, W + 15) in [0, 1] -> (B, 1, H, W) in [0, 1], one value for each 16×16 patch."""
        features = self.first(image - 0.5).unflatten(1, (-1, GROUP)).amax(2)
        features = torch.cat([scale(features) for scale in self.scales], 1)
        transmission: Tensor = self.last(F.max_pool2d(features, 7, stride=1))
        return transmission.clamp(0, 1)
