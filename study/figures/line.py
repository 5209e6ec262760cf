"""Loss and accuracy along a line."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory

from study.figures.beside import check_others, draw_others, within_reach
from study.figures.curve import Curve
from study.figures.gaps import draw_line_gaps
from study.figures.layout import layout
from study.figures.marks import EVALUATED, Cells, Mark, marks, name_above
from study.figures.scale import Scale
from study.figures.style import (
    COLOURS,
    STROKES,
    UNITS,
    compose,
    fold_offset,
    name_coordinate,
    new_figure,
    styled,
    unit,
)
from study.landscape.result import Landscape

HEIGHT = 2.3
"""Height of the axes with their labels, in inches."""


def line_figure(
    landscape: Landscape,
    *,
    title: str,
    caption: str,
    parameter_label: str,
    others: Mapping[str, Landscape] = {},
    warning: str | None = None,
) -> Figure:
    """Loss (left axis) and accuracy (right axis) of every split along a line.

    The curves run through the special points, which are named above the picture. The loss axis is logarithmic
    where the positive losses of all splits span decades and none is negative. The gap in a curve
    that diverged is hatched; where some cells are interpolated, the evaluated ones are dotted; a band shows
    one standard error on either side. Others beside it are thinner and paler, named in the legend; the axis
    holds as much of them as `beside.within_reach` says, and cuts the rest off at its edge.

    Args:
        landscape: over a line.
        title: above the picture.
        caption: below it.
        parameter_label: of the horizontal axis, such as `α`.
        others: at most two more lines over the same axis, by their names in the legend.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if the landscape is not over a line, or another is not over the same axis, or lacks a
            split, or there are too many.
    """
    if len(landscape.shape) != 1:
        raise ValueError(f"landscape must be a line, got shape {landscape.shape}")
    check_others(landscape, others)
    splits = {name: landscape.split(name) for name in landscape.splits}
    (x,) = landscape.axes.values()
    with styled():
        figure = new_figure(layout().tall(HEIGHT))
        axes = figure.add_subplot()
        curves = {name: Curve.of(part, "loss") for name, part in splits.items()}
        further = {name: {split: other.split(split) for split in splits} for name, other in others.items()}
        parts = [part for own in further.values() for part in own.values()]
        y = np.concatenate([curve.y for curve in curves.values()])
        seen = np.concatenate([y, *(within_reach(y, Curve.of(part, "loss").y) for part in parts)])
        scale = Scale.of(seen)
        limits = _scale_axis(axes, seen, scale)
        handles = draw_line_gaps(axes, curves)
        for (name, curve), stroke in zip(curves.items(), cycle(STROKES)):
            handles += _draw_loss(axes, curve, name, stroke, limits if scale.log else None)
        right = _accuracy_axis(axes, [*splits.values(), *parts])
        handles += _draw_accuracy(right, splits)
        handles += draw_others(axes, right, further)
        if any(Cells.of(part).interpolated.any() for part in splits.values()):
            handles.append(_dot(EVALUATED))
        named = marks(next(iter(splits.values())))
        _draw_marks(axes, figure.axes[-1], named, splits, limits)
        places = [*x, *(mark.coordinates[0] for mark in named)]
        if min(places) < max(places):
            axes.set_xlim(min(places), max(places))
        axes.set_ylabel(unit("loss", landscape.loss_unit))
        name_coordinate(axes.xaxis, parameter_label)
        fold_offset(axes.yaxis)
        height = layout().tall(HEIGHT) + name_above(axes, named, layout().width - 1.0)
        compose(
            figure,
            title=title,
            caption=caption,
            handles=_legend_entries(handles),
            body_height=height,
            warning=warning,
        )
    return figure


def _scale_axis(axes: Axes, y: np.ndarray, scale: Scale) -> tuple[float, float]:
    """Set the scale and the limits of the loss axis about the losses `y`; returns the limits."""
    finite = y[np.isfinite(y)]
    if not finite.size:
        axes.set_ylim(0.0, 1.0)
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "no finite loss",
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=layout().small_size,
        )
        return 0.0, 1.0
    if scale.log:
        positive = np.log10(finite[finite > 0])
        low, high = positive.min(), positive.max()
        margin = 0.05 * (high - low)
        limits = (float(10 ** max(low - margin, -307.0)), float(10 ** min(high + margin, 308.0)))
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(LogFormatterMathtext())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        low, high = float(finite.min()), float(finite.max())
        margin = (
            0.05 * (high - low) if high - low > 1e-9 * max(abs(low), abs(high)) else 0.1 * abs(high) or 1.0
        )
        limits = (low - margin, high + margin)
    axes.set_ylim(*limits)
    return limits


def _draw_loss(
    axes: Axes, curve: Curve, name: str, stroke: object, limits: tuple[float, float] | None
) -> list[Artist]:
    """Draw one loss curve with its band; on a logarithmic axis (its limits given) zeros are at its edge."""
    handles: list[Artist] = []
    y = curve.y if limits is None else np.where(curve.y <= 0, limits[0], curve.y)
    label = f"{name} loss".strip()
    (drawn,) = axes.plot(curve.x, y, color=COLOURS.loss, linestyle=stroke, zorder=3, label=label, gid=label)
    handles.append(drawn)
    if np.isfinite(curve.error).any():
        low, high = curve.y - curve.error, curve.y + curve.error
        low = low if limits is None else np.where(low <= limits[0], limits[0], low)
        handles.append(
            axes.fill_between(
                curve.x,
                low,
                high,
                color=COLOURS.loss,
                alpha=0.22,
                linewidth=0,
                zorder=2,
                label="± 1 standard error",
            )
        )
    _draw_cells(axes, curve, y, COLOURS.loss)
    if limits is not None and (curve.y <= 0).any():
        zero = curve.y <= 0
        look: dict[str, Any] = {
            "marker": "v",
            "markersize": 4.5,
            "color": COLOURS.loss,
            "markeredgecolor": COLOURS.paper,
            "markeredgewidth": 0.5,
        }
        axes.plot(curve.x[zero], y[zero], linestyle="none", clip_on=False, zorder=5, **look)
        handles.append(Line2D([], [], linestyle="none", label="loss 0, off the scale", **look))
    return handles


def _accuracy_axis(axes: Axes, parts: Sequence[Landscape]) -> Axes | None:
    """An axis on the right for the accuracies, where there are any."""
    if not any("accuracy" in part.values for part in parts):
        return None
    right = axes.twinx()
    right.set_ylim(-4.0, 104.0)
    right.set_yticks([0, 20, 40, 60, 80, 100])
    right.set_ylabel(UNITS["accuracy"], color=COLOURS.accuracy)
    right.tick_params(axis="y", colors=COLOURS.accuracy)
    axes.yaxis.label.set_color(COLOURS.loss)
    axes.tick_params(axis="y", which="both", colors=COLOURS.loss)
    return right


def _draw_accuracy(right: Axes | None, splits: dict[str, Landscape]) -> list[Artist]:
    """Draw the accuracies on the axis of their own, where there are any."""
    handles: list[Artist] = []
    if right is None:
        return handles
    for (name, part), stroke in zip(splits.items(), cycle(STROKES)):
        if "accuracy" not in part.values:
            continue
        curve = Curve.of(part, "accuracy", factor=100.0)
        label = f"{name} accuracy".strip()
        look: dict[str, Any] = {
            "color": COLOURS.accuracy,
            "linestyle": stroke,
            "linewidth": 0.8,
            "marker": "s",
            "markersize": 2.6,
        }
        right.plot(
            curve.x, curve.y, markevery=max(1, len(curve.x) // 10), zorder=3, gid=label, label=label, **look
        )
        handles.append(Line2D([], [], label=label, **look))
        _draw_cells(right, curve, curve.y, COLOURS.accuracy)
    return handles


def _draw_cells(axes: Axes, curve: Curve, y: np.ndarray, colour: str) -> None:
    """A dot on each value that no line reaches, hollow if it is interpolated; and a small one on each
    evaluated cell where others are interpolated.
    """
    evaluated = curve.on_grid & ~curve.hollow & curve.hollow.any()
    for at, dot in (
        (evaluated & ~curve.alone, _dot(EVALUATED, colour=colour)),
        (curve.alone & ~curve.hollow, _dot("", colour=colour)),
        (curve.alone & curve.hollow, _dot("", colour=colour, face=COLOURS.paper)),
    ):
        if at.any():
            dot.set_data(curve.x[at], y[at])
            dot.set_zorder(4)
            axes.add_line(dot)


def _dot(label: str, *, colour: str = COLOURS.ink, face: str | None = None) -> Line2D:
    """A dot; a small one, white within, if it is labelled."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=2.0 if label else 3.0,
        markerfacecolor=COLOURS.paper if label else face or colour,
        markeredgecolor=colour,
        markeredgewidth=0.5 if label else 0.7,
        label=label,
    )


def _draw_marks(
    axes: Axes, top: Axes, named: list[Mark], splits: dict[str, Landscape], limits: tuple[float, float]
) -> None:
    """Mark the special points on every loss curve of `axes`, by artists of `top`, which is drawn last."""
    for mark in named:
        axes.axvline(mark.coordinates[0], color=COLOURS.quiet, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
    for part in splits.values():
        for mark in marks(part):
            loss = mark.values.get("loss", np.nan)
            finite = bool(np.isfinite(loss))
            upright = axes.transData if finite else axes.transAxes
            drawn = Line2D(
                mark.coordinates,
                [max(loss, limits[0]) if finite else 1.0],
                transform=blended_transform_factory(axes.transData, upright),
                clip_on=False,
                zorder=6,
                gid=mark.name,
                **mark.look(7.0) | ({} if finite else {"marker": "x"}),
            )
            top.add_artist(drawn)


def _legend_entries(handles: list[Artist]) -> list[Artist]:
    """The legend's entries in two columns, losses first in one and accuracies in the other, none repeated."""
    found: dict[str, Artist] = {}
    for handle in handles:
        found.setdefault(str(handle.get_label()), handle)
    curves = {
        value: [handle for label, handle in found.items() if label.split()[-1] == value]
        for value in ("loss", "accuracy")
    }
    rest = [handle for handle in found.values() if handle not in [*curves["loss"], *curves["accuracy"]]]
    fill = -(-len(found) // 2) - len(curves["loss"])
    return [*curves["loss"], *rest[:fill], *curves["accuracy"], *rest[fill:]]
