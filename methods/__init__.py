"""Mixture in, layers out: one file per method.

A new method is one new file in this folder; nothing lists it by name. ``discover`` finds them.
"""

from __future__ import annotations

import importlib
import pkgutil


def discover() -> dict[str, str]:
    """Import every module of this package, so that short class names resolve.

    Returns:
        Module name -> error, for each file that could not be imported; the others are not affected.
    """
    broken: dict[str, str] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        try:
            importlib.import_module(module.name)
        except Exception as error:  # one broken file must not take the others down
            broken[module.name] = f"{type(error).__name__}: {error}"
    return broken
