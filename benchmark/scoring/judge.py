"""Layers that no method of this project gave, scored like all others: image by image, in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmark.metrics import METRICS, Scores, stored_for
from benchmark.metrics.layer_scores import LayerScores
from benchmark.results.samples import SampleWriter
from datamodules.base import LayerDataModule

Give = Callable[[str, Tensor, tuple[int, ...]], Tensor | None]
"""What gives the layers of one image: of its id, the mixture (C, h, w) and the truth's (K, C, H, W); (K', C, H, W)."""


def judge(
    data: LayerDataModule, give: Give, sampler: SampleWriter | None = None, metrics: Sequence[str] = METRICS
) -> tuple[Scores, tuple[str, ...]] | None:
    """Score what is given for each image of the test role.

    Args:
        data: whose test role is scored.
        give: the layers of an image, or None where it has none; then all that remains is asked for, and not scored.
        sampler: writes a few images as pictures.
        metrics: which.

    Returns:
        The scores, and the images' ids in the same order; None where an image had no layers.

    Raises:
        UserError: data are missing, or layers do not fit or are not finite.
    """
    data.open()
    spec = data.spec
    scores = LayerScores(
        stored_for(spec["protocol"], spec["channels"]),
        ordered=spec["ordered"],
        metrics=metrics,
        expected=data.test_count,
    )
    ids: list[str] = []
    whole = True
    for batch in data.test_dataloader():
        truths = batch.layers[:, : len(spec["scored"])]
        for i, name in enumerate(batch.ids):
            given = give(name, batch.mixture[i], tuple(truths[i].shape))
            whole = whole and given is not None
            if whole and given is not None:
                place = torch.tensor([len(ids)])
                scores.update(given[None], truths[i : i + 1, : len(given)], batch.mask[i : i + 1], place)
                if sampler is not None:
                    order = scores.latest[0]
                    sampler.write(len(ids), name, batch.mixture[i], truths[i], given[order])
            ids.append(name)
    return (scores.compute(), tuple(ids)) if whole else None
