"""Which published numbers are of older code than this checkout's: they stay true, of the version that they name."""

from __future__ import annotations

from benchmark.errors import UserError
from benchmark.plan import catalogue, identity
from benchmark.results.records import Record


def version(record: Record, part: str) -> str:
    """What a record's numbers are of, if this checkout has another version of it; else empty.

    Args:
        record: in question.
        part: ``method``, ``data``, ``training`` or ``metrics``.

    Returns:
        Such as ``of unet@1, this checkout has unet@2``.
    """
    now = _now(record, part)
    if now is None or (record.supplied and part == "training") or record.identities.get(part) == now:
        return ""
    return f"of {record.identities.get(part)}, this checkout has {now}"


def _now(record: Record, part: str) -> str | None:
    """The identity of the same part in this checkout; None where the project has none.

    What is not the project's own is not looked for: a stranger's record may name any package that is installed.
    """
    try:
        if part == "training":
            return identity.of_training()
        if part == "metrics":
            return identity.of_metrics()
        held = record.config.get("model" if part == "method" else "data")
        path = held.get("class_path") if isinstance(held, dict) else None
        known = catalogue.methods() if part == "method" else catalogue.datasets()
        if not any(entry.class_path == path for entry in known.values()):
            return None
        return identity.of_method(str(path)) if part == "method" else identity.of_dataset(str(path))
    except UserError:
        return None
