"""Claims over the tables of a sweep: what each compares, and what became of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.evidence import Evidence
from study.analysis.verdicts import Direction, Hypothesis, Outcome, Verdict, judge
from study.config_claims import RATIO, ClaimConfig
from study.replicates import Items, NothingComparedError, Replicates, compared, mean

STEM = "claims"
"""What the names of metrics and tags of verdicts begin with."""


@dataclass(frozen=True)
class Judged:
    """A claim, what was found, and the verdict. An effect is a factor where values are compared as ratios.

    Attributes:
        claim: its name.
        says: the published statement.
        paper: the paper's number, in words.
        paper_effect: the effect by the paper's numbers; NaN where it gives none.
        outcome: see `Outcome`.
        value: mean over replicates of what is compared; the geometric mean for ratios.
        other: the same of what it is compared with; NaN for a correlation.
        effect: value less other, value over other, or the correlation.
        low: end of the effect's 95% t-interval; NaN where there is none.
        high: its other end.
        direction: see `Direction`.
        bound: the smallest effect that matters, in the direction of the claim.
        compared_as: `ratio` or `difference`.
        exact: whether chance has no part in it.
        replicates: how many, in words.
        p: adjusted; NaN where nothing was tested.
        p_opposite: of the opposite test, likewise.
        needed: replicates with which what was found would decide; NaN where no number would.
        reason: why it is inconclusive, or what the verdict rests on.
    """

    claim: str
    says: str
    paper: str
    paper_effect: float
    outcome: Outcome
    value: float
    other: float
    effect: float
    low: float
    high: float
    direction: Direction
    bound: float
    compared_as: str
    exact: bool
    replicates: str
    p: float
    p_opposite: float
    needed: float
    reason: str


def verdicts(claims: Mapping[str, ClaimConfig], items: Items) -> list[Judged]:
    """The verdict on each claim; see `judge` for the tests.

    The replicate is the training seed: what has the same one is averaged first. Two groups are paired by seed
    where both started from the same weights; otherwise they are compared by Welch's test.

    Args:
        claims: by name.
        items: what they are about.
    """
    found: dict[str, Replicates | str] = {}
    for name, claim in claims.items():
        try:
            found[name] = compared(claim, items)
        except NothingComparedError as error:
            found[name] = str(error)
    tested = [name for name, claim in claims.items() if not claim.exact]
    judged = judge([(_hypothesis(claims[name]), _evidence(claims[name], found[name])) for name in tested])
    given = dict(zip(tested, judged, strict=True))
    given |= {name: _exactly(claims[name], found[name]) for name in claims if name not in given}
    return [_judged(name, claim, found[name], given[name]) for name, claim in claims.items()]


def table(judged: Sequence[Judged]) -> pd.DataFrame:
    """A row a claim."""
    names = [field.name for field in fields(Judged)]
    return pd.DataFrame(
        [{name: _plain(getattr(own, name)) for name in names} for own in judged], columns=names
    )


def metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """The numbers of each verdict that are known, by the names of their metrics."""
    names = ("effect", "low", "high", "p", "p_opposite", "needed")
    every = {f"{STEM}/{own.claim}/{name}": getattr(own, name) for own in judged for name in names}
    return {name: value for name, value in every.items() if math.isfinite(value)}


def tags(verdicts: pd.DataFrame) -> dict[str, str]:
    """The outcome of each claim of a table, by the names of their tags."""
    return {f"{STEM}/{row['claim']}": str(row["outcome"]) for row in verdicts.to_dict("records")}


def _hypothesis(claim: ClaimConfig) -> Hypothesis:
    smallest = math.log(claim.smallest) if claim.compared_as == RATIO else claim.smallest
    return Hypothesis(Direction(claim.direction), smallest)


def _evidence(claim: ClaimConfig, found: Replicates | str) -> Evidence | str:
    if isinstance(found, str):
        return found
    if min(len(found.values), len(found.others)) < 2:
        return "one replicate, of which nothing follows"
    return found.evidence(claim.compared_as == RATIO)


def _exactly(claim: ClaimConfig, found: Replicates | str) -> Verdict:
    """The verdict on what must hold in every replicate."""
    if isinstance(found, str) or not found.paired:
        reason = found if isinstance(found, str) else "the runs do not start from the same weights"
        return Verdict(Outcome.INCONCLUSIVE, None, None, None, reason)
    ratio = claim.compared_as == RATIO
    values, others = (np.log(own) if ratio else own for own in (found.values, found.others))
    holds = [_hypothesis(claim).holds_for(float(effect)) for effect in values - others]
    outcome = Outcome.REPRODUCED if all(holds) else Outcome.NOT_REPRODUCED
    return Verdict(outcome, None, None, None, f"exact: it holds in {sum(holds)} of {len(holds)}")


def _judged(name: str, claim: ClaimConfig, found: Replicates | str, verdict: Verdict) -> Judged:
    ratio = claim.compared_as == RATIO
    nothing = float("nan")
    value = other = effect = low = high = nothing
    replicates, note = "0", ""
    if isinstance(found, Replicates):
        value, other = (mean(own, ratio) for own in (found.values, found.others))
        effect = value / other if ratio else value - other
        counts = [len(found.values)] if found.paired else [len(found.values), len(found.others)]
        replicates = " and ".join(map(str, counts)) + (" pairs" if found.paired and claim.against else "")
        note = found.note
        evidence = _evidence(claim, found)
        if isinstance(evidence, Evidence) and not claim.exact:
            low, high = evidence.interval()
            low, high = (math.exp(low), math.exp(high)) if ratio else (low, high)
            if evidence.alike:
                note = f"{note}; " * bool(note) + "all replicates are alike: tested by their signs"
    smallest = 1 / claim.smallest if ratio and claim.direction == Direction.BELOW else claim.smallest
    bound = -smallest if not ratio and claim.direction == Direction.BELOW else smallest
    return Judged(
        claim=name,
        says=claim.says,
        paper=claim.paper,
        paper_effect=nothing if claim.paper_effect is None else claim.paper_effect,
        outcome=verdict.outcome,
        value=value,
        other=nothing if claim.along is not None else other,
        effect=effect,
        low=low,
        high=high,
        direction=Direction(claim.direction),
        bound=bound + 0.0,
        compared_as=claim.compared_as,
        exact=bool(claim.exact),
        replicates=replicates,
        p=nothing if verdict.p is None else verdict.p,
        p_opposite=nothing if verdict.p_opposite is None else verdict.p_opposite,
        needed=nothing if verdict.needed is None else verdict.needed,
        reason="; ".join(words for words in (verdict.reason, note) if words),
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Outcome | Direction) else value
