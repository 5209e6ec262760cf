"""Curves of several runs for a web page: read off under the pointer, and filtered by one legend."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from study.figures.chart import Chart, fact, numbers
from study.figures.curve import Curve
from study.figures.interactive_line import DASHES
from study.figures.overlay import ERROR, Limits, check_runs
from study.figures.scale import can_be_log
from study.figures.style import UNITS, unit
from study.figures.thinned import few_of
from study.figures.training import CURVES, LINEAR, ROWS, TIMES, check_curves, values_of
from study.landscape.result import NATS, Landscape, Status

MOST_POINTS = 201
"""Points of a curve that a page shows."""

STROKES = {"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "dashed and dotted"}
"""What each stroke is called in words."""

Entries = Mapping[str, Sequence[str]]
"""By the label of a run, the entries of the legend that it belongs to: it is shown while all of them are."""


def line_chart(
    landscapes: Mapping[str, Landscape],
    entries: Entries,
    *,
    parameter_label: str,
    panels: Mapping[str, str] | None = None,
    error: bool = False,
) -> Chart:
    """Loss and accuracy of several runs along their lines: a chart for each value of each panel.

    Under the pointer: the run, the place, every value of that split, and the status.

    Args:
        landscapes: over lines, by the run's label; their ranges may differ.
        entries: of each label; the curve has the colour of the first.
        parameter_label: of the horizontal axis, such as `α`.
        panels: the panel of each label, with all its splits, the first solid; by default, one for each split.
        error: show 100% less the accuracy in its place.

    Raises:
        ValueError: if there is no landscape, one is not over a line, or one has no entry.
    """
    check_runs("landscapes", landscapes, entries)
    for label, own in landscapes.items():
        if len(own.shape) != 1:
            raise ValueError(f"landscapes must be lines, got shape {own.shape} for {label!r}")
    loss_unit = next(iter(landscapes.values())).loss_unit
    names = {"loss": unit("loss", loss_unit), "accuracy": UNITS["accuracy"], "error": ERROR}
    splits = list(dict.fromkeys(split for own in landscapes.values() for split in own.splits))
    dashes = dict(zip(splits, cycle(DASHES), strict=False)) if panels else dict.fromkeys(splits, DASHES[0])
    score = "error" if error else "accuracy"
    lines: list[dict[str, Any]] = []
    drawn: dict[str, dict[int, Landscape]] = {}
    for split in splits:
        for label, own in landscapes.items():
            if split in own.splits:
                panel = panels[label] if panels else split
                part = drawn.setdefault(panel, {}).setdefault(len(lines), own.split(split))
                about = {"label": label, "split": split, "entries": [*entries[label]], "dash": dashes[split]}
                lines.append({**about, **_along(part, parameter_label, score)})
    everywhere = {
        value: np.array([own for line in lines for own in line["values"].get(value, [])], dtype=float)
        for value in ("loss", score)
    }
    charts = [
        _chart(
            value,
            names[value],
            places,
            everywhere[value],
            linear=value != "loss",
            title=panel,
            marks=_common([*parts.values()]),
        )
        for panel, parts in drawn.items()
        for value in everywhere
        if (places := [place for place in parts if value in lines[place]["values"]])
    ]
    facts = [fact("loss", "loss", f" {loss_unit}"), fact(score, score, " %")]
    data = {"lines": lines, "charts": charts, "facts": facts}
    return Chart("curves", data, _strokes(splits) if panels else "")


def training_chart(curves: Mapping[str, pd.DataFrame], entries: Entries, *, loss_unit: str = NATS) -> Chart:
    """Loss, error or R², and weight norm of several runs as they train, over epochs or over updates.

    Args:
        curves: by the run's label; as in `training_figure`.
        entries: of each label.
        loss_unit: what the loss of an example is counted in.

    Raises:
        ValueError: if there is no run, one has no row, no time, nothing to draw or no entry.
    """
    check_curves(curves, entries)
    lines: list[dict[str, Any]] = []
    for label, own in curves.items():
        kept = few_of(len(own), MOST_POINTS)
        for curve, dash in zip(CURVES, DASHES, strict=True):
            columns = {row: name for row, names in ROWS.items() for name, of in names.items() if of == curve}
            values = {
                row: numbers(values_of(own, name)[kept]) for row, name in columns.items() if name in own
            }
            if values:
                along = {words: numbers(own[time].to_numpy()[kept]) for time, words in TIMES.items()}
                about = {"label": label, "split": curve, "entries": [*entries[label]], "dash": dash}
                lines.append({**about, "x": along, "values": values})
    charts = [
        _chart(
            row,
            unit("loss", loss_unit) if row == "loss" else row,
            places,
            np.array([own for place in places for own in lines[place]["values"][row]], dtype=float),
            linear=row in LINEAR,
        )
        for row in ROWS
        if (places := [place for place, line in enumerate(lines) if row in line["values"]])
    ]
    suffixes = {"loss": f" {loss_unit}", ERROR: " %"}
    facts = [fact(row, row.removesuffix(" (%)"), suffixes.get(row, "")) for row in ROWS]
    drawn = {line["split"] for line in lines}
    data = {"lines": lines, "charts": charts, "facts": facts}
    return Chart("curves", data, _strokes([name if name in drawn else "" for name in CURVES]))


def _along(part: Landscape, parameter_label: str, score: str) -> dict[str, Any]:
    """What a run has along its line, for the page's script."""
    loss = Curve.of(part, "loss")
    kept = few_of(len(loss.x), MOST_POINTS)
    values = {"loss": numbers(loss.y[kept])}
    if np.isfinite(loss.error).any():
        values["loss_error"] = numbers(loss.error[kept])
    if "accuracy" in part.values:
        curve = Curve.of(part, "accuracy", 100.0)
        known = dict(zip(curve.x, curve.y, strict=True))  # a special point may have a loss alone
        scores = np.array([known.get(at, np.nan) for at in loss.x[kept]])
        values[score] = numbers(100.0 - scores if score == "error" else scores)
    codes = np.select(
        [loss.diverged, loss.missing, loss.hollow],
        [Status.DIVERGED, Status.MISSING, Status.INTERPOLATED],
        Status.EVALUATED,
    )
    status = "".join(str(int(code)) for code in codes[kept])
    return {"x": {parameter_label: numbers(loss.x[kept])}, "values": values, "status": status}


def _chart(
    value: str,
    words: str,
    places: Sequence[int],
    values: np.ndarray,
    *,
    linear: bool,
    title: str = "",
    marks: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """One chart of some of the lines, on an axis for `values`."""
    low, high, log = Limits.about(values, linear=linear)
    return {
        "value": value,
        "unit": words,
        "title": title,
        "lines": [*places],
        "log": log,
        "either": not linear and can_be_log(values),
        "range": [-4.0, 104.0] if value == "accuracy" else [low, high] if log else None,
        "marks": [*marks],
    }


def _common(parts: Sequence[Landscape]) -> list[dict[str, Any]]:
    """The special points that all lines have, of one name at one place."""
    every = [{(name, point.coordinates) for name, point in part.points.items()} for part in parts]
    shared = set.intersection(*every)
    named: dict[float, list[str]] = {}
    for name, point in parts[0].points.items():
        if (name, point.coordinates) in shared:
            named.setdefault(point.coordinates[0], []).append(name)
    return [{"at": at, "name": ", ".join(names)} for at, names in named.items()]


def _strokes(names: Sequence[str]) -> str:
    """For a caption: which curves have which strokes; nothing where there is but one."""
    known = [f"{name} {STROKES[dash]}" for name, dash in zip(names, cycle(DASHES), strict=False) if name]
    return f"{', '.join(known)}.".capitalize() if len(known) > 1 else ""
