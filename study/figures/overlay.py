"""Curves of several runs over one another: the axis that they share, and marks where one ends or is 0."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter

from study.figures.panels import Looks, named, value_range
from study.figures.scale import spans_decades
from study.figures.style import COLOURS, MARKERS, fold_offset

ERROR = "error (%)"
"""What a row of panels of the error is called."""

END: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": 3.5, "color": COLOURS.ink}
"""Where a curve ends because what is beyond is not finite."""

ZERO: dict[str, Any] = {"linestyle": "none", "marker": "v", "markersize": 4.0, "color": COLOURS.ink}
"""Where a value is 0 and the axis logarithmic: at its lower edge."""


class Limits(NamedTuple):
    """Limits of an axis, and whether it is logarithmic."""

    low: float
    high: float
    log: bool

    @classmethod
    def about(cls, values: np.ndarray, *, linear: bool = False) -> "Limits":
        """Limits about all finite values, logarithmic where these span decades unless it must be `linear`."""
        log = not linear and spans_decades(values)
        return cls(*value_range(values, log=log), log)


def set_value_axis(axes: Axes, limits: Limits, label: str) -> None:
    """Give a panel its vertical axis. To be called before the layout."""
    if limits.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=7))
        axes.yaxis.set_major_formatter(LogFormatterMathtext())
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(ylim=(limits.low, limits.high), ylabel=label)
    fold_offset(axes.yaxis, "\n")


def draw_curve(
    axes: Axes,
    label: str,
    x: np.ndarray,
    y: np.ndarray,
    lost: np.ndarray,
    limits: Limits,
    look: dict[str, Any],
) -> list[Artist]:
    """Draw a run's curve, a dot where no line reaches a value, a cross where it ends before one that is lost.

    Args:
        axes: whose limits are set.
        label: of the run.
        x: where the values are, (n,).
        y: the values, (n,); NaN where there is none.
        lost: whether a value is known not to be finite, (n,).
        limits: of the vertical axis.
        look: colour, marker (or None), line style, and their sizes.

    Returns:
        an entry for the legend, if a value of 0 is drawn at the edge of a logarithmic axis.
    """
    known = np.isfinite(y)
    zero = limits.log & (y <= 0)
    y = np.where(zero, limits.low, y)
    spacing = max(1, len(y) // 6)
    place = MARKERS.index(look["marker"]) if look["marker"] else 0
    shift = 2 * place % spacing  # markers of two configurations seldom coincide
    axes.plot(x, y, label=label, gid=label, zorder=3, markevery=(shift, spacing), **look)
    for at, mark in (
        (known & ~_beside(known), {"marker": "o", "markersize": look["markersize"]}),
        (known & _beside(lost), END),
        (zero, {**ZERO, "clip_on": False}),
    ):
        if at.any():
            axes.plot(x[at], y[at], zorder=5, **{**mark, "color": look["color"], "linestyle": "none"})
    return [Line2D([], [], label="0, off the scale", **ZERO)] if zero.any() else []


def legend_entries(look: Looks, strokes: Mapping[str, Any]) -> list[Artist]:
    """The legend's entries for configurations, and for splits, by the name of each with its stroke."""
    kept, notes = named(look)
    configurations = [
        Line2D([], [], label=name, linewidth=1.0, markersize=3.0, **own) for name, own in kept.items()
    ]
    splits = [
        Line2D([], [], label=name, color=COLOURS.ink, linewidth=1.0, linestyle=stroke)
        for name, stroke in strokes.items()
    ]
    return [*configurations, *notes, *splits]


def check_runs(name: str, runs: Mapping[str, object], groups: Mapping[str, object]) -> None:
    """Refuse no run, and a run without a configuration.

    Raises:
        ValueError: saying so of the argument `name`.
    """
    if not runs:
        raise ValueError(f"{name} must hold at least one run, got none")
    for label in runs:
        if label not in groups:
            raise ValueError(f"groups must name the configuration of every run, got none for {label!r}")


def _beside(flags: np.ndarray) -> np.ndarray:
    """Whether a neighbour has the flag, (n,)."""
    padded = np.concatenate([[False], flags, [False]])
    return padded[:-2] | padded[2:]
