"""Made-up records: for measurements that need many, and for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchmark.metrics.scores import Scores
from benchmark.results.records import Record

LAYERS = ("background", "reflection")


def scores(psnr: ArrayLike, protocols: Sequence[str] = ("rgb@1",)) -> Scores:
    """Scores of every metric that belong to a PSNR, a dB more under each further protocol.

    Args:
        psnr: (images, layers) in dB.
        protocols: full names, the task's own first.
    """
    own = np.asarray(psnr, np.float64)
    values = {}
    for place, protocol in enumerate(protocols):
        level = own + place
        metrics = {"psnr": level, "ssim": level / 50, "lmse": 1 / level, "mse": 10 ** (-level / 10)}
        values[protocol] = {metric: of.astype(np.float32) for metric, of in metrics.items()}
    assignment = np.tile(np.arange(own.shape[1], dtype=np.int8), (len(own), 1))
    return Scores(tuple(protocols), assignment, values)


def record(
    method: str = "unet",
    seed: int = 0,
    psnr: ArrayLike = ((20.0, 22.0), (24.0, 26.0)),
    protocols: Sequence[str] = ("rgb@1", "rgb-uniform@1"),
    target: Sequence[str] = LAYERS,
    **changes: Any,
) -> Record:
    """A sound record of a method that has not been run.

    Args:
        method: its folder.
        seed: of the run.
        psnr: (images, layers) in dB; fewer than two layers are the first ones.
        protocols: full names, the task's own first.
        target: names of the layers that the task is for.
        changes: to any field.
    """
    found = scores(psnr, protocols)
    made = Record(
        suite="quick", dataset="digits", method=method, seed=seed, title=method.upper(), variant="", data_variant="",
        window="",
        identities={"method": f"{method}@1", "data": "digits@1", "training": "training@1", "metrics": "metrics@1"},
        key="f" * 64, score_key="5" * 64, data_digest="d" * 64, checkpoint_sha256=None,
        spec={"layers": list(LAYERS), "scored": list(LAYERS), "target": list(target), "ordered": True,
              "mixing": "sum", "protocol": protocols[0].partition("@")[0], "citation": "made up",
              "licence": "none needed"},
        config={"seed_everything": seed, "trainer": {"precision": "32-true"},
                "model": {"class_path": f"methods.{method}.Method", "init_args": {}},
                "data": {"class_path": "datamodules.digits.Digits", "init_args": {}}},
        training={"images_seen": 640, "optimizer_steps": 40, "seconds": 3.2, "peak_memory_mib": 1.0,
                  "select_psnr": 20.0, "curve": [[0, 8.0], [320, 19.9], [640, 20.0]]},
        cost={"parameters": 12, "flops": 5_000_000_000, "latency_s": 0.002, "latency_runs": 3, "latency_threads": 1,
              "peak_memory_mib": 5.0, "image": [1, 28, 28]},
        provenance={"commit": "abc", "processor": "some CPU, 2 cores", "device": "cpu", "time": "2026-01-01",
                    "processes": 1, "versions": {"torch": "2.15.0"}},
        latent={}, ids=tuple(f"{i:06}" for i in range(found.images)), scores=found,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)
