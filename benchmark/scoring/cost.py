"""What a method costs on one image: parameters, FLOPs, latency, memory."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmark.plan.execution import Cost
from methods.base import Lent, SeparationMethod

SHORTENED = 20
"""Iterations that stand for all those of a method that optimises for each image."""


def measure(method: SeparationMethod, mixture: Tensor, *, seconds: float = 1.0, runs: int = 30) -> Cost:
    """Measure one call on one image.

    Args:
        method: on the device to measure on.
        mixture: (1, C, h, w) on the same device.
        seconds: stop repeating after so long.
        runs: and after so many repetitions.

    Returns:
        ``parameters``; ``flops``, counted by torch for convolutions, matrix products and attention (a
        multiply-add is two), None where none of them ran through torch; ``latency_s``, the median; ``latency_runs``;
        ``latency_threads``, on the CPU; ``peak_memory_mib``, of the tensors that the call made, at one time;
        ``image``, the mixture's (C, h, w). Of a method that optimises for each image, ``flops`` and ``latency_s``
        are those of a few iterations, times as many as it takes.
    """
    lent = Lent(iterations=SHORTENED)
    share = method.iterations / lent.limit(method.iterations)
    return _measure(lambda image: method(image, lent=lent), method, mixture, seconds, runs, share)


def _measure(
    separate: Callable[[Tensor], Tensor],
    method: SeparationMethod,
    mixture: Tensor,
    seconds: float,
    runs: int,
    share: float,
) -> Cost:
    counter, memory = FlopCounterMode(display=False), TensorMemory()
    with counter, memory:
        separate(mixture)  # warms up, too
    times: list[float] = []
    while len(times) < runs and sum(times) < seconds:
        _wait(mixture)
        begin = time.perf_counter()
        separate(mixture)
        _wait(mixture)
        times.append(time.perf_counter() - begin)
    return {
        "parameters": sum(parameter.numel() for parameter in method.parameters()) + method.parameters_per_image,
        "flops": round(share * counter.get_total_flops()) or None,
        "latency_s": share * median(times),
        "latency_runs": len(times),
        "latency_threads": torch.get_num_threads() if mixture.device.type == "cpu" else None,
        "peak_memory_mib": round(memory.peak / 2**20, 1),
        "image": list(mixture.shape[1:]),
    }


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors made while it is active, on any device; what a kernel needs within is not seen.

    Attributes:
        peak: bytes at one time, at most.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for made in tree_leaves(result):
            if isinstance(made, Tensor) and made.layout is torch.strided:
                storage = made.untyped_storage()
                key = storage._cdata
                if key not in self._alive:
                    self._alive[key] = storage.nbytes()
                    self._now += storage.nbytes()
                    self.peak = max(self.peak, self._now)
                    weakref.finalize(storage, self._freed, key)
        return result

    def _freed(self, key: int) -> None:
        self._now -= self._alive.pop(key)
