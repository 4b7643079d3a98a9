"""Curves beside a training: CSV always, wandb where asked for; a logger that fails never fails a cell."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers.logger import Logger


class Tolerant(Logger):
    """Passes everything on to another logger, until that fails; then it says so once and logs nothing more.

    Args:
        name: of the logger, for people.
        make: makes it, when it is first needed.
    """

    def __init__(self, name: str, make: Callable[[], Logger]) -> None:
        super().__init__()
        self._what, self._make = name, make
        self.inner: Logger | None = None
        self.failed = False

    @property
    def name(self) -> str | None:
        return self._what

    @property
    def version(self) -> int | str | None:
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.attempt(lambda inner: inner.log_metrics(metrics, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        self.attempt(lambda inner: inner.log_hyperparams(params, *args, **kwargs))

    def save(self) -> None:
        self.attempt(lambda inner: inner.save())

    def finalize(self, status: str) -> None:
        if self.inner is not None:
            self.attempt(lambda inner: inner.finalize(status))

    def attempt(self, action: Callable[[Any], Any]) -> None:
        """Do something with the logger; what goes wrong is told, and nothing more."""
        if self.failed:
            return
        try:
            self.inner = self.inner or self._make()
            action(self.inner)
        except (Exception, SystemExit) as error:
            self.failed = True
            text = " ".join(str(error).split())[:300]
            print(f"unblend: warning: {self._what} failed, the training goes on without: {text}", file=sys.stderr)
