"""DID-MDN: three densely connected streams, each with windows of its own size, that are told how dense the rain is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.types import LayerBatch, LayerSpec, UserError
from methods.base import MethodCard
from methods.losses.perceptual import perceptual
from methods.networks.norms import Norm, normalisation
from methods.networks.vgg import VGG19Features
from methods.recipe import TrainedMethod

STREAMS: dict[int, tuple[Sequence[int], Sequence[int], Sequence[float]]] = {
    3: ((5, 8, 4, 4, 8, 8), (4, 12, 12, 12, 4, 4), (0.5, 1, 1, 1, 1, 2)),
    5: ((13, 16, 16, 16, 8, 8), (8, 16, 16, 16, 8, 4), (0.5, 0.5, 1, 1, 2, 2)),
    7: ((13, 16, 16, 16, 8, 8), (8, 16, 16, 16, 8, 4), (0.5, 0.5, 0.5, 2, 2, 2)),
}
"""Kernel size -> of the stream's six blocks: channels that are added, channels that are left, change of the sides."""

LABELS = 8
"""Channels that hold the density."""


class DIDMDN(TrainedMethod):
    """Rain by a density-aware, multi-stream, densely connected network; the image without it is refined once more.

    Images are taken to [−1, 1] inside. The paper's data are of three densities, and a classifier tells the network
    which one it sees. Other data have no such label, so the classifier is left out, and ``density`` is that of all.

    It predicts the background alone, of any ordered layers.

    Args:
        width: of all blocks, as a share of the paper's.
        density: label of all images: 0 for none, 1 to 3 for light to heavy rain.
        norm: ``instance``, ``batch``, ``group`` or ``none``. The authors normalise by batches of one image, in testing,
            too; that is ``instance``.
        residual: start from the mixture: what the last convolution gives is added to the mixture without its rain, and
            both corrections are zero at first.
        perceptual: weight of the perceptual loss.
        features: VGG19's weights: ``timm``, ``random``, or a file's path.
        lr: learning rate of Adam.
        cosine: let the learning rate fall to zero over the run, where the authors let it fall along a line.
        weight_decay: decoupled; the authors' is added to the gradients.
        spec: of the data.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: sizes or a density that are impossible, or weights that cannot be had.

    Source: Zhang & Patel, Density-aware Single Image De-raining using a Multi-stream Dense Network, CVPR 2018, and the
        authors' code. Each stream shows one map of each of its first five blocks; in the code all five are of the first
        block, which looks like a slip, since it makes layers for the others and never calls them. What else it makes
        and never calls is left out (5,647 of its 372,839 parameters). Ours: ``residual``, for small budgets.
    """

    card = MethodCard(
        title="DID-MDN", paper="Zhang & Patel, Density-aware Single Image De-raining, CVPR 2018", year=2018,
        supervision="paired", channels=(3,), scales=(1,), ordered_only=True,
        reconstructed="VGG19's relu1_1 and relu2_1 stand for VGG16's relu1_2 and relu2_2",
    )  # fmt: skip
    layer_names = ("background",)
    multiple = smallest = 32
    betas = (0.5, 0.999)

    def __init__(
        self,
        width: float = 1.0,
        density: int = 1,
        norm: Norm = "instance",
        residual: bool = False,
        perceptual: float = 1.8,
        features: str = "timm",
        lr: float = 2e-4,
        cosine: bool = True,
        weight_decay: float = 5e-5,
        spec: LayerSpec | None = None,
        **recipe: Any,
    ) -> None:
        super().__init__(lr=lr, cosine=cosine, weight_decay=weight_decay, **recipe)
        self.save_hyperparameters()
        if width <= 0 or not 0 <= density <= 3 or perceptual < 0:
            raise UserError(
                f"width {width:g}, density {density}, perceptual {perceptual:g}: the width must be positive, the "
                "density 0, 1, 2 or 3, and the weight of the perceptual loss not negative."
            )
        self.density, self.perceptual = float(density), perceptual
        self.network = MultiStream(width, norm, residual)
        self.vgg = VGG19Features(features, 2) if perceptual else None
        # Frozen and the same everywhere: DDP need not send them before each step.
        named = [] if self.vgg is None else self.vgg.named_buffers()
        self._ddp_params_and_buffers_to_ignore = [f"vgg.{name}" for name, _ in named]

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        background: Tensor = self.network(2 * mixture - 1, self.density)
        return (background.unsqueeze(1) + 1) / 2

    def training_step(self, batch: LayerBatch, batch_idx: int) -> Tensor:
        background, truth = self(batch.mixture)[:, 0], batch.layers[:, 0]
        loss: Tensor = 2 * (background - truth).abs().mean()  # of values in [−1, 1]
        if self.vgg is not None:
            with torch.no_grad():
                known = self.vgg(truth)
            loss = loss + self.perceptual * perceptual(self.vgg(background), known)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.ids))
        return loss


class MultiStream(nn.Module):
    """The streams, what they see fused at several scales into the rain, and the refinement.

    Args:
        width: share of the paper's channels.
        norm: ``instance``, ``batch``, ``group`` or ``none``.
        residual: whether the refinement adds to the image without its rain, and all starts at zero.
    """

    def __init__(self, width: float, norm: Norm, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.streams = nn.ModuleList(DenseStream(size, *STREAMS[size], width, norm) for size in STREAMS)
        seen = sum(stream.outputs for stream in self.streams) + 3 + LABELS  # type: ignore[misc]
        self.fuse = nn.Conv2d(seen, seen, 3, padding=1)
        self.scales = nn.ModuleDict({str(side): nn.Conv2d(seen, 2, 1) for side in (32, 16, 8, 4)})
        self.rain = nn.Conv2d(seen + 8, 3, 3, padding=1)
        refined = nn.Conv2d(8, 3, 3, padding=1)
        if residual:
            for last in (self.rain, refined):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.refine = nn.Sequential(nn.Conv2d(3, 8, 7, padding=3), nn.LeakyReLU(0.2), refined, nn.Tanh())

    def forward(self, image: Tensor, density: float) -> Tensor:
        """(B, 3, H, W) in [−1, 1], sides multiples of 32, and the density's label -> the background, of that shape."""
        label = image.new_full((len(image), LABELS, *image.shape[2:]), density)
        seen = F.leaky_relu(self.fuse(torch.cat([image, label, *(stream(image) for stream in self.streams)], 1)), 0.2)
        maps = [seen]
        for side, look in self.scales.items():
            far = F.leaky_relu(look(F.avg_pool2d(seen, int(side))), 0.2)
            maps.append(F.interpolate(far, scale_factor=float(side)))
        clean = image - self.rain(torch.cat(maps, 1)).tanh()
        refined: Tensor = self.refine(clean)
        return clean + refined if self.residual else refined


class DenseStream(nn.Module):
    """Six dense blocks, each with a transition; the fifth sees the second, too, and the sixth the first.

    Args:
        size: of the convolutions' windows.
        added: channels that each block adds to what it is given.
        left: channels that each transition leaves.
        change: of the sides, in each transition.
        width: share of these channels.
        norm: ``instance``, ``batch``, ``group`` or ``none``.
    """

    def __init__(
        self, size: int, added: Sequence[int], left: Sequence[int], change: Sequence[float], width: float, norm: Norm
    ) -> None:
        super().__init__()
        added, left = ([max(1, round(width * count)) for count in counts] for counts in (added, left))
        given = [3, left[0], left[1], left[2], left[3] + left[1], left[4] + left[0]]

        def layer(inputs: int, outputs: int, side: int) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
            return [*normalisation(norm, inputs), nn.ReLU(), convolution]

        self.blocks = nn.ModuleList(
            nn.Sequential(*layer(inputs, 4 * more, 1), *layer(4 * more, more, size))
            for inputs, more in zip(given, added, strict=True)
        )
        self.transitions = nn.ModuleList(
            nn.Sequential(*layer(inputs + more, fewer, 1))
            for inputs, more, fewer in zip(given, added, left, strict=True)
        )
        self.change = list(change)
        self.show = nn.ModuleList(nn.Conv2d(inputs, 1, 3, padding=1) for inputs in given[1:])
        self.outputs = left[5] + len(self.show) + 3

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, outputs, H, W): the last maps, one of each block before, and the image."""
        seen: list[Tensor] = []
        x = image
        for number, (block, transition) in enumerate(zip(self.blocks, self.transitions, strict=True)):
            x = transition(torch.cat([x, block(x)], 1))
            if self.change[number] == 0.5:
                x = F.avg_pool2d(x, 2)
            elif self.change[number] == 2:
                x = F.interpolate(x, scale_factor=2.0)
            if number in (3, 4):
                x = torch.cat([x, seen[4 - number]], 1)
            seen.append(x)
        shown = [F.leaky_relu(look(maps), 0.2) for look, maps in zip(self.show, seen, strict=False)]
        return torch.cat([x, *(F.interpolate(one, image.shape[2:]) for one in shown), image], 1)
