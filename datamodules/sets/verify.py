"""Is a real data set what it should be? Count, pairing, sizes, digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.errors import UserError
from datamodules.pictures.images import read_array, read_depth, read_image
from datamodules.pictures.kinds import is_transmission
from datamodules.pictures.sources import mnist
from datamodules.real_pairs import check
from datamodules.sets.layouts import Pair, RealSet, match
from datamodules.sets.split_files import Split


@dataclass
class Report:
    """What was found of a real data set.

    Attributes:
        data: the set.
        folder: where it was looked for.
        found: images, or pairs where the set has truths.
        problems: what is missing, differs or cannot be read; each names its file.
        notes: what differs from the official set without harm.
        digest: SHA-256 over the names and contents of all files; empty where nothing was found.
    """

    data: RealSet
    folder: Path
    found: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    digest: str = ""


def verify(data: RealSet, root: Path) -> Report:
    """Read every file of a set and compare it with what the set should be.

    Args:
        data: the set.
        root: folder of the data sets.

    Returns:
        What was found; a set that is not there has the problem that says where to get it.
    """
    report = Report(data, root / data.name)
    try:
        pairs = match(data, report.folder)
    except UserError as error:
        report.problems.append(str(error))
        return report
    report.found = len(pairs)
    if not pairs:
        report.problems.append(f"nothing in {report.folder}. Expected {data.expected()}. Get it from {data.origin}.")
        return report
    odd: list[str] = []
    for pair in pairs:
        try:
            size = _read(data, pair)
        except UserError as error:
            report.problems.append(str(error))
        else:
            if data.size and sorted(size) != sorted(data.size):
                odd.append(f"{pair.name} {size[0]}×{size[1]}")
    alone = "mixture" if data.scored else "photograph"
    for path in _without_mixture(data, pairs):
        report.problems.append(f"{path} belongs to no {alone}: add the {alone}, or remove it.")
    report.digest = digest(report.folder, pairs)
    copy = data.copies.get(report.digest)
    differences = report.notes if copy else report.problems
    if copy:
        report.notes.append(f"a known copy: {copy}")
    for name in data.splits:
        missing = Split(name, pairs).missing
        if missing and copy:
            report.problems.append(f"the split {name} names {missing[0].name}, which this copy lacks: mend the split.")
        elif not missing:
            report.notes.append(f"the split {name} fits")
    if len(pairs) != data.count:
        differences.append(f"{len(pairs)} images or pairs, officially {data.count}")
    if data.size and odd:
        differences.append(
            f"{len(odd)} images are not {data.size[0]}×{data.size[1]}, as officially all are (for example {odd[0]})"
        )
    return report


def digest(folder: Path, pairs: list[Pair]) -> str:
    """SHA-256 over the relative names and the contents of all files of some pairs."""
    total = hashlib.sha256()
    for path in sorted({path for pair in pairs for path in pair.files if path.is_file()}):
        contents = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {contents}\n".encode())
    return total.hexdigest()


def _read(data: RealSet, pair: Pair) -> tuple[int, int]:
    """Decode all of a pair's files.

    Returns:
        (height, width) of the mixture.

    Raises:
        UserError: one is missing, broken, or of another size than its mixture.
    """
    if data.name == "mnist":
        mnist(Path(pair.image).parent)
        return 28, 28
    check(data, pair)
    if pair.depth:
        read_depth(Path(pair.depth), transmission=is_transmission(Path(pair.depth)))
    sizes = []
    for place in [pair.image, *pair.layers.values(), *([pair.mask] if pair.mask else [])]:
        file, _, key = place.partition("#")
        image = read_array(Path(file), key) if key else read_image(Path(file))
        sizes.append((image.shape[-2], image.shape[-1]))
    return sizes[0]


def _without_mixture(data: RealSet, pairs: list[Pair]) -> list[Path]:
    """Files beside the truths that belong to no pair."""
    known = {path for pair in pairs for path in pair.files}
    mixtures = {Path(pair.image.partition("#")[0]).parent for pair in pairs}
    beside = {path.parent for path in known} - mixtures
    beside -= {Path(pair.depth).parent for pair in pairs if pair.depth and is_transmission(Path(pair.depth))}
    suffixes = {path.suffix for path in known}
    return sorted(
        path
        for folder in beside
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix in suffixes and path not in known
    )
