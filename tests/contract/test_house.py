"""Imports run one way: between the packages, between the rooms of benchmark, and within a room in no circle."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {"datamodules": {"datamodules"}, "methods": {"methods", "datamodules"}}
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules.add(node.module or "")
    return modules


def varied(path: Path) -> set[str]:
    """Modules of the methods that a method's class derives from: a variant may import what it varies."""
    tree = ast.parse(path.read_text())
    bases = {ast.unparse(base) for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases}
    return {
        str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} <= bases
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_way_of_the_data(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    modules = imported(path)
    ours = {module.partition(".")[0] for module in modules} & {"benchmark", "methods", "datamodules"}
    assert ours <= ALLOWED[package]
    if package == "methods":
        assert {module for module in modules if module.startswith("datamodules")} <= {"datamodules.types"}
        own = f"methods.{path.stem}"
        others = {module for module in modules if module.startswith("methods.")}
        others -= {own, "methods.base", "methods.chance", "methods.resume", *varied(path)}
        assert all(module.startswith(("methods.networks", "methods.losses")) for module in others)


BENCHMARK = ROOT / "benchmark"
BELOW: dict[str, set[str]] = {"errors": set(), "files": set()}
"""Room of benchmark -> all rooms that it may import from, beside itself."""
for _rooms, _direct in (
    (("plan", "metrics"), {"errors", "files"}),
    (("results",), {"plan", "metrics"}),
    (("reports", "training"), {"results"}),
    (("scoring",), {"training"}),
    (("running",), {"scoring"}),
    (("workflows",), {"running", "reports"}),
    (("commands",), {"workflows"}),
    (("speed",), {"workflows"}),
):
    for _room in _rooms:
        BELOW[_room] = _direct.union(*(BELOW[one] for one in _direct))

LIGHT = ("plan", "results", "reports", "commands")
"""Rooms that load neither torch nor Lightning when they are imported."""

MODULES = sorted(path for path in BENCHMARK.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
ROOMS = sorted({path.parent for path in MODULES} - {BENCHMARK})
MOST_FILES, MOST_LINES = 10, 400


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def room_of(module: str) -> str:
    """``plan`` of ``benchmark.plan.suite``."""
    return module.split(".")[1]


NAMES = {name_of(path) for path in MODULES}


def used(path: Path) -> set[str]:
    """Modules of benchmark that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            named = [name if name in NAMES else str(node.module) for name in named]
        else:
            continue
        found |= {name for name in named if name.startswith("benchmark.")}
    return found - {name_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_from_those_below_alone(path: Path) -> None:
    own = room_of(name_of(path))
    assert {room_of(module) for module in used(path)} <= BELOW[own] | {own}


@pytest.mark.parametrize("path", sorted([*FILES, *MODULES]), ids=name_of)
def test_no_module_is_imported_by_a_text(path: Path) -> None:
    """So that every arrow can be seen: a name of ours that is put together is an import in hiding."""
    if {"commands", "speed"} & set(path.parts):  # what people call by name
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__"):
            assert not ast.unparse(node.args[0]).lstrip("f").strip("'\"").startswith("benchmark."), ast.unparse(node)


def test_no_circle_within_a_room() -> None:
    for room in [BENCHMARK, *ROOMS]:
        inner = {path: name_of(path) for path in MODULES if path.parent == room}
        graph = {name: used(path) & set(inner.values()) for path, name in inner.items()}
        graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_load_no_torch(room: str) -> None:
    heavy = {"benchmark.commands.lightning"}  # LightningCLI itself
    modules = [name for name in sorted(NAMES) if room_of(name) == room and name not in heavy]
    code = f"import sys\nimport {', '.join(modules)}\nprint({{'torch', 'lightning', 'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "set()\n"


def test_rooms_and_files_are_small() -> None:
    tasks = ROOT / "datamodules"  # its files are the tasks that there are, one each
    for room in [*ROOMS, *(path for path in tasks.iterdir() if path.is_dir())]:
        files = [path for path in room.glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
        assert len(files) <= MOST_FILES, f"{room} has {len(files)} files"
    for path in [*FILES, *MODULES]:
        lines = path.read_text().count("\n")
        assert lines <= MOST_LINES, f"{path} has {lines} lines"


def test_a_clone_stays_small() -> None:
    named = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = {Path(name): (ROOT / name).stat().st_size for name in named.split("\0") if name and (ROOT / name).is_file()}
    assert sum(sizes.values()) <= 60_000_000, "a clone's working tree"
    assert sum(size for path, size in sizes.items() if path.parts[0] == "leaderboards") <= 45_000_000
