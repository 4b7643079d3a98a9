"""The one command line: ``unblend``.

The help is read from the commands' source, so that it imports none of them; a command imports what it needs.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
import warnings
from argparse import ArgumentError
from pathlib import Path
from typing import Any

from benchmark.commands.old_names import translated
from benchmark.errors import one_line, told, unknown
from datamodules.errors import DataNotice

GROUPS = {
    "Benchmarks": {
        "bench": "bench",
        "status": "results",
        "leaderboard": "results",
        "claims": "results",
        "compare": "results",
    },
    "Your own results": {"score": "results", "explain": "results", "export": "results"},
    "Pictures and data": {"separate": "data", "show": "data", "list": "data", "doctor": "doctor"},
    "One method": {"fit": "lightning", "validate": "lightning", "predict": "lightning", "test": "lightning"},
    "Work on the project": {
        "new": "maintain",
        "publish": "maintain",
        "reproduce": "bench",
        "regression": "maintain",
        "accept": "maintain",
    },
}
"""Group -> command -> module of this package that has the function of its name."""

COMMANDS = {command: module for group in GROUPS.values() for command, module in group.items()}

LIGHTNING = "lightning"
"""The module whose commands parse their arguments themselves."""


def main(arguments: list[str] | None = None) -> None:
    """Run ``unblend``; what a person can mend ends in one line on stderr and exit status 2."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    warnings.showwarning = _tell
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # so that `--model my_net.MyNet` finds my_net.py here
    try:
        _run(arguments)
    except Exception as error:
        if not isinstance(error, ArgumentError) and told(error) is None:
            raise
        print(f"unblend: error: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return
    name, *rest = translated(arguments)
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    rest = [_underscored(argument) for argument in rest]
    module = importlib.import_module(f"benchmark.commands.{COMMANDS[name]}")
    function = getattr(module, _function(name))
    if COMMANDS[name] == LIGHTNING:
        function(rest)
    else:
        from benchmark.commands.parser import run

        run(name, function, rest)


def _function(command: str) -> str:
    """The name of a command's function: Python's own ``list`` stays what it is."""
    return f"{command}_" if command == "list" else command


def _underscored(argument: str) -> str:
    """``--time-limit=5`` as ``--time_limit=5``."""
    option, given, value = argument.partition("=")
    return f"--{option[2:].replace('-', '_')}{given}{value}" if re.match(r"--\w", option) else argument


def help_text() -> str:
    """Every command with the first sentence of its docstring, in groups."""
    trees: dict[str, ast.Module] = {}
    lines = ["usage: unblend COMMAND …"]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:"]
        for command, module in commands.items():
            if module not in trees:
                trees[module] = ast.parse(Path(__file__).with_name(f"{module}.py").read_text())
            function = next(
                node
                for node in trees[module].body
                if isinstance(node, ast.FunctionDef) and node.name == _function(command)
            )
            sentence = re.split(r"(?<=[.?])\s", " ".join((ast.get_docstring(function) or "").split()))[0]
            lines.append(f"  {f'{command} {_words(function)}':26} {sentence}")
    return "\n".join([*lines, "", "`unblend COMMAND --help` explains each."])


def _words(function: ast.FunctionDef) -> str:
    """What a command takes beside options, such as ``IMAGE…`` for its parameter ``images``."""
    words = []
    for one in function.args.args:
        if one.arg != "arguments":
            several = one.annotation is not None and ast.unparse(one.annotation).startswith("list")
            words.append(f"{one.arg.removesuffix('s')}…".upper() if several else one.arg.upper())
    free = len(words) - len(function.args.defaults)
    return " ".join(word if place < free else f"[{word}]" for place, word in enumerate(words))


def _tell(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
    """A notice about data in one line; other warnings as always."""
    text = f"unblend: note: {message}\n" if issubclass(category, DataNotice) else None
    sys.stderr.write(text or warnings.formatwarning(message, category, *place[:2]))


if __name__ == "__main__":
    main()
