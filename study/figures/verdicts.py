"""The verdicts of a study in one picture: each effect with its interval against what the claim says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from study.figures.layout import WIDE, layout
from study.figures.style import COLOURS, compose, new_figure, styled, wrap

LOOKS: Mapping[str, dict[str, Any]] = {
    "reproduced": {"color": "#009E73", "marker": "o"},
    "not reproduced": {"color": "#D55E00", "marker": "X"},
    "inconclusive": {"color": "#555555", "marker": "s"},
}
"""Colour and marker of each outcome."""

WORDS_WIDTH = 2.9 / WIDE
"""Share of the width for what a claim says."""

LINE = 0.14 / 7.5
"""Inches of a line of words, for each point of its size."""


def verdicts_figure(verdicts: pd.DataFrame, *, title: str, caption: str) -> Figure:
    """A row a claim: in words, its effect with the 95% interval, and the range in which the claim would hold.

    Each row has an axis of its own, logarithmic for ratios, as effects are in units of their own.

    Args:
        verdicts: see `claims.table`.
        title: above the picture.
        caption: below it.

    Raises:
        ValueError: if there is no claim.
    """
    if verdicts.empty:
        raise ValueError("verdicts must hold at least one claim, got none")
    with styled():
        figure = new_figure(1.0)
        figure.set_figwidth(wide := layout().wide)
        line, width = LINE * layout().small_size, WORDS_WIDTH * wide
        rows = [str(own.says) for own in verdicts.itertuples()]
        words = [wrap(figure, says, size=layout().small_size, width=width) for says in rows]
        heights = [max(0.42, line * (1 + text.count("\n")) + 0.3) for text in words]
        grid = figure.add_gridspec(len(words), 2, width_ratios=(width, wide - width), height_ratios=heights)
        for place, (text, row) in enumerate(zip(words, verdicts.to_dict("records"), strict=True)):
            left = figure.add_subplot(grid[place, 0])
            left.set_axis_off()
            left.text(
                0.0,
                0.5,
                text,
                transform=left.transAxes,
                va="center",
                fontsize=layout().small_size,
                parse_math=False,
            )
            _draw_row(figure.add_subplot(grid[place, 1]), {str(key): value for key, value in row.items()})
        found = dict.fromkeys(verdicts["outcome"])
        handles: list[Line2D | Patch] = [
            Line2D([], [], linestyle="none", markersize=5, label=outcome, **LOOKS[str(outcome)])
            for outcome in found
        ]
        handles.append(Patch(color=COLOURS.loss, alpha=0.13, linewidth=0, label="where the claim holds"))
        if np.isfinite(verdicts["paper_effect"]).any():
            handles.append(_diamond("the paper's"))
        compose(figure, title=title, caption=caption, handles=handles, body_height=sum(heights))
    return figure


def _draw_row(axes: Axes, row: Mapping[str, object]) -> None:
    """One claim: the range where it holds, the effect with its interval, the paper's."""
    ratio = row["compared_as"] == "ratio"
    effect, low, high, paper, bound = (
        float(str(row[name])) for name in ("effect", "low", "high", "paper_effect", "bound")
    )
    neutral = 1.0 if ratio else 0.0
    axes.set_yticks([])
    axes.set_ylim(-1.0, 1.0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    if ratio:
        axes.set_xscale("log")
    other_bound = 1 / bound if ratio else -bound  # of what counts as the same
    ends = [bound, other_bound] if row["direction"] == "same" else [bound]
    left, right = _limits([effect, low, high, paper, *ends, neutral], ratio)
    axes.set_xlim(left, right)
    spans = {"above": (bound, right), "below": (left, bound), "same": (other_bound, bound)}
    axes.axvspan(*spans[str(row["direction"])], color=COLOURS.loss, alpha=0.13, linewidth=0)
    axes.axvline(neutral, color=COLOURS.quiet, linewidth=0.8)
    look = LOOKS[str(row["outcome"])]
    if np.isfinite(effect):
        if np.isfinite(low):
            axes.plot([low, high], [0, 0], color=look["color"], linewidth=1.6, solid_capstyle="butt")
        axes.plot([effect], [0], linestyle="none", markersize=5, **look)
    else:
        axes.text(
            0.5,
            0.5,
            "nothing to compare",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=layout().small_size,
        )
    if np.isfinite(paper):
        diamond = _diamond("")
        diamond.set_data([paper], [0])
        axes.add_line(diamond)
    _tick(axes, ratio, left, right)
    axes.set_xlabel(_unit(row), fontsize=layout().small_size, labelpad=1.0)


def _unit(row: Mapping[str, object]) -> str:
    """What an effect is: a ratio, a difference, from which number if it is from one, or a correlation."""
    if row["along"]:
        return "granulated Kendall's τ"
    than = float(str(row["than"]))
    given = f" to {than:g}" if row["compared_as"] == "ratio" else f" from {than:g}"
    return str(row["compared_as"]) + (given if np.isfinite(than) and than else "")


def _limits(values: Sequence[float], ratio: bool) -> tuple[float, float]:
    """About all finite values, with a margin."""
    finite = np.array([value for value in values if np.isfinite(value) and (value > 0 or not ratio)])
    finite = np.log10(finite) if ratio else finite
    margin = 0.12 * (finite.max() - finite.min()) or 1.0
    low, high = finite.min() - margin, finite.max() + margin
    return (float(10**low), float(10**high)) if ratio else (float(low), float(high))


def _tick(axes: Axes, ratio: bool, low: float, high: float) -> None:
    """A few ticks, at round numbers, in plain words."""
    room = layout().wide / WIDE
    ticks: Any = MaxNLocator(max(2, round(5 * room))).tick_values(low, high)
    if ratio and high > 3 * low:
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        for steps in ((1.0,), (1.0, 3.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)):
            ticks = np.outer(decades, steps).ravel()
            ticks = ticks[(ticks >= low) & (ticks <= high)]
            if len(ticks) >= 3:
                break
        ticks = ticks[:: -(-len(ticks) // max(3, round(7 * room)))]
    ticks = [tick for tick in ticks if low <= tick <= high]
    digits = next(own for own in range(3, 17) if len({f"{tick:.{own}g}" for tick in ticks}) == len(ticks))
    axes.set_xticks(ticks, [f"{tick:.{digits}g}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _diamond(label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="d",
        markersize=5,
        markerfacecolor="none",
        color=COLOURS.ink,
        label=label,
    )
