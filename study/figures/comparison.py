"""Landscapes of several runs beside each other: lines over one another, planes in panels of one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from study.figures.curve import Curve
from study.figures.layout import layout
from study.figures.marks import Mark, marks, name_above
from study.figures.overlay import (
    END,
    ERROR,
    Limits,
    check_runs,
    draw_curve,
    legend_entries,
    set_value_axis,
)
from study.figures.panels import compose_panels, hide_labels, looks, name_panel, panel_grid, span
from study.figures.style import COLOURS, STROKES, name_coordinate, styled, unit
from study.landscape.result import Landscape

FEW = 6
"""So many runs, or pairs, have bands of one standard error; more would cover one another."""

SIZES = {"linewidth": 0.9, "markersize": 2.6}
"""Of a curve and its markers, in points."""


class Run(NamedTuple):
    """One curve of a panel: the run's label, its line of one split, and how it is drawn."""

    label: str
    part: Landscape
    look: dict[str, Any]


def overlaid_lines(
    landscapes: Mapping[str, Landscape],
    groups: Mapping[str, str],
    *,
    title: str,
    caption: str,
    parameter_label: str,
) -> Figure:
    """Loss, and accuracy below it, of several runs along their lines: a column for each split.

    A configuration has one colour and one marker, whatever the seed. The loss axis is logarithmic where the
    losses of all runs together span decades. Special points that all runs have at one place are named above.
    Up to six runs have a band of one standard error on either side.

    Args:
        landscapes: over lines, by the run's label; their ranges may differ.
        groups: the configuration of each label.
        title: above the picture.
        caption: below it.
        parameter_label: of the horizontal axis, such as `α`.

    Raises:
        ValueError: if there is no landscape, one is not over a line, or one has no configuration.
    """
    _check_lines(landscapes, groups)
    look = looks([groups[label] for label in landscapes])
    strokes = _strokes(landscapes)
    panels: dict[str, list[Run]] = {name: [] for name in strokes}
    for label, landscape in landscapes.items():
        for name in landscape.splits:
            own = look[groups[label]] | {"linestyle": strokes[name], **SIZES}
            panels[name].append(Run(label, landscape.split(name), own))
    handles = legend_entries(look, {})
    return _line_panels(
        panels,
        ("loss", "accuracy"),
        handles,
        title=title,
        caption=caption,
        parameter_label=parameter_label,
        band=len(landscapes) <= FEW,
    )


def between_figure(
    pairs: Mapping[str, Landscape], groups: Mapping[str, str], *, title: str, caption: str
) -> Figure:
    """Loss, and error below it, between the minima of two runs: θ(α) = θˢ + α (θˡ − θˢ).

    A column of panels for each group, at most four beside each other, all on the same axes; a thin line for
    each pair, of one colour where the words that follow the group's name (the seed) are the same. The first
    split is solid, the next dashed. Up to six pairs have a band of one standard error on either side.

    Args:
        pairs: over lines, by the pair's label.
        groups: the two configurations of each label, in words.
        title: above the picture.
        caption: below it.

    Raises:
        ValueError: if there is no pair, one is not over a line, or one has no group.
    """
    _check_lines(pairs, groups)
    words = {label: label.removeprefix(groups[label]).strip(" ,:") or label for label in pairs}
    look = looks(list(words.values()))
    strokes = _strokes(pairs)
    panels: dict[str, list[Run]] = {}
    for label, landscape in pairs.items():
        for name in landscape.splits:
            own = look[words[label]] | {"linestyle": strokes[name], **SIZES}
            panels.setdefault(groups[label], []).append(Run(label, landscape.split(name), own))
    named = {name: stroke for name, stroke in strokes.items() if name}
    handles = legend_entries(look, named)
    return _line_panels(
        panels,
        ("loss", "error"),
        handles,
        title=title,
        caption=caption,
        parameter_label="α",
        guides=(0, 1),
        band=len(pairs) <= FEW,
    )


def _line_panels(
    panels: Mapping[str, Sequence[Run]],
    values: Sequence[str],
    handles: Sequence[Artist],
    *,
    title: str,
    caption: str,
    parameter_label: str,
    band: bool = False,
    guides: Sequence[float] = (),
) -> Figure:
    """Panels of curves, a row for each of `values` that any run has, all on the same axes."""
    runs = [run for each in panels.values() for run in each]
    kept = [value for value in values if any(_stored(value) in run.part.values for run in runs)]
    across = span(run.part for run in runs)
    columns = layout().columns(min(len(panels), 4))
    blocks = -(-len(panels) // columns)
    notes: list[Artist] = []
    with styled():
        figure, grid = panel_grid(len(panels), columns, len(kept))
        above = 0.0
        for row, value in enumerate(kept):
            curves = {id(run): _curve(run.part, value) for run in runs if _stored(value) in run.part.values}
            limits = _limits(value, np.concatenate([curve.y for curve in curves.values()]))
            for index, (name, own) in enumerate(panels.items()):
                axes = grid[index * len(kept) + row]
                _set_axes(axes, value, runs[0].part.loss_unit, across, limits, parameter_label)
                for run in own:
                    if id(run) in curves:
                        notes += _draw(axes, curves[id(run)], run, limits, band=band and value == "loss")
                named = _common_marks(own)
                for at in dict.fromkeys([*guides, *(mark.coordinates[0] for mark in named)]):
                    axes.axvline(at, color=COLOURS.quiet, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
                if row == 0:
                    room = (figure.get_figwidth() - 0.6) / columns - 0.2
                    more = name_above(axes, named, room)
                    above = max(above, more)
                    pad = 4.0 + (10.0 if named else 0.0) + 72.0 * more
                    name_panel(axes, name, room, weight="bold", pad=pad)
                hide_labels(axes, x=row < len(kept) - 1, y=index % columns > 0)
        lost = {run.label for run in runs if Curve.of(run.part, "loss").diverged.any()}
        if lost:
            words = "1 run diverges" if len(lost) == 1 else f"{len(lost)} runs diverge"
            notes.append(Line2D([], [], label=f"{words} in places (the curve ends at ×)", **END))
        body = blocks * (1.55 * len(kept) + 0.6 + above)
        entries = [*handles, *notes]
        compose_panels(figure, title=title, caption=caption, handles=entries, body_height=body)
    return figure


def _draw(axes: Axes, curve: Curve, run: Run, limits: Limits, *, band: bool) -> list[Artist]:
    """Draw a run's curve, with a band of one standard error if asked; returns entries for the legend."""
    notes = draw_curve(axes, run.label, curve.x, curve.y, curve.diverged, limits, run.look)
    if band and np.isfinite(curve.error).any():
        down = curve.y - curve.error
        down = np.maximum(down, limits.low) if limits.log else down
        colour = run.look["color"]
        axes.fill_between(
            curve.x, down, curve.y + curve.error, color=colour, alpha=0.2, linewidth=0, zorder=2
        )
        notes.append(Patch(color=COLOURS.quiet, alpha=0.3, linewidth=0, label="± 1 standard error"))
    return notes


def _strokes(landscapes: Mapping[str, Landscape]) -> dict[str, Any]:
    """The stroke of each split that any landscape has."""
    return dict(
        zip(dict.fromkeys(name for each in landscapes.values() for name in each.splits), cycle(STROKES))
    )


def _stored(value: str) -> str:
    """The name in a landscape of what a row shows."""
    return "accuracy" if value == "error" else value


def _curve(part: Landscape, value: str) -> Curve:
    """The curve of a row: the loss in its unit, the accuracy or the error in percent."""
    curve = Curve.of(part, _stored(value), 1.0 if value == "loss" else 100.0)
    return replace(curve, y=100.0 - curve.y) if value == "error" else curve


def _limits(value: str, y: np.ndarray) -> Limits:
    """The axis of a row, for all values of its panels."""
    return Limits(-4.0, 104.0, log=False) if value == "accuracy" else Limits.about(y, linear=value != "loss")


def _set_axes(
    axes: Axes, value: str, loss_unit: str, across: tuple[float, float], limits: Limits, label: str
) -> None:
    axes.set_xlim(across)
    set_value_axis(axes, limits, ERROR if value == "error" else unit(value, loss_unit))
    if value == "accuracy":
        axes.set_yticks([0, 20, 40, 60, 80, 100])
    name_coordinate(axes.xaxis, label)


def _common_marks(runs: Sequence[Run]) -> list[Mark]:
    """The special points that all runs have, of one name at one place."""
    every = [{(name, point.coordinates) for name, point in run.part.points.items()} for run in runs]
    shared = dict(set.intersection(*every))
    first = runs[0].part
    return marks(replace(first, points={name: first.points[name] for name in first.points if name in shared}))


def _check_lines(landscapes: Mapping[str, Landscape], groups: Mapping[str, str]) -> None:
    check_runs("landscapes", landscapes, groups)
    for label, landscape in landscapes.items():
        if len(landscape.shape) != 1:
            raise ValueError(f"landscapes must be lines, got shape {landscape.shape} for {label!r}")
