"""What stands behind a page's numbers: pictures, logs, configurations, learning curves."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError
from benchmark.files import read_json
from benchmark.plan.names import safe_name
from benchmark.reports import tables
from benchmark.results import samples
from benchmark.results.collection import Found
from benchmark.results.records import Record
from benchmark.results.statistics import Line

LOG_LINES = 40
LARGEST_SAMPLE = 300_000
"""Bytes of a picture that the page takes in."""


def key_of(record: Record) -> tuple[str, str, int]:
    """What tells records of a suite apart."""
    return record.dataset, record.method, record.seed


class Evidence:
    """What the page's script reads: provenance of each line, scores under every protocol, and pictures."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []
        self.protocols: dict[str, object] = {}
        self.samples: dict[str, object] = {}
        self.pictures: dict[str, str] = {}

    def text(self) -> str:
        value = {
            "lines": self.lines,
            "protocols": self.protocols,
            "samples": self.samples,
            "pictures": self.pictures,
        }
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        # Inside <script>, only this could end it.
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def picture(self, path: Path) -> str | None:
        """Take in a picture; its key."""
        kinds = {".png": "image/png", ".webp": "image/webp"}
        if path.suffix not in kinds or not path.is_file() or path.stat().st_size > LARGEST_SAMPLE:
            return None
        contents = path.read_bytes()
        key = hashlib.blake2b(contents, digest_size=9).hexdigest()
        self.pictures[key] = f"data:{kinds[path.suffix]};base64,{base64.b64encode(contents).decode()}"
        return key


def curve(record: Record) -> list[tuple[float, float]]:
    """A record's learning curve: (images seen, PSNR on the select role); empty where it has none."""
    found = record.training.get("curve")
    if not isinstance(found, list):
        return []
    pairs = [pair for pair in found if isinstance(pair, list) and len(pair) == 2]
    return [(float(a), float(b)) for a, b in pairs if all(isinstance(value, int | float) for value in (a, b))]


def pictures(
    table: Sequence[Line], of_record: dict[tuple[str, str, int], Found], data: Evidence
) -> list[dict[str, object]]:
    """For each sample image its mixture, truths and each method's layers, as keys of pictures."""
    images: dict[str, dict[str, str]] = {}
    for line in table:
        folder = samples.folder(of_record[key_of(line.first)].path)
        for note in (read_json(path) for path in sorted(folder.glob("*.json"))):
            if not _sound(note):
                continue
            sources = images.setdefault(note["id"], {})
            of_image = dict(zip(line.first.ids, line.first.values("psnr"), strict=True))
            scores = of_image.get(note["id"], [])
            for what, name in note["files"].items():
                try:
                    key = data.picture(folder / safe_name("sample", "file", name))
                except UserError:
                    continue
                kind, _, place = what.partition("-")
                if key is None or (place and int(place) >= len(note["layers"])):
                    continue
                if kind == "mixture":
                    sources.setdefault("Mixture", key)
                elif kind == "truth":
                    sources.setdefault(f"Truth: {note['layers'][int(place)]}", key)
                else:
                    psnr = f", {scores[int(place)]:.2f} dB" if int(place) < len(scores) else ""
                    label = f"{tables.name_of(line.first)}: {note['layers'][int(place)]}{psnr}"
                    sources[label] = key
    first = {"Mixture": 0, "Truth": 1}

    def rank(pair: tuple[str, str]) -> int:
        return first.get(pair[0].partition(":")[0], 2)

    return [{"id": name, "sources": sorted(images[name].items(), key=rank)} for name in sorted(images)]


def _sound(note: Any) -> bool:
    if not isinstance(note, dict) or not isinstance(note.get("id"), str) or not isinstance(note.get("files"), dict):
        return False
    layers = note.get("layers")
    known = all(
        what == "mixture" or (what.partition("-")[0] in ("truth", "estimate") and what.partition("-")[2].isdigit())
        for what in note["files"]
    )
    return known and isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)


def provenance(line: Line, found: Sequence[Found]) -> dict[str, object]:
    """All that is known of where a line's numbers come from, one entry for each seed."""
    return {
        "title": tables.name_of(line.first),
        "config": yaml.safe_dump(line.first.config, sort_keys=False, allow_unicode=True),
        "seeds": [
            {
                "seed": one.record.seed,
                "published": one.committed,
                "psnr": [f"{name} {mean:.2f}" for name, mean in _named_means(one.record)],
                "commit": one.record.provenance.get("commit"),
                "time": one.record.provenance.get("time"),
                "device": one.record.provenance.get("device"),
                "processor": one.record.provenance.get("processor"),
                "processes": one.record.provenance.get("processes"),
                "versions": one.record.provenance.get("versions", {}),
                "identities": one.record.identities,
                "key": one.record.key,
                "score": one.record.score_key,
                "data": one.record.data_digest,
                "weights": one.record.checkpoint_sha256,
                "training": {key: value for key, value in one.record.training.items() if not isinstance(value, list)},
                "log": log_of(one),
            }
            for one in found
        ],
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
