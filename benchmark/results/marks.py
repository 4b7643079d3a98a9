"""What a reader must know of one record: that it is of older code, or of a training that had not ended.

Numbers of older code stay true, of the version that they name; numbers of a training whose curve still rose are of a
network that had more to learn.
"""

from __future__ import annotations

from benchmark.errors import UserError
from benchmark.plan import catalogue, identity
from benchmark.results.records import Record

RISE = 0.3
"""Gain in dB over the last quarter of a budget above which a training had not ended."""


def curve(record: Record) -> list[tuple[float, float]]:
    """A record's learning curve: (images seen, PSNR on the select role); empty where it has none."""
    found = record.training.get("curve")
    if not isinstance(found, list):
        return []
    pairs = [pair for pair in found if isinstance(pair, list) and len(pair) == 2]
    return [(float(a), float(b)) for a, b in pairs if all(isinstance(value, int | float) for value in (a, b))]


def still_learning(record: Record) -> bool:
    """Whether a record's training was cut off while its curve still rose.

    Then the best PSNR on the select role in the last quarter of the images is more than ``RISE`` dB above the best
    before it. A curve without a look in one of these parts tells nothing, and what was not trained has none.

    Args:
        record: in question.
    """
    looks = curve(record)
    begin = 0.75 * max((images for images, _ in looks), default=0.0)
    before = [psnr for images, psnr in looks if images <= begin]
    last = [psnr for images, psnr in looks if images > begin]
    return bool(before) and bool(last) and round(max(last) - max(before), 4) > RISE  # as curves are kept


def older(record: Record, part: str) -> str:
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
