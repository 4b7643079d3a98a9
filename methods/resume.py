"""The state of a long separation on disk, so that an interruption loses no more than a minute."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from methods.base import SeparationMethod

SAVE_EVERY = 60.0
"""Seconds from one saved state to the next."""


class Unfinished:
    """Where one separation keeps its state; nowhere, unless it is lent a workspace.

    A state belongs to a method's class and options, the mixtures and their seeds. Of a finished call the result is
    kept: a run over many images goes on with the next one.

    Args:
        method: whose state it is.
        mixture: (B, C, H, W) that is separated.
        seeds: of the images.
        workspace: folder that is lent, if any.
    """

    def __init__(self, method: SeparationMethod, mixture: Tensor, seeds: list[int], workspace: Path | None) -> None:
        self.path = None
        if workspace is not None:
            pixels = mixture.detach().cpu().contiguous().numpy().tobytes()
            options = sorted((name, repr(value)) for name, value in method.hparams.items() if name != "images_at_once")
            known = repr((type(method).__qualname__, options, tuple(mixture.shape), seeds)).encode()
            self.path = workspace / f"{hashlib.blake2b(pixels + known, digest_size=12).hexdigest()}.pt"
        self.device, self.saved = mixture.device, time.monotonic()

    def load(self) -> dict[str, Any]:
        """The state that was saved last; empty, if there is none that can be read."""
        if self.path is None or not self.path.is_file():
            return {}
        try:
            state: dict[str, Any] = torch.load(self.path, map_location=self.device, weights_only=True)
        except Exception:  # half a file is as good as none
            return {}
        return state

    def save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Save, if the last time was long enough ago."""
        if self.path is not None and time.monotonic() - self.saved > SAVE_EVERY:
            self.finish(state())

    def finish(self, state: dict[str, Any]) -> None:
        """Save at once; the file is whole or not there."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        torch.save(state, beside)
        os.replace(beside, self.path)
        self.saved = time.monotonic()
