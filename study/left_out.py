"""What a comparison does not show."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LEFT_OUT = 40
"""Runs that a page names one by one where they are left out of one figure for one reason."""


@dataclass(frozen=True)
class LeftOut:
    """What a figure does not show.

    Attributes:
        figure: its name.
        run: label of the run, or of the two.
        reason: why it would mislead there.
    """

    figure: str
    run: str
    reason: str


def folded(left_out: Sequence[LeftOut]) -> list[LeftOut]:
    """The same for people: where many are left out of one figure for one reason, those beyond are counted."""
    grouped: dict[tuple[str, str], list[LeftOut]] = {}
    for own in left_out:
        grouped.setdefault((own.figure, own.reason), []).append(own)
    beyond = {id(own) for each in grouped.values() for own in each[MOST_LEFT_OUT:]}
    found = []
    for own in left_out:
        same = grouped[own.figure, own.reason]
        if id(own) not in beyond:
            found.append(own)
        elif own is same[-1]:
            found.append(LeftOut(own.figure, f"{len(same) - MOST_LEFT_OUT:,} more runs", own.reason))
    return found
