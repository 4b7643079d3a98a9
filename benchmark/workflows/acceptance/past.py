"""The accepted code of a component, from the history of the repository."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

from benchmark.errors import UserError
from benchmark.plan import lock
from benchmark.plan.catalogue import ROOT
from benchmark.plan.identity import Component, Kind

PARTS: dict[Kind, tuple[str, ...]] = {
    "method": ("methods",),
    "dataset": ("datamodules",),
    "metrics": ("benchmark/metrics", "benchmark/metrics.py"),
}
"""What is taken from history for each kind of component; the rest is as it is now, so that it alone is compared."""

PACKAGE: dict[Kind, str] = {"method": "methods", "dataset": "datamodules", "metrics": "benchmark"}
"""What a fingerprint may reach into: it must all be there when it is taken of another commit."""

_OURS = ("benchmark", "methods", "datamodules")


def refuse_changes() -> None:
    """Check that the working tree is what is committed; only the lock may differ.

    Raises:
        UserError: it is not, or there is no repository.
    """
    changed = _git("status", "--porcelain", "--", ".", f":(exclude){lock.LOCK.relative_to(ROOT)}").decode().splitlines()
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(
            f"the working tree has changes that are not committed ({changed[0].strip()}{more}): commit or remove them, "
            "so that what is accepted is what is compared."
        )


class Past:
    """Commits' files, each laid out once.

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def commit_of(self, component: Component, accepted: lock.Locked) -> str:
        """The newest commit whose code counts as the component's version.

        Raises:
            UserError: this history has none.
        """
        for commit in _git("rev-list", "HEAD", "--", *PARTS[component.kind]).decode().split():
            try:
                if accepted.holds(component.fingerprint(self._files(commit, component.kind))):
                    return commit
            except UserError:
                continue  # it was not there yet, or could not be parsed
        raise UserError(
            f"{component.name}: no commit of this history has code that versions.lock lists, so nothing can be "
            f"compared: fetch the whole history, or raise its version and run `unblend accept --new`."
        )

    def project(self, commit: str, kind: Kind) -> Path:
        """A copy of the project as it is now, with the components of one kind as they were."""
        folder = self.folder / f"{commit}-{kind}-project"
        if folder.is_dir():
            return folder
        for package in _OURS:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        for part in PARTS[kind]:
            now, then = folder / part, self._files(commit, kind) / part
            if now.is_dir():
                shutil.rmtree(now)
            now.unlink(missing_ok=True)
            if then.is_dir():
                shutil.copytree(then, now)
            elif then.is_file():
                shutil.copy(then, now)
        return folder

    def _files(self, commit: str, kind: Kind) -> Path:
        folder = self.folder / f"{commit}-{kind}"
        if not folder.is_dir():
            there = _git("ls-tree", "--name-only", commit, "--", PACKAGE[kind]).decode().split()
            packed = _git("archive", commit, "--", *there) if there else b""
            folder.mkdir(parents=True)
            if packed:
                with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                    archive.extractall(folder, filter="data")
        return folder


@cache
def _repository() -> None:
    """Check that there is one.

    Raises:
        UserError: there is none.
    """
    command = ["git", "-C", str(ROOT), "rev-parse", "--show-toplevel"]
    try:
        top = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        top = ""
    if not top or Path(top).resolve() != ROOT.resolve():
        raise UserError(f"{ROOT} is no git repository: accepted code is taken from its history; clone the project.")


def _git(*arguments: str) -> bytes:
    _repository()
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout
