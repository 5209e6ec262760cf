"""Filled contours of a plane: alpha along x, beta along y."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize, to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.figures.gaps import draw_plane_gaps, gap_boxes
from study.figures.isolines import label_isolines
from study.figures.layout import WIDTH, layout
from study.figures.marks import EVALUATED, Cells, Mark, marks, name_marks
from study.figures.path import between_ends, check_path, draw_path, path_boxes
from study.figures.quantity import Quantity, Value, quantity
from study.figures.scale import Scale, labels, levels
from study.figures.style import (
    COLOURS,
    GREEK,
    compose,
    name_coordinate,
    new_figure,
    styled,
    unit,
    wrap,
)
from study.landscape.result import Landscape

BESIDE = 1.0
"""About how many inches stand beside the axes; their labels are wrapped so as not to be much longer."""

__all__ = ["check_plane", "contour_figure", "draw_colour_bar", "draw_plane", "levels"]


def contour_figure(
    landscape: Landscape,
    *,
    split: str,
    title: str,
    caption: str,
    value: Value = "loss",
    path: np.ndarray | None = None,
    axis_labels: Mapping[str, str] = GREEK,
    warning: str | None = None,
) -> Figure:
    """Filled contours and labelled isolines of one split over a plane.

    Levels are 1, 2, 5 times powers of ten, or powers of ten, where the loss spans decades, and even
    otherwise. Cells that diverged are hatched; where some cells are interpolated, the evaluated ones are
    dotted. A special point whose value lies beyond the colours is named with it in the legend.

    Args:
        landscape: over a plane of at least 2 by 2 points.
        split: one of `landscape.splits`.
        title: above the picture.
        caption: below it.
        value: what to draw: `loss` or `loss_standard_deviation` in its unit, `accuracy` in percent, or
            `eigenvalue_ratio`.
        path: (α, β) of an optimiser's checkpoints, (K, 2), drawn over the plane with its two ends marked;
            special points at the checkpoints between them are neither marked nor named.
        axis_labels: of the axes, by their names in the landscape.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if the landscape is no such plane, or lacks the split or the value, or the path is none.
    """
    plane = check_plane(landscape, split)
    drawn = quantity(plane, value)
    if path is not None:
        path = check_path(path)
        plane = between_ends(plane, path)
    with styled():
        chosen = levels(drawn.drawn(plane), log=drawn.log)
        figure = new_figure(3.0)
        axes = figure.add_subplot()
        across = layout().width - BESIDE
        rooms = (1.1 * across, across * (_ratio(plane) or 0.8))
        names = {
            name: wrap(figure, axis_labels.get(name, name), size=layout().label_size, width=room)
            for name, room in zip(plane.axes, rooms, strict=True)
        }
        fills, lines, handles = draw_plane(axes, plane, chosen, value, names, path)
        if fills is not None:
            label = unit(value, landscape.loss_unit, split if len(landscape.splits) > 1 else "")
            if value == "loss_standard_deviation":  # longer than a bar is high
                label = label.replace(" (", "\n(")
            draw_colour_bar(figure, axes, fills, chosen, label)
        compose(
            figure,
            title=title,
            caption=caption,
            handles=handles,
            body_height=layout().tall(0.7 * WIDTH),
            ratio=_ratio(plane),
            warning=warning,
        )
        clear_of = [] if path is None else path_boxes(axes, path)
        taken = name_marks(axes, _with_values(plane, drawn, coloured=fills is not None), clear_of)
        if lines is not None:
            label_isolines(axes, lines, labels(chosen), taken + gap_boxes(axes, plane, drawn))
    return figure


def check_plane(landscape: Landscape, split: str) -> Landscape:
    """One split of a landscape over a plane.

    Raises:
        ValueError: if the landscape is no plane of at least 2 by 2 points, or lacks the split.
    """
    if len(landscape.shape) != 2 or min(landscape.shape) < 2:
        raise ValueError(f"landscape must be a plane of at least 2 by 2 points, got shape {landscape.shape}")
    return landscape.split(split)


def draw_plane(
    axes: Axes,
    plane: Landscape,
    chosen: np.ndarray,
    value: Value = "loss",
    axis_labels: Mapping[str, str] = GREEK,
    path: np.ndarray | None = None,
) -> tuple[QuadContourSet | None, QuadContourSet | None, list[Artist]]:
    """Draw one split's plane on axes, at levels that other axes may share.

    Args:
        axes: empty.
        plane: of one split.
        chosen: increasing levels, from `levels`.
        value: which to draw.
        axis_labels: of the axes, by their names in the landscape.
        path: (α, β) of an optimiser's checkpoints, (K, 2).

    Returns:
        the filled contours (None where no square of the grid has three finite corners), the isolines (None
        without any), and the legend's entries: for diverged, missing and interpolated cells, and for special
        points beyond the colours. Colour bar and labels are left to the caller.
    """
    drawn = quantity(plane, value)
    cells, shown = drawn.cells(plane), drawn.of(plane)
    x, y = plane.axes.values()
    handles = draw_plane_gaps(axes, plane, drawn)
    fills = lines = None
    if _has_area(cells.drawn):
        scale = _scale(chosen)
        places = np.ma.masked_invalid(
            np.where(cells.drawn, scale.place(shown), np.nan)
        ).T  # α along x, β along y
        at = scale.place(chosen)
        colours = mpl.colormaps[drawn.colours]
        norm = Normalize(at[0], at[-1])
        fills = axes.contourf(
            x, y, places, levels=at, cmap=colours, norm=norm, extend=_extend(places, at), zorder=2
        )
        if np.ma.allclose(places, places.min(), rtol=1e-9, atol=0.0):
            constant = float(shown[cells.drawn][0])
            layer = max(int(np.searchsorted(at, places.min())), 1)
            look = colours(norm(at[layer - 1 : layer + 1].mean()))
            handles.append(Patch(color=look, label=f"constant: {constant:.4g}"))
        else:
            ink = [_contrast(colours(norm(level))) for level in at]
            lines = axes.contour(
                x,
                y,
                places,
                levels=at,
                colors=ink,
                linewidths=0.5,
                linestyles="solid",
                zorder=3,
                negative_linestyles="solid",
            )
        if scale.below(np.where(cells.drawn, shown, np.nan)).any():
            handles.append(Patch(color=colours(0.0), label=f"{drawn.short} 0, below the scale"))
        handles += _beyond(plane, chosen, drawn)
    handles += _draw_evaluated(axes, x, y, cells)
    draw_marks(axes, marks(plane))
    known: list[Sequence[float]] = [mark.coordinates for mark in marks(plane)]
    if path is not None:
        draw_path(axes, path)
        known += path.tolist()
    xs, ys = [x[0], x[-1], *(at for at, _ in known)], [y[0], y[-1], *(at for _, at in known)]
    axes.set(xlim=(min(xs), max(xs)), ylim=(min(ys), max(ys)))
    if _ratio(plane) is not None:
        axes.set_aspect("equal")
    names = [axis_labels.get(name, name) for name in plane.axes]
    for axis, name in zip((axes.xaxis, axes.yaxis), names, strict=True):
        name_coordinate(axis, name)
    return fills, lines, handles


def draw_marks(axes: Axes, found: list[Mark]) -> None:
    """Draw the special points on a plane, whichever colours lie below them."""
    for mark in found:
        axes.plot(
            *([coordinate] for coordinate in mark.coordinates),
            clip_on=False,
            zorder=6,
            **mark.look(8.0),
        )


def draw_colour_bar(
    figure: Figure,
    axes: Axes | list[Axes],
    fills: QuadContourSet,
    chosen: np.ndarray,
    label: str,
) -> Colorbar:
    """A colour bar with every level labelled, for one picture or for several that share their levels."""
    bar = figure.colorbar(fills, ax=axes, pad=0.03, fraction=0.06, aspect=22, use_gridspec=False)
    bar.set_ticks(list(_scale(chosen).place(chosen)), labels=labels(chosen))
    bar.ax.minorticks_off()
    bar.ax.tick_params(length=2)
    bar.set_label(label)
    return bar


def _scale(chosen: np.ndarray) -> Scale:
    """The scale that levels are for: logarithmic where their steps are not even."""
    steps = np.diff(chosen)
    even = np.allclose(steps, steps[0], rtol=1e-3, atol=0.0)
    return Scale.of(chosen, log=not even and bool(chosen[0] > 0))


def _extend(places: np.ndarray, at: np.ndarray) -> Literal["neither", "min", "max", "both"]:
    below, above = bool((places < at[0]).any()), bool((places > at[-1]).any())
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"


def _has_area(known: np.ndarray) -> bool:
    """Whether contours can be drawn of known cells (A, B): some square has at least three known corners."""
    corners = known.astype(int)
    return bool((corners[:-1, :-1] + corners[1:, :-1] + corners[:-1, 1:] + corners[1:, 1:] >= 3).any())


def _contrast(colour: tuple[float, float, float, float]) -> str:
    """Black on light colours, white on dark ones."""
    luminance = float(np.dot(colour[:3], (0.299, 0.587, 0.114)))
    return to_hex(COLOURS.ink if luminance > 0.45 else COLOURS.paper)


def _ratio(plane: Landscape) -> float | None:
    """Height over width where both ranges are of one scale, within a factor of 2; None otherwise."""
    width, height = (abs(float(axis[-1] - axis[0])) for axis in plane.axes.values())
    return height / width if 0.5 <= height / width <= 2.0 else None


def _draw_evaluated(axes: Axes, x: np.ndarray, y: np.ndarray, cells: Cells) -> list[Artist]:
    """Dot the evaluated cells where others are interpolated."""
    if not cells.interpolated.any():
        return []
    rows, columns = np.nonzero(cells.drawn & ~cells.interpolated)
    look: dict[str, Any] = {
        "marker": "o",
        "markersize": 1.6,
        "markerfacecolor": COLOURS.paper,
        "markeredgecolor": COLOURS.ink,
        "markeredgewidth": 0.3,
    }
    axes.plot(x[rows], y[columns], linestyle="none", zorder=4, clip_on=False, **look)
    return [Line2D([], [], linestyle="none", label=EVALUATED, **look)]


def _with_values(plane: Landscape, drawn: Quantity, *, coloured: bool) -> list[Mark]:
    """The special points; a few without a cell's colour to read have their values beside their names."""
    named = marks(plane)
    if len(named) > 3:
        return named

    def words(mark: Mark) -> str:
        on_grid = all(at in axis for at, axis in zip(mark.coordinates, plane.axes.values(), strict=True))
        known = drawn.name in mark.values and (coloured or np.isfinite(drawn.at(mark)))
        return f"{mark.name}: {drawn.words(mark)}" if known and not (on_grid and coloured) else mark.name

    return [replace(mark, name=words(mark)) for mark in named]


def _beyond(plane: Landscape, chosen: np.ndarray, drawn: Quantity) -> list[Artist]:
    """The legend's entries for the special points whose values the colours do not reach."""
    handles: list[Artist] = []
    for mark in marks(plane):
        number = drawn.at(mark)
        side = "below" if number < chosen[0] else "above" if number > chosen[-1] else None
        if side is not None:
            label = f"{mark.name}: {drawn.words(mark)}, {side} the colour scale"
            handles.append(Line2D([], [], label=label, **mark.look(8.0)))
    return handles
