"""The result of one cell: one JSON file, written whole or not at all, never changed afterwards."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmark.errors import UserError
from benchmark.files import read_json, write_json

SCHEMA = 2
METRICS = ("psnr", "ssim", "lmse", "mse")


@dataclass(frozen=True)
class Record:
    """What one method scored on one data set with one seed, and where that number comes from.

    Attributes:
        suite: name of the suite.
        dataset: folder of the data set.
        method: folder of the method.
        seed: of the run.
        title: name of the method for people.
        variant: what sets the method's row apart from its default; may be empty.
        protocol: how it was scored.
        fit_hash: of all that training depends on.
        score_hash: of that, the data and the scoring code.
        data_digest: of the data's contents.
        checkpoint_sha256: of the weights that were scored; None where nothing was trained.
        spec: the data's ``LayerSpec``.
        config: complete resolved configuration.
        training: images seen, optimiser steps, seconds, peak memory in MiB, PSNR on the select role in dB, and its
            ``curve``: [images seen, PSNR on the select role] for each look.
        cost: parameters, FLOPs and median latency (seconds) for one test image, peak memory in MiB.
        provenance: commit, versions, hardware, time.
        latent: of a method with latent spaces, their ``separation`` (distance between the spaces' centres over that
            within) and the ``images`` it was measured on; else empty.
        rows: for each test image its id, the assignment, and per layer PSNR (dB), SSIM, LMSE and MSE.
        schema: version of this layout.
    """

    suite: str
    dataset: str
    method: str
    seed: int
    title: str
    variant: str
    protocol: str
    fit_hash: str
    score_hash: str
    data_digest: str
    checkpoint_sha256: str | None
    spec: dict[str, Any]
    config: dict[str, Any]
    training: dict[str, Any]
    cost: dict[str, Any]
    provenance: dict[str, Any]
    latent: dict[str, float]
    rows: list[dict[str, Any]]
    schema: int = SCHEMA

    def mean(self, metric: str) -> float:
        """Mean over test images of the image's mean over layers."""
        return fmean(fmean(row[metric]) for row in self.rows)

    def layer_means(self, metric: str) -> list[float]:
        """Mean over test images, layer by layer."""
        return [fmean(values) for values in zip(*(row[metric] for row in self.rows), strict=True)]


def write(path: Path, record: Record) -> None:
    """Write a record.

    Raises:
        ValueError: a number in it is not finite.
    """
    write_json(path, vars(record))


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        UserError: the file is missing, truncated, of another schema, or holds rows that are not whole.
    """
    mend = "remove it and run the suite again"
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"record {path}: missing or not whole; {mend}.")
    if value.get("schema") != SCHEMA:
        raise UserError(f"record {path}: schema {value.get('schema')}, this version reads {SCHEMA}; {mend}.")
    names = {field.name for field in dataclasses.fields(Record)}
    if set(value) != names:
        wrong = ", ".join(sorted(names ^ set(value)))
        raise UserError(f"record {path}: missing or unknown fields {wrong}; {mend}.")
    record = Record(**value)
    for row in record.rows:
        numbers = [number for metric in METRICS for number in row.get(metric, [math.nan])]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise UserError(f"record {path}: the row of image {row.get('id')} is not whole; {mend}.")
    if not record.rows:
        raise UserError(f"record {path}: it has no rows; {mend}.")
    return record


def find(folder: Path) -> list[Record]:
    """All records below a folder, in order of data set, method and seed."""
    records = [read(path) for path in sorted(folder.rglob("seed*.json"))]
    return sorted(records, key=lambda record: (record.dataset, record.method, record.seed))
