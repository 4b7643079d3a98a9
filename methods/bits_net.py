"""BITS-Net: two deep image priors, trained on the mixture itself, that must not share edges or features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.types import LayerSpec, UserError
from methods.base import Lent, MethodCard, SeparationMethod
from methods.losses.exclusion import exclusion
from methods.losses.red import RED, DirectRED
from methods.networks.denoisers import DENOISERS
from methods.networks.skip_net import SkipNet
from methods.resume import Unfinished

VIEWS = 8
"""Turns and reflections of a picture."""

LOOK_EVERY = 50
"""Iterations from one look at the remix, from the host, to the next; between two looks no value leaves the device."""

PICKED = 3
"""Channels of a feature map that are compared at a time, as many as an image has."""


class BITSNet(SeparationMethod):
    """One network for each layer; both learn, from the mixture alone, two images whose sum it is.

    Everything is optimised for each image on its own, but for many images at once: their networks are groups of
    the same convolutions, and the loss is the sum of the images' losses, so that no image sees another.

    A mixture of two layers' mean, which the authors' code separates, is that of two half layers' sum (Eq. 1): the
    networks' outputs are scaled by the data's gain, 2 for a mean, 1 for a sum.

    Values are read from the device every 50 iterations and at the end, never in between.

    Args:
        iterations: gradient steps for each image.
        lr: learning rate of Adam.
        exclusion: α₁, weight of the exclusion loss between the layers.
        deep_feature_loss: whether the last feature maps are kept apart, too.
        feature: α₂, weight of that term.
        feature_levels: κ of Eq. 4, the feature maps that are kept apart: 0 for the last ones, at full resolution, as
            the authors' code has it; l for those at 1/2^l of it.
        natural_prior: whether the layers are regularised by denoising (RED).
        prior: λ, weight of the regulariser.
        splitting: whether the regulariser is solved by ADMM, as the paper does, or its gradient is simply followed.
        coupling: μ of the ADMM.
        denoiser: of the regulariser.
        denoise_every: iterations from one denoising to the next.
        stop_psnr: an image is finished early, once its remix reaches so many dB; default never.
        images_at_once: how many images are optimised together.
        widths: of the networks' levels.
        skips: of the networks' levels.
        spec: of the data.

    Raises:
        UserError: a number that is too small, a level that the networks have not, or a mixture that is not finite.

    Source: Zhou et al., BITS-Net. Augmentation, noise, the loss's means, κ, and a feature map's three channels, drawn
        for each network on its own in each iteration: from the authors' code. That code keeps the iteration whose
        remix is best; here the last one counts, which both run without noise.
    """

    version: ClassVar[int] = 2
    card = MethodCard(
        title="BITS-Net", paper="Zhou, Lyu & Rodrigues, BITS-Net: Blind Image Transparency Separation Network",
        year=2023, supervision="single-image", layers=(2,), scales=(1,),
    )  # fmt: skip

    def __init__(
        self,
        iterations: int = 8000,
        lr: float = 0.008,
        exclusion: float = 0.01,
        deep_feature_loss: bool = True,
        feature: float = 0.001,
        feature_levels: Sequence[int] = (0,),
        natural_prior: bool = True,
        prior: float = 0.5,
        splitting: bool = True,
        coupling: float = 0.5,
        denoiser: Literal["nlm", "median", "bilateral"] = "nlm",
        denoise_every: int = 10,
        stop_psnr: float | None = None,
        images_at_once: int = 8,
        widths: Sequence[int] = (8, 16, 32, 64, 128),
        skips: Sequence[int] = (0, 0, 0, 4, 4),
        spec: LayerSpec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if min(iterations, denoise_every, images_at_once) < 1 or lr <= 0:
            raise UserError(
                f"iterations {iterations}, denoise_every {denoise_every}, images_at_once {images_at_once}, lr {lr}: "
                "the first three must be at least 1, lr above 0."
            )
        if any(not 0 <= level < len(widths) for level in feature_levels):
            raise UserError(
                f"feature_levels {', '.join(map(str, feature_levels))}: the networks have the levels 0 to "
                f"{len(widths) - 1}; name some of them."
            )
        self.iterations, self.lr, self.stop_psnr, self.images_at_once = iterations, lr, stop_psnr, images_at_once
        self.exclusion = exclusion
        self.feature, self.feature_levels = feature, tuple(feature_levels) if deep_feature_loss and feature else ()
        self.prior, self.splitting, self.coupling = prior if natural_prior else 0.0, splitting, coupling
        self.denoise, self.denoise_every = DENOISERS[denoiser], denoise_every
        self.widths, self.skips = tuple(widths), tuple(skips)
        self.gain = spec["gain"] if spec else 2.0
        shape = SkipNet(1, widths=self.widths, skips=self.skips)
        self.multiple, self.smallest = shape.multiple, shape.smallest
        self.parameters_per_image = 2 * sum(parameter.numel() for parameter in shape.parameters())

    def separate(self, mixture: Tensor, seeds: list[int]) -> Tensor:
        return self.optimise(mixture, seeds, Lent())

    def optimise(self, mixture: Tensor, seeds: list[int], lent: Lent) -> Tensor:
        firsts = range(0, len(seeds), self.images_at_once)
        parts = [slice(first, first + self.images_at_once) for first in firsts]
        with torch.enable_grad():
            return self.gain * torch.cat([self._together(mixture[part], seeds[part], lent) for part in parts])

    def _together(self, mixture: Tensor, seeds: list[int], lent: Lent) -> Tensor:
        """Layers ŷ (B, 2, C, H, W), whose sum is the mixture (B, C, H, W)."""
        unfinished = Unfinished(self, mixture, seeds, lent.workspace)
        state = unfinished.load()
        if "layers" in state:
            finished: Tensor = state["layers"]
            return finished
        iterations = lent.limit(self.iterations)
        run = Optimisation(self, mixture, seeds, iterations)
        if state:
            run.load_state_dict(state)
        while run.iteration < iterations and not run.finished():
            run.step()
            if run.iteration % LOOK_EVERY == 0 or run.iteration == iterations:
                run.look()
                unfinished.save(run.state_dict)
                if lent.watch:
                    lent.watch(run.iteration, iterations, run.psnr.mean().item(), lambda: self.gain * run.layers())
        layers = run.layers()
        unfinished.finish({"layers": layers})
        return layers


class Optimisation:
    """The optimisation of some images: their networks, and all that changes from step to step."""

    def __init__(self, method: BITSNet, mixture: Tensor, seeds: list[int], iterations: int | None = None) -> None:
        self.method, self.mixture, self.iterations = method, mixture, iterations or method.iterations
        count, channels = mixture.shape[:2]
        self.generators = [torch.Generator(mixture.device).manual_seed(seed) for seed in seeds]
        with mixture.device:
            self.networks = SkipNet(2 * count, outputs=channels, widths=method.widths, skips=method.skips)
        self.networks.to(mixture.dtype)
        self.networks.start([own for own in self.generators for _ in range(2)])
        # Sec. 3.1: ŷ_i = DIP_i(z_i), independent noise z_i.
        self.noise = 0.01 * (self._random(torch.rand, 3, *mixture.shape[-2:]) - 0.5)
        self.adam = torch.optim.Adam(self.networks.parameters(), lr=method.lr, fused=True)
        self.red: RED | DirectRED = DirectRED(method.denoise, method.prior, method.denoise_every)
        if method.splitting:
            self.red = RED(method.denoise, method.prior, method.coupling, method.denoise_every)
        self.iteration = 0
        self.psnr = torch.zeros(count, device=mixture.device)
        self.error = torch.ones_like(self.psnr)
        self.kept = mixture.new_zeros(count, 2, *mixture.shape[1:])
        self.done = torch.zeros(count, dtype=torch.bool, device=mixture.device)

    def step(self) -> None:
        """One step of Eq. 9, and the updates of Eq. 10 and 11."""
        method, i = self.method, self.iteration
        view = 0 if i % 2 else i // 2 % VIEWS
        sigma = (i // 100 if i < 1000 else 1) / 1000
        if i + 1 == self.iterations:
            view, sigma = 0, 0.0
        noise = self.noise
        if sigma:
            noise = noise + sigma * self._random(torch.randn, *noise.shape[1:])
        mixture = _view(self.mixture, view)
        outputs, features = self.networks(_view(noise, view), method.feature_levels)
        layers = _by_image(outputs)
        # Eq. 6: the remix; Eq. 3: edges, and features, of the two layers in different places.
        residual = layers.sum(1) - mixture
        loss = residual.abs().mean((1, 2, 3)) + self._separation(layers, features)
        if method.prior:
            loss = loss + self.red.penalty(outputs, i, view).view(-1, 2).sum(1)
        self.adam.zero_grad()
        torch.autograd.backward(loss.sum())
        self.adam.step()
        if method.prior:
            self.red.update(outputs.detach(), i, view)
        if view == 0:
            self.error = (residual.detach() ** 2).mean((1, 2, 3)).float()
        self.iteration += 1

    def look(self) -> None:
        """Note how good the remix is; keep the layers of images that are finished.

        Raises:
            UserError: a mixture is not finite, or the optimisation went astray.
        """
        self.psnr = -10 * self.error.clamp_min(1e-10).log10()
        if not torch.isfinite(self.error).all():
            if not torch.isfinite(self.mixture).all():
                raise UserError("the mixture has pixels that are not finite: mend the image.")
            raise UserError(
                f"{self.method.card.title}: the remix is not finite after {self.iteration} iterations: "
                "lower lr, or use precision 32-true."
            )
        if self.method.stop_psnr is not None:
            new = (self.psnr >= self.method.stop_psnr) & ~self.done
            if new.any():
                self.kept[new], self.done = self._now()[new], self.done | new

    def finished(self) -> bool:
        """Whether all images have stopped early."""
        return self.method.stop_psnr is not None and bool(self.done.all())

    def layers(self) -> Tensor:
        """(B, 2, C, H, W): those that were kept, the others as the networks see them now, without noise."""
        done = self.done.view(-1, 1, 1, 1, 1)
        return self.kept if self.finished() else torch.where(done, self.kept, self._now())

    def state_dict(self) -> dict[str, Any]:
        """Everything that a continuation needs."""
        return {
            "iteration": self.iteration,
            "networks": self.networks.state_dict(),
            "adam": self.adam.state_dict(),
            "red": self.red.state_dict(),
            "generators": [own.get_state() for own in self.generators],
            "error": self.error,
            "kept": self.kept,
            "done": self.done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.networks.load_state_dict(state["networks"])
        self.adam.load_state_dict(state["adam"])
        self.red.load_state_dict(state["red"])
        for own, numbers in zip(self.generators, state["generators"], strict=True):
            own.set_state(numbers.cpu())
        self.iteration, self.error, self.kept, self.done = (
            state[name] for name in ("iteration", "error", "kept", "done")
        )

    @torch.no_grad()
    def _now(self) -> Tensor:
        return _by_image(self.networks(self.noise)[0])

    def _separation(self, layers: Tensor, features: list[Tensor]) -> Tensor:
        """(B,) Eq. 3 of the layers (B, 2, C, H, W) and of random channels of the networks' feature maps (Eq. 4)."""
        method, networks = self.method, len(self.noise)
        total = method.exclusion * exclusion(layers[:, 0], layers[:, 1])
        for maps in features:
            channels = maps.shape[1]
            width = channels // networks
            picks = self._random(lambda count, **own: torch.randperm(count, **own)[:PICKED], width, dtype=torch.long)
            index = picks + width * torch.arange(networks, device=picks.device).view(-1, 1)
            # A product with ones in their places: the gradient of indexing would come in another memory layout.
            chosen = F.one_hot(index.flatten(), channels).to(maps.dtype) @ maps.permute(0, 2, 3, 1).flatten(0, 2).mT
            apart = _by_image(torch.sigmoid(chosen.to(layers.dtype)).view(networks, -1, *maps.shape[2:]))
            total = total + method.feature * exclusion(apart[:, 0], apart[:, 1])
        return total

    def _random(self, draw: Any, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """(2B, *shape) random numbers; an image's from its own generator."""
        options = {"dtype": dtype or self.mixture.dtype, "device": self.mixture.device}
        return torch.stack([draw(*shape, generator=own, **options) for own in self.generators for _ in range(2)])


def _by_image(outputs: Tensor) -> Tensor:
    """(B, 2, C, H, W) of (2B, C, H, W)."""
    return outputs.view(-1, 2, *outputs.shape[1:])


def _view(image: Tensor, view: int) -> Tensor:
    """One of the eight turns and reflections of (N, C, H, W)."""
    turned = image.rot90(view % 4, (-2, -1)) if view % 4 else image
    return turned.flip(-1) if view >= 4 else turned
