"""Rank correlation over configurations, with an interval where there are enough of them."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

FEWEST = 8
"""Configurations below which a rank correlation has no interval worth the name."""

RESAMPLES = 4000


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's ρ.

    Attributes:
        rho: NaN where one of the two is constant, or there are fewer than three pairs.
        interval: 95 %, by resampling pairs (percentiles); None below `FEWEST` pairs.
        count: of pairs.
    """

    rho: float
    interval: tuple[float, float] | None
    count: int

    def words(self) -> str:
        """For a figure or a table."""
        if not np.isfinite(self.rho):
            return f"ρ undefined, n = {self.count}"
        interval = "" if self.interval is None else f" [{self.interval[0]:.2f}, {self.interval[1]:.2f}]"
        return f"ρ = {self.rho:.2f}{interval}, n = {self.count}".replace("-", "\N{MINUS SIGN}")


def rank_correlation(x: np.ndarray, y: np.ndarray) -> RankCorrelation:
    """Spearman's rank correlation of x and y, (n,) each: one pair for each configuration.

    Infinite values rank above all others; pairs with a NaN are left out. The resampling has a fixed seed.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    count = len(x)
    if count < 3:
        return RankCorrelation(float("nan"), None, count)
    rho = float(_rho(x[None], y[None])[0])
    if count < FEWEST or not np.isfinite(rho):
        return RankCorrelation(rho, None, count)
    chosen = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    drawn = _rho(x[chosen], y[chosen])
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return RankCorrelation(rho, (float(low), float(high)), count)


def _rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the ranks within each row, (rows,); NaN where a row is constant."""
    ranks = [rankdata(values, axis=1) for values in (x, y)]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.where(scale > 0, (first * second).sum(axis=1) / np.where(scale > 0, scale, 1.0), np.nan)


def granulated_kendall(
    x: np.ndarray, y: np.ndarray, settings: Sequence[tuple[Hashable, ...]], axes: Sequence[int]
) -> float:
    """The granulated Kendall's τ of x and y, (n,), over n configurations (Jiang et al. 2020, equations 6, 7).

    Pairs of configurations are compared that differ in one setting alone: ψ of a setting is the mean over
    such pairs of sign(x₁ − x₂) sign(y₁ − y₂), the mean over groups that have all others in common where the
    groups are of one size, and Ψ the mean of ψ over settings. A correlation that comes from another setting,
    which moves both, does not count.

    Args:
        x: a measure.
        y: what it is to rank.
        settings: of each configuration, in one order; equal ones are of one configuration, and no pair.
        axes: which of the settings ψ is taken over, by their place.

    Returns:
        Ψ, from −1 to 1; NaN where no two configurations differ in one of these alone.
    """
    every: list[float] = []
    for axis in axes:
        signs = [
            _order(x[i], x[j]) * _order(y[i], y[j])
            for i, j in combinations(range(len(x)), 2)
            if [
                k for k, (own, other) in enumerate(zip(settings[i], settings[j], strict=True)) if own != other
            ]
            == [axis]
        ]
        if signs:
            every.append(float(np.mean(signs)))
    return float(np.mean(every)) if every else float("nan")


def _order(value: float, other: float) -> float:
    """1, 0 or −1: infinity is above all numbers, and level with itself."""
    return float(value > other) - float(value < other)
