"""What the pictures of web pages share: the facts under the pointer, special points, rows of buttons."""

from html import escape
from typing import Any

import numpy as np

from study.figures.marks import Cells, Mark
from study.figures.style import COLOURS
from study.landscape.result import Landscape, Status

POINT_HOVER = "%{text}<br>%{hovertext}<extra></extra>"
"""What is shown under the pointer at a special point."""


def cell_facts(part: Landscape) -> np.ndarray:
    """Loss in nats, accuracy in percent and status of every cell, as words: the grid's shape, and then 3."""
    status = np.array([Status(code).name.lower() for code in part.status.ravel()]).reshape(part.shape)
    status = np.where(Cells.of(part).diverged, "diverged", status)
    unknown = np.full(part.shape, np.nan)
    loss = [f"{value:.5g}" for value in part.values["loss"].ravel()]
    accuracy = [f"{100 * value:.4g}" for value in part.values.get("accuracy", unknown).ravel()]
    return np.stack(
        [np.array(loss).reshape(part.shape), np.array(accuracy).reshape(part.shape), status], axis=-1
    )


def cell_hover(part: Landscape, names: tuple[str, ...]) -> str:
    """What is shown under the pointer at a cell, from its `cell_facts`; `names` are those of the axes."""
    lines = [f"{name} = %{{{key}:.4g}}" for name, key in zip(names, "xy", strict=False)]
    lines.append("loss = %{customdata[0]} nats")
    if "accuracy" in part.values:
        lines.append("accuracy = %{customdata[1]} %")
    return "<br>".join([*lines, "%{customdata[2]}<extra></extra>"])


def point_words(found: list[Mark]) -> dict[str, Any]:
    """The words of special points' markers: names beside them, values under the pointer."""
    return {
        "mode": "markers+text",
        "text": [escape(mark.name) for mark in found],
        "hovertext": [_values(mark) for mark in found],
        "hovertemplate": POINT_HOVER,
    }


def point_marker(symbol: str, size: float) -> dict[str, Any]:
    """The look of special points: white with a black edge, readable on every colour."""
    return {
        "symbol": symbol,
        "size": size,
        "color": COLOURS.paper,
        "line": {"color": COLOURS.ink, "width": 1},
    }


def menu(buttons: list[dict[str, Any]], active: int, x: float) -> dict[str, Any]:
    """A row of buttons above the picture, from `x` of its width on, with one of them active."""
    return {
        "type": "buttons",
        "direction": "right",
        "showactive": True,
        "buttons": buttons,
        "active": active,
        "x": x,
        "xanchor": "left",
        "y": 1.12,
        "yanchor": "top",
    }


def _values(mark: Mark) -> str:
    lines = [f"loss = {mark.values['loss']:.5g} nats"] if "loss" in mark.values else []
    if "accuracy" in mark.values:
        lines.append(f"accuracy = {100 * mark.values['accuracy']:.4g} %")
    return "<br>".join(lines)
