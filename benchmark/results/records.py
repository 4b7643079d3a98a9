"""The result of one cell: a header that people can read and arrays beside it, each written whole or not at all.

``seedN.json`` is the header; ``seedN.safetensors`` holds the per-image scores under every stored protocol; the images'
ids stand once for each set of test images, in ``images/DIGEST.txt`` beside ``records``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from benchmark.errors import UserError
from benchmark.files import read_json, write_bytes, write_text
from benchmark.metrics.protocols import protocol as known
from benchmark.metrics.scales import METRICS
from benchmark.metrics.scores import Scores
from benchmark.plan.execution import Config, Cost, Provenance, Training

SCHEMA = 4
LEVELS_UP = 4
"""How many folders above a record's the folder ``images`` may lie."""

LONGEST_LIST = 100_000_000
"""Bytes of a list of images that is read, at most."""

SUPPLIED = "supplied"
"""Stands for the class of a method, and for its training, where a stranger supplied the pictures."""

_MEND = "remove it and run the suite again"
_AGAIN = 0.05
"""Seconds after which a record is read once more: its header and arrays may just be replaced."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """What one method scored on one data set with one seed, and where that number comes from.

    Attributes:
        suite: name of the suite.
        dataset: folder of the data set.
        method: folder of the method.
        seed: of the run.
        title: name of the method for people.
        variant: what sets the method's row apart from its default, for people; may be empty.
        data_variant: what sets the data set's row apart from its default, likewise.
        window: the LMSE's window where images are small, such as ``8×8 at step 4``; else empty.
        identities: of ``method``, ``data``, ``training`` and ``metrics``, such as ``unet@2``.
        key: of the cell: its configuration, seed and the first three identities.
        score_key: of the key, the data's digest and the identity of the metrics.
        data_digest: of the data's contents.
        checkpoint_sha256: of the weights that were scored, or of the list of supplied pictures beside the record
            (``seedN.sha256``); None where nothing was trained.
        spec: the data's ``LayerSpec``.
        config: complete resolved configuration.
        training: images seen, optimiser steps, seconds, peak memory in MiB, PSNR on the select role in dB, and its
            ``curve``: [images seen, PSNR on the select role] for each look.
        cost: parameters, FLOPs and median latency (seconds) for one test image, peak memory in MiB.
        provenance: commit, versions, hardware, time.
        latent: of a method with latent spaces, plain numbers that describe them; else empty.
        ids: of the test images, in the test role's order.
        scores: of each image and layer, under every stored protocol; the first is the task's own.
    """

    suite: str
    dataset: str
    method: str
    seed: int
    title: str
    variant: str
    data_variant: str
    window: str
    identities: dict[str, str]
    key: str
    score_key: str
    data_digest: str
    checkpoint_sha256: str | None
    spec: dict[str, Any]
    config: Config
    training: Training
    cost: Cost
    provenance: Provenance
    latent: dict[str, float]
    ids: tuple[str, ...]
    scores: Scores

    @property
    def label(self) -> str:
        """Title and variant of the method in one."""
        own = self.variant.removeprefix(self.title).lstrip(", ")
        return f"{self.title}, {own}" if own else self.title

    @property
    def data_label(self) -> str:
        """Name and variant of the data set in one, such as ``Haze, SOTS indoor``."""
        name = self.config["data"]["class_path"].split(".")[-2:][0].replace("_", " ").capitalize()
        return f"{name}, {self.data_variant}" if self.data_variant else name

    @property
    def protocol(self) -> str:
        """The task's own protocol, such as ``rgb@1``."""
        return self.scores.protocols[0]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that it has scores of."""
        return tuple(self.spec["scored"][: self.scores.layers])

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the layers that the task is for, and that it has scores of."""
        return tuple(layer for layer in self.spec["target"] if layer in self.layers)

    @property
    def complete(self) -> bool:
        """Whether it has scores of every target layer that has a truth in the test set."""
        return all(layer in self.layers for layer in self.spec["target"] if layer in self.spec["scored"])

    @property
    def supplied(self) -> bool:
        """Whether a stranger supplied the pictures that were scored."""
        model = self.config.get("model")
        return isinstance(model, dict) and model.get("class_path") == SUPPLIED

    def values(self, metric: str, protocol: str | None = None) -> Vector:
        """(images, layers) of one metric under one protocol; default the task's own."""
        return np.asarray(self.scores.values[protocol or self.protocol][metric], np.float64)

    def layer_means(self, metric: str, protocol: str | None = None) -> list[float]:
        """Mean over test images, layer by layer."""
        return [float(mean) for mean in self.values(metric, protocol).mean(0)]

    def mean(self, metric: str, protocol: str | None = None) -> float:
        """Mean over test images of the image's mean over the target layers."""
        places = [self.layers.index(layer) for layer in self.targets]
        return float(self.values(metric, protocol)[:, places].mean())

    def pooled_psnr(self, layer: str, protocol: str | None = None) -> float:
        """PSNR in dB of a layer's mean squared error over all test images, as some papers report it."""
        error = float(self.values("mse", protocol)[:, self.layers.index(layer)].mean())
        return float(min(100.0, -10 * np.log10(max(error, 1e-30))))


HEADER = tuple(field.name for field in fields(Record) if field.name not in ("ids", "scores"))
"""Fields that stand in the header as they are."""


def write(path: Path, record: Record) -> None:
    """Write a record: first what the header names, then the header.

    Args:
        path: ``…/seedN.json``.
        record: to write.

    Raises:
        ValueError: a number in it is not finite.
    """
    arrays, same = _arrays(record.scores)
    packed = pack(arrays)
    names = "".join(f"{name}\n" for name in record.ids)
    images = hashlib.sha256(names.encode()).hexdigest()[:32]
    header = {
        "schema": SCHEMA,
        **{name: getattr(record, name) for name in HEADER},
        "means": {metric: [float(f"{mean:.6g}") for mean in record.layer_means(metric)] for metric in METRICS},
        "protocols": list(record.scores.protocols),
        "images": {"count": len(record.ids), "digest": images},
        "arrays": {"sha256": hashlib.sha256(packed).hexdigest(), "same": same},
    }
    text = _readable(header)
    listed = _images_folder(path) / f"{images}.txt"
    if not listed.is_file():
        write_text(listed, names)
    write_bytes(path.with_suffix(".safetensors"), packed)
    write_text(path, text)


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: the file is missing, truncated, of another schema, or its arrays are not those that it names.
    """
    try:
        return _read(path)
    except UserError:
        time.sleep(_AGAIN)
        return _read(path)


def find(folder: Path) -> list[Record]:
    """All records below a folder, in order of data set, method and seed."""
    records = [read(path) for path in sorted(folder.rglob("seed*.json"))]
    return sorted(records, key=lambda record: (record.dataset, record.method, record.seed))


def table(path: Path) -> str:
    """A record's scores as text, an image a line: what ``git diff`` shows of an array file.

    Args:
        path: of ``seedN.safetensors``; the names of its images are not needed.

    Raises:
        UserError: it is not whole.
    """
    arrays = _unpacked(path, path.read_bytes())
    names = sorted(name for name in arrays if name != "assignment")
    lines = ["\t".join(["image", *names])]
    for image in range(len(arrays[names[0]]) if names else 0):
        cells = [" ".join(f"{value:.6g}" for value in arrays[name][image]) for name in names]
        lines.append("\t".join([str(image), *cells]))
    return "\n".join(lines) + "\n"


def _read(path: Path) -> Record:
    header = read_json(path)
    if not isinstance(header, dict):
        raise UserError(f"record {path}: missing or not whole; {_MEND}.")
    if header.get("schema") != SCHEMA:
        raise UserError(f"record {path}: schema {header.get('schema')}, this version reads {SCHEMA}; {_MEND}.")
    wanted = {"schema", *HEADER, "means", "protocols", "images", "arrays"}
    if set(header) != wanted:
        wrong = ", ".join(sorted(wanted ^ set(header)))
        raise UserError(f"record {path}: missing or unknown fields {wrong}; {_MEND}.")
    try:
        count, images = int(header["images"]["count"]), str(header["images"]["digest"])
        sha256, same = header["arrays"]["sha256"], dict(header["arrays"]["same"])
        protocols = tuple(map(str, header["protocols"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"record {path}: its fields are not what they should be ({error}); {_MEND}.") from error
    packed = _contents(path)
    if hashlib.sha256(packed).hexdigest() != sha256:
        raise UserError(f"record {path}: its checksum does not fit {path.stem}.safetensors; {_MEND}.")
    scores = _scores(path, _unpacked(path, packed), protocols, same)
    ids = _ids(path, images)
    if not ids or not len(ids) == count == scores.images:
        raise UserError(f"record {path}: {scores.images} rows for {len(ids)} images, {count} told; {_MEND}.")
    return Record(**{name: header[name] for name in HEADER}, ids=ids, scores=scores)


def _arrays(scores: Scores) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays by name, and of names whose array equals another's that other's name: what is equal stands once."""
    arrays: dict[str, NDArray[Any]] = {}
    same: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    ordered = np.arange(scores.layers, dtype=np.int8)
    if not (scores.assignment == ordered).all():
        arrays["assignment"] = np.ascontiguousarray(scores.assignment, np.int8)
    for protocol in scores.protocols:
        for metric in METRICS:
            array = np.ascontiguousarray(scores.values[protocol][metric], np.float32)
            if not np.isfinite(array).all():
                raise ValueError(f"{metric} under {protocol} has values that are not finite.")
            name, held = f"{protocol}/{metric}", array.tobytes()
            if held in seen:
                same[name] = seen[held]
            else:
                seen[held] = name
                arrays[name] = array
    return arrays, same


def _scores(path: Path, arrays: dict[str, NDArray[Any]], protocols: Sequence[str], same: dict[str, str]) -> Scores:
    values: dict[str, dict[str, NDArray[np.float32]]] = {}
    shapes = set()
    for protocol in protocols:
        try:
            known(protocol)
        except UserError as error:
            raise UserError(f"record {path}: {error}") from None
        for metric in METRICS:
            name = f"{protocol}/{metric}"
            array = arrays.get(same.get(name, name))
            if array is None or array.ndim != 2 or array.dtype != np.float32 or not np.isfinite(array).all():
                raise UserError(f"record {path}: the scores {name} are missing or not whole; {_MEND}.")
            shapes.add(array.shape)
            values.setdefault(protocol, {})[metric] = array
    if len(shapes) != 1:
        raise UserError(f"record {path}: its protocols have scores of unlike shapes {sorted(shapes)}; {_MEND}.")
    shape = shapes.pop()
    assignment = arrays.get("assignment")
    if assignment is None:
        assignment = np.tile(np.arange(shape[1], dtype=np.int8), (shape[0], 1))
    if assignment.shape != shape:
        raise UserError(f"record {path}: its assignment has the shape {assignment.shape}, not {shape}; {_MEND}.")
    return Scores(tuple(protocols), assignment, values)


def _contents(path: Path) -> bytes:
    try:
        return path.with_suffix(".safetensors").read_bytes()
    except FileNotFoundError:
        raise UserError(f"record {path}: there is no {path.stem}.safetensors beside it; {_MEND}.") from None


def _unpacked(path: Path, packed: bytes) -> dict[str, NDArray[Any]]:
    try:
        return dict(unpack(packed))
    except (SafetensorError, ValueError, KeyError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"record {path}: {path.stem}.safetensors is not whole ({what}); {_MEND}.") from error


def _images_folder(path: Path) -> Path:
    """Where a record that is written lists its images: in the suite's folder, in the store, or beside the record."""
    for folder in list(path.parents)[:LEVELS_UP]:
        if folder.name == "records":
            return folder.parent / "images"
        if folder.name == "store":
            return folder / "images"
    return path.parent / "images"


def _ids(path: Path, digest: str) -> tuple[str, ...]:
    """The images' ids, from the nearest folder ``images`` that has them."""
    for folder in list(path.absolute().parents)[:LEVELS_UP]:
        listed = folder / "images" / f"{digest}.txt"
        if listed.is_file():
            return _listed(listed, digest)
    raise UserError(f"record {path}: the list of its images, images/{digest}.txt, is not there; {_MEND}.")


@lru_cache(maxsize=512)
def _listed(path: Path, digest: str) -> tuple[str, ...]:
    if path.stat().st_size > LONGEST_LIST:
        raise UserError(f"{path}: a list of images of more than {LONGEST_LIST:,} bytes is not read.")
    text = path.read_bytes().decode(errors="replace")
    if hashlib.sha256(text.encode()).hexdigest()[:32] != digest:
        raise UserError(f"{path}: it is not the list of images that its name says; remove it and run the suite again.")
    return tuple(text.removesuffix("\n").split("\n"))  # a name may hold what Python takes for the end of a line


def _readable(header: dict[str, Any]) -> str:
    """JSON with an entry a line, and its small parts in one line each: short, and a diff shows what changed."""
    lines = []
    for name, value in header.items():
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if isinstance(value, dict) and len(text) > 110:
            inner = [f"  {json.dumps(key)}: {json.dumps(part, ensure_ascii=False)}" for key, part in value.items()]
            text = "{\n" + ",\n".join(inner) + "\n }"
        lines.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
