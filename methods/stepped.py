"""Learning rates that fall in steps, as many papers have them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from datamodules.types import UserError
from methods.recipe import Schedule, TrainedMethod


class SteppedMethod(TrainedMethod, ABC):
    """Base of the methods whose learning rate is multiplied by a factor at certain shares of the run.

    With ``cosine`` the rate falls along half a cosine instead, as of every trained method.

    Args:
        milestones: shares of the run, between 0 and 1, at which the learning rate falls; empty for never.
        fall: what it is multiplied by at each of them, above 0 and at most 1.
        **recipe: of training (``methods.recipe``).

    Raises:
        UserError: an option that is impossible.
    """

    def __init__(self, milestones: Sequence[float] = (), fall: float = 0.1, **recipe: Any) -> None:
        super().__init__(**recipe)
        self.milestones, self.fall = list(milestones), fall
        if not all(0 < share < 1 for share in self.milestones) or not 0 < fall <= 1:
            raise UserError(
                f"milestones {self.milestones}, fall {fall:g}: milestones are shares of the run, above 0 and below 1, "
                "and fall is a factor above 0 and at most 1."
            )

    def configure_optimizers(self) -> Any:
        configured = super().configure_optimizers()
        optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
        return configured if self.cosine or not self.milestones else self.in_steps(optimizer)

    def in_steps(self, optimizer: Optimizer) -> Any:
        """An optimiser with the warm-up and the fall of its learning rate, as Lightning takes it."""
        steps = int(self.trainer.estimated_stepping_batches)
        warm = Schedule(steps, self.warm_up, self.cosine)
        stepped = [] if self.cosine else self.milestones

        def factor(step: int) -> float:
            return warm(step) * self.fall ** sum(step >= share * steps for share in stepped)

        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
