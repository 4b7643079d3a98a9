"""The normal form of code: equal on every Python, and blind to what does nothing."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import syntax


def digest(source: str) -> str:
    return syntax.fingerprint(syntax.normal(syntax.parse(source.encode(), Path("some.py"))))


CONSTRUCTS = r'''
from __future__ import annotations
import os, os.path as p
from . import a
from ..b import c as d, e
from f import *

x: int
y: list[int] = [*range(3)]
(z): int = 1
x = y = 0x10 + 1_000 - 1e-3 * 2j // 3 % 4 ** -5 @ +6
x <<= 1; x >>= 2; x |= 3; x &= 4; x ^= 5
big = 0xffffffffffffffffffffffffffffffff
text = u"u" 'a' "b" r"\d" "é\u00e9\N{BULLET}\ud800"
raw = b"bytes\xff" b"more"
empty = "", b"", (), [], {}, ..., None, True, False, 1e400, -0.0
f = f"plain" "text" f"{x}" f"" "tail"
f = f"{x!r:>{y}} {{braces}} {x=} {x = !s} {y['k']:{z}.{x}} {x:}" f'{"nested" + f"{x:02d}"}'
f = f"""{
    x
    + 1
} and {y:%H:%M}"""
s = {1, *y}, {**q, "k": v}, a[1:2, ::3, ...], a[:], a[b:=3], not a, ~a, a is not b in c not in d
s = a < b <= c == d != e >= f > g is h
l = lambda a, /, b=1, *c, d, e=2, **f: (yield)
g = (i async for i in j if k if m for n in o), [i for i in j], {i for i in j}, {i: j for i in k}
t = a if b else c, a and b or c, (yield_ := 3)
del a, b[0], c.d
assert a, "message"
assert b
global_ = 1


@decorator(1)
@other
class K(Base, metaclass=M, **kwargs):
    """A docstring."""

    __slots__ = ("a",)
    n: ClassVar[int] = 1

    @property
    def f(self, a: int, /, b: str = "x", *args: T, c, d=4, **kw: dict) -> "Quoted":
        """Another."""
        global g
        nonlocal_ = 1

        def inner():
            nonlocal nonlocal_
            return

        return (yield from inner())

    async def g(self):
        async with a as b, c:
            pass
        async for i in j:
            await k
        else:
            return [await x async for x in y]


for i, *j in k:
    continue
else:
    pass
while True:
    break
else:
    x
if a:
    ...
elif b:
    pass
else:
    c
with open(a) as b, c as (d, e), f:
    pass
with (open(a) as b, c):
    x
try:
    raise A from b
except A:
    raise
except (B, C) as e:
    pass
else:
    x
finally:
    y
try:
    pass
except* A as e:
    x
match m, n:
    case 1 | -2 | 3 + 4j | "s" | None | True:
        pass
    case [a, *_, b] if a:
        x
    case [*rest]:
        pass
    case {"k": v, **rest}:
        pass
    case P(1, x=2) as q:
        pass
    case a.b:
        pass
    case _:
        pass
'''

NEWER = {
    (3, 12): (
        r"""
type A[T: int, *Ts, **P] = dict[T, Ts]
def f[T: (int, str)](x: T) -> T: ...
class C[T](B): ...
x = f"{'a' if f'{"b"}' else "\n"}"
""",
        "f347e54201b9b233",
    ),
    (3, 13): ("type A[T = int, *Ts = *tuple[int], **P = [str]] = T\n", "dd01c1e4f7dcb0cb"),
    (3, 14): ('t"a{x!r:>{w}}b" t"{y}"\ntry: pass\nexcept A, B: x\n', "8d9a24de0b83d986"),
}


def test_every_construct_has_the_same_digest_on_every_python() -> None:
    assert digest(CONSTRUCTS) == "e36dc9a78112c4e9"


@pytest.mark.parametrize("since", NEWER)
def test_newer_constructs_have_the_same_digest_since_they_exist(since: tuple[int, int]) -> None:
    if sys.version_info < since:
        pytest.skip("this Python is older")
    source, golden = NEWER[since]
    assert digest(source) == golden


def test_the_table_knows_all_syntax_of_this_python() -> None:
    ours = set(syntax.FIELDS) | {"Constant", "MatchSingleton", "JoinedStr", "TemplateStr", "Pass"}
    roots = (ast.stmt, ast.expr, ast.pattern, getattr(ast, "type_param", ast.stmt))
    alone = (ast.comprehension, ast.ExceptHandler, ast.arguments, ast.arg, ast.keyword, ast.alias, ast.withitem)
    every = {kind for root in roots for kind in root.__subclasses__()} | {*alone, ast.match_case, ast.Module}
    old = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice"}  # names without a node since 3.8
    assert {kind.__name__ for kind in every if not issubclass(kind, ast.Constant)} - old <= ours


PLAIN = '''
"""A module."""
import torch


class Net(Base):
    """A network.

    Args:
        width: of it.
    """

    width: int = 3
    """Of it."""

    def forward(self, x):
        """Forward."""
        return torch.relu(x) * 0.5  # half
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# half", "# a comment\n"),
        ('"""A network.\n', '"""Something else.\n'),
        ('    """Of it."""\n', ""),
        ("torch.relu(x) * 0.5", "(\n            torch.relu( x )\n            * 0.5\n        )"),
        ('"""Forward."""', '"""Forward."""\n        pass'),
        ("import torch\n", "import torch\n\n\n\n"),
        ("0.5", "5e-1"),
    ],
)
def test_what_does_nothing_changes_nothing(before: str, after: str) -> None:
    assert before in PLAIN
    assert digest(PLAIN) == digest(PLAIN.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.5", "0.25"),
        ("0.5", "(0.5,)"),
        ("width: int = 3", "width: int = 3.0"),
        ("width: int = 3", "width: int = True"),
        ("Net(Base)", "Net(Base, Other)"),
        ("torch.relu(x)", "torch.relu(-x)"),
        ("torch.relu(x) * 0.5", "torch.relu(x) / 0.5"),
        ("def forward", "async def forward"),
        ("import torch", "import torch as other"),
    ],
)
def test_what_does_something_changes_the_digest(before: str, after: str) -> None:
    assert before in PLAIN
    assert digest(PLAIN) != digest(PLAIN.replace(before, after, 1))


def test_numbers_texts_and_very_long_numbers_are_told_apart() -> None:
    values = ["1", "1.0", "True", "'1'", "b'1'", "None", "'None'", "1j", "0x" + "f" * 5000, f"'0x{'f' * 5000}'", "..."]
    assert len({digest(f"x = {value}") for value in values}) == len(values)


def test_a_file_that_is_not_python_is_named() -> None:
    with pytest.raises(UserError, match=r"some.py, line 2: it cannot be parsed"):
        digest("x = 1\ndef (\n")
    with pytest.raises(UserError, match="cannot be parsed"):
        digest("x = '\0'")
