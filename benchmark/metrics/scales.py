"""What each metric is called, how it is printed, and which way is better. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

PSNR_CAP = 100.0
"""dB of a perfect image, whose error is zero."""


@dataclass(frozen=True)
class Scale:
    """One metric, as tables and figures show it.

    Attributes:
        name: in records and on the command line.
        title: for people.
        unit: for people; empty where it has none.
        digits: after the point, of a mean.
        difference_digits: after the point, of a difference between two means.
        higher_is_better: which way is better.
    """

    name: str
    title: str
    unit: str
    digits: int
    difference_digits: int
    higher_is_better: bool

    @property
    def heading(self) -> str:
        """The title with the unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("psnr", "PSNR", "dB", digits=2, difference_digits=2, higher_is_better=True),
        Scale("ssim", "SSIM", "", digits=3, difference_digits=4, higher_is_better=True),
        Scale("lmse", "LMSE", "", digits=3, difference_digits=4, higher_is_better=False),
        Scale("mse", "MSE", "", digits=4, difference_digits=5, higher_is_better=False),
    )
}

METRICS: tuple[str, ...] = tuple(SCALES)
"""All metrics, in the order in which scores hold them."""
