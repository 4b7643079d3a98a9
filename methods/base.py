"""What every method is: a LightningModule with a card, that turns a mixture into layers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import Tensor
from torchvision.utils import save_image

from datamodules.types import LayerBatch, LayerSpec

Supervision = Literal["none", "single-image", "unpaired", "paired"]

Codes = dict[str, dict[str, Tensor]]
"""Latent space -> kind of image (``mixture``, or a layer's name) -> (B, F) codes of such images in it."""

Watch = Callable[[int, int, float, Callable[[], Tensor]], None]
"""Is told iterations done, all of them, the remix's mean PSNR in dB, and a function that gives padded layers."""


@dataclass(frozen=True)
class Lent:
    """What a method that optimises for each image is lent for one separation; others need nothing.

    Attributes:
        workspace: folder where it may keep what it needs to go on after an interruption; None for none.
        watch: is told now and then how far it is; None for nobody.
        iterations: that it may take, at most; None for as many as it has.
    """

    workspace: Path | None = None
    watch: Watch | None = None
    iterations: int | None = None

    def limit(self, own: int) -> int:
        """Iterations that are to be taken.

        Args:
            own: of the method.
        """
        return own if self.iterations is None else min(own, self.iterations)


@dataclass(frozen=True)
class MethodCard:
    """What a method is and what it can be asked for.

    Attributes:
        title: the name in tables.
        paper: citation of the source.
        year: of the publication.
        supervision: ``none`` needs no data at all, ``single-image`` optimises on the image itself,
            ``unpaired`` and ``paired`` train.
        layers: numbers of layers it can predict; empty for any.
        channels: numbers of channels it accepts; empty for any.
        scales: scale factors between mixture and layers that it accepts; empty for any.
        ordered_only: True where the method tells its layers apart by what they are.
        low_precision: False where bfloat16 makes its training slower or worse: `precision: auto` keeps to float32.
        residual: True where the network corrects its mixture: before training, in restoration, the first layer is the
            mixture.
        host: why it computes on the host, through NumPy or else; empty where all of it runs on the device.
        reconstructed: what paper and code leave open and was assumed here; empty where nothing was.
    """

    title: str
    paper: str
    year: int
    supervision: Supervision
    layers: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    scales: tuple[int, ...] = ()
    ordered_only: bool = False
    low_precision: bool = True
    residual: bool = False
    host: str = ""
    reconstructed: str = ""

    @property
    def trains(self) -> bool:
        """Whether the method has a training phase."""
        return self.supervision in ("paired", "unpaired")

    def accepts(self, spec: LayerSpec) -> str | None:
        """None where the method can run on such data, else the reason why not."""
        if self.trains and self.supervision != spec["pairing"]:
            return (
                f"{self.title} learns from {self.supervision} data, these are {spec['pairing']}: "
                f"set --data.pairing={self.supervision}"
            )
        asked = {"layers": len(spec["layers"]), "channels": spec["channels"], "scales": spec["scale"]}
        for what, value in asked.items():
            allowed = getattr(self, what)
            if allowed and value not in allowed:
                numbers = " or ".join(map(str, allowed))
                return f"{self.title} takes {numbers} {what}, the data have {value}"
        if self.ordered_only and not spec["ordered"]:
            return f"{self.title} needs layers with an order, the data's have none"
        return None


class SeparationMethod(LightningModule, ABC):
    """Base of all methods.

    A subclass sets ``card``, implements ``separate`` and, where it trains, ``training_step`` and
    ``configure_optimizers``. It takes an optional constructor argument ``spec``, which the command
    line fills in from the data. It never scores itself.

    Attributes:
        version: of what the class computes; a class whose results are moved by a change says the next one.
        card: what the method is; of the class, unless an option changes what an object of it learns from.
        layer_names: of the layers of a picture that comes without data.
        multiple: ``separate`` is only given mixtures whose sides are multiples of this; calling
            the method pads and crops, so callers may use any size.
        smallest: nor are they smaller than this.
        scale: how many times larger the layers are than the mixture, along each side.
        iterations: of a method that optimises for each image: its work is that of one, so many times.
        betas: of Adam.
        parameters_per_image: that such a method learns for each image.
    """

    version: ClassVar[int] = 1
    card: MethodCard
    layer_names: tuple[str, ...] = ("layer_1", "layer_2")
    multiple: int = 1
    smallest: int = 1
    scale: int = 1
    iterations: int = 1
    betas: tuple[float, float] = (0.9, 0.999)
    parameters_per_image: int = 0

    @abstractmethod
    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        """Split mixtures into layers.

        Args:
            mixture: (B, C, h, w) float32, sides multiples of ``multiple``.
            seeds: one per image; all randomness of an image comes from its own seed.

        Returns:
            (B, K', C, scale·h, scale·w), the first K' layers of the data's spec, nominally in [0, 1].
        """

    def optimise(self, mixture: Tensor, seeds: list[int], lent: Lent) -> Tensor:
        """Do what ``separate`` does, with what is lent; by default nothing of it is needed.

        Args:
            mixture: as in ``separate``.
            seeds: likewise.
            lent: for this separation.
        """
        return self.separate(mixture, seeds)

    def forward(self, mixture: Tensor, seeds: list[int] | None = None, lent: Lent | None = None) -> Tensor:
        """Split mixtures of any size into float32 layers.

        Args:
            mixture: (B, C, h, w) float32.
            seeds: one per image; default 0 for each.
            lent: to a method that optimises for each image; default nothing.

        Returns:
            (B, K', C, scale·h, scale·w) float32.
        """
        height, width = mixture.shape[-2:]
        padded = self.pad(mixture)
        layers = self.optimise(padded, seeds if seeds is not None else [0] * len(mixture), lent or Lent())
        return layers[..., : height * self.scale, : width * self.scale].float()

    def pad(self, image: Tensor) -> Tensor:
        """(..., H, W) -> the same with sides that ``separate`` takes; the border is repeated, right and below."""
        height, width = image.shape[-2:]
        below, right = (
            max(side, self.smallest) - side + -max(side, self.smallest) % self.multiple for side in (height, width)
        )
        if not below and not right:
            return image
        padded: Tensor = F.pad(image.flatten(0, -4), (0, right, 0, below), mode="replicate")
        return padded.view(*image.shape[:-2], height + below, width + right)

    def minimise(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """What ``training_step`` returns for several networks: the sum, to be minimised, and each one's own.

        Args:
            losses: () of each network, by its name; a loss that is not finite is told by that name.
        """
        loss = torch.stack(list(losses.values())).sum()
        own = {name: value.detach() for name, value in losses.items()}
        self.log_dict({"train/loss": loss.detach(), **{f"train/{name}": value for name, value in own.items()}})
        return {"loss": loss, **own}

    def log_sheet(self, name: str, images: Tensor) -> None:
        """Keep a picture of how training goes, under ``sheets/`` of the run's folder.

        Args:
            name: of the picture.
            images: (rows, columns, C, H, W), nominally in [0, 1].
        """
        if self.trainer.is_global_zero:
            folder = Path(self.trainer.default_root_dir) / "sheets"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}-step{self.trainer.global_step:07d}.png"
            save_image(images.flatten(0, 1).float().clamp(0, 1), path, nrow=images.shape[1])

    def configure_optimizers(self) -> Any:
        """Adam with the learning rate ``lr``; ``methods.recipe`` has more to offer."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"], betas=self.betas, fused=True)

    def embed(self, batch: LayerBatch) -> Codes:
        """Codes of a batch's mixtures and layers in the method's latent spaces; empty where it has none.

        Args:
            batch: of images of any size.
        """
        return {}

    def predict_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        """Layers of a batch, for ``unblend predict``; scoring calls the method itself."""
        layers: Tensor = self(batch.mixture)
        return layers

    def validation_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        """Layers of a batch of the select role; the benchmark scores them, and chooses the checkpoint by that."""
        layers: Tensor = self(batch.mixture)
        return layers
