"""The loss along each of several directions, beside what slope and curvature predict of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.figures.curve import Curve
from study.figures.gaps import draw_line_gaps
from study.figures.layout import layout
from study.figures.marks import marks, name_above
from study.figures.overlay import Limits, set_value_axis
from study.figures.panels import ALONE, compose_panels, name_panel, panel_grid, span, value_range
from study.figures.scale import spans_decades
from study.figures.style import COLOURS, name_coordinate, styled, unit
from study.landscape.result import Landscape

PREDICTED = "quadratic"
"""The value of a line that holds the prediction."""

ROOM = 0.15
"""Room below and above the measured losses, as a fraction of their span: a prediction beyond it is cut."""


def slices_figure(
    lines: Mapping[str, Landscape],
    names: Mapping[str, str],
    *,
    split: str,
    title: str,
    caption: str,
    warning: str | None = None,
) -> Figure:
    """A panel for each line: its measured loss, and the quadratic prediction, cut where it leaves the view.

    A panel's scale is that of its own measured losses, logarithmic where they span decades.

    Args:
        lines: by the label of their horizontal axis; each with the value `quadratic`, in the loss's unit.
        names: of the panels, by the same labels.
        split: one of the splits of each.
        title: above the picture.
        caption: below it.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if there is no line, one is none, lacks the split or the prediction, or has no name.
    """
    parts = _parts(lines, names, split)
    handles: list[Artist] = []
    with styled():
        columns = layout().columns(len(parts), ALONE)
        figure, panels = panel_grid(len(parts), columns)
        room = (figure.get_figwidth() - 0.6) / columns - 0.5
        above = 0.0
        for axes, (label, part) in zip(panels, parts.items(), strict=True):
            several = len(lines[label].splits) > 1
            handles += _draw(axes, part, unit("loss", part.loss_unit, split if several else ""))
            axes.set_xlim(span([part]))
            name_coordinate(axes.xaxis, label, "\n")
            more = name_above(axes, marks(part), room)
            above = max(above, more)
            name_panel(axes, names[label], room, weight="bold", pad=14.0 + 72.0 * more)
        compose_panels(
            figure,
            title=title,
            caption=caption,
            handles=handles,
            body_height=(2.2 + above) * -(-len(parts) // columns),
            warning=warning,
        )
    return figure


def _draw(axes: Axes, part: Landscape, label: str) -> list[Artist]:
    """Draw the measured loss over the prediction; returns entries for the legend."""
    curve = Curve.of(part, "loss")
    log = spans_decades(curve.y)
    limits = Limits(*value_range(curve.y, log=log, below=ROOM, above=ROOM), log)
    set_value_axis(axes, limits, label)
    (x,) = part.axes.values()
    predicted = part.values[PREDICTED]
    dashed: dict[str, Any] = {"color": COLOURS.accuracy, "linestyle": (0, (4, 1.5)), "linewidth": 1.2}
    axes.plot(x, np.where(np.isfinite(predicted), predicted, np.nan), zorder=3, gid=PREDICTED, **dashed)
    axes.plot(curve.x, curve.y, color=COLOURS.loss, zorder=2.5, gid="measured")
    handles: list[Artist] = [
        *draw_line_gaps(axes, {"": curve}),
        Line2D([], [], label="measured", color=COLOURS.loss),
        Line2D([], [], label="predicted by slope and eigenvalue", **dashed),
    ]
    if np.isfinite(curve.error).any():
        low, high = curve.y - curve.error, curve.y + curve.error
        low = np.maximum(low, limits.low) if log else low
        look: dict[str, Any] = {
            "color": COLOURS.loss,
            "alpha": 0.22,
            "linewidth": 0,
            "label": "± 1 standard error",
        }
        handles.append(axes.fill_between(curve.x, low, high, zorder=2, **look))
    for mark in marks(part):
        loss = mark.values.get("loss", np.nan)
        axes.axvline(mark.coordinates[0], color=COLOURS.quiet, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
        if np.isfinite(loss):
            axes.plot(mark.coordinates, [max(loss, limits.low)], zorder=6, gid=mark.name, **mark.look(7.0))
    return handles


def _parts(lines: Mapping[str, Landscape], names: Mapping[str, str], split: str) -> dict[str, Landscape]:
    """One split of each line, checked."""
    if not lines:
        raise ValueError("lines must hold at least one line, got none")
    parts = {}
    for label, line in lines.items():
        if len(line.shape) != 1:
            raise ValueError(f"lines must be lines, got shape {line.shape} for {label!r}")
        if label not in names:
            raise ValueError(f"names must name the panel of every line, got none for {label!r}")
        parts[label] = line.split(split)
        if PREDICTED not in parts[label].values:
            raise ValueError(
                f"lines must have the value {PREDICTED!r}, got {list(line.values)} for {label!r}"
            )
    return parts
