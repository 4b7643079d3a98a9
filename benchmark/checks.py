"""What strangers' files must keep: names that stay in their folder, and records that are whole."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark import records
from benchmark.errors import UserError
from benchmark.records import METRICS, Record

PROTOCOLS = ("rgb", "rgb-uniform", "y", "intrinsic")
"""As in ``benchmark.metrics``, which takes seconds to import."""

_PROTOCOL = re.compile(rf"({'|'.join(PROTOCOLS)})(, LMSE windows \d+×\d+ at step \d+)?")
_NAME = re.compile(r"\w[\w .,()+=-]{0,99}")


def safe_name(where: str, kind: str, name: Any) -> str:
    """A name that may become a folder: letters, digits, spaces and ``_ . , ( ) + = -``, not a dot first, at most 100.

    Args:
        where: it stands, for the message.
        kind: of thing that it names.
        name: to check.

    Raises:
        UserError: it might lead out of its folder, or could not be a folder everywhere.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        raise UserError(
            f"{where}: {kind} {name!r} cannot name a folder: use at most 100 letters, digits, spaces and _.,()+=-, "
            "beginning with a letter or digit."
        )
    return name


def read(path: Path) -> Record:
    """Read a record that may come from anyone.

    Args:
        path: ``…/DATASET/METHOD/seedN.json``.

    Raises:
        UserError: it is not whole, or not what its place says.
    """
    record = sound(path)
    if (record.dataset, record.method, f"seed{record.seed}") != (*path.parts[-3:-1], path.stem):
        says = f"{record.dataset}/{record.method}/seed{record.seed}"
        raise UserError(f"record {path}: it says {says}, which is not its place.")
    return record


def sound(path: Path) -> Record:
    """Read a record that may come from anyone and lie anywhere.

    Args:
        path: of any name.

    Raises:
        UserError: it is not whole.
    """
    try:
        record = records.read(path)
    except (TypeError, AttributeError, KeyError) as error:
        raise UserError(f"record {path}: its fields are not what they should be ({error}).") from error
    wrong = next(problems(record), None)
    if wrong is not None:
        raise UserError(f"record {path}: {wrong}.")
    return record


def problems(record: Record) -> Iterator[str]:
    """What is wrong with a record that has the right fields; nothing, if all is well."""
    for kind in ("suite", "dataset", "method"):
        try:
            safe_name("record", kind, getattr(record, kind))
        except UserError as error:
            yield str(error).removeprefix("record: ").removesuffix(".")
    if type(record.seed) is not int or record.seed < 0:
        yield f"seed {record.seed!r} is not a whole number"
    if not isinstance(record.protocol, str) or not _PROTOCOL.fullmatch(record.protocol):
        yield f"unknown protocol {record.protocol!r}: there are {', '.join(PROTOCOLS)}"
    yield from _types(record)
    yield from _rows(record)
    if not _finite([record.training, record.cost, record.spec, record.provenance, record.latent]):
        yield "it has numbers that are not finite"


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _types(record: Record) -> Iterator[str]:
    texts = ("title", "variant", "fit_hash", "score_hash", "data_digest")
    for name in texts:
        if not isinstance(getattr(record, name), str):
            yield f"{name} is no text"
    for name in ("spec", "config", "training", "cost", "provenance", "latent"):
        if not isinstance(getattr(record, name), dict):
            yield f"{name} is no mapping"
            return
    needed: dict[str, dict[str, Any]] = {
        "spec": {"layers": list, "scored": list, "ordered": bool, "mixing": str, "citation": str},
        "training": {"images_seen": int, "seconds": (int, float)},
        "cost": {"parameters": int, "latency_s": (int, float), "peak_memory_mib": (int, float)},
        "provenance": {"device": str, "processor": str},
    }
    for part, keys in needed.items():
        for key, kind in keys.items():
            if not isinstance(getattr(record, part).get(key), kind):
                yield f"{part}.{key} is missing or of the wrong kind"


def _rows(record: Record) -> Iterator[str]:
    seen: set[Any] = set()
    scored = record.spec.get("scored", []) if isinstance(record.spec, dict) else []
    width = len(record.rows[0][METRICS[0]])
    if not isinstance(scored, list) or not all(isinstance(name, str) for name in scored):
        yield "spec.scored is no list of names"
    elif not 1 <= width <= len(scored):
        yield f"its rows have {width} layers, its spec scores {len(scored)}"
    for row in record.rows:
        name = row.get("id")
        if not isinstance(name, str) or name in seen:
            yield f"image {name!r} stands twice or has no name"
            return
        seen.add(name)
        if any(len(row[metric]) != width for metric in METRICS):
            yield f"the row of image {name!r} is not whole"
            return
