"""Claims over the tables of a sweep: what each compares, and what became of it."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from study.analysis.evidence import Evidence
from study.analysis.verdicts import Direction, Hypothesis, Outcome, Verdict, judge
from study.config_claims import RATIO, ClaimConfig
from study.replicates import Items, NothingComparedError, Replicates, compared, mean

STEM = "claims"
"""What the names of metrics and tags of verdicts begin with."""

NUMBERS = ("effect", "low", "high", "p", "p_opposite", "needed")
"""The columns of the table of verdicts that are metrics."""


@dataclass(frozen=True)
class Judged:
    """A claim, what was found, and the verdict. An effect is a factor where values are compared as ratios.

    Attributes:
        name: of the claim.
        claim: as it was stated.
        verdict: on it.
        value: mean over replicates of what is compared; the geometric mean for ratios.
        other: the same of what it is compared with; NaN for a correlation.
        effect: value less other, value over other, or the correlation.
        low: end of the effect's 95% t-interval; NaN where there is none.
        high: its other end.
        replicates: how many, in words.
        note: on what was found, in words.
    """

    name: str
    claim: ClaimConfig
    verdict: Verdict
    value: float = math.nan
    other: float = math.nan
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    replicates: str = "0"
    note: str = ""

    @property
    def bound(self) -> float:
        """The smallest effect that matters, in the direction of the claim."""
        own = self.claim
        if own.direction != Direction.BELOW:
            return own.smallest
        return 1 / own.smallest if own.compared_as == RATIO else 0.0 - own.smallest

    def row(self) -> dict[str, Any]:
        """Its row in the table of verdicts."""
        own, verdict = self.claim, self.verdict
        return {
            "claim": self.name,
            "says": own.says,
            "paper": own.paper,
            "paper_effect": math.nan if own.paper_effect is None else own.paper_effect,
            "outcome": str(verdict.outcome),
            "value": self.value,
            "other": self.other,
            "effect": self.effect,
            "low": self.low,
            "high": self.high,
            "direction": own.direction,
            "bound": self.bound,
            "compared_as": own.compared_as,
            "measure": own.measure,
            "runs": _said(own.runs),
            "against": _said(own.against),
            "beside": own.beside or "",
            "than": math.nan if own.than is None else own.than,
            "along": own.along or "",
            "exact": bool(own.exact),
            "replicates": self.replicates,
            "p": verdict.p,
            "p_opposite": verdict.p_opposite,
            "needed": verdict.needed,
            "reason": "; ".join(words for words in (verdict.reason, self.note) if words),
        }


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
    evidence = {name: _evidence(claim, found[name]) for name, claim in claims.items() if not claim.exact}
    judged = judge([(_hypothesis(claims[name]), own) for name, own in evidence.items()])
    given = dict(zip(evidence, judged, strict=True))
    given |= {name: _exactly(claims[name], found[name]) for name in claims if name not in given}
    return [
        _judged(name, claim, found[name], evidence.get(name), given[name]) for name, claim in claims.items()
    ]


def table(judged: Sequence[Judged]) -> pd.DataFrame:
    """A row a claim."""
    return pd.DataFrame([own.row() for own in judged])


def _said(settings: Mapping[str, Any] | None) -> str:
    return "" if settings is None else json.dumps(settings)


def in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The table of verdicts for people: a row a claim.

    Args:
        rows: as `table` makes it, or as it was written and read back.
    """
    return pd.DataFrame([
        {
            "claim": row["says"],
            "verdict": row["outcome"],
            "effect": _effect_in_words(row),
            "replicates": row["replicates"],
            "p": "" if math.isnan(row["p"]) else f"{row['p']:.2g}",
            "the paper's": row["paper"],
            "remark": _remark(row),
        }
        for row in rows.astype(object).fillna({"reason": "", "along": ""}).to_dict("records")
    ])


def _effect_in_words(row: Mapping[Hashable, Any]) -> str:
    """What was found, with its interval, and what was claimed of it.

    As `2.1 against 1.2: × 1.8 [1.2, 2.6] (claimed: above × 1.1)`; where the claim is about a number, what was
    found itself, as `0.57 [0.5, 0.6] (claimed: above 0.4)`.
    """
    ratio, than = row["compared_as"] == RATIO, row["than"]
    about = not math.isnan(than)

    def given(value: float) -> float:
        return value if not about else value * than if ratio else value + than

    sign = "× " if ratio and not about else ""
    words = {
        Direction.ABOVE: f"above {sign}{given(row['bound']):.4g}",
        Direction.BELOW: f"below {sign}{given(row['bound']):.4g}",
        Direction.SAME: f"within {'×' if ratio else '±'} {row['bound']:.4g}"
        + (f" of {than:.4g}" if about and than else ""),
    }
    claimed = f"(claimed: {words[Direction(row['direction'])]})"
    if math.isnan(row["effect"]):
        return f"– {claimed}"
    interval = "" if math.isnan(row["low"]) else f" [{given(row['low']):.3g}, {given(row['high']):.3g}]"
    found = f"{sign}{given(row['effect']):.3g}{interval} {claimed}"
    if about:
        return found
    return f"τ = {found}" if row["along"] else f"{row['value']:.4g} against {row['other']:.4g}: {found}"


def _remark(row: Mapping[Hashable, Any]) -> str:
    number = row["needed"]
    needed = "" if math.isnan(number) else f"{number:.0f} replicates would decide what was found"
    return "; ".join(words for words in (row["reason"], needed) if words)


def metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """The numbers of each verdict that are known, by the names of their metrics."""
    every = {f"{STEM}/{own.name}/{number}": own.row()[number] for own in judged for number in NUMBERS}
    return {name: value for name, value in every.items() if math.isfinite(value)}


def verdict_tags(rows: pd.DataFrame) -> dict[str, str]:
    """The outcome of each claim of a table, by the names of their tags."""
    return {f"{STEM}/{row['claim']}": str(row["outcome"]) for row in rows.to_dict("records")}


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
        return Verdict(Outcome.INCONCLUSIVE, reason)
    values, others = found.sides(claim.compared_as == RATIO)
    holds = [_hypothesis(claim).holds_for(float(effect)) for effect in values - others]
    outcome = Outcome.REPRODUCED if all(holds) else Outcome.NOT_REPRODUCED
    return Verdict(outcome, f"exact: it holds in {sum(holds)} of {len(holds)}")


def _judged(
    name: str,
    claim: ClaimConfig,
    found: Replicates | str,
    evidence: Evidence | str | None,
    verdict: Verdict,
) -> Judged:
    """A claim with all that is known of it; `evidence` is None where it follows exactly."""
    if isinstance(found, str):
        return Judged(name, claim, verdict)
    ratio = claim.compared_as == RATIO
    value, other = (mean(own, ratio) for own in (found.values, found.others))
    counts = [len(found.values)] if found.paired else [len(found.values), len(found.others)]
    low = high = math.nan
    notes = [found.note] if found.note else []
    if isinstance(evidence, Evidence):
        ends = evidence.interval()
        low, high = (math.exp(end) for end in ends) if ratio else ends
        if evidence.alike:
            notes.append("all replicates are alike: tested by their signs")
    return Judged(
        name,
        claim,
        verdict,
        value=value,
        other=math.nan if claim.along is not None else other,
        effect=value / other if ratio else value - other,
        low=low,
        high=high,
        replicates=" and ".join(map(str, counts)) + (" pairs" if found.paired and claim.against else ""),
        note="; ".join(notes),
    )
