"""What training reached: losses, errors and weight norms of several runs, by epoch and by update."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from study.figures.layout import layout
from study.figures.overlay import (
    END,
    ERROR,
    Limits,
    check_runs,
    draw_curve,
    legend_entries,
    set_value_axis,
)
from study.figures.panels import ALONE, compose_panels, hide_labels, looks, panel_grid, value_range
from study.figures.style import STROKES, fold_offset, styled, unit
from study.landscape.result import NATS

TIMES = {"epoch": "training (epochs)", "update": "training (updates)"}
"""Columns of time, a column of panels each, and what their axes are called."""

CURVES = dict(
    zip(("train", "test", "train, averaged weights", "test, averaged weights"), STROKES, strict=True)
)
"""What is drawn of a run, and its stroke."""


def _of_splits(name: str) -> dict[str, str]:
    """Columns of a loss or a score, each with the curve whose stroke it has."""
    columns = (f"{split}/{prefix}{name}" for prefix in ("", "averaged_") for split in ("train", "test"))
    return dict(zip(columns, CURVES, strict=True))


ROWS: dict[str, dict[str, str]] = {
    "loss": _of_splits("loss"),
    ERROR: _of_splits("accuracy"),
    "R²": _of_splits("r2"),
    "weight norm ‖θ‖ (L2)": {"weights/norm": "train"},
}
"""What each row of panels is called, and its columns, each with the curve whose stroke it has."""

LINEAR = (ERROR, "R²")
"""Rows whose axis is never logarithmic."""

SIZES = {"linewidth": 0.8, "markersize": 2.4}
"""Of a curve and its markers, in points."""


def training_curve(points: Iterable[tuple[str, float, int]], updates: int, epochs: float) -> pd.DataFrame:
    """What one training reached, a row an epoch: `epoch`, `update`, and a column for each key drawn here.

    Args:
        points: key, value and epoch of each metric; of other keys than those drawn, nothing is taken.
        updates: taken in all. An epoch that ends short is placed at them, and at `epochs`.
        epochs: the same in epochs, perhaps not whole.
    """
    drawn = {column for row in ROWS.values() for column in row}
    rows: dict[int, dict[str, float]] = {}
    for key, value, epoch in points:
        if key in drawn:
            rows.setdefault(epoch, {})[key] = value
    per_epoch = round(updates / epochs) if epochs > 0 else 0
    return pd.DataFrame([
        {"epoch": min(at, epochs), "update": min(at * per_epoch, updates), **rows[at]} for at in sorted(rows)
    ])


def training_figure(
    curves: Mapping[str, pd.DataFrame],
    groups: Mapping[str, str],
    *,
    title: str,
    caption: str,
    loss_unit: str = NATS,
) -> Figure:
    """Loss, error or R², and weight norm of several runs as they train: against epochs, and against updates.

    A configuration has one colour and one marker, whatever the seed; train is solid, test dashed. Where
    weights are averaged, what the average reaches is dotted on train, dashed and dotted on test. Losses and
    norms that span decades over all runs have a logarithmic axis. Values that are not finite interrupt their
    curve.

    Args:
        curves: by the run's label, a row an epoch in order of time: `epoch`, `update`, and any of
            `train/loss`, `test/loss`, `train/accuracy`, `test/accuracy` (fractions), `train/r2`, `test/r2`,
            the same of the averaged weights (`train/averaged_loss`, …), `weights/norm`. A curve begins at its
            first number.
        groups: the configuration of each label.
        title: above the picture.
        caption: below it.
        loss_unit: what the loss of an example is counted in.

    Raises:
        ValueError: if there is no run, one has no row, no time, nothing to draw or no configuration.
    """
    check_curves(curves, groups)
    look = looks([groups[label] for label in curves])
    rows = [
        row for row, names in ROWS.items() if any(name in own for own in curves.values() for name in names)
    ]
    notes: list[Artist] = []
    with styled():
        figure, grid = panel_grid(len(TIMES), len(TIMES), len(rows))
        ticks = 5 if layout().wide > 2 * ALONE else 3
        for index, row in enumerate(rows):
            drawn = [(label, name) for label, own in curves.items() for name in ROWS[row] if name in own]
            values = {each: values_of(curves[each[0]], each[1]) for each in drawn}
            limits = Limits.about(np.concatenate(list(values.values())), linear=row in LINEAR)
            for column, time in enumerate(TIMES):
                axes = grid[column * len(rows) + index]
                set_value_axis(axes, limits, unit("loss", loss_unit) if row == "loss" else row)
                for (label, name), y in values.items():
                    own = look[groups[label]] | {"linestyle": CURVES[ROWS[row][name]], **SIZES}
                    notes += _draw(axes, label, curves[label][time].to_numpy(dtype=float), y, limits, own)
                ends = np.concatenate([own[time].to_numpy(dtype=float) for own in curves.values()])
                axes.set_xlim(value_range(ends, log=False, below=0.03, above=0.03))
                axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
                axes.set_xlabel(TIMES[time])
                fold_offset(axes.xaxis, " ")
                hide_labels(axes, x=index < len(rows) - 1, y=column > 0)
        shown = {curve for row in rows for name, curve in ROWS[row].items() if _has(curves, name)}
        strokes = {curve: stroke for curve, stroke in CURVES.items() if curve in shown}
        handles = [*legend_entries(look, strokes), *notes]
        body = 1.55 * len(rows) + 0.6
        compose_panels(figure, title=title, caption=caption, handles=handles, body_height=body)
    return figure


def _draw(
    axes: Axes, label: str, x: np.ndarray, y: np.ndarray, limits: Limits, look: dict[str, Any]
) -> list[Artist]:
    """Draw a curve that ends before what is not finite; returns entries for the legend."""
    known = np.isfinite(y)
    lost = np.logical_or.accumulate(known) & ~known  # before its first number, nothing was lost
    notes = draw_curve(axes, label, x, y, lost, limits, look)
    if lost.any():
        notes.insert(0, Line2D([], [], label="not finite beyond ×", **END))
    return notes


def _has(curves: Mapping[str, pd.DataFrame], name: str) -> bool:
    return any(name in own for own in curves.values())


def values_of(curve: pd.DataFrame, name: str) -> np.ndarray:
    """What is drawn of a column, an accuracy as the error in percent; NaN where it is not finite."""
    values = curve[name].to_numpy(dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    return 100.0 * (1.0 - values) if name.endswith("accuracy") else values


def check_curves(curves: Mapping[str, pd.DataFrame], groups: Mapping[str, object]) -> None:
    """Refuse curves that cannot be drawn; see `training_figure`.

    Raises:
        ValueError: if there is no run, one has no row, no time, nothing to draw or nothing in `groups`.
    """
    check_runs("curves", curves, groups)
    for label, own in curves.items():
        columns = [str(each) for each in own]
        for name in TIMES:
            if name not in own:
                raise ValueError(f"curves must have the column {name!r}, got {columns} for {label!r}")
        if not any(name in own for row in ROWS.values() for name in row):
            known = ", ".join(name for row in ROWS.values() for name in row)
            raise ValueError(f"curves must have a column of {known}, got {columns} for {label!r}")
        if own.empty:
            raise ValueError(f"curves must have at least one row, got none for {label!r}")
