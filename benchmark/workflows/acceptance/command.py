"""Let changed code count as the same version, if it computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmark.errors import UserError
from benchmark.plan import identity, lock
from benchmark.plan.identity import Component

NEW = "first code of version {}"


@dataclass(frozen=True)
class Standing:
    """The components that ship, by where they stand in the lock, and the lock.

    Attributes:
        locked: what ``versions.lock`` holds.
        now: component's name -> fingerprint of its code.
        new: not in the lock, or with a version above it.
        changed: with a fingerprint that the lock does not list for their version.
        gone: names that the lock has and nobody else.
    """

    locked: dict[str, lock.Locked]
    now: dict[str, str]
    new: list[Component]
    changed: list[Component]
    gone: list[str]


def standing() -> Standing:
    """Where every component stands.

    Raises:
        UserError: a version that went down, a broken lock or a file that cannot be parsed.
    """
    locked, known = lock.read(), identity.components()
    now: dict[str, str] = {}
    new: list[Component] = []
    changed: list[Component] = []
    for name, one in known.items():
        now[name] = one.fingerprint()
        if one.identity(locked) == f"{name}@{one.version}":
            continue
        (changed if name in locked and locked[name].version == one.version else new).append(one)
    return Standing(locked, now, new, changed, sorted(set(locked) - set(known)))


def enter_new(why: str | None = None) -> list[str]:
    """Enter new components and raised versions into the lock, and remove what is gone.

    Args:
        why: of all of them; default that they are the first code of their version.

    Returns:
        What was done, one line each.

    Raises:
        UserError: the code of an unchanged version changed; nothing is written.
    """
    stands = standing()
    if stands.changed:
        names = ", ".join(one.name for one in stands.changed)
        raise UserError(
            f"{names}: changed code, and the version is as it was: raise it, or `unblend accept --all_changed --why …`."
        )
    locked = dict(stands.locked)
    for one in stands.new:
        entry = lock.Accepted(stands.now[one.name], _today(), why or NEW.format(one.version), "none is needed")
        locked[one.name] = lock.Locked(one.version, (entry,))
    for name in stands.gone:
        del locked[name]
    if locked != stands.locked:
        lock.write(locked)
    lines = [f"{one.name}@{one.version}: entered" for one in stands.new]
    return [*lines, *(f"{name}: removed, it is no more" for name in stands.gone)] or ["nothing is new"]


def accept(names: Sequence[str] | None, why: str, runs: Path, jobs: int | None, console: Console) -> None:
    """Compare changed components with the accepted code, and enter those that compute the same.

    Args:
        names: of the components; None for all that changed.
        why: their code was changed.
        runs: folder for the regression suite's cells.
        jobs: cells at a time.
        console: to tell how far it is.

    Raises:
        UserError: an unknown or new component, a working tree with changes, or numbers that differ.
    """
    asked = [identity.component(name) for name in names or ()]  # an unknown name is told first
    from benchmark.workflows.acceptance import evidence, past

    past.refuse_changes()
    stands = standing()
    for one in asked:
        if one in stands.new:
            raise UserError(f"{one.name}: version {one.version} is new: `unblend accept --new` enters it.")
        if one not in stands.changed:
            console.print(f"{one.name}@{one.version}: its code is accepted already", markup=False)
    wanted = [one for one in stands.changed if names is None or one in asked]
    if not wanted:
        console.print("nothing to accept", markup=False)
        return
    found = evidence.gather(wanted, stands.locked, runs, jobs, lambda line: console.print(line, markup=False))
    locked, refused = dict(stands.locked), []
    for one in wanted:
        shown = found[one.name]
        text = "; ".join(shown.said)
        if shown.against:
            refused.append(one.name)
            for line in shown.against:
                console.print(f"{one.name}: {line}", markup=False)
            continue
        entry = lock.Accepted(stands.now[one.name], _today(), why, text)
        locked[one.name] = locked[one.name].with_one_more(entry)
        console.print(f"{one.name}@{one.version}: accepted ({text})", markup=False)
    if locked != stands.locked:
        lock.write(locked)
    if refused:
        raise UserError(
            f"{', '.join(refused)}: the changed code does not compute the same: raise its version and run "
            "`unblend accept --new`, or mend it."
        )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
