"""A training step of DMGN against its convolutions alone: ``python -m benchmark.speed.dmgn [WIDTH]``.

The floor is every convolution of the step, VGG19's included, forward and backward, on tensors of the same shapes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from datamodules.types import LayerBatch
from methods.dmgn import DMGN

SIZE, ROUNDS = 128, 3


def floor(step: Callable[[], None]) -> Callable[[], None]:
    """The convolutions that a step calls, alone."""
    calls: list[tuple[Callable[..., Tensor], Tensor, Tensor, Any, tuple[Any, ...], dict[str, Any], Tensor]] = []
    originals: dict[str, Callable[..., Tensor]] = {"conv2d": F.conv2d, "conv_transpose2d": F.conv_transpose2d}

    def recording(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(image: Tensor, weight: Tensor, bias: Any = None, *more: Any, **named: Any) -> Tensor:
            result = original(image, weight, bias, *more, **named)
            parts = [part.detach().requires_grad_(part.requires_grad) for part in (image, weight)]
            offset = None if bias is None else bias.detach().requires_grad_(bias.requires_grad)
            calls.append((original, *parts, offset, more, named, torch.rand_like(result)))  # type: ignore[arg-type]
            return result

        return call

    for name, original in originals.items():
        setattr(F, name, recording(original))
    try:
        step()
    finally:
        for name, original in originals.items():
            setattr(F, name, original)

    def run() -> None:
        for original, image, weight, bias, more, named, gradient in calls:
            result = original(image, weight, bias, *more, **named)
            if result.requires_grad:
                torch.autograd.backward(result, gradient)
                image.grad = weight.grad = None

    return run


def main(width: int = 64) -> None:
    """Print both medians and their ratio, parameters and multiply-adds."""
    torch.manual_seed(0)
    method = DMGN(width=width, features="random", perceptual=0.0, adversarial=0.0)
    method.log_dict = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer here
    layers = torch.rand(1, 2, 3, SIZE, SIZE)
    batch = LayerBatch(layers.mean(1), layers, torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool), ["0"])
    optimizer = torch.optim.Adam(method.parameters(), lr=2e-4)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(method.training_step(batch, 0)["loss"])
        optimizer.step()

    cases = {"training step": step, "convolutions alone": floor(step)}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):  # by turns, so that a busy machine slows both
        for name, case in cases.items():
            begin = time.perf_counter()
            case()
            times[name].append(time.perf_counter() - begin)
    console = Console(highlight=False)
    for name, values in times.items():
        console.print(f"{name:20} {median(values):8.2f} s")
    console.print(f"{'ratio':20} {median(times['training step']) / median(times['convolutions alone']):8.2f}")
    console.print(f"{'parameters':20} {sum(p.numel() for p in method.parameters()):,}")
    console.print(f"{'multiply-adds, 256²':20} {multiply_adds(method, 256) / 1e9:8.1f} G (the paper: 232.5 G)")


def multiply_adds(method: DMGN, size: int) -> int:
    """Of the convolutions of one forward pass, without VGG19's and the transposed ones, as the paper counts."""
    total = 0

    def count(module: torch.nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, torch.nn.Conv2d)
        total += output.numel() * module.weight[0].numel()

    hooks = [part.register_forward_hook(count) for part in method.modules() if isinstance(part, torch.nn.Conv2d)]
    with torch.no_grad():
        method(torch.rand(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return total


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(*map(int, sys.argv[1:2]))
