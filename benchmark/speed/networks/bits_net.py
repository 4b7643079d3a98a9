"""BITS-Net against a plain loop over images: ``python -m benchmark.speed.networks.bits_net [SIDE]``.

*plain* is the same mathematics as one would first write it: a network of torch modules for each layer, one image at
a time, the exclusion loss pair by pair, and scikit-image's non-local means on the host for all eight views. The network
step against its bare convolutions is among ``benchmark.speed.networks.methods``.
"""

from __future__ import annotations

import sys
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from skimage.restoration import denoise_nl_means
from torch import Tensor, nn

from benchmark.speed.rows import Row, by_turns, number, quotients, row, show
from methods.bits_net import BITSNet, Optimisation
from methods.networks.denoisers import SIGMA, non_local_means

ROUNDS = 9


class PlainSkipNet(nn.Module):
    """One network of the paper's widths, module by module; also the oracle of the tests."""

    def __init__(self) -> None:
        super().__init__()
        widths, skips = (8, 16, 32, 64, 128), (0, 0, 0, 4, 4)
        self.down, self.skip, self.up, self.joined = (nn.ModuleList() for _ in range(4))
        finer = 3
        for i, (width, skip) in enumerate(zip(widths, skips, strict=True)):
            coarser = widths[min(i + 1, len(widths) - 1)]
            self.down.append(nn.Sequential(self._block(finer, width, 5, 2), self._block(width, width, 5)))
            self.skip.append(self._block(finer, skip, 1) if skip else nn.Identity())
            self.joined.append(nn.BatchNorm2d(coarser + skip))
            self.up.append(nn.Sequential(self._block(coarser + skip, width, 5), self._block(width, width, 1)))
            finer = width
        self.skips = skips
        self.last = nn.Conv2d(widths[0], 3, 1)

    @staticmethod
    def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect")
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W) -> (1, 3, H, W) and the last feature maps."""
        features = self._level(0, x)
        return torch.sigmoid(self.last(features)), features

    def _level(self, i: int, x: Tensor) -> Tensor:
        deep = self.down[i](x)
        if i + 1 < len(self.down):
            deep = self._level(i + 1, deep)
        deep = F.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=True)
        if self.skips[i]:
            deep = torch.cat([self.skip[i](x), deep], 1)
        features: Tensor = self.up[i](self.joined[i](deep))
        return features


def plain_exclusion(first: Tensor, second: Tensor) -> Tensor:
    """The exclusion loss of two images (1, C, H, W), as its formula reads; also the oracle of the tests."""
    total, terms = torch.zeros((), dtype=first.dtype), 0
    for _ in range(3):
        for axis in (-2, -1):
            one, other = (2 * torch.sigmoid(image.diff(dim=axis)) - 1 for image in (first, second))
            for i in range(first.shape[1]):
                for j in range(second.shape[1]):
                    total = total + torch.mean(one[:, i] ** 2 * other[:, j] ** 2) ** 0.25
                    terms += 1
        first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
    return total / terms


class Plain:
    """One image's optimisation."""

    def __init__(self, mixture: Tensor) -> None:
        self.mixture = mixture
        self.networks = [PlainSkipNet(), PlainSkipNet()]
        self.noise = [0.01 * (torch.rand(mixture.shape) - 0.5) for _ in range(2)]
        parameters = [p for network in self.networks for p in network.parameters()]
        self.adam = torch.optim.Adam(parameters, lr=0.008)
        self.x = [[torch.zeros_like(mixture) for _ in range(8)] for _ in range(2)]
        self.u = [[torch.zeros_like(mixture) for _ in range(8)] for _ in range(2)]
        self.denoised = [[torch.zeros_like(mixture) for _ in range(8)] for _ in range(2)]
        self.iteration = 0

    def step(self) -> None:
        """One step of the networks and of the splitting variables."""
        view = 0 if self.iteration % 2 else self.iteration // 2 % 8
        self.iteration += 1
        turned = [_turned(noise, view) for noise in self.noise]
        pairs = [
            network(noise + 0.001 * torch.randn_like(noise))
            for network, noise in zip(self.networks, turned, strict=True)
        ]
        layers, features = zip(*pairs, strict=True)
        loss = (layers[0] + layers[1] - _turned(self.mixture, view)).abs().mean()
        loss = loss + 0.01 * plain_exclusion(*layers)
        loss = loss + 0.001 * plain_exclusion(*(torch.sigmoid(f[:, torch.randperm(8)[:3]]) for f in features))
        for k in range(2):
            loss = loss + 0.5 * F.mse_loss(layers[k], self.x[k][view] - self.u[k][view])
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        with torch.no_grad():
            for k in range(2):
                mean = (0.5 * self.denoised[k][view] + 0.5 * (layers[k] + self.u[k][view])) / (0.5 + 0.5)
                self.x[k][view] = mean.clamp(0, 1)
                self.u[k][view] = self.u[k][view] + layers[k] - self.x[k][view]

    def denoise(self) -> None:
        """f(x̃) of all views, as every tenth iteration asks for."""
        for k in range(2):
            for view in range(8):
                self.denoised[k][view] = plain_denoise(self.x[k][view])


def plain_denoise(image: Tensor) -> Tensor:
    """Non-local means of (1, C, H, W), channel by channel, by scikit-image."""
    options = {"patch_size": 5, "patch_distance": 6, "h": 0.6 * SIGMA, "sigma": SIGMA, "fast_mode": True}
    return torch.from_numpy(np.stack([denoise_nl_means(plane.numpy(), **options) for plane in image[0]])).float()[None]


def ours(mixture: Tensor) -> Optimisation:
    """Our optimisation of some images, without its denoiser, past the first look at each view."""
    run = Optimisation(BITSNet(denoise_every=10**9), mixture, list(range(len(mixture))))
    for _ in range(17):
        run.step()
    return run


def main(size: int = 128) -> list[Row]:
    """Ratios, and the times that they come from."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    mixture = torch.rand(8, 3, size, size, generator=generator)
    image = F.avg_pool2d(F.pad(mixture[:1], (2, 2, 2, 2), mode="reflect"), 5, 1)  # non-local means has work to do
    plain, single, eight = Plain(mixture[:1]), ours(mixture[:1]), ours(mixture)
    times = by_turns(
        {
            "plain step": plain.step,
            "step": single.step,
            "plain denoiser": lambda: plain_denoise(image),
            "denoiser": lambda: non_local_means(image),
            "step of 8": eight.step,
        },
        ROUNDS,
    )
    # In ten iterations the plain loop denoises 16 images; ours those that are used again: 5 3/8 views of 2 layers.
    plain_all = [one + 1.6 * other for one, other in zip(times["plain step"], times["plain denoiser"], strict=True)]
    our_all = [one + 1.075 * other for one, other in zip(times["step"], times["denoiser"], strict=True)]
    batched = quotients(times["step"], times["step of 8"], 8)
    return [
        _compared(f"{size}×{size}, network step, plain / ours", times["plain step"], times["step"]),
        _compared(f"{size}×{size}, denoiser, plain / ours", times["plain denoiser"], times["denoiser"], at_least=1),
        _compared(f"{size}×{size}, iteration with its share of the denoiser, plain / ours", plain_all, our_all),
        row(f"{size}×{size}, images per hour, 8 at once / one by one", batched),
    ]


def _compared(what: str, plain: list[float], our: list[float], at_least: float | None = None) -> Row:
    note = f"{number(median(plain))} ms, {number(median(our))} ms"
    return row(what, quotients(plain, our), at_least=at_least, note=note)


def _turned(image: Tensor, view: int) -> Tensor:
    turned = torch.rot90(image, view % 4, (-2, -1))
    return turned.flip(-1) if view >= 4 else turned


if __name__ == "__main__":
    show(main(*map(int, sys.argv[1:2])))
