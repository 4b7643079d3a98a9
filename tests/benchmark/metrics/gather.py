"""One process of up to three that score the same images together: ``python gather.py RANK FOLDER``."""

from __future__ import annotations

import sys
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from benchmark.metrics import stored_for
from benchmark.metrics.layer_scores import LayerScores

WORLDS = (1, 2, 3)
CASES = {"seven": (7, 3, 41, 53), "grey": (9, 1, 28, 28), "two": (2, 3, 30, 44)}
"""Images, channels and size; of the two images the third process has none."""

BATCH = 2


def scored(case: str, rank: int, world: int) -> LayerScores:
    """What one process scores: images rank, rank + world, …"""
    count, channels, height, width = CASES[case]
    generator = torch.Generator().manual_seed(count)
    layers = torch.rand(count, 2, channels, height, width, generator=generator)
    estimates = layers.flip(1) * 0.7 + 0.3 * torch.rand(layers.shape, generator=generator)
    mask = torch.ones(count, 1, height, width, dtype=torch.bool)
    mask[1::3, :, 12:] = False  # a batch may hold images with a mask beside others without
    scores = LayerScores(stored_for("rgb", channels), ordered=False, expected=count)
    own = list(range(rank, count, world))
    for start in range(0, len(own), BATCH):
        chunk = torch.tensor(own[start : start + BATCH])
        scores.update(estimates[chunk], layers[chunk], mask[chunk], chunk)
    return scores


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1 + rank % 2)
    for world in WORLDS:
        if rank < world:
            store = f"file://{folder}/store-{world}"
            dist.init_process_group("gloo", store, rank=rank, world_size=world, timeout=timedelta(seconds=300))
            for case in CASES:
                scores = scored(case, rank, world)
                with warnings.catch_warnings():
                    warnings.simplefilter("error" if scores.update_called else "ignore")
                    found = scores.compute()
                arrays = {f"{name}-{metric}": v for name, part in found.values.items() for metric, v in part.items()}
                np.savez(folder / f"{case}-{world}-{rank}.npz", assignment=found.assignment, **arrays)
            dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
