"""What a method costs on one image: parameters, FLOPs, latency, memory."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmark.fit import peak_memory_mib
from methods.base import SeparationMethod


def measure(method: SeparationMethod, mixture: Tensor, *, seconds: float = 1.0, runs: int = 30) -> dict[str, Any]:
    """Measure one call on one image.

    Args:
        method: on the device to measure on.
        mixture: (1, C, h, w) on the same device.
        seconds: stop repeating after so long.
        runs: and after so many repetitions.

    Returns:
        ``parameters``; ``flops``, counted by torch for convolutions, matrix products and attention (a
        multiply-add is two), None where none of them ran through torch; ``latency_s``, the median; ``latency_runs``;
        ``latency_threads``, on the CPU; ``peak_memory_mib`` (of the device's allocator, or of the whole process);
        ``image``, the mixture's (C, h, w).
    """
    counter = FlopCounterMode(display=False)
    with counter:
        method(mixture)  # warms up, too
    times: list[float] = []
    while len(times) < runs and sum(times) < seconds:
        _wait(mixture)
        begin = time.perf_counter()
        method(mixture)
        _wait(mixture)
        times.append(time.perf_counter() - begin)
    return {
        "parameters": sum(parameter.numel() for parameter in method.parameters()),
        "flops": counter.get_total_flops() or None,
        "latency_s": median(times),
        "latency_runs": len(times),
        "latency_threads": torch.get_num_threads() if mixture.device.type == "cpu" else None,
        "peak_memory_mib": peak_memory_mib(mixture.device),
        "image": list(mixture.shape[1:]),
    }


def _wait(tensor: Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)
