"""How networks are trained: warm-up and cosine, gradient clipping, weight decay and averaged weights, in one place."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from datamodules.types import LayerBatch, UserError
from methods.base import SeparationMethod

TRAINED = "training_state_dict"
"""Key of a checkpoint: the weights that training goes on with, where ``state_dict`` holds their average."""


class TrainedMethod(SeparationMethod, ABC):
    """Base of the methods that are trained by one optimiser; its options are the recipe.

    A subclass takes ``**recipe`` and passes it on, with its own learning rate and whatever else its paper fixes:
    ``super().__init__(lr=lr, cosine=cosine, **recipe)``. Whoever uses the method can set every option of it.

    Where networks train against each other in one step (a generator and its discriminator), the recipe is the same
    for both: their gradients are clipped by their common norm, and all weights are averaged.

    Averaged weights separate wherever they are judged: on the select role, in every checkpoint's ``state_dict``, and
    once training has ended. Training itself goes on with its own, which a checkpoint keeps beside them.

    Args:
        lr: learning rate of Adam, once warm.
        cosine: let the learning rate fall to zero over the run, along half a cosine.
        warm_up: share of the run, from 0 up to 1, over which the learning rate rises linearly to ``lr``.
        clip: largest norm of all gradients together; 0 for any.
        weight_decay: decoupled (AdamW), of weights that multiply: biases, norms and scales are left alone.
        average: decay d of an average of the weights over steps; 0 for none. After t steps it is at most
            (1 + t) / (10 + t), so that the random start is soon forgotten.

    Raises:
        UserError: an option that is impossible.

    Source: Loshchilov & Hutter, ICLR 2017 and 2019 (cosine; decoupled decay); Goyal et al., 2017, Sec. 2.2 (warm-up);
        Pascanu et al., ICML 2013 (clipping); Polyak & Juditsky, 1992 (averages of weights).
    """

    def __init__(
        self,
        lr: float = 1e-3,
        cosine: bool = False,
        warm_up: float = 0.0,
        clip: float = 0.0,
        weight_decay: float = 0.0,
        average: float = 0.0,
    ) -> None:
        super().__init__()
        if lr <= 0 or not 0 <= warm_up < 1 or clip < 0 or weight_decay < 0 or not 0 <= average < 1:
            raise UserError(
                f"lr {lr:g}, warm_up {warm_up:g}, clip {clip:g}, weight_decay {weight_decay:g}, average {average:g}: "
                "lr must be positive, warm_up and average at least 0 and below 1, the others not negative."
            )
        self.lr, self.cosine, self.warm_up = lr, cosine, warm_up
        self.clip, self.weight_decay, self.average = clip, weight_decay, average
        self._own: dict[str, Tensor] = {}
        self._averaged: dict[str, Tensor] = {}
        self._averaged_steps = 0
        self._in_place = False
        """Whether the average is in the networks, and their own weights in ``_averaged``."""

    # Learning rate, decay and clipping ----------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """Adam, or AdamW where weights decay, fused where it may be; with its schedule, if it has one."""
        if self.weight_decay:
            plain = [weight for weight in self.parameters() if weight.ndim < 2]
            decayed = [weight for weight in self.parameters() if weight.ndim >= 2]
            groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
            optimizer: torch.optim.Optimizer = torch.optim.AdamW(
                groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay, fused=self.fused
            )
        else:
            optimizer = torch.optim.Adam(self.parameters(), lr=self.lr, betas=self.betas, fused=self.fused)
        if not self.cosine and not self.warm_up:
            return optimizer
        schedule = LambdaLR(
            optimizer, Schedule(int(self.trainer.estimated_stepping_batches), self.warm_up, self.cosine)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def fused(self) -> bool:
        """Whether a step of Adam passes over memory once, and not once for each of its operations.

        Not where float16's gradients are scaled and clipped: a fused step would undo the scaling after the clipping.
        """
        scaler = getattr(getattr(self._trainer, "precision_plugin", None), "scaler", None)
        return not (self.clip and scaler is not None)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By ``clip``; without it, what the trainer was told."""
        if self.clip:
            # Lightning's own call refuses every fused optimiser under mixed precision, also where nothing is scaled.
            nn.utils.clip_grad_norm_(self.parameters(), self.clip)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    # Averaged weights ---------------------------------------------------------------------------

    def averaged_tensors(self) -> dict[str, Tensor]:
        """What is averaged: weights that are learnt, and the statistics that batch normalisation gathers.

        Returns:
            Tensors by the first of their names in the state; one that networks share is there once.
        """
        found: dict[int, tuple[str, Tensor]] = {}
        for name, value in self.state_dict(keep_vars=True).items():
            if isinstance(value, Tensor) and (value.requires_grad or name.endswith(("running_mean", "running_var"))):
                found.setdefault(id(value), (name, value))
        return dict(found.values())

    @torch.no_grad()
    def update_average(self, step: int) -> None:
        """Take the weights after a step into their average.

        Args:
            step: number of the steps before this one.
        """
        share = 1 - min(self.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self._averaged.values()), list(self._own.values()), share)

    @torch.no_grad()
    def exchange_average(self) -> None:
        """Put the average in the networks and their own weights where it was, or the other way round."""
        for name, weight in self._own.items():
            before = weight.clone()
            weight.copy_(self._averaged[name])
            self._averaged[name].copy_(before)
        self._in_place = not self._in_place

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self.average:
            return
        resumed, self._own = self._averaged, self.averaged_tensors()
        self._averaged = {name: weight.detach().clone() for name, weight in self._own.items()}
        for name, value in resumed.items():
            self._averaged[name].copy_(value)
        self._averaged_steps = self.trainer.global_step

    def on_train_batch_end(self, outputs: Any, batch: LayerBatch, batch_idx: int) -> None:
        super().on_train_batch_end(outputs, batch, batch_idx)
        self._catch_up()

    def _catch_up(self) -> None:
        done = self.trainer.global_step
        if self._averaged and done > self._averaged_steps:  # not in the midst of gradients that are gathered
            self.update_average(self._averaged_steps)
            self._averaged_steps = done

    def on_validation_start(self) -> None:
        super().on_validation_start()
        if self._own and not self._in_place:
            self.exchange_average()

    def on_validation_end(self) -> None:
        if self._in_place:
            self.exchange_average()
        super().on_validation_end()

    def on_train_end(self) -> None:
        """Leave the average in the networks: it is what was trained."""
        if self._own and not self._in_place:
            self.exchange_average()
        self._own, self._averaged, self._in_place = {}, {}, False
        super().on_train_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if not self._own:
            return
        self._catch_up()  # a callback may save before this step's own hook
        state: dict[str, Any] = checkpoint["state_dict"]
        names = {weight.data_ptr(): name for name, weight in self._own.items()}
        # A weight that networks share has several names in the state.
        held = {
            name: self._averaged[names[value.data_ptr()]]
            for name, value in state.items()
            if isinstance(value, Tensor) and value.data_ptr() in names
        }
        own = {name: state[name] for name in held}
        average, trained = (own, held) if self._in_place else (held, own)
        checkpoint["state_dict"] = {**state, **average}
        checkpoint[TRAINED] = trained

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Where training goes on, it does so with its own weights; elsewhere the average is what counts."""
        goes_on = self._trainer is not None and self._trainer.state.fn == "fit"
        if goes_on and self.average and TRAINED in checkpoint:
            names = self.averaged_tensors()
            self._averaged = {name: checkpoint["state_dict"][name].clone() for name in names}
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **checkpoint[TRAINED]}


class Schedule:
    """The learning rate's factor at each step: a linear rise, then constant or half a cosine down to zero.

    Args:
        steps: of the run.
        warm_up: share of them.
        cosine: whether it falls.
    """

    def __init__(self, steps: int, warm_up: float, cosine: bool) -> None:
        self.steps, self.rise, self.cosine = steps, math.ceil(warm_up * steps), cosine

    def __call__(self, step: int) -> float:
        """The factor, in [0, 1], of the step after so many."""
        if step < self.rise:
            return (step + 1) / (self.rise + 1)
        if not self.cosine:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.rise) / max(1, self.steps - self.rise))))
