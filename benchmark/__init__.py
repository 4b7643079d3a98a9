"""Run and judge, in rooms; each knows those below it only.

``commands``, ``workflows``, ``running``, ``scoring``, then side by side ``training`` and ``reports``, then ``results``,
then side by side ``plan`` and ``metrics``. ``speed`` measures them all.

Five functions are for everybody: ``evaluate``, ``load``, ``separate``, ``published`` and ``mixtures``. Importing this
package loads none of them, nor torch; asking for one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.workflows.python import evaluate, load, mixtures, published, separate

__all__ = ["evaluate", "load", "mixtures", "published", "separate"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchmark.workflows import python

    return getattr(python, name)
