"""What stands behind a page's numbers: logs, configurations, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.statistics import Line

Json = dict[str, Any]
"""What the page's script reads, as JSON has it."""

LOG_LINES = 40


def key_of(record: Record) -> tuple[str, str, int]:
    """What tells records of a suite apart."""
    return record.dataset, record.method, record.seed


def provenance(line: Line, found: Sequence[Found], log_bytes: int) -> dict[str, object]:
    """All that is known of where a line's numbers come from: what its seeds share, and what each has of its own.

    Args:
        line: of a table.
        found: the records of its seeds.
        log_bytes: of each seed's log, the end of it.
    """
    seeds = [_of_seed(one, log_bytes) for one in found]
    first = seeds[0]
    shared = {name for name, value in first.items() if all(other[name] == value for other in seeds)} - {"seed"}
    return {
        "title": line.first.label,
        "config": yaml.safe_dump(line.first.config, sort_keys=False, allow_unicode=True),
        "shared": {name: value for name, value in first.items() if name in shared},
        "seeds": [{name: value for name, value in one.items() if name not in shared} for one in seeds],
    }


def _of_seed(one: Found, log_bytes: int) -> Json:
    made, record = one.record.provenance, one.record
    return {
        "seed": record.seed,
        "published": one.committed,
        "psnr": [f"{name} {mean:.2f}" for name, mean in _named_means(record)],
        "commit": made.get("commit"),
        "time": made.get("time"),
        "device": made.get("device"),
        "processor": made.get("processor"),
        "processes": made.get("processes"),
        "versions": made.get("versions", {}),
        "identities": record.identities,
        "key": record.key,
        "score": record.score_key,
        "data": record.data_digest,
        "weights": record.checkpoint_sha256,
        "training": {key: value for key, value in record.training.items() if not isinstance(value, list)},
        "log": log_of(one).encode()[-log_bytes:].decode(errors="ignore") if log_bytes else "",
    }


def _named_means(record: Record) -> list[tuple[str, float]]:
    return list(zip(record.layers, record.layer_means("psnr"), strict=True))


def log_paths(one: Found) -> list[Path]:
    """Where the log of a record may lie: in the run's cell, or as it was published."""
    return [one.cell / "log.txt", (one.suite_folder / "logs" / one.place).with_suffix(".txt")]


def log_of(one: Found) -> str:
    """The end of a record's log; empty, if there is none."""
    for path in log_paths(one):
        if path.is_file():
            return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
    return ""
