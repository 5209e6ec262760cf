"""Flatness of a minimum: how much the loss rises on average under Gaussian noise on the weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from study.landscape.hessian import Objective
from study.landscape.weights import Weights

WIDTH = 1.1
"""The slope of the mean rise is taken from σ / WIDTH to σ · WIDTH: an error counts examples, in steps."""

DOUBLINGS = 40
"""So often σ is doubled or halved in search of one that is too large, or small enough."""


@dataclass(frozen=True)
class Estimate:
    """A value that was estimated from random draws.

    Attributes:
        value: the estimate; infinite where a draw is not finite.
        standard_error: of it, in its unit; NaN where it cannot be told.
    """

    value: float
    standard_error: float

    @classmethod
    def mean(cls, draws: np.ndarray) -> "Estimate":
        """The mean of independent draws, (n,), with s / √n."""
        if not np.isfinite(draws).all():
            return cls(np.inf, np.nan)
        return cls(float(draws.mean()), float(draws.std(ddof=1) / np.sqrt(len(draws))))


@dataclass(frozen=True)
class Noise:
    """Gaussian noise about one set of weights: θ + σ u, and σ |θ| ⊙ u where it is scaled.

    The same draws at every σ, each with its opposite: what is odd in u cancels.

    Attributes:
        objective: what rises: the mean loss or the mean error, on a fixed subset.
        weights: θ.
        pairs: draws u, each used with −u; 2 at least.
        seed: of the draws.
        scaled: whether the noise on a weight is relative to its magnitude.

    Raises:
        ValueError: if `pairs` is below 2, which leaves no standard error.
    """

    objective: Objective
    weights: Weights
    pairs: int
    seed: int
    scaled: bool

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs must be at least 2, got {self.pairs}")

    def rises(self, sigma: float) -> np.ndarray:
        """(L(θ + σ u) + L(θ − σ u)) / 2 − L(θ) of each pair, (pairs,)."""
        found = []
        for step in self._draws():
            ends = [self.objective.value(self.weights.moved(sign * sigma * step)) for sign in (1.0, -1.0)]
            found.append(sum(ends) / 2.0 - self.center)
        return np.array(found)

    @cached_property
    def center(self) -> float:
        """L(θ), in its unit."""
        return self.objective.value(self.weights)

    @property
    def unit(self) -> float:
        """A σ of the size of the weights: their root mean square, or 1 for noise that is relative."""
        rms = self.weights.norm / np.sqrt(self.weights.layout.size)
        return float(rms) if rms > 0 and not self.scaled else 1.0

    def _draws(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        theta = self.weights.flat.detach().cpu().double()
        for _ in range(self.pairs):
            draw = torch.randn(theta.shape, generator=generator, dtype=torch.float64)
            yield draw * theta.abs() if self.scaled else draw


def noise_increase(noise: Noise, sigma: float) -> Estimate:
    """E[L(θ + σ u) − L(θ)], u standard normal, in the loss's unit: σ² tr(H) / 2 + O(σ⁴).

    The expected sharpness of Neyshabur et al. 2017; with scaled noise u_i is multiplied by |θ_i|, as in the
    magnitude-aware measures of Jiang et al. 2020 with ε = 0. A rescaling of the layers of a ReLU network
    changes it, but not with scaled noise.

    Args:
        noise: about the minimum.
        sigma: σ; relative to each weight where the noise is scaled.
    """
    return Estimate.mean(noise.rises(sigma))


def pac_bayes_sigma(noise: Noise, *, threshold: float, tolerance: float) -> Estimate:
    """The σ up to which E[L(θ + σ u)] ≤ L(θ) + threshold, in units of weight (1 where noise is relative).

    Jiang et al. 2020, the σ of their PAC-Bayes measures with a threshold of 0.1 on the training error; with
    scaled noise their magnitude-aware σ′, without its offset ε. Found by bisection with the same draws at
    every σ, and linear interpolation in what is left, so it is where the mean rise over these draws crosses
    the threshold. Its standard error is that of the mean rise there over the slope of the mean rise (the
    delta method). Where the mean rise crosses the threshold several times, one crossing is found. A rescaling
    of the layers of a ReLU network changes it, but not with scaled noise. A loss that is not finite counts as
    above the threshold.

    Args:
        noise: about the minimum, of the loss or of the error.
        threshold: the rise that is allowed, in its unit, positive.
        tolerance: relative width at which the bisection ends; it ends where no number lies between, too.

    Returns:
        σ at the crossing; infinite if none of those tried is too large, 0 if all are.
    """
    rises = cache(noise.rises)

    def within(sigma: float) -> bool:
        return bool(rises(sigma).mean() <= threshold)

    low = high = noise.unit
    inside = within(low)
    for _ in range(DOUBLINGS):
        if inside:
            low, high = high, 2.0 * high
            if not within(high):
                break
        else:
            low, high = low / 2.0, low
            if within(low):
                break
    else:
        return Estimate(np.inf if inside else 0.0, np.nan)
    while high > low * (1.0 + tolerance) and low < (middle := float(np.sqrt(low * high))) < high:
        low, high = (middle, high) if within(middle) else (low, middle)
    error = Estimate.mean(rises(low)).standard_error
    ends = [float(rises(sigma).mean()) for sigma in (low / WIDTH, low * WIDTH)]
    slope = (ends[1] - ends[0]) / (low * WIDTH - low / WIDTH)
    below, above = (float(rises(sigma).mean()) for sigma in (low, high))
    share = (threshold - below) / (above - below) if np.isfinite(above) else 0.0
    return Estimate(low + share * (high - low), error / slope if np.isfinite(slope) and slope > 0 else np.nan)


def inverse_square(sigma: Estimate) -> Estimate:
    """1/σ², Jiang et al. 2020's measure of flatness, with its standard error by the delta method."""
    if sigma.value == 0.0:
        return Estimate(np.inf, np.nan)
    return Estimate(sigma.value**-2, 2.0 * sigma.standard_error * sigma.value**-3)
