"""What replicates say of an effect: one-sided t-tests about a bound, an interval, and how many would do."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy.special import comb, nctdtr, stdtr, stdtrit

ROUNDING = 1e-9
"""Of the values: a standard error below this share is of their rounding, not of what they measure."""

MOST = 1000
"""Replicates beyond which nobody asks how many a test needs."""


@dataclass(frozen=True)
class Evidence:
    """An effect, the mean of n values or the difference of two means, as far as replicates tell it.

    Attributes:
        effect: the estimate, in the unit of the values.
        standard_error: of it.
        freedom: degrees of freedom of Student's t: n − 1, or Welch's.
        counts: (n,), or (n₁, n₂) for two groups.
        variances: of a value, of each group.
        alike: whether the groups' replicates do not differ among themselves. Then t has nothing to estimate
            an error from, and the p-values are those of the sign test, or of the permutation test for two
            groups, at their smallest.
        rounding: what the effect of replicates that are alike must be beyond a bound by: less is of rounding.
    """

    effect: float
    standard_error: float
    freedom: float
    counts: tuple[int, ...]
    variances: tuple[float, ...]
    alike: bool
    rounding: float = 0.0

    @classmethod
    def of_one(cls, values: Sequence[float] | np.ndarray) -> "Evidence":
        """The mean of values, or of the differences of pairs, (n,), n at least 2."""
        return cls._of([np.asarray(values, dtype=np.float64)])

    @classmethod
    def of_two(cls, values: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray) -> "Evidence":
        """The mean of values, (n₁,), less that of others, (n₂,), unpaired, at least 2 each (Welch 1947)."""
        return cls._of([np.asarray(group, dtype=np.float64) for group in (values, others)])

    @classmethod
    def _of(cls, groups: list[np.ndarray]) -> "Evidence":
        counts = tuple(len(group) for group in groups)
        if min(counts) < 2 or not all(np.isfinite(group).all() for group in groups):
            raise ValueError(f"each group must have at least 2 values, all finite, got {groups}")
        effect = float(groups[0].mean() - (groups[1].mean() if len(groups) == 2 else 0.0))
        variances = [float(group.var(ddof=1)) for group in groups]
        shares = [variance / n for variance, n in zip(variances, counts, strict=True)]
        standard_error = math.sqrt(sum(shares))
        size = max(float(abs(group).max()) for group in groups)
        rounding = ROUNDING * size
        alike = standard_error <= rounding
        below = sum(share**2 / (n - 1) for share, n in zip(shares, counts, strict=True))
        freedom = float(sum(counts) - len(counts)) if alike or below == 0 else sum(shares) ** 2 / below
        return cls(effect, standard_error, freedom, counts, tuple(variances), alike, rounding)

    def above(self, bound: float) -> float:
        """The p of the test of H₀: the effect is at most `bound`."""
        return self._tail(self.effect - bound)

    def below(self, bound: float) -> float:
        """The p of the test of H₀: the effect is at least `bound`."""
        return self._tail(bound - self.effect)

    def _tail(self, gap: float) -> float:
        if self.alike:
            return _smallest_p(self.counts) if gap > self.rounding else 1.0
        return float(stdtr(self.freedom, -gap / self.standard_error))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's t-interval of the effect; NaN where all replicates are alike."""
        if self.alike:
            return float("nan"), float("nan")
        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.standard_error
        return self.effect - half, self.effect + half

    def needed(self, gap: float, level: float, power: float = 0.8) -> int | None:
        """Replicates (of each group) with which the test would find a gap, were this the spread.

        Args:
            gap: of the true effect from the bound, in the direction that is tested; above 0.
            level: below which the test's p must lie.
            power: probability of it.

        Returns:
            the smallest number, at least 2; None beyond `MOST`, or where the gap is not above 0.
        """
        if gap <= (self.rounding if self.alike else 0.0):
            return None
        if self.alike:
            return next(n for n in count(2) if _smallest_p((n,) * len(self.counts)) <= level)
        numbers = range(2, MOST + 1)
        place = bisect_left(numbers, power, key=lambda replicates: self._power(gap, level, replicates))
        return numbers[place] if place < len(numbers) else None

    def _power(self, gap: float, level: float, replicates: int) -> float:
        total = sum(self.variances)
        freedom = (replicates - 1) * total**2 / sum(variance**2 for variance in self.variances)
        shift = gap / math.sqrt(total / replicates)
        found = 1.0 - float(nctdtr(freedom, shift, stdtrit(freedom, 1 - level)))
        return found if math.isfinite(found) else 1.0  # so far out that the series ends early


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): one in 20 families has one below 0.05 by chance."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = largest
    return adjusted


def _smallest_p(counts: tuple[int, ...]) -> float:
    """Of the sign test, or of the permutation test for two groups."""
    return 0.5 ** counts[0] if len(counts) == 1 else float(1 / comb(sum(counts), counts[0], exact=True))
