"""Check a run's records and copy them to ``leaderboards/``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.errors import UserError
from benchmark.files import read_json, write_json, write_text
from benchmark.plan import catalogue, suite
from benchmark.plan.contents import of_file
from benchmark.reports import leaderboard
from benchmark.reports.page import evidence
from benchmark.reports.tables import titled
from benchmark.results import checks, collection, records, samples, weights
from benchmark.results.collection import COMMITTED, Found
from benchmark.results.records import Record
from benchmark.running.places import places

OURS = re.compile(r"/[^\s:'\"]*/(?=(?:benchmark|datamodules|methods)/)")
"""What stands before a file of this project in a log: where some checkout lies, also one that is not here."""

TERMS = COMMITTED / "suites.json"
"""Suite with its version -> row -> digest of the terms on which its published rows compete."""


def publish(folder: Path, console: Console, *, partial: bool = False) -> bool:
    """Copy a run's records, unless one of them is refused.

    Args:
        folder: of a suite's run, such as ``runs/quick``.
        console: to tell what was done, or why not.
        partial: publish what there is, though cells are missing.

    Returns:
        Whether they were copied.

    Raises:
        UserError: there are no records.
    """
    paths = sorted((folder / "records").rglob("seed*.json"))
    if not paths:
        raise UserError(f"no records in {folder / 'records'}: run `unblend bench SUITE` first.")
    found, refused = [], []
    for path in paths:
        try:
            found.append(Found(checks.read(path), path, False))
        except UserError as error:
            refused.append(str(error))
    for one in found:
        refused += [f"record {one.path}: {problem}." for problem in problems(one)]
    refused += list(images(found))
    if found and not partial:
        refused += list(incomplete(folder, found))
    for name in sorted({one.record.suite for one in found} & set(catalogue.suites())):
        how = f"raise the suite's version, and say why in {COMMITTED / 'CHANGELOG.md'}"
        refused += [f"suite {titled(name)}: {row} competes on other terms than before: {how}" for row in moved(name)]
    if refused:
        for line in refused:
            console.print(f"refused: {line}", markup=False, soft_wrap=True)
        console.print(f"nothing was published: {len(refused)} reasons in {len(paths)} records")
        return False
    for one in found:
        copy(one, COMMITTED / one.record.suite)
    for name in {one.record.suite for one in found}:
        forget_images(COMMITTED / name)
    enter(sorted({one.record.suite for one in found}))
    console.print(f"published {len(found)} records to {COMMITTED}", soft_wrap=True)
    without = sum(not samples.folder(path).is_dir() for path in _copies(found))
    if without:
        console.print(
            f"{without} lack pictures that may be passed on: `unblend publish {folder} --pictures` makes them",
            soft_wrap=True,
        )
    leaderboard.build(None, console)
    return True


def _copies(found: Sequence[Found]) -> list[Path]:
    """Where the records of a run lie once they are published."""
    return [(COMMITTED / one.record.suite / "records" / one.place).with_suffix(".json") for one in found]


def illustrate(folder: Path, console: Console) -> None:
    """Separate embedded pictures with each published method of data whose pictures may not be passed on.

    Args:
        folder: of a suite, in ``runs/`` where the weights are, or in ``leaderboards/``; weights that ship are found.
        console: to tell what was done, and what has no pictures for lack of weights.

    Raises:
        UserError: none of its records is published.
    """
    from benchmark.scoring import stand_ins

    here = collection.collect([folder])
    published = [one for one in zip(here, _copies(here), strict=True) if one[1].is_file()]
    if not published:
        raise UserError(f"no record of {folder} is published: run `unblend publish {folder}` first.")
    shipped = {one.record().checkpoint_sha256: one.path for one in weights.shipped().values()}
    # What is made is kept: the quick ones first, so that an end finds most of them done.
    for one, path in sorted(published, key=lambda each: each[0].record.cost["latency_s"] or 0.0):
        shown, record = samples.folder(path), one.record
        if record.seed or samples.free(record.spec) or samples.stands_for(shown, record.key):
            continue  # a page shows a method's first seed
        own = one.cell / "best.ckpt"
        try:
            made = stand_ins.separate(record, own if own.is_file() else shipped.get(record.checkpoint_sha256), shown)
            console.print(f"{one.place}: {len(made)} pictures in {shown}", markup=False, soft_wrap=True)
        except UserError as error:
            console.print(f"{one.place}: none: {error}", markup=False, soft_wrap=True)
    leaderboard.build(None, console)


def moved(name: str) -> list[str]:
    """Rows of a suite that compete on other terms than those that were published under its version.

    Args:
        name: of a suite that ships with the project.
    """
    held = (read_json(TERMS) or {}).get(titled(name), {})
    return [row for row, terms in suite.terms(name).items() if held.get(row, terms) != terms]


def enter(names: Sequence[str]) -> None:
    """Note on which terms the published rows of suites compete, so that a change of them cannot go unseen.

    Args:
        names: of suites that records were published of.
    """
    held = read_json(TERMS) or {}
    for name in names:
        there = {
            path.parent.relative_to(COMMITTED / name / "records").as_posix()
            for path in (COMMITTED / name / "records").glob("*/*/seed*.json")
        }
        terms = {row: digest for row, digest in suite.terms(name).items() if row in there}
        held[titled(name)] = {**held.get(titled(name), {}), **terms}
    write_json(TERMS, dict(sorted(held.items())))


def problems(one: Found) -> Iterator[str]:
    """Why a record cannot be published: its commit, its place in the suite, its versions, its weights."""
    record = one.record
    yield from _commit(record)
    if record.suite not in catalogue.suites():
        yield f"suite {record.suite} is not one of the project's: only their records are published"
        return
    cell = {cell.path: cell for cell in suite.load(record.suite)}.get(one.place)
    if cell is None:
        yield f"suite {record.suite} has no such cell: outside methods are drawn beside the leaderboard, not into it"
        return
    now = cell.identities()
    other = [part for part in now if record.identities.get(part) != now[part]]
    for part in other:
        yield f"its {part} is {record.identities.get(part)}, this checkout's {now[part]}: run the suite again"
    if not other and cell.key() != record.key:
        yield "its key is not that of this checkout's suite: its configuration is another one; run the suite again"
    elif not other and cell.score_key(record.data_digest) != record.score_key:
        yield "its score key is not that of its data and of this checkout's metrics: run the suite again"
    for part, known in now.items():
        if "@" not in known:
            yield f"its {part} is known by a fingerprint alone ({known}): `unblend accept` enters it in versions.lock"
    weights = one.cell / "best.ckpt"
    if record.checkpoint_sha256 is not None:
        if not weights.is_file():
            yield f"its weights are not there to be checked ({weights})"
        elif of_file(weights) != record.checkpoint_sha256:
            yield f"its weights are others than those that were scored ({weights})"


def _commit(record: Record) -> Iterator[str]:
    commit = record.provenance.get("commit")
    if not isinstance(commit, str) or not commit:
        yield "it was made outside a checkout: no commit is known"
    elif commit.endswith("+"):
        yield "it was made with changes that were not committed: commit them and run the suite again"
    elif not _known(commit):
        yield f"its commit {commit[:12]} is not in this branch's history"


def _known(commit: str) -> bool:
    command = ["git", "-C", str(catalogue.ROOT), "merge-base", "--is-ancestor", commit, "HEAD"]
    try:
        return commit.isalnum() and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def images(found: list[Found], beside: Sequence[Found] = ()) -> Iterator[str]:
    """Records that lack test images which others on the same data have; ``beside`` are only others."""
    together: dict[tuple[str, str], set[str]] = {}
    for one in [*found, *beside]:
        together.setdefault((one.record.dataset, one.record.data_digest), set()).update(one.record.ids)
    for one in found:
        every = together[one.record.dataset, one.record.data_digest]
        limit = _budget(one.record)
        expected = min(limit or len(every), len(every))
        if len(one.record.ids) < expected:
            yield f"record {one.path}: {len(one.record.ids)} of {expected} test images: the others are missing."


def _budget(record: Record) -> int | None:
    data: Any = record.config.get("data") or {}
    limit = (data.get("init_args") or {}).get("test_images")
    return limit if isinstance(limit, int) else None


def incomplete(folder: Path, found: list[Found]) -> Iterator[str]:
    """Cells of the suite that have neither a record nor a reason to be skipped."""
    there = {one.place for one in found}
    for name in sorted({one.record.suite for one in found} & set(catalogue.suites())):
        for place in places(suite.load(name), folder.parent):
            fitted = place.fitted() if place.cell.path not in there else None
            if place.cell.path not in there and not (fitted and fitted.skipped):
                yield f"{place.cell.name}: no record; finish the suite, or say --partial."


def copy(one: Found, target: Path) -> None:
    """Copy a record, the end of its log and, where the data's licence lets anyone pass them on, its samples.

    Args:
        one: checked.
        target: folder of the suite in ``leaderboards/``.
    """
    record, place = one.record, one.place
    path = (target / "records" / place).with_suffix(".json")
    records.write(path, record)
    shown = samples.folder(path)
    if not samples.stands_for(shown, record.key):
        shutil.rmtree(shown, ignore_errors=True)
    if samples.free(record.spec):
        samples.pass_on(samples.folder(one.path), shown)
    log = evidence.log_of(one)
    if log:
        # Where a run was made is nobody's business.
        made_in = one.suite_folder.resolve().parents[1]  # another checkout, where runs/ is a link
        private = {str(catalogue.ROOT): ".", str(made_in): ".", str(Path.home()): "~"}
        private |= {sys.prefix: "python", sys.base_prefix: "python"}
        private.pop("/", None)
        for path_there, shown_as in sorted(private.items(), key=lambda pair: -len(pair[0])):
            log = log.replace(path_there, shown_as)
        log = OURS.sub("./", log)
        write_text((target / "logs" / place).with_suffix(".txt"), log + "\n")


def forget_images(folder: Path) -> None:
    """Remove lists of images of a published suite that none of its records names any more.

    Args:
        folder: of the suite in ``leaderboards/``.
    """
    headers = [read_json(path) for path in (folder / "records").glob("*/*/seed*.json")]
    named = {str(header["images"]["digest"]) for header in headers if isinstance(header, dict) and "images" in header}
    for path in (folder / "images").glob("*.txt"):
        if path.stem not in named:
            path.unlink()
