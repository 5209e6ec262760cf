"""Verdicts on claims, by tests about the smallest effect that matters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from study.analysis.evidence import Evidence, holm

LEVEL = 0.05
"""Below which an adjusted p decides."""

POWER = 0.8
"""With which the number of replicates that is stated as needed would decide."""

FEWEST = 5
"""Replicates below which nothing is decided."""


class Outcome(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"


class Direction(StrEnum):
    """On which side of the smallest effect that matters a claim says that the effect lies."""

    ABOVE = "above"
    BELOW = "below"
    SAME = "same"


@dataclass(frozen=True)
class Hypothesis:
    """What a claim says of an effect: above δ, below −δ, or within ±δ.

    Attributes:
        direction: which of these.
        smallest: δ ≥ 0, the smallest effect that matters; above 0 for `same`.
    """

    direction: Direction
    smallest: float

    @property
    def range(self) -> tuple[float, float]:
        """Between which effects the claim holds."""
        match self.direction:
            case Direction.ABOVE:
                return self.smallest, math.inf
            case Direction.BELOW:
                return -math.inf, -self.smallest
            case Direction.SAME:
                return -self.smallest, self.smallest

    @property
    def ends(self) -> int:
        """How many of the ends of that range are finite, and may be missed."""
        return 2 if self.direction is Direction.SAME else 1

    def holds_for(self, effect: float) -> bool:
        """Whether an effect that is known exactly is as the claim says; its bound is part of `same`."""
        low, high = self.range
        return low < effect < high or (self.direction is Direction.SAME and effect in (low, high))

    def p_for(self, found: Evidence) -> float:
        """The p of the claim's test; of two one-sided tests for `same` (Schuirmann 1987)."""
        low, high = self.range
        return max(found.above(low), found.below(high))

    def p_against(self, found: Evidence) -> float:
        """The p of the opposite test; for `same` that of either side, doubled."""
        low, high = self.range
        return min(1.0, self.ends * min(found.below(low), found.above(high)))

    def needed(self, found: Evidence, level: float) -> int | None:
        """Replicates (of each group) with which the effect that was found would decide; None if too many.

        The test is that on whose side the effect lies, at `level` and with the power `POWER`.
        """
        low, high = self.range
        inside = min(found.effect - low, high - found.effect)
        if inside < 0:
            return found.needed(-inside, level / self.ends, POWER)
        return found.needed(inside, level, 1 - (1 - POWER) / self.ends)  # no end may be missed


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        outcome: of the tests.
        reason: why it is inconclusive, or what it rests on besides tests; empty otherwise.
        p: of the claim's test, adjusted for the number of claims; NaN where none was made.
        p_opposite: of the opposite test, likewise.
        needed: replicates with which what was found would decide; NaN where no number would, or none is
            needed.
    """

    outcome: Outcome
    reason: str = ""
    p: float = math.nan
    p_opposite: float = math.nan
    needed: float = math.nan


def judge(tested: Sequence[tuple[Hypothesis, Evidence | str]]) -> list[Verdict]:
    """The verdicts on all the claims of a study, Holm's adjustment over all of them.

    *Reproduced*: the claim's test has an adjusted p of at most `LEVEL`. *Not reproduced*: the opposite test
    has. *Inconclusive*: neither, or there is nothing to test, or there are fewer than `FEWEST` replicates. At
    most one study in twenty has a claim reproduced that is not true, whichever of its claims are.

    Args:
        tested: what each claim says, and what was found; or, in words, why nothing was.
    """
    p_for = holm([hypothesis.p_for(found) if _decidable(found) else 1.0 for hypothesis, found in tested])
    p_against = holm([
        hypothesis.p_against(found) if _decidable(found) else 1.0 for hypothesis, found in tested
    ])

    verdicts = []
    for (hypothesis, found), own, opposite in zip(tested, p_for, p_against, strict=True):
        if isinstance(found, str):
            verdicts.append(Verdict(Outcome.INCONCLUSIVE, found))
            continue
        if not _decidable(found):
            own = opposite = math.nan
            reason = f"{min(found.counts)} replicates, and at least {FEWEST} decide"
        elif own <= LEVEL or opposite <= LEVEL:
            outcome = Outcome.REPRODUCED if own <= LEVEL else Outcome.NOT_REPRODUCED
            verdicts.append(Verdict(outcome, "", own, opposite))
            continue
        else:
            reason = "the effect is not told apart from the smallest that matters"
        number = hypothesis.needed(found, LEVEL / len(tested))
        needed = math.nan if number is None else max(number, FEWEST)
        verdicts.append(Verdict(Outcome.INCONCLUSIVE, reason, own, opposite, needed))
    return verdicts


def _decidable(found: Evidence | str) -> TypeGuard[Evidence]:
    return isinstance(found, Evidence) and min(found.counts) >= FEWEST
