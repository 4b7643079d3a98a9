"""``unblend doctor``: what is installed, what is there to compute on, whether data are what they should be."""

from __future__ import annotations

import importlib
import pkgutil
import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rich.console import Console

from benchmark.commands.data import data_root
from benchmark.errors import UserError, unknown
from benchmark.plan import catalogue, precision
from benchmark.results import provenance

SAID = 20
"""Problems of one data set that are printed, at most."""


def doctor(
    *, data: list[str] | None = None, statistics: str | None = None, root: str | None = None, out: str = "statistics"
) -> None:
    """Report versions, devices, data and what cannot be imported; or check the --data.

    Args:
        data: instead, read these real data sets, or without a name all that are found, and report what differs from
            what they should be.
        statistics: instead, compare the generated mixtures of this task, such as Rain, with the world's.
        root: folder of the data sets; default $UNBLEND_DATA.
        out: folder of the histograms of --statistics.
    """
    folder = data_root(root)
    console = Console(highlight=False, soft_wrap=True)
    sound = True
    if data is None and statistics is None:
        sound = report(Console(), folder)
    if data is not None:
        sound &= check_data(data, folder, console)
    if statistics is not None:
        compare_with_the_world(statistics, folder, Path(out), console)
    if not sound:
        raise SystemExit(1)


def report(console: Console, folder: Path) -> bool:
    """Print the report.

    Returns:
        Whether every package is there, and every method and data set can be imported.
    """
    import torch

    import datamodules
    import methods

    console.print(f"{'python':15} {platform.python_version()}", highlight=False)
    sound = True
    for package, version, wanted in dependencies():
        missing = version is None or bool(wanted)
        sound &= not missing
        told = f"{version or 'not installed'}{f', wanted {wanted}' if wanted else ''}"
        console.print(f"{package:15} {told}", highlight=False, markup=False, style="red" if missing else "")
    console.print(f"{'commit':15} {provenance.commit()}", highlight=False)
    console.print(f"{'processor':15} {provenance.processor()}", highlight=False)
    units = ", ".join(precision.low_precision_units()) or "no units for bfloat16: precision auto is 32-true here"
    console.print(f"{'low precision':15} {units}", highlight=False)
    for device in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(device)
        console.print(
            f"{f'cuda:{device}':15} {properties.name}, {properties.total_memory / 2**30:.0f} GiB", highlight=False
        )
    if not torch.cuda.device_count():
        console.print(f"{'cuda':15} no device")
    _data(console, folder)
    broken = methods.discover()
    for module in pkgutil.iter_modules(datamodules.__path__, "datamodules."):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            broken[module.name] = f"{type(error).__name__}: {error}"
    for name, what in broken.items():
        console.print(f"broken          {name}: {what}", highlight=False, markup=False)
    return sound and not broken


def dependencies() -> Iterator[tuple[str, str | None, str]]:
    """What the project needs: name, installed version or None, and what is wanted where that does not do."""
    from packaging.requirements import Requirement

    for text in _required():
        one = Requirement(text)
        if one.marker is not None and not one.marker.evaluate():
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield one.name, None, str(one.specifier)
            continue
        yield one.name, version, "" if one.specifier.contains(version, prereleases=True) else str(one.specifier)


def _required() -> list[str]:
    """The requirements of a checkout, or of what is installed."""
    path = catalogue.ROOT / "pyproject.toml"
    if path.is_file():
        found: list[str] = tomllib.loads(path.read_text())["project"]["dependencies"]
        return found
    try:
        return metadata.requires("unblend") or []
    except metadata.PackageNotFoundError:
        return list(provenance.PACKAGES)


def _data(console: Console, folder: Path) -> None:
    if not folder.is_dir():
        console.print(
            f"{'data':15} none: {folder} is no folder; set UNBLEND_DATA. Embedded data need none.", highlight=False
        )
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            files = sum(1 for file in path.rglob("*") if file.is_file())
            console.print(f"{'data':15} {path}: {files} files", highlight=False)


def check_data(names: list[str], folder: Path, console: Console) -> bool:
    """Read real data sets and report what is missing or differs.

    Args:
        names: of the sets; none for all that are found.
        folder: of the data sets.
        console: to print on.

    Returns:
        Whether they are what they should be.

    Raises:
        UserError: an unknown set, or no set at all.
    """
    from datamodules.sets.real import SETS
    from datamodules.sets.verify import verify

    for name in names:
        if name not in SETS:
            raise unknown("data set", name, SETS)
    chosen = names or [name for name in SETS if (folder / name).is_dir()]
    if not chosen:
        raise UserError(f"no real data set in {folder}: set UNBLEND_DATA, or give --root. They are {', '.join(SETS)}.")
    sound = True
    for name in chosen:
        report = verify(SETS[name], folder)
        sound &= not report.problems
        console.print(f"{name:18} {report.found} of {report.data.count}  {'ok' if not report.problems else 'PROBLEMS'}")
        for line in [*report.problems[:SAID], *report.notes]:
            console.print(f"    {line}", markup=False)
        if len(report.problems) > SAID:
            console.print(f"    … and {len(report.problems) - SAID} more")
        if report.digest:
            console.print(f"    digest {report.digest}")
        console.print(f"    {report.data.citation}. Licence: {report.data.licence}.", markup=False)
    return sound


def compare_with_the_world(task: str, folder: Path, out: Path, console: Console) -> None:
    """Print how near a task's generated mixtures are to the world's, and draw the histograms.

    Raises:
        UserError: an unknown task, or missing data.
    """
    from datamodules.statistics.compare import SUBJECTS, draw

    if task not in SUBJECTS:
        raise unknown("task", task, SUBJECTS)
    subject = SUBJECTS[task](folder)
    statistics = subject.compare()
    page = out / f"{task}.png"
    draw(statistics, f"{task}: generated beside {subject.origin}", page)
    console.print(f"{task}: generated mixtures beside {subject.origin}", markup=False)
    for one in statistics:
        console.print(f"    {one.line()}", markup=False)
    left_out = f", without {' and '.join(subject.aside)}" if subject.aside else ""
    console.print(f"    mean distance {subject.mean_distance(statistics):.2f}{left_out}", markup=False)
    console.print(f"    histograms in {page}", markup=False)
