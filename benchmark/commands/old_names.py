"""Names that commands had before: each still works for one release, and says what it is called now."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import PurePath

HELP = {"-h", "--help"}


def translated(arguments: list[str]) -> list[str]:
    """The arguments of a command as they are now; an old name's note goes to stderr.

    Args:
        arguments: with the command's name, which may be an old one.
    """
    if not arguments or arguments[0] not in OLD:
        return arguments
    name, *rest = arguments
    before, now, translate = OLD[name]
    print(
        f"unblend: note: '{before}' is now '{now}'; the old name goes with the next release",
        file=sys.stderr,
        flush=True,
    )
    found = translate(rest)
    return [found[0], "--help"] if HELP & set(rest) else found


def _retry(rest: list[str]) -> list[str]:
    return ["bench", *rest, "--only=failed"]


def _join(rest: list[str]) -> list[str]:
    suite, rest = _taken(rest, "--suite")
    return ["bench", *suite, *rest] if _has(rest, "--model") else ["bench", *suite, *rest, "--model"]


def _evaluate(rest: list[str]) -> list[str]:
    return ["test", *rest]


def _paper(rest: list[str]) -> list[str]:
    runs, rest = _taken(rest, "--runs")
    tables = ["all"] if "--all" in rest else rest
    return ["leaderboard", *(f"--runs={folder}" for folder in runs), "--paper", *tables]


def _verify(rest: list[str]) -> list[str]:
    options = []
    for option in ("--root", "--statistics", "--out"):
        values, rest = _taken(rest, option)
        options += [f"{option}={value}" for value in values]
    return ["doctor", *options, *rest] if _has(options, "--statistics") else ["doctor", *options, "--data", *rest]


def _bless(rest: list[str]) -> list[str]:
    reason, rest = _taken(rest, "--reason")
    return ["regression", *rest, *([f"--update={reason[-1]}"] if reason else ["--update"])]


def _ship(rest: list[str]) -> list[str]:
    name, rest = _taken(rest, "--as")
    cell = next((one for one in rest if not one.startswith("-")), None)
    if cell is None:
        return ["publish", *rest]
    rest.remove(cell)
    parts = PurePath(cell).parts
    run = PurePath(*parts[: parts.index("cells")]) if "cells" in parts else PurePath(".")
    return ["publish", str(run), f"--weights={cell}", *(f"--as={one}" for one in name), *rest]


def _new_method(rest: list[str]) -> list[str]:
    return ["new", "method", *rest]


OLD: dict[str, tuple[str, str, Callable[[list[str]], list[str]]]] = {
    "retry": ("retry SUITE", "bench SUITE --only failed", _retry),
    "join": ("join --model M --suite S", "bench S --model M", _join),
    "evaluate": ("evaluate", "test", _evaluate),
    "paper": ("paper TABLE", "leaderboard --paper TABLE", _paper),
    "verify": ("verify NAMES", "doctor --data NAMES", _verify),
    "bless": ("bless --reason R", "regression --update R", _bless),
    "ship": ("ship CELL --as NAME", "publish RUN --weights CELL --as NAME", _ship),
    "new-method": ("new-method NAME", "new method NAME", _new_method),
}
"""Old name -> what was typed, what is typed now, and how the one becomes the other."""


def _taken(arguments: list[str], option: str) -> tuple[list[str], list[str]]:
    """The values that an option is given, and the arguments without them."""
    values: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        name, given, value = argument.partition("=")
        if name != option:
            rest.append(argument)
        elif given:
            values.append(value)
        else:
            following = next(waiting, None)
            if following is None:
                rest.append(argument)  # without its value: the parser says so
            else:
                values.append(following)
    return values, rest


def _has(arguments: list[str], option: str) -> bool:
    return any(argument.partition("=")[0] == option for argument in arguments)
