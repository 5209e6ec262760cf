"""What is under the pointer on a line's page, and what pages call axes and markers."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from study.figures.marks import Mark, cell_status
from study.figures.style import COLOURS, GREEK, STAR
from study.landscape.result import Landscape, Status

POINT_HOVER = "%{text}<br>%{hovertext}<extra></extra>"
"""What is shown under the pointer at a special point."""

SYMBOLS = {
    STAR: "star",
    "o": "circle",
    "s": "square",
    "D": "diamond",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
    "p": "pentagon",
    "h": "hexagon",
    "d": "diamond-tall",
}
"""What the page's drawing library calls each marker."""


def cell_facts(part: Landscape) -> np.ndarray:
    """Loss, accuracy in percent, and status of every cell, as words: of the grid's shape, and then 3."""
    status = np.array([Status(code).name.lower() for code in cell_status(part).ravel()])
    unknown = np.full(part.shape, np.nan)
    loss = [f"{value:.5g}" for value in part.values["loss"].ravel()]
    accuracy = [f"{100 * value:.4g}" for value in part.values.get("accuracy", unknown).ravel()]
    facts = [np.array(loss), np.array(accuracy), status]
    return np.stack([fact.reshape(part.shape) for fact in facts], axis=-1)


def cell_hover(part: Landscape, names: tuple[str, ...]) -> str:
    """What is shown under the pointer at a cell, from its `cell_facts`; `names` are those of the axes."""
    lines = [f"{name} = %{{{key}:.4g}}" for name, key in zip(names, "xy", strict=False)]
    lines.append(f"loss = %{{customdata[0]}} {escape(part.loss_unit)}")
    if "accuracy" in part.values:
        lines.append("accuracy = %{customdata[1]} %")
    return "<br>".join([*lines, "%{customdata[2]}<extra></extra>"])


def axis_words(
    landscape: Landscape, axis_labels: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of the axes, and the short names under the pointer, as they stand in a page."""
    labels = tuple(escape(axis_labels.get(name, name)) for name in landscape.axes)
    return labels, tuple(escape(GREEK.get(name, name)) for name in landscape.axes)


def point_words(found: list[Mark], loss_unit: str) -> dict[str, Any]:
    """The words of special points' markers: names beside them, values (the loss with its unit) below."""
    return {
        "mode": "markers+text",
        "text": [escape(mark.name) for mark in found],
        "hovertext": [_values(mark, escape(loss_unit)) for mark in found],
        "hovertemplate": POINT_HOVER,
    }


def point_marker(found: list[Mark], size: float) -> dict[str, Any]:
    """The look of special points: white with a black edge, readable on every colour."""
    return {
        "symbol": [SYMBOLS.get(mark.marker, "circle") for mark in found],
        "size": size,
        "color": COLOURS.paper,
        "line": {"color": COLOURS.ink, "width": 1},
    }


def _values(mark: Mark, loss_unit: str) -> str:
    lines = [f"loss = {mark.values['loss']:.5g} {loss_unit}"] if "loss" in mark.values else []
    if "accuracy" in mark.values:
        lines.append(f"accuracy = {100 * mark.values['accuracy']:.4g} %")
    return "<br>".join(lines)
