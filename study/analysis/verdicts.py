"""Verdicts on claims, by tests about the smallest effect that matters."""

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

    def holds_for(self, effect: float) -> bool:
        """Whether an effect that is known exactly is as the claim says; its bound is part of `same`."""
        match self.direction:
            case Direction.ABOVE:
                return effect > self.smallest
            case Direction.BELOW:
                return effect < -self.smallest
            case Direction.SAME:
                return abs(effect) <= self.smallest

    def p_for(self, found: Evidence) -> float:
        """The p of the claim's test; of two one-sided tests for `same` (Schuirmann 1987)."""
        match self.direction:
            case Direction.ABOVE:
                return found.above(self.smallest)
            case Direction.BELOW:
                return found.below(-self.smallest)
            case Direction.SAME:
                return max(found.above(-self.smallest), found.below(self.smallest))

    def p_against(self, found: Evidence) -> float:
        """The p of the opposite test; for `same` that of either side, doubled."""
        match self.direction:
            case Direction.ABOVE:
                return found.below(self.smallest)
            case Direction.BELOW:
                return found.above(-self.smallest)
            case Direction.SAME:
                return min(1.0, 2 * min(found.above(self.smallest), found.below(-self.smallest)))

    def needed(self, found: Evidence, level: float) -> int | None:
        """Replicates (of each group) with which the effect that was found would decide; None if too many.

        The test is that on whose side the effect lies, at `level` and with the power `POWER`.
        """
        effect, smallest = found.effect, self.smallest
        match self.direction:
            case Direction.ABOVE:
                return found.needed(abs(effect - smallest), level, POWER)
            case Direction.BELOW:
                return found.needed(abs(effect + smallest), level, POWER)
            case Direction.SAME if abs(effect) > smallest:
                return found.needed(abs(effect) - smallest, level / 2, POWER)
            case Direction.SAME:
                # Both tests reject unless either fails: each may fail half as often.
                return found.needed(smallest - abs(effect), level, 1 - (1 - POWER) / 2)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        outcome: of the tests.
        p: of the claim's test, adjusted for the number of claims; None where none was made.
        p_opposite: of the opposite test, likewise.
        needed: replicates with which what was found would decide; None where no number would, or none is
            needed.
        reason: why it is inconclusive; empty otherwise.
    """

    outcome: Outcome
    p: float | None
    p_opposite: float | None
    needed: int | None
    reason: str


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

    def needed(hypothesis: Hypothesis, found: Evidence) -> int | None:
        number = hypothesis.needed(found, LEVEL / len(tested))
        return None if number is None else max(number, FEWEST)

    verdicts = []
    for (hypothesis, found), own, opposite in zip(tested, p_for, p_against, strict=True):
        if isinstance(found, str):
            verdicts.append(Verdict(Outcome.INCONCLUSIVE, None, None, None, found))
            continue
        if not _decidable(found):
            reason = f"{min(found.counts)} replicates, and at least {FEWEST} decide"
            verdicts.append(Verdict(Outcome.INCONCLUSIVE, None, None, needed(hypothesis, found), reason))
        elif own <= LEVEL:
            verdicts.append(Verdict(Outcome.REPRODUCED, own, opposite, None, ""))
        elif opposite <= LEVEL:
            verdicts.append(Verdict(Outcome.NOT_REPRODUCED, own, opposite, None, ""))
        else:
            reason = "the effect is not told apart from the smallest that matters"
            verdicts.append(Verdict(Outcome.INCONCLUSIVE, own, opposite, needed(hypothesis, found), reason))
    return verdicts


def _decidable(found: Evidence | str) -> TypeGuard[Evidence]:
    return isinstance(found, Evidence) and min(found.counts) >= FEWEST
