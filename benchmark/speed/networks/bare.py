"""The floor under a method: its convolutions, matrix products and attention, and nothing else.

What a call hands to torch is noted, operation by operation; then the same operations run on random tensors of the same
shapes, strides and types. Everything that is not one of them (normalisation, activations, losses, the optimiser,
copies, Python) is what the method costs beside its floor.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt."""


@dataclass(frozen=True)
class Layout:
    """All that an operation's speed needs of a tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def make(self) -> Tensor:
        """A random tensor so laid out; integers are 0."""
        length = 1 + sum((side - 1) * step for side, step in zip(self.shape, self.stride, strict=True))
        flat = torch.zeros(max(length, 1), dtype=self.dtype)
        if self.dtype.is_floating_point:
            flat.normal_()
        return flat.as_strided(self.shape, self.stride)


class Record(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes convolutions, matrix products and attention, forward and backward: what torch counts FLOPs of.

    Attributes:
        calls: operation, arguments and named arguments, with layouts in place of tensors.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Callable[..., Any], Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._overloadpacket in flop_registry:
            self.calls.append((func, *tree_map(_layout, (args, kwargs or {}))))
        return func(*args, **(kwargs or {}))


def floor(call: Callable[[], object]) -> Callable[[], None]:
    """The bare operations of a call.

    Tensors of one layout are made once and shared, so they lie in the cache more often than in the call itself: the
    floor is rather too low than too high.

    Args:
        call: is called once.

    Returns:
        runs the operations, each as often as the call did, in its order.
    """
    # Fused inference of transformer layers would hide the products in one operation.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with Record() as record:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    made: dict[Layout, Tensor] = {}

    def tensor(value: Any) -> Any:
        if isinstance(value, Layout):
            if value not in made:
                made[value] = value.make()
            return made[value]
        return value

    calls = [(func, *tree_map(tensor, (args, named))) for func, args, named in record.calls]

    @torch.no_grad()
    def run() -> None:
        for func, args, named in calls:
            func(*args, **named)

    return run


def keep_memory() -> None:
    """Let this process keep the memory that it frees, where glibc gives it out.

    By default large blocks go back to the system, and each page of the next one is a page fault: a tenth of a step with
    large weights, but by no rule that step and floor share. Kept, neither has them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _layout(value: Any) -> Any:
    return Layout(tuple(value.shape), value.stride(), value.dtype) if isinstance(value, Tensor) else value
