"""Regularisation by denoising: solved by splitting (ADMM), or descended directly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from methods.networks.denoisers import Denoiser


class RED:
    """The splitting variables x̃ and u of images ŷ that another objective produces.

    Minimising L(ŷ) + λ·ρ(ŷ), ρ(x) = ½·xᵀ(x − f(x)) with a denoiser f, becomes: improve L(ŷ) + penalty(ŷ); then
    x̃ ← (λ·f(x̃) + μ·(ŷ + u)) / (λ + μ); then u ← u + ŷ − x̃. Both start at 0. Since denoising is slow, f(x̃) is
    computed anew only at the first update of each period.

    Several views of one image (its turns and reflections) keep variables of their own.

    Args:
        denoise: f.
        weight: λ.
        coupling: μ.
        period: iterations for which f(x̃) is kept.
        bounds: x̃ is clipped to them.

    Source: Romano, Elad & Milanfar, SIAM J. Imaging Sciences 2017; Mataev et al. 2019 (DeepRED); BITS-Net, Eq. 5
        and 9 to 11. As in the authors' code, the penalty of Eq. 9 is μ·mean((ŷ − x̃ + u)²).
    """

    def __init__(
        self,
        denoise: Denoiser,
        weight: float = 0.5,
        coupling: float = 0.5,
        period: int = 10,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self.denoise, self.weight, self.coupling, self.period, self.bounds = denoise, weight, coupling, period, bounds
        self._views: dict[int, _Variables] = {}

    def penalty(self, image: Tensor, iteration: int, view: int = 0) -> Tensor:
        """What draws the images towards x̃ − u.

        Args:
            image: (N, C, H, W), ŷ.
            iteration: counts from 0.
            view: which of the image's views.

        Returns:
            (N,), one value for each image.
        """
        split = self._of(image, view)
        return self.coupling * ((image - split.target) ** 2).mean((1, 2, 3))

    @torch.no_grad()
    def update(self, image: Tensor, iteration: int, view: int = 0) -> None:
        """Equations 10 and 11.

        Args:
            image: (N, C, H, W), ŷ.
            iteration: counts from 0; decides when f(x̃) is computed.
            view: which of the image's views.
        """
        split, period = self._of(image, view), iteration // self.period
        if split.period != period:
            split.denoised, split.period = self.denoise(split.x), period
        total = self.weight + self.coupling
        drawn = self.weight * split.denoised + self.coupling * (image + split.u)
        split.x = (drawn / total).clamp(*self.bounds)
        split.u = split.u + image - split.x
        split.target = split.x - split.u

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """Everything that a continuation needs."""
        return {view: dict(vars(split)) for view, split in self._views.items()}

    def load_state_dict(self, state: dict[int, dict[str, Any]]) -> None:
        """Go on from a state."""
        for view, values in state.items():
            split = self._views[view] = _Variables(values["x"])
            vars(split).update(values)

    def _of(self, image: Tensor, view: int) -> _Variables:
        if view not in self._views:
            self._views[view] = _Variables(torch.zeros_like(image, requires_grad=False))
        return self._views[view]


class _Variables:
    """x̃, u, x̃ − u and f(x̃) of one view, and the period in which the last was computed."""

    def __init__(self, zeros: Tensor) -> None:
        self.x = self.u = self.target = self.denoised = zeros
        self.period = -1


class DirectRED:
    """ρ without splitting variables: its gradient x − f(x), with f(x) computed anew at the first use in each period.

    Args:
        denoise: f.
        weight: λ.
        period: iterations for which f(ŷ) of a view is kept.
        bounds: what is denoised is clipped to them.

    Source: Romano, Elad & Milanfar, SIAM J. Imaging Sciences 2017, Eq. 15 (the gradient); BITS-Net, Eq. 5 to 7, which
        the paper then solves by ADMM. Reconstructed: means in place of sums, as the authors' code has them elsewhere.
    """

    def __init__(
        self, denoise: Denoiser, weight: float = 0.5, period: int = 10, bounds: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        self.denoise, self.weight, self.period, self.bounds = denoise, weight, period, bounds
        self._views: dict[int, dict[str, Any]] = {}

    def penalty(self, image: Tensor, iteration: int, view: int = 0) -> Tensor:
        """Something whose gradient is λ·(x − f(x)), as a mean; as of ``RED``.

        Args:
            image: (N, C, H, W), ŷ.
            iteration: counts from 0; decides when f(ŷ) is computed.
            view: which of the image's views.

        Returns:
            (N,), one value for each image.
        """
        period = iteration // self.period
        kept = self._views.get(view)
        if kept is None or kept["period"] != period:
            kept = {"denoised": self.denoise(image.detach().clamp(*self.bounds)), "period": period}
            self._views[view] = kept
        away: Tensor = image - kept["denoised"]
        return self.weight / 2 * (away**2).mean((1, 2, 3))

    def update(self, image: Tensor, iteration: int, view: int = 0) -> None:
        """Nothing changes between steps."""

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """Everything that a continuation needs."""
        return {view: dict(kept) for view, kept in self._views.items()}

    def load_state_dict(self, state: dict[int, dict[str, Any]]) -> None:
        """Go on from a state."""
        self._views = {view: dict(kept) for view, kept in state.items()}
