"""Loss and accuracy along several directions, over one another, with their median."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.figures.curve import Curve
from study.figures.marks import marks, name_above
from study.figures.overlay import END, Limits, draw_curve, set_value_axis
from study.figures.panels import compose_panels, hide_labels, name_panel, panel_grid, span
from study.figures.style import COLOURS, UNITS, name_coordinate, styled, unit
from study.landscape.result import Landscape

THIN: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.45, "marker": None, "markersize": 2.0}
BOLD: dict[str, Any] = {"linewidth": 1.8, "marker": None, "markersize": 3.0}


def replicated_lines(
    lines: Sequence[Landscape],
    median: Landscape,
    *,
    title: str,
    caption: str,
    parameter_label: str,
    warning: str | None = None,
) -> Figure:
    """Loss, and accuracy below it, along each of several lines, thin, and their median, bold.

    A column for each split. The loss axis is logarithmic where the losses of all together span decades. The
    special points are marked on the median, and named above.

    Args:
        lines: over one axis and of the same splits, at least two.
        median: over the same axis.
        title: above the picture.
        caption: below it.
        parameter_label: of the horizontal axis, such as `α`.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if there are fewer than two lines, or a landscape is not over a line.
    """
    if len(lines) < 2:
        raise ValueError(f"lines must be at least two, got {len(lines)}")
    for own in (*lines, median):
        if len(own.shape) != 1:
            raise ValueError(f"lines must be lines, got shape {own.shape}")
    splits = median.splits
    rows = [value for value in ("loss", "accuracy") if value in median.split(splits[0]).values]
    notes: list[Artist] = []
    with styled():
        figure, grid = panel_grid(len(splits), len(splits), len(rows))
        room = (figure.get_figwidth() - 0.6) / len(splits) - 0.3
        limits = {
            value: _limits(value, [own.split(name) for own in lines for name in splits]) for value in rows
        }
        above = 0.0
        for column, name in enumerate(splits):
            parts, middle = [own.split(name) for own in lines], median.split(name)
            for row, value in enumerate(rows):
                axes = grid[column * len(rows) + row]
                axes.set_xlim(span([middle]))
                label = unit("loss", median.loss_unit) if value == "loss" else UNITS[value]
                set_value_axis(axes, limits[value], label)
                name_coordinate(axes.xaxis, parameter_label, "\n")
                notes += _draw(axes, parts, middle, value, limits[value])
                hide_labels(axes, x=row < len(rows) - 1, y=column > 0)
            more = name_above(grid[column * len(rows)], marks(middle), room)
            above = max(above, more)
            name_panel(grid[column * len(rows)], name, room, weight="bold", pad=14.0 + 72.0 * more)
        handles = [*_entries(len(lines), rows), *notes]
        body = 1.65 * len(rows) + 0.6 + above
        compose_panels(
            figure, title=title, caption=caption, handles=handles, body_height=body, warning=warning
        )
    return figure


def _draw(
    axes: Axes, parts: Sequence[Landscape], median: Landscape, value: str, limits: Limits
) -> list[Artist]:
    """Draw every line and the median of one value; returns entries for the legend."""
    notes, lost = [], 0
    for place, (part, look) in enumerate([*((part, THIN) for part in parts), (median, BOLD)]):
        curve = _curve(part, value)
        label = "median" if part is median else f"replicate {place}"
        own = {**look, "color": _colour(value), "linestyle": "-"}
        notes += draw_curve(axes, label, curve.x, curve.y, curve.diverged, limits, own)
        lost += bool(curve.diverged.any()) and part is not median
    if lost and value == "loss":
        words = "1 curve diverges" if lost == 1 else f"{lost} curves diverge"
        notes.append(Line2D([], [], label=f"{words} in places (the curve ends at ×)", **END))
    for mark in marks(median):
        axes.axvline(mark.coordinates[0], color=COLOURS.quiet, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
        loss = mark.values.get("loss", np.nan)
        if value == "loss" and np.isfinite(loss):
            at = max(loss, limits.low)
            axes.plot(mark.coordinates, [at], zorder=6, gid=mark.name, clip_on=False, **mark.look(7.0))
    return notes


def _entries(count: int, rows: Sequence[str]) -> list[Artist]:
    """The legend's entries for the two kinds of curves."""
    looks = {f"along each of {count} directions": THIN, "median": BOLD}
    return [
        Line2D([], [], label=label, color=_colour("loss") if len(rows) == 1 else COLOURS.ink, **look)
        for label, look in looks.items()
    ]


def _curve(part: Landscape, value: str) -> Curve:
    return Curve.of(part, value, 1.0 if value == "loss" else 100.0)


def _limits(value: str, parts: Sequence[Landscape]) -> Limits:
    """The axis of a row, for all its curves."""
    if value == "accuracy":
        return Limits(-4.0, 104.0, log=False)
    return Limits.about(np.concatenate([_curve(part, value).y for part in parts]))


def _colour(value: str) -> str:
    return COLOURS.loss if value == "loss" else COLOURS.accuracy
