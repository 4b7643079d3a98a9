"""What a component's fingerprint reaches, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import fingerprint

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


@pytest.mark.parametrize(
    ("imports", "use"),
    [
        ("import pkg.tools", "pkg.tools.unused"),
        ("import pkg.tools as own", "own.unused"),
        ("import pkg, pkg.tools", "pkg.tools.unused"),
        ("import pkg", "pkg.tools.unused"),
        ("import pkg as own", "own.tools.unused"),
        ("from pkg import tools as own", "own.unused"),
        ("from pkg import tools as own", "[own]"),
        ("from pkg.tools import unused as own", "own"),
        ("", "'pkg.tools.unused'"),
        ("", "'pkg.tools'"),
        ("import importlib", "importlib.import_module('pkg.tools')"),
    ],
)
def test_a_module_is_reached_however_it_is_imported(package: Path, imports: str, use: str) -> None:
    edit(package, "pkg/base.py", "TABLE = {'a': 1}", f"{imports}\nTABLE = {{'a': 1, 'b': {use}}}")
    first = of_net(package)
    edit(package, "pkg/tools.py", "def unused(x):\n    return x", "def unused(x):\n    return -x")
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
