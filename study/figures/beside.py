"""Further lines beside a measured one: told apart from it, and kept from ruining its scale."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from study.figures.curve import Curve
from study.figures.style import STROKES
from study.landscape.result import Landscape

PALE = (("#56B4E9", "#E69F00"), ("#009E73", "#CC79A7"))
"""Colours of the loss and of the accuracy of each further line (Okabe and Ito 2008), the palest kin first."""

REACH = 1e4
"""Factor by which a further loss may leave the measured ones and still be in view."""


def check_others(landscape: Landscape, others: Mapping[str, Landscape]) -> None:
    """Refuse lines that cannot be drawn beside another.

    Raises:
        ValueError: if one is not over the same axis, or lacks a split, or there are too many.
    """
    if len(others) > len(PALE):
        raise ValueError(f"others must be at most {len(PALE)} lines, got {list(others)}")
    for name, other in others.items():
        if list(other.axes) != list(landscape.axes):
            raise ValueError(
                f"others must be over the axes {list(landscape.axes)}, got {list(other.axes)} for {name!r}"
            )
        if lacking := [split for split in landscape.splits if split not in other.splits]:
            raise ValueError(f"others must have every split of the landscape, {name!r} lacks {lacking}")


def within_reach(measured: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which losses of a further line count for the axis: those within a factor `REACH` of the measured.

    A negative loss counts only where a measured one is negative too.
    """
    known = np.abs(measured[np.isfinite(measured) & (measured != 0)])
    if not known.size:
        return other
    size = np.abs(other)
    near = (size <= REACH * known.max()) & ((size >= known.min() / REACH) | (size == 0))
    return other[near & ((other >= 0) | (measured < 0).any())]


def draw_others(
    axes: Axes, right: Axes | None, others: Mapping[str, Mapping[str, Landscape]]
) -> list[Artist]:
    """Draw further lines, thinner and paler than the measured one.

    Args:
        axes: of the loss, with its limits set.
        right: of the accuracy in percent, if there is one.
        others: by name, the line of each split; a split has the stroke that it has in the measured line.

    Returns:
        the legend's entries: one for each line and value, as the strokes of the splits are known.
    """
    looks: dict[str, dict[str, Any]] = {}
    cut: set[str] = set()
    for (name, parts), colours in zip(others.items(), PALE, strict=False):
        for (split, part), stroke in zip(parts.items(), cycle(STROKES)):
            for value, place, colour, factor in (
                ("loss", axes, colours[0], 1.0),
                ("accuracy", right, colours[1], 100.0),
            ):
                if place is None or value not in part.values:
                    continue
                curve, label = Curve.of(part, value, factor), f"{name}: {value}"
                looks[label] = {"color": colour, "linewidth": 0.9}
                gid = f"{label}, {split}" if split else label
                place.plot(curve.x, curve.y, zorder=2.5, gid=gid, linestyle=stroke, **looks[label])
                if _leaves(curve.y, *place.get_ylim()):
                    cut.add(label)
    return [
        Line2D([], [], label=f"{label}, cut off" if label in cut else label, **look)
        for label, look in looks.items()
    ]


def _leaves(y: np.ndarray, low: float, high: float) -> bool:
    """Whether a curve has values, other than 0, beyond the limits of its axis."""
    known = y[np.isfinite(y) & (y != 0)]
    return bool(((known < low) | (known > high)).any())
