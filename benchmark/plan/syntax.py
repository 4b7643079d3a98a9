"""The normal form of Python code: what it does, not how it is written, and the same on every Python.

Comments, docstrings, formatting and positions are not in it. It is made by walking the syntax tree with a fixed table
of fields, since ``ast.dump`` and the trees themselves differ between versions of Python: 3.12 gave classes and
functions type parameters, 3.13 gave these defaults, and each cuts f-strings into other pieces.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from pathlib import Path
from typing import Any

from benchmark.errors import UserError

DIGITS = 16
"""Hexadecimal digits of a fingerprint: 64 bits."""

# Left out are positions, ``ctx`` (it follows from where a node stands), ``kind`` (the u of u"…") and type comments.
FIELDS = {
    name: tuple(fields.split())
    for name, fields in {
        "Module": "body",
        "FunctionDef": "name args body decorator_list returns type_params",
        "AsyncFunctionDef": "name args body decorator_list returns type_params",
        "ClassDef": "name bases keywords body decorator_list type_params",
        "Return": "value",
        "Delete": "targets",
        "Assign": "targets value",
        "TypeAlias": "name type_params value",
        "AugAssign": "target op value",
        "AnnAssign": "target annotation value simple",
        "For": "target iter body orelse",
        "AsyncFor": "target iter body orelse",
        "While": "test body orelse",
        "If": "test body orelse",
        "With": "items body",
        "AsyncWith": "items body",
        "Match": "subject cases",
        "Raise": "exc cause",
        "Try": "body handlers orelse finalbody",
        "TryStar": "body handlers orelse finalbody",
        "Assert": "test msg",
        "Import": "names",
        "ImportFrom": "module names level",
        "Global": "names",
        "Nonlocal": "names",
        "Expr": "value",
        "Break": "",
        "Continue": "",
        "BoolOp": "op values",
        "NamedExpr": "target value",
        "BinOp": "left op right",
        "UnaryOp": "op operand",
        "Lambda": "args body",
        "IfExp": "test body orelse",
        "Dict": "keys values",
        "Set": "elts",
        "ListComp": "elt generators",
        "SetComp": "elt generators",
        "DictComp": "key value generators",
        "GeneratorExp": "elt generators",
        "Await": "value",
        "Yield": "value",
        "YieldFrom": "value",
        "Compare": "left ops comparators",
        "Call": "func args keywords",
        "FormattedValue": "value conversion format_spec",
        "Interpolation": "value str conversion format_spec",
        "Attribute": "value attr",
        "Subscript": "value slice",
        "Starred": "value",
        "Name": "id",
        "List": "elts",
        "Tuple": "elts",
        "Slice": "lower upper step",
        "comprehension": "target iter ifs is_async",
        "ExceptHandler": "type name body",
        "arguments": "posonlyargs args vararg kwonlyargs kw_defaults kwarg defaults",
        "arg": "arg annotation",
        "keyword": "arg value",
        "alias": "name asname",
        "withitem": "context_expr optional_vars",
        "match_case": "pattern guard body",
        "MatchValue": "value",
        "MatchSequence": "patterns",
        "MatchMapping": "keys patterns rest",
        "MatchClass": "cls patterns kwd_attrs kwd_patterns",
        "MatchStar": "name",
        "MatchAs": "pattern name",
        "MatchOr": "patterns",
        "TypeVar": "name bound default_value",
        "ParamSpec": "name default_value",
        "TypeVarTuple": "name default_value",
    }.items()
}


def parse(source: bytes, path: Path) -> ast.Module:
    """The syntax tree of a file.

    Args:
        source: what it holds.
        path: of the file, for the message.

    Raises:
        UserError: it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash in a string is no concern of whoever runs a suite
            return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"{path}, line {line}: it cannot be parsed ({error}): mend it.") from error


def fingerprint(form: Any) -> str:
    """Digest of a normal form, or of a tuple that holds some."""
    # Unlike repr, ascii does not depend on which letters this Python's Unicode tables call printable.
    return hashlib.sha256(ascii(form).encode()).hexdigest()[:DIGITS]


def normal(node: Any) -> Any:
    """The normal form of a node, or of a list of them: nested tuples of text and plain values.

    Raises:
        UserError: syntax of a Python newer than this table.
    """
    if isinstance(node, list):
        return tuple(normal(part) for part in node if not idle(part))
    if not isinstance(node, ast.AST):
        return node
    kind = type(node).__name__
    if isinstance(node, ast.Constant):
        return kind, _constant(node.value)
    if isinstance(node, ast.MatchSingleton):
        return kind, repr(node.value)
    if kind in ("JoinedStr", "TemplateStr"):
        return kind, _pieces(node.values)  # type: ignore[attr-defined]
    if isinstance(node, ast.operator | ast.unaryop | ast.boolop | ast.cmpop):
        return kind
    if kind not in FIELDS:
        raise UserError(f"this Python has syntax that fingerprints do not know yet ({kind}): add it to {__name__}.")
    parts = [(name, normal(getattr(node, name, None))) for name in FIELDS[kind]]
    # What is not there leaves no trace, so that code without type parameters is the same before and after 3.12.
    return kind, *((name, part) for name, part in parts if part not in (None, (), ("JoinedStr", ())))


def idle(node: Any) -> bool:
    """Whether a statement does nothing: ``pass``, text that stands alone, such as a docstring, or for type checkers."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Pass) or (for_type_checkers(node) and not node.orelse)


def for_type_checkers(node: Any) -> bool:
    """Whether it is ``if TYPE_CHECKING``, whose body never runs."""
    if not isinstance(node, ast.If):
        return False
    name = node.test.id if isinstance(node.test, ast.Name) else getattr(node.test, "attr", "")
    return bool(name == "TYPE_CHECKING")


def _constant(value: Any) -> Any:
    # Python refuses to print very long integers in decimal.
    return ("int", hex(value)) if type(value) is int and abs(value) >= 2**64 else value


def _pieces(values: list[ast.expr]) -> tuple[Any, ...]:
    """The pieces of an f-string; texts that stand side by side are one, and empty ones none."""
    found: list[Any] = []
    for value in values:
        parts: tuple[Any, ...] = (normal(value),)
        if isinstance(value, ast.JoinedStr):
            parts = _pieces(value.values)
        for part in parts:
            if part[0] == "Constant" and found and found[-1][0] == "Constant":
                found[-1] = ("Constant", found[-1][1] + part[1])
            elif part != ("Constant", ""):
                found.append(part)
    return tuple(found)
