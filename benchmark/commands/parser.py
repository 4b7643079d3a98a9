"""A function with a docstring as a subcommand.

Its positional parameters are the command's, its keyword-only ones are options; their help is its docstring's, and a
dataclass among them gives its fields, flat. A trailing underscore, as in ``from_``, is Python's alone.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from docstring_parser import DocstringStyle, parse
from jsonargparse import ArgumentParser, Namespace

Parameters = Mapping[str, inspect.Parameter]


@dataclass
class Given:
    """What a command knows before its parser is built, where its options depend on what they are for.

    Attributes:
        arguments: that are left to parse.
        values: parameters that are settled already.
        into: parameter that gets what the parser has beside the other parameters.
        add: adds those options to the parser.
    """

    arguments: list[str]
    values: dict[str, Any] = field(default_factory=dict)
    into: str = ""
    add: Callable[[ArgumentParser], object] = lambda parser: None


def looks_ahead(look: Callable[[list[str]], Given]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose options depend on its arguments.

    Args:
        look: at the arguments.
    """

    def mark(function: Callable[..., None]) -> Callable[..., None]:
        function.look = look  # type: ignore[attr-defined]
        return function

    return mark


def run(name: str, function: Callable[..., None], arguments: list[str]) -> None:
    """Parse a command's arguments and call its function.

    Args:
        name: of the command.
        function: that it is.
        arguments: after its name.

    Raises:
        ArgumentError: they are not what the function takes.
        SystemExit: with status 0, when help was asked for.
    """
    given: Given = getattr(function, "look", Given)(arguments)
    parameters = {
        parameter: one
        for parameter, one in inspect.signature(function).parameters.items()
        if parameter not in given.values and parameter != given.into
    }
    hints = get_type_hints(function)
    parser = _parser(name, function, parameters, hints)
    given.add(parser)
    parsed = _top(parser.instantiate_classes(parser.parse_args(given.arguments)))
    values = dict(given.values)
    for parameter in parameters:
        kind = hints[parameter]
        if dataclasses.is_dataclass(kind):
            own = [one.name for one in dataclasses.fields(kind) if one.name in parsed]
            values[parameter] = kind(**{one: parsed.pop(one) for one in own})  # type: ignore[operator]
        else:
            values[parameter] = parsed.pop(_option(parameter))
    if given.into:
        values[given.into] = {name: _top(one) if isinstance(one, Namespace) else one for name, one in parsed.items()}
    function(**values)


def _top(namespace: Namespace) -> dict[str, Any]:
    """What a namespace holds by names without dots; some stand there under others, being those of its methods."""
    return {name: namespace[name] for name in dict.fromkeys(key.partition(".")[0] for key, _ in namespace.items())}


def _parser(name: str, function: Callable[..., None], parameters: Parameters, hints: dict[str, Any]) -> ArgumentParser:
    """What parses a command's arguments: the only one that is built."""
    told = parse(inspect.getdoc(function) or "", DocstringStyle.GOOGLE)
    helps = {one.arg_name: " ".join((one.description or "").split()).replace("%", "%%") for one in told.params}
    positional = [one for one in parameters.values() if one.kind is not one.KEYWORD_ONLY]
    words = " ".join(["unblend", name, *(_usage(one, hints[one.name]) for one in positional)])
    parser = ArgumentParser(
        prog=f"unblend {name}",
        usage=f"{words} [--OPTION …]",
        description="\n\n".join(filter(None, (told.short_description, told.long_description))),
        exit_on_error=False,
    )
    for parameter, one in parameters.items():
        kind, text = _inner(hints[parameter]), helps.get(parameter, "")
        if dataclasses.is_dataclass(kind):
            # A field that two have is the first one's; what nobody may choose is not asked for.
            known = {action.dest for action in parser._actions} | set(getattr(kind, "DECIDED", ()))
            parser.add_class_arguments(
                cast(type, kind), None, skip={field.name for field in dataclasses.fields(kind) if field.name in known}
            )
        elif one in positional:
            parser.add_argument(_option(parameter), help=text, **_positional(one, kind))
        else:
            parser.add_argument(f"--{_option(parameter)}", help=text, **_optional(one, kind))
    return parser


def _positional(parameter: inspect.Parameter, kind: Any) -> dict[str, Any]:
    """What the parser is told of a parameter that is no option."""
    missing = parameter.default is parameter.empty
    several = get_origin(kind) is list
    told: dict[str, Any] = {"type": get_args(kind)[0] if several else kind}
    if not missing:
        told["default"] = parameter.default
    if several:
        told["nargs"] = "+" if missing else "*"
    elif not missing:
        told["nargs"] = "?"
    if get_origin(kind) is not Literal:
        told["metavar"] = _word(parameter, several)
    return told


def _optional(parameter: inspect.Parameter, kind: Any) -> dict[str, Any]:
    """What the parser is told of an option; a list takes any number of values."""
    if kind is bool:
        return {"action": "store_true"}
    default = {"required": True} if parameter.default is parameter.empty else {"default": parameter.default}
    if get_origin(kind) is list:
        return {"type": get_args(kind)[0], "nargs": "*", **default}
    return {"type": kind, **default}


def _option(parameter: str) -> str:
    return parameter.rstrip("_")


def _inner(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(kind) in (Union, types.UnionType):
        inner = [one for one in get_args(kind) if one is not type(None)]
        return inner[0] if len(inner) == 1 else kind
    return kind


def _word(parameter: inspect.Parameter, several: bool) -> str:
    """``RECORD`` for ``records``, where there are several."""
    word = _option(parameter.name).upper()
    return word.removesuffix("S") if several else word


def _usage(parameter: inspect.Parameter, kind: Any) -> str:
    """A positional parameter in a line of usage."""
    kind = _inner(kind)
    several = get_origin(kind) is list
    word = "|".join(get_args(kind)) if get_origin(kind) is Literal else _word(parameter, several)
    word += "…" if several else ""
    return word if parameter.default is inspect.Parameter.empty else f"[{word}]"
