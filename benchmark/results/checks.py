"""What strangers' records must keep to be read: they are whole, and say what their place says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.metrics.protocols import PROTOCOLS
from benchmark.plan.names import check_slug, safe_name
from benchmark.results import records
from benchmark.results.records import Record

LARGEST = {".json": 1_000_000, ".safetensors": 100_000_000}
"""Bytes of a record's header and of its arrays, at most: a header has some 4 kB, a million images' scores 40 MB."""


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
    for suffix, most in LARGEST.items():
        try:
            size = path.with_suffix(suffix).stat().st_size
        except OSError:
            continue  # whoever reads it says so
        if size > most:
            raise UserError(f"record {path}: {path.stem}{suffix} has {size:,} bytes, a record's at most {most:,}.")
    try:
        record = records.read(path)
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        raise UserError(f"record {path}: its fields are not what they should be ({error}).") from error
    wrong = next(problems(record), None)
    if wrong is not None:
        raise UserError(f"record {path}: {wrong}.")
    return record


def problems(record: Record) -> Iterator[str]:
    """What is wrong with a record that has the right fields; nothing, if all is well."""
    for kind, check in (("suite", safe_name), ("dataset", check_slug), ("method", check_slug)):
        try:
            check("record", kind, getattr(record, kind))
        except UserError as error:
            yield str(error).removeprefix("record: ").removesuffix(".")
    if type(record.seed) is not int or record.seed < 0:
        yield f"seed {record.seed!r} is not a whole number"
    stored = record.scores.protocols
    for protocol in stored:
        if protocol not in PROTOCOLS:
            yield f"protocol {protocol!r} has no version: there are {', '.join(PROTOCOLS)}"
    if len(set(stored)) < len(stored):
        yield f"it has a protocol twice: {', '.join(stored)}"
    yield from _types(record)
    yield from _layers(record)
    if len(set(record.ids)) < len(record.ids):
        twice = next(name for name in record.ids if record.ids.count(name) > 1)
        yield f"image {twice!r} stands twice"
    if not _finite([record.training, record.cost, record.spec, record.provenance, record.latent]):
        yield "it has numbers that are not finite"


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


_NEEDED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "spec": {"layers": list, "scored": list, "target": list, "ordered": bool, "mixing": str, "citation": str},
    "training": {"images_seen": int, "seconds": (int, float)},
    "cost": {
        "parameters": (int, type(None)),
        "latency_s": (int, float, type(None)),
        "peak_memory_mib": (int, float, type(None)),
    },
    "provenance": {"device": str, "processor": str},
    "identities": {"method": str, "data": str, "training": str, "metrics": str},
}


def _types(record: Record) -> Iterator[str]:
    for name in ("title", "variant", "data_variant", "window", "key", "score_key", "data_digest"):
        if not isinstance(getattr(record, name), str):
            yield f"{name} is no text"
    if not isinstance(record.checkpoint_sha256, str | None):
        yield "checkpoint_sha256 is no text"
    for name in ("spec", "config", "training", "cost", "provenance", "latent", "identities"):
        if not isinstance(getattr(record, name), dict):
            yield f"{name} is no mapping"
            return
    for part, keys in _NEEDED.items():
        for key, kind in keys.items():
            held = getattr(record, part)
            if key not in held or not isinstance(held[key], kind):
                yield f"{part}.{key} is missing or of the wrong kind"
    if not all(isinstance(identity, str) for identity in record.identities.values()):
        yield "identities has what is no text"


def _layers(record: Record) -> Iterator[str]:
    """That a record has scores of layers that its data score, and of one that the task is for."""
    spec = record.spec if isinstance(record.spec, dict) else {}
    for name in ("scored", "target"):
        layers = spec.get(name, [])
        if not isinstance(layers, list) or not all(isinstance(layer, str) for layer in layers):
            yield f"spec.{name} is no list of names"
            return
        if len(set(layers)) < len(layers):
            yield f"spec.{name} names a layer twice"
            return
    if not 1 <= record.scores.layers <= len(spec.get("scored", [])):
        yield f"it has scores of {record.scores.layers} layers, its spec scores {len(spec.get('scored', []))}"
    elif not set(spec["target"]) & set(spec["scored"]):
        yield f"no target layer ({', '.join(spec['target']) or 'none'}) is among those scored"
    places = record.scores.assignment
    if ((places < 0) | (places >= record.scores.layers)).any():
        yield "its assignment names layers that are not there"
