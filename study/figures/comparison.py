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
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter

from study.figures.curve import Curve
from study.figures.marks import Mark, marks, name_above
from study.figures.panels import (
    Looks,
    compose_panels,
    hide_labels,
    looks,
    name_panel,
    panel_grid,
    span,
    value_range,
)
from study.figures.scale import spans_decades
from study.figures.style import (
    COLOURS,
    MARKERS,
    STROKES,
    UNITS,
    fold_offset,
    name_coordinate,
    styled,
)
from study.landscape.result import Landscape

AXES = {**UNITS, "error": "error (%)"}
"""What each row of line panels is called."""

END: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": 3.5, "color": COLOURS.ink}
"""Where a curve ends because the loss beyond is not finite."""

ZERO: dict[str, Any] = {"linestyle": "none", "marker": "v", "markersize": 4.0, "color": COLOURS.ink}
"""Where the loss is 0 and the axis logarithmic: at its lower edge."""


class Run(NamedTuple):
    """One curve of a panel: the run's label, its line of one split, and its colour, stroke and marker."""

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
            own = look[groups[label]] | {"linestyle": strokes[name]}
            panels[name].append(Run(label, landscape.split(name), own))
    handles = _configurations(look)
    return _line_panels(
        panels,
        ("loss", "accuracy"),
        handles,
        title=title,
        caption=caption,
        parameter_label=parameter_label,
        band=len(landscapes) <= 6,
    )


def between_figure(
    pairs: Mapping[str, Landscape], groups: Mapping[str, str], *, title: str, caption: str
) -> Figure:
    """Loss, and error below it, between the minima of two runs: θ(α) = θˢ + α (θˡ − θˢ).

    A column of panels for each group, at most four beside each other, all on the same axes; a thin line for
    each pair, of one colour where the words that follow the group's name (the seed) are the same. The first
    split is solid, the next dashed.

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
            own = look[words[label]] | {"linestyle": strokes[name]}
            panels.setdefault(groups[label], []).append(Run(label, landscape.split(name), own))
    handles = _configurations(look)
    handles += [
        Line2D([], [], label=name, color=COLOURS.ink, linewidth=1.0, linestyle=stroke)
        for name, stroke in strokes.items()
        if name
    ]
    return _line_panels(
        panels, ("loss", "error"), handles, title=title, caption=caption, parameter_label="α", guides=(0, 1)
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
    limits = span(run.part for run in runs)
    columns = min(len(panels), 4)
    blocks = -(-len(panels) // columns)
    notes: list[Artist] = []
    with styled():
        figure, grid = panel_grid(len(panels), columns, len(kept))
        above = 0.0
        for row, value in enumerate(kept):
            curves = {id(run): _curve(run.part, value) for run in runs if _stored(value) in run.part.values}
            scale = _limits(value, np.concatenate([curve.y for curve in curves.values()]))
            for index, (name, own) in enumerate(panels.items()):
                axes = grid[index * len(kept) + row]
                _set_axes(axes, value, limits, scale, parameter_label)
                for run in own:
                    if id(run) in curves:
                        notes += _draw(axes, curves[id(run)], run, scale, band=band and value == "loss")
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


def _draw(
    axes: Axes, curve: Curve, run: Run, scale: tuple[float, float, bool], *, band: bool
) -> list[Artist]:
    """Draw a run's curve, a dot where no line reaches a value, a cross where it ends before a divergence."""
    low, _, log = scale
    y = np.where(curve.y <= 0, low, curve.y) if log else curve.y
    spacing = max(1, len(y) // 6)
    axes.plot(
        curve.x, y, label=run.label, gid=run.label, linewidth=0.9, zorder=3, markersize=2.6,
        markevery=(2 * MARKERS.index(run.look["marker"]) % spacing, spacing), **run.look,
    )  # fmt: skip
    colour = run.look["color"]
    lost = np.concatenate([[False], curve.diverged, [False]])
    zero = log & (curve.y <= 0)
    for at, look in (
        (curve.alone, {"marker": "o", "markersize": 2.6}),
        (np.isfinite(y) & (lost[:-2] | lost[2:]), END),
        (zero, {**ZERO, "clip_on": False}),
    ):
        if at.any():
            axes.plot(curve.x[at], y[at], zorder=5, **{**look, "color": colour, "linestyle": "none"})
    notes: list[Artist] = [Line2D([], [], label="loss 0, off the scale", **ZERO)] if zero.any() else []
    if band and np.isfinite(curve.error).any():
        down = np.maximum(curve.y - curve.error, low) if log else curve.y - curve.error
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


def _configurations(look: Looks) -> list[Artist]:
    """The legend's entries for configurations."""
    return [Line2D([], [], label=name, linewidth=1.0, markersize=3.0, **own) for name, own in look.items()]


def _stored(value: str) -> str:
    """The name in a landscape of what a row shows."""
    return "accuracy" if value == "error" else value


def _curve(part: Landscape, value: str) -> Curve:
    """The curve of a row: the loss in nats, the accuracy or the error in percent."""
    curve = Curve.of(part, _stored(value), 1.0 if value == "loss" else 100.0)
    return replace(curve, y=100.0 - curve.y) if value == "error" else curve


def _limits(value: str, y: np.ndarray) -> tuple[float, float, bool]:
    """Limits of a row's axis, and whether it is logarithmic, for all values of its panels."""
    if value == "accuracy":
        return -4.0, 104.0, False
    log = value == "loss" and spans_decades(y)
    return *value_range(y, log=log), log


def _set_axes(
    axes: Axes, value: str, across: tuple[float, float], scale: tuple[float, float, bool], label: str
) -> None:
    low, high, log = scale
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=7))
        axes.yaxis.set_major_formatter(LogFormatterMathtext())
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlim=across, ylim=(low, high), ylabel=AXES[value])
    if value == "accuracy":
        axes.set_yticks([0, 20, 40, 60, 80, 100])
    fold_offset(axes.yaxis, "\n")
    name_coordinate(axes.xaxis, label)


def _common_marks(runs: Sequence[Run]) -> list[Mark]:
    """The special points that all runs have, of one name at one place."""
    every = [{(name, point.coordinates) for name, point in run.part.points.items()} for run in runs]
    shared = dict(set.intersection(*every))
    first = runs[0].part
    return marks(replace(first, points={name: first.points[name] for name in first.points if name in shared}))


def _check_lines(landscapes: Mapping[str, Landscape], groups: Mapping[str, str]) -> None:
    if not landscapes:
        raise ValueError("landscapes must hold at least one run, got none")
    for label, landscape in landscapes.items():
        if len(landscape.shape) != 1:
            raise ValueError(f"landscapes must be lines, got shape {landscape.shape} for {label!r}")
        if label not in groups:
            raise ValueError(f"groups must name the configuration of every run, got none for {label!r}")
