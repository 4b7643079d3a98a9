"""Options that a class does not have, in one line with the nearest ones."""

from __future__ import annotations

import importlib
import inspect
import re

from benchmark.errors import UserError, unknown

_OPTION = re.compile(r"given class_path '([\w.]+)': .*?(?:Option|key) ['\"]?([\w.]+?)['\"]? (?:is not|to check)")


def mistaken(error: BaseException) -> UserError | None:
    """The option that a configuration gives a class which has none of that name; None where that is not the error.

    jsonargparse tries every type that an option might have and reports each failure; of these only
    the option that is not accepted tells a person anything.

    Args:
        error: of the parser.
    """
    found = _OPTION.search(" ".join(str(error).split()))
    if found is None:
        return None
    class_path, name = found.groups()
    module, _, class_name = class_path.rpartition(".")
    options: set[str] = set()
    for parent in inspect.getmro(getattr(importlib.import_module(module), class_name)):
        if parent.__module__.partition(".")[0] == module.partition(".")[0] and "__init__" in vars(parent):
            options |= set(inspect.signature(parent).parameters) - {"args", "kwargs", "self", "spec"}
    return UserError(f"{class_name}: {unknown('option', name, options)}")
