"""Learning rates that fall in steps or along a power of what is left of the run, as many papers have them."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from datamodules.types import UserError
from methods.recipe import TrainedMethod


class SteppedMethod(TrainedMethod, ABC):
    """Base of the methods whose learning rate is multiplied by a factor at certain shares of the run.

    With ``cosine`` the rate falls along half a cosine instead, as of every trained method. A method with an optimiser
    of its own gives it to ``scheduled``.

    Args:
        milestones: shares of the run, between 0 and 1, at which the learning rate falls; empty for never.
        fall: what it is multiplied by at each of them, above 0 and at most 1.
        power: the rate is multiplied by what is left of the run to this power, too; 0 for no such fall.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: an option that is impossible.
    """

    def __init__(self, milestones: Sequence[float] = (), fall: float = 0.1, power: float = 0.0, **recipe: Any) -> None:
        super().__init__(**recipe)
        self.milestones, self.fall, self.power = list(milestones), fall, power
        if not all(0 < share < 1 for share in self.milestones) or not 0 < fall <= 1 or power < 0:
            raise UserError(
                f"milestones {self.milestones}, fall {fall:g}, power {power:g}: milestones are shares of the run, "
                "above 0 and below 1, fall is a factor above 0 and at most 1, and power is not negative."
            )

    def configure_optimizers(self) -> Any:
        configured = super().configure_optimizers()
        if self.cosine or not (self.milestones or self.power):
            return configured
        return self.scheduled(configured["optimizer"] if isinstance(configured, dict) else configured)

    def scheduled(self, optimizer: Optimizer) -> Any:
        """An optimiser with the rise and the fall of its learning rates, as Lightning takes it."""
        schedule = LambdaLR(optimizer, self.factor_of(int(self.trainer.estimated_stepping_batches)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def factor_of(self, steps: int) -> Any:
        """What the learning rates are multiplied by, in [0, 1], as a function of the steps taken, of so many."""
        rise = math.ceil(self.warm_up * steps)

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / (rise + 1)
            if self.cosine:
                return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
            left: float = max(0.0, 1 - step / steps) ** self.power
            return left * self.fall ** sum(step >= share * steps for share in self.milestones)

        return factor
