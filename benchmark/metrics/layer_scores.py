"""Scores of estimated layers: of a batch, and gathered over a test set and over processes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.audio import permutation_invariant_training
from torchmetrics.utilities import dim_zero_cat

from benchmark.errors import UserError
from benchmark.metrics import functional
from benchmark.metrics.protocols import Protocol, Window, protocol
from benchmark.metrics.scales import METRICS
from benchmark.metrics.scores import Scores


class LayerScores(Metric):
    """Scores each image of a test set under one or more protocols.

    Every process scores its own images; ``compute`` gathers them, so that one process, two or eight give the same
    scores. A process may have no image at all.

    Args:
        protocols: names, with or without a version; the first is the task's own. Where layers have no order, its PSNR
            finds the assignment that serves all metrics and all protocols.
        ordered: whether estimate k is for layer k.
        metrics: which, by default all; others are not computed.
        expected: number of images in all, which have the indices 0 to expected − 1; default any number, any indices.

    Attributes:
        latest: (B, L) long, the assignment of the images that were scored last.

    Raises:
        UserError: an unknown protocol.
    """

    is_differentiable = False
    full_state_update = False

    index: list[Tensor]
    assignment: list[Tensor]
    values: list[Tensor]

    def __init__(
        self,
        protocols: Sequence[str],
        *,
        ordered: bool,
        metrics: Sequence[str] = METRICS,
        expected: int | None = None,
    ) -> None:
        super().__init__()
        self.protocols = tuple(protocol(name) for name in protocols)
        self.ordered, self.metrics, self.expected = ordered, tuple(metrics), expected
        self.latest = torch.empty(0, 0, dtype=torch.long)
        for name in ("index", "assignment", "values"):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        # A process without an image must give the others something of the right type; torchmetrics would give float32.
        # For the same reason states have one dimension.
        for state, dtype in ((self.index, torch.int64), (self.assignment, torch.int8), (self.values, torch.float32)):
            state.append(torch.empty(0, dtype=dtype, device=self.device))

    def update(self, estimates: Tensor, layers: Tensor, mask: Tensor, index: Tensor) -> None:
        """Score a batch.

        Args:
            estimates: (B, K', C, H, W), the first K' layers.
            layers: (B, K, C, H, W) in [0, 1], K ≥ K'.
            mask: (B, 1, H, W) bool, True where scored.
            index: (B,) int64, the images' places in the test set.

        Raises:
            UserError: estimates that are not finite or have the wrong shape, or images too small.
            ValueError: not one index for each image.
        """
        if index.shape != (len(layers),):
            raise ValueError(f"{len(layers)} images with indices of shape {tuple(index.shape)}.")
        order, values = score_layers(
            estimates, layers, mask, self.protocols, ordered=self.ordered, metrics=self.metrics
        )
        self.latest = order
        self.index.append(index.to(self.device, torch.int64))
        self.assignment.append(order.to(self.device, torch.int8).flatten())
        self.values.append(values.to(self.device).flatten())

    def compute(self) -> Scores:
        """The scores of all processes' images, sorted by their indices.

        Raises:
            RuntimeError: an image was scored twice or not at all, or no image at all was.
        """
        index = dim_zero_cat(self.index).cpu().numpy()
        known, place = np.unique(index, return_index=True)
        foreseen = known if self.expected is None else np.arange(self.expected)
        if not len(index) or len(index) != len(known) or not np.array_equal(known, foreseen):
            raise RuntimeError(
                f"{len(foreseen)} images, but {len(index)} rows for {len(known)} of them: each needs one row; "
                f"{len(index) - len(known)} are there again, {len(np.setdiff1d(foreseen, known))} are missing."
            )
        assignment = dim_zero_cat(self.assignment).view(len(index), -1).cpu().numpy()[place]
        values = dim_zero_cat(self.values).view(len(index), len(self.protocols), len(self.metrics), -1).cpu().numpy()
        found = np.ascontiguousarray(values[place].transpose(1, 2, 0, 3))
        names = tuple(one.name for one in self.protocols)
        return Scores(
            names,
            assignment,
            {name: dict(zip(self.metrics, part, strict=True)) for name, part in zip(names, found, strict=True)},
        )


def score_layers(
    estimates: Tensor,
    layers: Tensor,
    mask: Tensor,
    protocols: Sequence[Protocol],
    *,
    ordered: bool,
    metrics: Sequence[str] = METRICS,
) -> tuple[Tensor, Tensor]:
    """Score the estimated layers of a batch, image by image, in float32 or better.

    Where the layers have no order, the permutation with the best mean PSNR under the first protocol serves all metrics
    and all protocols of an image.

    Args:
        estimates: (B, K', C, H, W), the first K' layers.
        layers: (B, K, C, H, W) in [0, 1], K ≥ K'.
        mask: (B, 1, H, W) bool, True where scored.
        protocols: the task's own first.
        ordered: whether estimate k is for layer k.
        metrics: which.

    Returns:
        order: (B, K') long; layer j is estimate ``order[b, j]``.
        values: (B, protocols, metrics, K') float32.

    Raises:
        UserError: estimates that are not finite or have the wrong shape, or images too small.

    Source: permutation-invariant training, Yu et al., ICASSP 2017, Sec. 3; here for each image, with PSNR.
    """
    _check(estimates, layers, ordered)
    if layers.device.type == "mps":  # Apple's GPUs have no float64
        estimates, layers, mask = estimates.cpu(), layers.cpu(), mask.cpu()
    layers = layers[:, : estimates.shape[1]]
    # So few images at once that their values stay in the processor's cache; a GPU has none to speak of.
    together = max(1, (2**20 if layers.device.type == "cpu" else 2**26) // layers[0].numel())
    # Small images take many small steps, and inference mode makes each cheaper; what is joined below is ordinary again.
    with torch.inference_mode(), torch.autocast(layers.device.type, enabled=False):
        pieces = [
            _score(
                estimates[start : start + together].float(),
                layers[start : start + together].float(),
                mask[start : start + together],
                protocols,
                ordered,
                metrics,
            )
            for start in range(0, len(layers), together)
        ]
    orders, values = zip(*pieces, strict=True)
    return torch.cat(orders), torch.cat(values)


def _score(
    estimates: Tensor,
    layers: Tensor,
    mask: Tensor,
    protocols: Sequence[Protocol],
    ordered: bool,
    metrics: Sequence[str],
) -> tuple[Tensor, Tensor]:
    """What ``score_layers`` gives, of images that were checked."""
    some = None if bool(mask.all()) else mask
    count = layers.shape[1]
    order, psnr = torch.arange(count, device=layers.device).expand(len(layers), -1), None
    if not ordered and count > 1:
        order, psnr = _assign(estimates, layers, some, protocols[0])
        estimates = estimates[torch.arange(len(layers), device=layers.device)[:, None], order]
    flat = estimates.flatten(0, 1), layers.flatten(0, 1)
    masks = None if some is None else some.repeat_interleave(count, 0)
    alike: dict[tuple[bool, bool], list[Protocol]] = {}
    for how in protocols:
        alike.setdefault((how.luma, how.scaled), []).append(how)
    found: dict[str, Tensor] = {}
    for group in alike.values():
        compared = _Compared(*_prepare(*flat, masks, group[0]), masks, group)
        if psnr is not None and protocols[0] in group:
            compared.known[compared.key("psnr", protocols[0])] = psnr.flatten()
        found |= {how.name: torch.stack([compared.metric(name, how) for name in metrics]) for how in group}
    values = torch.stack([found[how.name] for how in protocols])
    return order, values.view(*values.shape[:2], *order.shape).permute(2, 0, 1, 3)


class _Compared:
    """Estimates and truths as some protocols compare them; what these have in common is computed once."""

    def __init__(self, estimate: Tensor, truth: Tensor, mask: Tensor | None, protocols: Sequence[Protocol]) -> None:
        self.images = estimate, truth, mask
        self.windows: list[Window] = list(dict.fromkeys(how.window for how in protocols))
        self.similarities: dict[Window, Tensor] = {}
        self.known: dict[tuple[str, object], Tensor] = {}

    def key(self, name: str, how: Protocol) -> tuple[str, object]:
        """Under which a metric is known: protocols with the same key have the same numbers."""
        channelwise = how.channelwise and self.images[0].shape[1] > 1
        return name, {"psnr": channelwise, "ssim": how.window, "lmse": None, "mse": None}[name]

    def metric(self, name: str, how: Protocol) -> Tensor:
        """(B,) of one metric under one of the protocols."""
        key = self.key(name, how)
        if key not in self.known:
            compute = {"psnr": self._psnr, "ssim": self._ssim, "lmse": self._lmse, "mse": self._mse}[name]
            self.known[key] = compute(how)
        return self.known[key]

    def _psnr(self, how: Protocol) -> Tensor:
        return (functional.psnr_per_channel if how.channelwise else functional.psnr)(*self.images)

    def _ssim(self, how: Protocol) -> Tensor:
        if not self.similarities:
            self.similarities = functional.ssim_by_window(*self.images, self.windows)
        return self.similarities[how.window]

    def _lmse(self, how: Protocol) -> Tensor:
        estimate, truth, mask = self.images
        if how.scaled:
            estimate, truth = estimate.mean(1, keepdim=True), truth.mean(1, keepdim=True)
        return functional.lmse(estimate, truth, mask)

    def _mse(self, how: Protocol) -> Tensor:
        return functional.mse(*self.images)


def _assign(estimates: Tensor, layers: Tensor, mask: Tensor | None, how: Protocol) -> tuple[Tensor, Tensor]:
    """(B, K) long, which estimate is for which layer, and (B, K) their PSNRs in dB."""
    batch, count = layers.shape[:2]
    wide = None if mask is None else mask[:, None, None]
    pairs = _prepare(estimates.unsqueeze(2), layers.unsqueeze(1), wide, how)
    psnr = functional.psnr_of_pairs(*pairs, mask, channelwise=how.channelwise)
    # All pairs at once take fewer passes than torchmetrics' search: it is given places, and looks their PSNRs up.
    places = torch.arange(count, device=layers.device).expand(batch, -1)

    def known(estimate: Tensor, truth: Tensor) -> Tensor:
        image = torch.arange(batch, device=layers.device).repeat_interleave(len(estimate) // batch)
        return psnr[image[:, None], estimate, truth]

    _, order = permutation_invariant_training(places, places, known, mode="permutation-wise", eval_func="max")
    return order, psnr.gather(1, order.unsqueeze(1)).squeeze(1)


def _prepare(estimate: Tensor, truth: Tensor, mask: Tensor | None, how: Protocol) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) twice, as a protocol compares them."""
    # An estimate known up to a scale may pass 1 before it is scaled.
    ceiling = float("inf") if how.scaled else 1.0
    estimate = estimate.clamp(0, ceiling)
    if how.scaled:
        estimate = functional.fit_scale(estimate, truth, mask)
    return (functional.luma(estimate), functional.luma(truth)) if how.luma else (estimate, truth)


def _check(estimates: Tensor, layers: Tensor, ordered: bool) -> None:
    # A sum is finite only where all values are, and takes one pass.
    if not math.isfinite(float(estimates.sum())) and not torch.isfinite(estimates).all():
        bad = int((~torch.isfinite(estimates)).sum())
        raise UserError(
            f"the method gave {bad} of {estimates.numel()} values that are not finite: mend its separate()."
        )
    count = estimates.shape[1]
    if (len(estimates), *estimates.shape[2:]) != (len(layers), *layers.shape[2:]) or count > layers.shape[1]:
        shapes = ("×".join(map(str, tensor.shape)) for tensor in (estimates, layers))
        raise UserError("the method gave layers of shape {}, the truth has {}.".format(*shapes))
    if not ordered and count != layers.shape[1]:
        raise UserError(f"layers without an order need one estimate each: {layers.shape[1]}, not {count}.")
