"""The normal form of code: equal on every Python, blind to what does nothing; and what a fingerprint reaches."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import fingerprint, syntax


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


# What a component reaches


FILES = {
    "pkg/__init__.py": "SEED = 1\n\ndef unused():\n    return 1\n",
    "pkg/net.py": """
import numpy as np
from typing import TYPE_CHECKING
from pkg import helpers, tools
from pkg.base import Base, TABLE
from pkg.parts import block as piece, never
if TYPE_CHECKING:
    from pkg.typing_only import Shape


class Net(Base):
    size = piece(3)

    def run(self, x: "Shape"):
        from pkg.late import late
        return late(tools.used(x)) + TABLE["a"] + np.pi


def beside():
    return 0
""",
    "pkg/base.py": "from .deep.er import down\n\nTABLE = {'a': 1}\nOTHER = 2\n\nclass Base:\n    x = down\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/er.py": "from ..parts import leaf\n\ndef down():\n    return leaf\n",
    "pkg/parts.py": "def block(n):\n    return leaf\n\ndef leaf():\n    return 1\n\ndef never():\n    return 2\n",
    "pkg/helpers.py": "COUNT = 0\nprint('on import')\n\ndef quiet():\n    return 1\n",
    "pkg/tools.py": "def used(x):\n    return x\n\ndef unused(x):\n    return x\n",
    "pkg/late.py": "def late(x):\n    return x\n",
    "pkg/typing_only.py": "class Shape:\n    pass\n\nprint('never')\n",
    "pkg/stranger.py": "from pkg.net import Net\n",
    "pkg/kinds.py": "from pkg.base import Base\n\nclass Kind(Base):\n    y = 1\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, source in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def of_net(root: Path) -> str:
    return fingerprint.of_names([("pkg.net", "Net")], {"pkg": [root]})


def edit(root: Path, name: str, before: str, after: str) -> None:
    path = root / name
    source = path.read_text()
    assert before in source
    path.write_text(source.replace(before, after))


REACHED = [
    ("pkg/net.py", "piece(3)", "piece(4)"),
    ("pkg/net.py", "import block as piece", "import leaf as piece"),
    ("pkg/net.py", "import numpy as np", "import cupy as np"),
    ("pkg/base.py", "'a': 1", "'a': 2"),
    ("pkg/base.py", "x = down", "x = [down]"),
    ("pkg/deep/er.py", "return leaf", "return leaf()"),
    ("pkg/parts.py", "return 1", "return 3"),
    ("pkg/helpers.py", "on import", "on every import"),
    ("pkg/tools.py", "def used(x):\n    return x", "def used(x):\n    return -x"),
    ("pkg/late.py", "return x", "return -x"),
]
NOT_REACHED = [
    ("pkg/__init__.py", "return 1", "return 2"),
    ("pkg/net.py", "return 0", "return 1"),
    ("pkg/net.py", "def beside", "def aside"),
    ("pkg/base.py", "OTHER = 2", "OTHER = 3\n\ndef more():\n    return 1"),
    ("pkg/parts.py", "return 2", "return 3"),
    ("pkg/helpers.py", "return 1", "return 2"),
    ("pkg/helpers.py", "COUNT = 0", "COUNT = 1"),
    ("pkg/tools.py", "def unused(x):\n    return x", "def unused(x):\n    return -x"),
    ("pkg/typing_only.py", "never", "ever"),
    ("pkg/stranger.py", "import Net", "import beside"),
    ("pkg/kinds.py", "y = 1", "y = 2"),
]


@pytest.mark.parametrize(("name", "before", "after"), REACHED)
def test_what_is_reached_counts(package: Path, name: str, before: str, after: str) -> None:
    first = of_net(package)
    edit(package, name, before, after)
    assert of_net(package) != first


@pytest.mark.parametrize(("name", "before", "after"), NOT_REACHED)
def test_what_is_not_reached_does_not_count(package: Path, name: str, before: str, after: str) -> None:
    first = of_net(package)
    edit(package, name, before, after)
    assert of_net(package) == first


def test_a_class_counts_that_a_configuration_may_name_by_its_base(package: Path) -> None:
    edit(package, "pkg/net.py", "from pkg import helpers", "from pkg import helpers, kinds")
    first = of_net(package)
    edit(package, "pkg/kinds.py", "y = 1", "y = 2")
    assert of_net(package) != first


def test_names_made_at_run_time_reach_the_whole_module(package: Path) -> None:
    edit(package, "pkg/tools.py", "    return x\n\n", "    return globals()[x]\n\n")
    first = of_net(package)
    edit(package, "pkg/tools.py", "def unused(x):\n    return x", "def unused(x):\n    return -x")
    assert of_net(package) != first


@pytest.mark.parametrize(
    "more",
    [
        "Base.z = 3\n",
        "for name in 'ab':\n    setattr(Base, name, 1)\n",
        "@register\ndef extra():\n    return 1\n",
        "class Extra(metaclass=Registering):\n    pass\n",
        "kept = register('extra')\n",
        "from pkg.tools import *\n",
    ],
)
def test_what_runs_on_import_counts(package: Path, more: str) -> None:
    first = of_net(package)
    edit(package, "pkg/base.py", "OTHER = 2\n", f"OTHER = 2\n{more}")
    assert of_net(package) != first


def test_a_script_part_never_runs_on_import(package: Path) -> None:
    first = of_net(package)
    edit(package, "pkg/base.py", "OTHER = 2\n", "OTHER = 2\nif __name__ == '__main__':\n    print(Base)\n")
    assert of_net(package) == first


def test_a_file_is_read_again_where_it_changed_and_other_packages_do_not_count(package: Path) -> None:
    first = of_net(package)
    assert of_net(package) == first
    edit(package, "pkg/net.py", "import numpy as np", "import numpy as np\nfrom json import loads  # another package")
    assert of_net(package) == first


def test_what_is_not_there_is_named(package: Path) -> None:
    with pytest.raises(UserError, match=r"pkg.net has no Nett"):
        fingerprint.of_names([("pkg.net", "Nett")], {"pkg": [package]})
    with pytest.raises(UserError, match=r"there is no module pkg.nets; check PYTHONPATH"):
        fingerprint.of_names([("pkg.nets", "Net")], {"pkg": [package]})
    with pytest.raises(UserError, match=r"there is no pkg.net.Net.walk"):
        fingerprint.of_parts(["pkg.net.Net.walk"], [package])


def test_parts_are_themselves_alone_wherever_they_are(package: Path) -> None:
    def of_run() -> str:
        return fingerprint.of_parts(["pkg.net.Net.run"], [package])

    first = of_run()
    edit(package, "pkg/net.py", "piece(3)", "piece(4)")
    edit(package, "pkg/late.py", "return x", "return -x")
    assert of_run() == first
    (package / "pkg/elsewhere.py").write_text((package / "pkg/net.py").read_text())
    assert fingerprint.of_parts(["pkg.elsewhere.Net.run"], [package]) == first
    edit(package, "pkg/net.py", "late(tools", "-late(tools")
    assert of_run() != first


def test_packages_are_found_without_importing_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud").mkdir()
    (tmp_path / "loud/__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "single_file.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert fingerprint.roots_of("loud") == fingerprint.roots_of("single_file") == [tmp_path]
    assert fingerprint.roots_of("nowhere_at_all") == fingerprint.roots_of("sys") == []
