"""What retrains and what does not: in a copy of the project, edited as people do."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.plan import catalogue, identity, lock
from benchmark.plan.identity import Component

ROOT = Path(__file__).resolve().parents[3]

ASK = """
import json, sys
from benchmark.plan import suite
cells = suite.load("smoke")
found = [{c.name: c.key() for c in cells}, {c.name: c.score_key("x") for c in cells}]
assert not {"torch", "lightning", "sklearn", "kornia", "skimage"} & set(sys.modules), "heavy imports"
print(json.dumps(found))
"""

Names = dict[str, str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for package in ("benchmark", "methods", "datamodules"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def keys(folder: Path) -> tuple[Names, Names]:
    """Keys and score keys of the smoke suite's cells, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", ASK], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trained, scored = json.loads(done.stdout)
    return trained, scored


def fingerprints(folder: Path) -> Names:
    return {name: one.fingerprint(folder) for name, one in identity.components().items()}


def moved(before: Names, after: Names) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


METHODS = {one.name for one in identity.components().values() if one.kind == "method"}
DATASETS = {one.name for one in identity.components().values() if one.kind == "dataset"}
INTERRUPTION = "benchmark/training/interruption.py"
METRICS = "benchmark/metrics/__init__.py" if (ROOT / "benchmark/metrics").is_dir() else "benchmark/metrics.py"

Edit = Callable[[str], str]


def replaced(old: str, new: str) -> Edit:
    def edit(source: str) -> str:
        assert old in source, f"the line that is edited here has moved: {old}"
        return source.replace(old, new, 1)

    return edit


def appended(more: str) -> Edit:
    return lambda source: f"{source}\n\n{more}\n"


def inside(name: str) -> Edit:
    """A line more in the body of a class or function, after its docstring."""

    def edit(source: str) -> str:
        definitions = (ast.ClassDef, ast.FunctionDef)
        found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, definitions) and node.name == name)
        first = next(found).body[1]
        lines = source.splitlines(keepends=True)
        decorated = [first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))]
        lines.insert(min(decorated) - 1, f"{' ' * first.col_offset}two = 2\n")
        return "".join(lines)

    return edit


EDITS: list[tuple[str, str, Edit, set[str]]] = [
    ("a comment", "methods/base.py", appended("# a comment"), set()),
    ("a docstring", "methods/unet.py", replaced('"""', '"""Once more: '), set()),
    ("a reformatted line", "methods/networks/unet.py", replaced(" = ", "  =  "), set()),
    ("another function beside", "methods/networks/unet.py", appended("def more():\n    return 1"), set()),
    ("another function beside data", "datamodules/base.py", appended("def more():\n    return 1"), set()),
    ("a line of a method", "methods/unet.py", inside("UNet"), {"unet"}),
    ("a line of another", "methods/ligt.py", inside("LiGT"), {"ligt"}),
    ("the base of all methods", "methods/base.py", inside("SeparationMethod"), METHODS),
    ("the base of all data", "datamodules/base.py", inside("sample_generator"), DATASETS),
    ("a data set", "datamodules/digits.py", inside("Digits"), {"digits"}),
    (
        "how a step is seeded",
        "benchmark/training/interruption.py",
        replaced("digest_size=8", "digest_size=7"),
        {"training"},
    ),
    (
        "how often it is saved",
        "benchmark/training/interruption.py",
        replaced("SAVE_EVERY = 180.0", "SAVE_EVERY = 90.0"),
        set(),
    ),
    ("a table", "benchmark/reports/tables.py", appended("print(1)"), set()),
    ("the loop around training", "benchmark/running/attempt.py", replaced("GRACE = 60.0", "GRACE = 61.0"), set()),
    ("the metrics", METRICS, appended("EXTRA = 1"), {"metrics"}),
]


@pytest.mark.parametrize(("what", "file", "edit", "expected"), EDITS, ids=[one[0] for one in EDITS])
def test_an_edit_moves_exactly_what_it_must(
    project: Path, what: str, file: str, edit: Edit, expected: set[str]
) -> None:
    before = fingerprints(project)
    path = project / file
    source = path.read_text()
    path.write_text(edit(source))
    after = fingerprints(project)
    path.write_text(source)
    assert moved(before, after) == expected


def test_a_shared_network_moves_every_method_whose_closure_holds_it(project: Path) -> None:
    before = fingerprints(project)
    path = project / "methods/networks/unet.py"
    source = path.read_text()
    path.write_text(inside("ResidualBlock")(source))
    of_norm = moved(before, fingerprints(project))
    path.write_text(inside("UNetBackbone")(source))
    of_backbone = moved(before, fingerprints(project))
    path.write_text(source)
    assert "unet" in of_norm & of_backbone
    assert of_backbone < METHODS
    holders = {name for name in METHODS if "methods.networks.unet" in closure(project, f"methods.{name}")}
    assert of_backbone <= of_norm <= holders


def closure(project: Path, name: str) -> set[str]:
    """All modules that a module imports, directly or not, read in the simplest way."""
    found: set[str] = set()
    queue = [name]
    while queue:
        path = (project / queue.pop().replace(".", "/")).with_suffix(".py")
        for node in ast.walk(ast.parse(path.read_text())) if path.is_file() else ():
            if isinstance(node, ast.ImportFrom) and node.module and node.module not in found:
                found.add(node.module)
                queue.append(node.module)
    return found


def test_cells_train_and_are_scored_anew_only_where_they_must(project: Path) -> None:
    trained, scored = keys(project)
    for file, edit, retrained, rescored in (
        ("methods/base.py", appended("# a comment"), set(), set()),
        ("methods/unet.py", inside("UNet"), {"unet"}, {"unet"}),
        (METRICS, appended("EXTRA = 1"), set(), {name.split(" × ")[1] for name in scored}),
    ):
        path = project / file
        source = path.read_text()
        path.write_text(edit(source))
        now_trained, now_scored = keys(project)
        path.write_text(source)
        assert {name.split(" × ")[1] for name in moved(trained, now_trained)} == retrained, file
        assert {name.split(" × ")[1] for name in moved(scored, now_scored)} == rescored, file


def test_all_identities_are_known_within_a_moment() -> None:
    code = (
        "import time; from benchmark.plan import identity; begin = time.process_time();"
        "[one.fingerprint() for one in identity.components().values()]; print(time.process_time() - begin)"
    )
    spent = min(
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert spent < 1.0  # 0.3 where nothing else runs


# Names, versions and the lock


def test_names_are_those_of_modules_and_tell_all_apart() -> None:
    known = identity.components()
    assert {"unet", "bits_net", "rain", "shoes_handbags", "training", "metrics"} <= set(known)
    assert len(known) == len(catalogue.methods()) + len(catalogue.datasets()) + 2
    assert identity._name("cascade_gan", "CascadeGAN") == "cascade_gan"
    assert identity._name("cascade_gan", "PAGAN") == "cascade_gan.PAGAN"
    with pytest.raises(UserError, match="unknown component 'unett': did you mean unet"):
        identity.component("unett")


def test_every_component_of_the_project_is_in_the_lock() -> None:
    locked = lock.read()
    lost = [name for name, one in identity.components().items() if one.identity(locked) != f"{name}@{one.version}"]
    gone = sorted(set(locked) - set(identity.components()))
    assert not lost, (
        f"benchmark/plan/versions.lock does not list the code of {', '.join(lost)}. If it computes what it did before: "
        f"`unblend accept {' '.join(lost)} --why 'why it was changed'`. If not: raise `version` and run "
        "`unblend accept --new`."
    )
    assert not gone, f"{', '.join(gone)}: in the lock, and nowhere else: `unblend accept --new` removes them"


def entry(component: Component, version: int, fingerprint: str | None = None) -> dict[str, lock.Locked]:
    accepted = lock.Accepted(fingerprint or component.fingerprint(), "2026-11-26", "why", "evidence")
    return {component.name: lock.Locked(version, (accepted,))}


def test_an_identity_is_the_version_where_the_code_is_accepted_as_that() -> None:
    unet = identity.component("unet")
    version, now = unet.version, unet.fingerprint()
    assert unet.identity(entry(unet, version)) == f"unet@{version}"
    assert unet.identity({}) == f"unet:{now}"
    assert unet.identity(entry(unet, version, "0" * 16)) == f"unet:{now}"
    raised = Component("unet", "method", version + 1, unet.class_path)
    assert raised.identity(entry(unet, version)) == f"unet:{now}", "until the new version is entered"
    with pytest.raises(UserError, match=f"unet: its source says version {version}, versions.lock {version + 1}: a ver"):
        unet.identity(entry(unet, version + 1))


def test_a_version_is_that_of_the_nearest_base(project: Path) -> None:
    versions = (
        "from benchmark.plan import catalogue; import json;"
        "print(json.dumps({name: one.version for name, one in catalogue.methods().items()}))"
    )

    def ask_versions() -> dict[str, int]:
        done = subprocess.run(
            [sys.executable, "-c", versions], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, int] = json.loads(done.stdout)
        return found

    variant = project / "methods/double_dip.py"  # as if it had no version of its own
    variant.write_text(variant.read_text().replace("    version: ClassVar[int] = 2\n", ""))
    first = ask_versions()
    file = project / "methods/bits_net.py"
    source = file.read_text()
    file.write_text(source.replace("    version: ClassVar[int] = 2\n", "    version = 7\n"))
    after = ask_versions()
    file.write_text(source.replace("    version: ClassVar[int] = 2\n", "    version = '7'\n"))
    done = subprocess.run([sys.executable, "-c", versions], cwd=project, capture_output=True, text=True, check=False)
    file.write_text(source)
    assert after == {**first, "BITSNet": 7, "DoubleDIP": 7}
    assert "BITSNet: version '7': a whole number, at least 1." in done.stderr


OUTSIDE = """
from my_net_helpers import half
from methods.base import MethodCard, SeparationMethod


class MyNet(SeparationMethod):
    card = MethodCard(title="Mine", paper="none", year=2026, supervision="none")

    def separate(self, mixture, seeds):
        return half(mixture)
"""


def test_a_method_from_outside_is_known_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "net.py").write_text(OUTSIDE.replace("from my_net_helpers", "from my_package.helpers"))
    (package / "helpers.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = identity.of_method("my_package.net.MyNet")
    assert first.startswith("net.MyNet:")
    (package / "helpers.py").write_text("def half(x):\n    return x / 2  # half of it\n")
    assert identity.of_method("my_package.net.MyNet", fresh=True) == first
    (package / "helpers.py").write_text("def half(x):\n    return x / 3\n")
    assert identity.of_method("my_package.net.MyNet", fresh=True) != first
    assert identity.of_method("my_package.net.MyNet") == first, "as it was read first"
    with pytest.raises(UserError, match=r"my_package.net has no Other"):
        identity.of_method("my_package.net.Other")


def test_identities_of_a_cell_are_in_clear_text() -> None:
    from benchmark.plan import suite

    cell = next(cell for cell in suite.load("smoke") if cell.method == "unet" and cell.dataset == "digits")
    known: dict[str, Any] = cell.identities()
    components = identity.components()
    assert known == {
        "method": f"unet@{components['unet'].version}",
        "data": f"digits@{components['digits'].version}",
        "training": f"training@{components['training'].version}",
        "metrics": f"metrics@{components['metrics'].version}",
    }
    assert cell.identities(fresh=True) == known
    assert cell.key(fresh=True) == cell.key()
