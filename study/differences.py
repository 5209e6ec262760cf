"""Along each line, how far the runs of a configuration lie from those of the first, seed by seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from study.analysis.over_directions import replicates
from study.analysis.paired import Difference, paired_difference
from study.chosen import MOST_CURVES
from study.figures.few import evenly
from study.kinds import KINDS
from study.landscape.result import Landscape
from study.left_out import LeftOut
from study.members import Member, Members

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pairs = dict[str, list[tuple[Landscape, Landscape]]]
"""By configuration, the lines of its runs, each with that of the reference's run of the same seed."""


def compare_differences(
    name: str, figure: str, runs: Sequence[Member], members: Members, subject: str
) -> tuple[dict[str, "Figure"], list[LeftOut]]:
    """The figure of what parts configurations along a line; none where there are no two of one seed.

    Args:
        name: of the landscape, over a line.
        figure: name of the figure.
        runs: whose landscapes of this name are alike, the examples that they read among it.
        members: all runs of the comparison.
        subject: what they have in common, for the caption.
    """
    from study.figures.differences import Gap, differences_figure

    grouped = _by_replicate(runs, members)
    if len(grouped) < 2:
        return {}, []
    reference, *others = grouped
    chosen = evenly(others, MOST_CURVES)
    reason = f"a figure holds {MOST_CURVES} configurations, evenly spaced in their order"
    beyond = [LeftOut(figure, words, reason) for words in others if words not in set(chosen)]
    pairs, left_out = _paired(
        name, figure, {words: grouped[words] for words in (reference, *chosen)}, members
    )
    left_out += beyond
    if not pairs:
        return {}, left_out
    first = next(iter(pairs.values()))[0][0]
    found = {
        split: {
            configuration: paired_difference([(run.split(split), other.split(split)) for run, other in own])
            for configuration, own in pairs.items()
        }
        for split in first.splits
    }
    kind = KINDS[runs[0].landscapes[name].kind]
    (label,) = kind.drawing.labels(*(run for own in pairs.values() for run, _other in own)).values()
    drawn = differences_figure(
        {
            split: {words: Gap(own.at, own.loss, own.standard_error) for words, own in of_split.items()}
            for split, of_split in found.items()
        },
        reference,
        title=f"{kind.title}: differences",
        caption=f"{subject}; {_words(found, reference, first)}{_chosen(chosen, others)}.",
        parameter_label=label,
        loss_unit=first.loss_unit,
        guides=[at for point in first.points.values() for at in point.coordinates],
    )
    return {figure: drawn}, left_out


def _by_replicate(runs: Sequence[Member], members: Members) -> dict[str, dict[str, Member]]:
    """The runs of each configuration, by their seeds."""
    grouped: dict[str, dict[str, Member]] = {}
    for run in runs:
        grouped.setdefault(members.configuration(run), {}).setdefault(members.replicate(run), run)
    return grouped


def _paired(
    name: str, figure: str, grouped: dict[str, dict[str, Member]], members: Members
) -> tuple[Pairs, list[LeftOut]]:
    """The pairs that can be subtracted, and the runs that have none, with the reason."""
    reference, *others = grouped
    firsts = {replicate: run.landscape(name) for replicate, run in grouped[reference].items()}
    pairs: Pairs = {}
    left_out = []
    for configuration in others:
        for replicate, run in grouped[configuration].items():
            if replicate not in firsts:
                reason = f"{reference} has no run of {replicate}"
            elif not _share_axis(own := run.landscape(name), firsts[replicate]):
                reason = f"its α are not those of {reference}"
            else:
                pairs.setdefault(configuration, []).append((own, firsts[replicate]))
                continue
            left_out.append(LeftOut(figure, members.label(run), reason))
    for replicate, run in grouped[reference].items():
        if not any(replicate in grouped[configuration] for configuration in others):
            reason = f"no other configuration has a run of {replicate}"
            left_out.append(LeftOut(figure, members.label(run), reason))
    return pairs, left_out


def _share_axis(line: Landscape, other: Landscape) -> bool:
    (own,), (others,) = line.axes.values(), other.axes.values()
    return np.array_equal(own, others)


def _chosen(drawn: Sequence[str], others: Sequence[str]) -> str:
    """For a caption: how many of how many configurations are drawn; nothing where it is all of them."""
    left = len(drawn) < len(others)
    return f"; {len(drawn)} of {len(others):,} configurations, evenly spaced in their order" if left else ""


def _words(found: dict[str, dict[str, Difference]], reference: str, first: Landscape) -> str:
    """For a caption: what is subtracted from what, over how many seeds, and what the band is."""
    numbers = [own.pairs for of_split in found.values() for own in of_split.values()]
    low, high = min(numbers), max(numbers)
    seeds = f"{low} seeds" if low < high or low > 1 else "one seed"
    over = (
        f"the mean over {low} to {high} seeds"
        if low < high
        else f"the mean over {seeds}"
        if low > 1
        else seeds
    )
    sizes = first.provenance["splits"].values()
    whole = all(size["examples"] == size["population"] for size in sizes)
    read = " and ".join(f"{size['examples']:,} of {size['population']:,}" for size in sizes)
    errors = []
    if not whole:
        errors.append(
            f"of the {read} examples read, paired example by example, with the finite-population correction"
        )
    if high > 1:
        errors.append("of the seeds, paired seed by seed")
    band = (
        f"band: one standard error, {'; and '.join(errors)}" if errors else "no band: all examples are read"
    )
    both = ", added in squares" if len(errors) > 1 else ""
    draws = len(replicates(first))
    drawn = f", the first of {draws} draws of the directions" if draws > 1 else ""
    return f"L(α) less that of {reference} at the same seed and α{drawn}, {over}; {band}{both}"
