"""The curvature of the loss along directions: exact, and as a slice shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.landscape.directions import Direction
from study.landscape.hessian import Objective
from study.landscape.weights import Weights


@dataclass(frozen=True)
class SliceCurvature:
    """Second derivatives along directions, in the loss's unit.

    Attributes:
        exact: vᵀ H v of each direction v, (n,).
        fitted: the second derivative of a quadratic fitted to the slice θ* + α v, (n,).
    """

    exact: np.ndarray
    fitted: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """|fitted − exact| / |exact| of each direction, (n,): how far a slice misleads about its centre."""
        difference = np.abs(self.fitted - self.exact)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(difference == 0.0, 0.0, difference / np.abs(self.exact))


def slice_curvature(
    objective: Objective, weights: Weights, directions: Sequence[Direction], *, radius: float, points: int
) -> SliceCurvature:
    """vᵀ H v by a product with the Hessian, and by a quadratic fitted to the slice near its centre.

    With filter-normalized directions (Li et al. 2018, section 4) no rescaling of a ReLU network layer by
    layer changes it; one unit by unit does, since a filter has one length over all the units that it reads.

    Args:
        objective: the loss, on a fixed subset.
        weights: θ*, the centre.
        directions: v.
        radius: the slice is read on α from −radius to radius.
        points: number of α, evenly spaced; 3 at least.

    Raises:
        ValueError: if `points` is below 3, which no quadratic can be fitted to.
    """
    if points < 3:
        raise ValueError(f"points must be at least 3, got {points}")
    hessian = objective.hessian(weights)
    alpha = np.linspace(-radius, radius, points)
    exact, fitted = [], []
    for direction in directions:
        vector = direction.flat.detach().cpu().double().numpy()
        exact.append(float(vector @ (hessian @ vector)))
        losses = np.array([objective.value(weights.moved(step * direction.flat.double())) for step in alpha])
        finite = np.isfinite(losses).all()
        fitted.append(2.0 * float(np.polyfit(alpha, losses, 2)[0]) if finite else np.inf)
    return SliceCurvature(np.array(exact), np.array(fitted))
