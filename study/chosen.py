"""Which of many runs a figure shows, and how it says so: curves beyond some dozens hide one another."""

from collections.abc import Sequence

from study.figures.few import evenly
from study.left_out import LeftOut
from study.members import Member, Members

MOST_CURVES = 60
"""Curves that one picture can hold and still be read."""

MOST_SCENES = 8
"""Surfaces that a page turns: of more than 16 such drawings at once, a browser drops the oldest."""

FEWEST_SCENES = 2
"""Surfaces that are worth turning together."""


def choose_runs(
    figure: str, runs: Sequence[Member], members: Members, most: int
) -> tuple[list[Member], str, list[LeftOut]]:
    """At most so many of these runs: the first seed of each configuration, or the first seeds of one alone.

    Of too many configurations, those are chosen that are evenly spaced in their order, both ends among them.

    Returns:
        the runs in their order, how many of how many they are in words, and those left out.
    """
    if len(runs) <= most:
        return list(runs), f"{len(runs)} runs", []
    firsts = {members.configuration(run): run for run in reversed(runs)}
    which = "the first seed of each configuration"
    chosen = [run for run in runs if firsts[members.configuration(run)] is run]
    if len(chosen) == 1:
        which, chosen = f"the first {most} seeds", list(runs[:most])
    elif len(chosen) > most:
        which = f"the first seed of {most} configurations, evenly spaced in their order"
        chosen = evenly(chosen, most)
    kept = {run.record.config_hash for run in chosen}
    reason = f"a figure holds {most}: {which} {'are' if 'seeds' in which else 'is'} drawn"
    left_out = [
        LeftOut(figure, members.label(run), reason) for run in runs if run.record.config_hash not in kept
    ]
    return chosen, f"{len(chosen)} of {len(runs):,} runs ({which})", left_out
