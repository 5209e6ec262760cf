"""Sharpness of a minimum: how much the loss rises at worst within a neighbourhood of the weights.

The maximum is searched for, so each value is a lower bound of it. A loss that is not finite there makes it
infinite.
"""

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from torch import Tensor

from study.landscape.hessian import Objective
from study.landscape.weights import Weights


@dataclass(frozen=True)
class Ascent:
    """What is known of the largest rise of the loss within a ball.

    Attributes:
        one_step: the rise where the first-order model has its maximum, which is the step that SAM takes; 0
            where the gradient is zero.
        largest: the largest rise seen; a lower bound.
    """

    one_step: float
    largest: float


def keskar_sharpness(
    objective: Objective, weights: Weights, *, epsilon: float, iterations: int, starts: int, seed: int
) -> float:
    """100 · (max over |z_i| ≤ ε (|θ_i| + 1) of L(θ + z) − L(θ)) / (1 + L(θ)), a lower bound, in percent.

    Keskar et al. 2017, metric 2.1 with A = I (the full space), by L-BFGS-B as there. Each search starts at a
    uniformly random point of the box: at z = 0, where the gradient all but vanishes, it stalls. For the same
    reason the search sees the box as [−1, 1] along every axis and the loss in units in which the mean slope
    at the start is 1, and no tolerance ends it early. A rescaling of the layers of a ReLU network changes it.

    Args:
        objective: the loss, on a fixed subset.
        weights: θ, the minimum.
        epsilon: ε, the size of the box.
        iterations: of each search.
        starts: how many searches.
        seed: of their starts.
    """
    rise = _Rise(objective, weights)
    widths = epsilon * (_double(weights).abs().numpy() + 1.0)
    generator = np.random.default_rng(seed)
    try:
        for _ in range(starts):
            start = generator.uniform(-1.0, 1.0, len(widths))
            slope = float(np.abs(rise(torch.from_numpy(widths * start))[1].numpy() * widths).mean())
            if slope == 0.0:
                continue

            def negative(place: np.ndarray, slope: float = slope) -> tuple[float, np.ndarray]:
                value, gradient = rise(torch.from_numpy(widths * place))
                return -value / slope, -(gradient.numpy() * widths) / slope

            minimize(
                negative,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=Bounds(-1.0, 1.0),
                options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
            )
    except _DivergedError:
        return np.inf
    return 100.0 * rise.largest / (1.0 + rise.at_center)


def sam_sharpness(
    objective: Objective, weights: Weights, *, radius: float, steps: int, starts: int, seed: int
) -> Ascent:
    """The largest L(θ + e) − L(θ) over ‖e‖₂ ≤ ρ, in the loss's unit (Foret et al. 2021, equation 1).

    From the step that SAM takes, e = ρ g / ‖g‖ with the gradient g at θ (equation 2), and from random points
    of the sphere, the ascent goes to ρ g / ‖g‖ with the gradient where it stands: projected gradient ascent
    with long steps, which on a quadratic about its minimum is power iteration and ends at λmax ρ² / 2. A
    rescaling of the layers of a ReLU network changes it.

    Args:
        objective: the loss, on a fixed subset.
        weights: θ, the minimum.
        radius: ρ, an L2 distance in weight space.
        steps: of each ascent.
        starts: random starts, besides SAM's step; they find a way up where the gradient is zero.
        seed: of those starts.
    """
    return _ascent(objective, weights, torch.ones_like(_double(weights)), radius, steps, starts, seed)


def adaptive_sam_sharpness(
    objective: Objective, weights: Weights, *, radius: float, steps: int, starts: int, seed: int
) -> Ascent:
    """The largest L(θ + e) − L(θ) over ‖e / |θ|‖₂ ≤ ρ, in the loss's unit (Kwon et al. 2021, section 3).

    The normalization operator is T = diag(|θ|), entry by entry, so a weight that is zero stays. Found as in
    `sam_sharpness`, the first step e = ρ T² g / ‖T g‖. No rescaling of a ReLU network changes it, layer by
    layer or unit by unit.

    Args:
        objective: the loss, on a fixed subset.
        weights: θ, the minimum.
        radius: ρ, relative to the weights.
        steps: of each ascent.
        starts: random starts, besides the first step from θ.
        seed: of those starts.
    """
    return _ascent(objective, weights, _double(weights).abs(), radius, steps, starts, seed)


class _DivergedError(ArithmeticError):
    """The loss is not finite somewhere in the neighbourhood."""


@dataclass
class _Rise:
    """L(θ + z) − L(θ) with its gradient, (P,) float64 on the CPU, and the largest seen; 0 at z = 0."""

    objective: Objective
    weights: Weights
    largest: float = 0.0
    at_center: float = field(init=False)
    slope_at_center: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.at_center, gradient = self.objective.value_and_gradient(self.weights)
        self.slope_at_center = gradient.cpu().double()

    def __call__(self, step: Tensor) -> tuple[float, Tensor]:
        value, gradient = self.objective.value_and_gradient(self.weights.moved(step))
        rise = value - self.at_center
        if not (isfinite(rise) and bool(gradient.isfinite().all())):
            raise _DivergedError
        self.largest = max(self.largest, rise)
        return rise, gradient.cpu().double()


def _ascent(
    objective: Objective, weights: Weights, scale: Tensor, radius: float, steps: int, starts: int, seed: int
) -> Ascent:
    """The ascent over ‖u‖ ≤ ρ, with e = scale ⊙ u."""
    rise = _Rise(objective, weights)
    generator = torch.Generator().manual_seed(seed)
    one_step = np.inf
    try:
        first = _on_sphere(scale * rise.slope_at_center, radius)
        one_step = 0.0 if first is None else rise(scale * first)[0]
        random = [torch.randn(scale.shape, generator=generator, dtype=torch.float64) for _ in range(starts)]
        for place in (first, *(_on_sphere(draw, radius) for draw in random)):
            for _ in range(steps):
                if place is None:
                    break
                place = _on_sphere(scale * rise(scale * place)[1], radius)
            if place is not None:
                rise(scale * place)
    except _DivergedError:
        return Ascent(one_step, np.inf)
    return Ascent(one_step, rise.largest)


def _on_sphere(vector: Tensor, radius: float) -> Tensor | None:
    norm = float(torch.linalg.vector_norm(vector))
    return vector * (radius / norm) if norm != 0 else None


def _double(weights: Weights) -> Tensor:
    return weights.flat.detach().cpu().double()
