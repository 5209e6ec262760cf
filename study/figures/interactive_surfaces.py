"""Planes of several runs for a web page: surfaces side by side, of one scale and under one camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from plotly.colors import get_colorscale

from study.figures.chart import Chart, fact, numbers, status_codes
from study.figures.marks import marks
from study.figures.panels import span
from study.figures.path import FINE, between_ends, check_path, on_surface
from study.figures.quantity import Quantity, Value, quantity
from study.figures.scale import Scale, levels, scales
from study.figures.style import GREEK, LOSSES, STAR, unit
from study.figures.thinned import thinned
from study.landscape.result import Landscape

MOST_POINTS = 61
"""Points along an axis that a panel shows: a browser turns all panels at once."""

MOST_STEPS = 400
"""About so many steps of a path are drawn, and every checkpoint."""

STEPS = [size for size in range(1, FINE + 1) if FINE % size == 0]
"""Every how many of the fine steps of a path can be drawn without missing a checkpoint."""


@dataclass(frozen=True)
class _View:
    """What all panels show at once: one value of one split on one scale.

    Attributes:
        split: its name.
        quantity: which value, and how it is drawn.
        scale: of it.
        known: all of it that any panel shows, finite, (n,).
    """

    split: str
    quantity: Quantity
    scale: Scale
    known: np.ndarray

    def data(self, loss_unit: str, several: bool) -> dict[str, Any]:
        """The view for the page's script."""
        ticks = levels(self.known, 8, log=self.scale.log)
        places, words = self.scale.place(ticks).tolist(), [f"{tick:g}" for tick in ticks]
        if self.scale.below(self.known).any():
            places, words = [self.scale.floor, *places], ["0", *words]
        found = self.scale.place(self.known)
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
        room = 0.02 * (high - low) or 0.1 * abs(high) or 1.0
        return {
            "split": self.split,
            "value": self.quantity.name,
            "name": self.quantity.short,
            "scale": "log" if self.scale.log else "linear",
            "log": self.scale.log,
            "floor": self.scale.floor,
            "title": unit(self.quantity.name, loss_unit, self.split if several else ""),
            "range": [low - room, high + room],
            "ticks": places,
            "words": words,
            "colours": get_colorscale(self.quantity.colours),
        }


def surface_chart(
    landscapes: Mapping[str, Landscape],
    *,
    axis_labels: Mapping[str, str] = GREEK,
    values: Sequence[Value] = ("loss", "accuracy"),
    paths: Mapping[str, np.ndarray] = {},
) -> Chart:
    """Surfaces of several runs side by side: turned and zoomed together, with one scale for all.

    Switches choose the value, its scale and the split for all panels at once. Under the pointer: the run,
    coordinates, every value, and the status. Of a plane with many points along an axis, some are shown, and
    the caption says so.

    Args:
        landscapes: over planes of at least 2 by 2 points, by the panel's title; their grids may differ.
        axis_labels: of the axes, by their names in the landscapes.
        values: which are shown, the first of them to begin with; those that some landscape lacks are not.
        paths: (α, β) of an optimiser's checkpoints, (K, 2), by the panel's title.

    Raises:
        ValueError: if there is no landscape, or one is no such plane, or lacks the first value.
    """
    _check(landscapes)
    paths = {label: check_path(path) for label, path in paths.items()}
    planes = {label: thinned(own, MOST_POINTS) for label, own in landscapes.items()}
    planes |= {label: between_ends(planes[label], path) for label, path in paths.items()}
    first = next(iter(planes.values()))
    views = _views(list(planes.values()), values)
    shown = list(dict.fromkeys(view.quantity for view in views))
    data = {
        "short": [GREEK.get(axis, axis) for axis in first.axes],
        "ranges": [span(planes.values(), axis) for axis in (0, 1)],
        "facts": [
            fact(own.name, own.short, f" {first.loss_unit if own.name in LOSSES else own.suffix}".rstrip())
            for own in shown
        ],
        "views": [view.data(first.loss_unit, len(first.splits) > 1) for view in views],
        "panels": [_panel(label, own, shown, views, paths.get(label)) for label, own in planes.items()],
    }
    labels = [axis_labels.get(axis, axis) for axis in first.axes]
    said = "" if labels == data["short"] else f"{', '.join(labels)}."
    if any(planes[label].shape != own.shape for label, own in landscapes.items()):
        said += f" At most {MOST_POINTS} points along an axis are shown here."
    return Chart("surfaces", data, said.strip())


def _check(landscapes: Mapping[str, Landscape]) -> None:
    if not landscapes:
        raise ValueError("landscapes must hold at least one run, got none")
    for label, own in landscapes.items():
        if len(own.shape) != 2 or min(own.shape) < 2:
            rule = "landscapes must be planes of at least 2 by 2 points"
            raise ValueError(f"{rule}, got shape {own.shape} for {label!r}")


def _views(planes: Sequence[Landscape], values: Sequence[Value]) -> list[_View]:
    """Each value and split that every plane has, on each scale; of the first, first the scale that is due."""
    views = []
    for value, split in product(values, planes[0].splits):
        parts = [plane.split(split) for plane in planes]
        if value != values[0] and not all(value in part.values for part in parts):
            continue
        drawn = quantity(parts[0], value)
        known = np.concatenate([
            *(quantity(part, value).drawn(part).ravel() for part in parts),
            [drawn.at(mark) for part in parts for mark in marks(part)],
        ])
        known = known[np.isfinite(known)]
        views += [_View(split, drawn, scale, known) for scale in scales(known, log=drawn.log).values()]
    return views


def _panel(
    label: str,
    plane: Landscape,
    shown: Sequence[Quantity],
    views: Sequence[_View],
    path: np.ndarray | None,
) -> dict[str, Any]:
    """One run for the page's script: its grid, what it has there by split, special points and path."""
    parts = {split: plane.split(split) for split in plane.splits}
    named = {split: marks(part) for split, part in parts.items()}
    x, y = plane.axes.values()
    panel: dict[str, Any] = {
        "label": label,
        "x": numbers(x),
        "y": numbers(y),
        "splits": {
            split: {own.name: numbers(own.drawn(part)) for own in shown} | {"status": status_codes(part)}
            for split, part in parts.items()
        },
        "marks": [
            {
                "name": every[0].name,
                "x": every[0].coordinates[0],
                "y": every[0].coordinates[1],
                "star": every[0].marker == STAR,
                "values": {
                    split: {own.name: numbers(np.array(own.at(mark)))[0] for own in shown}
                    for split, mark in zip(named, every, strict=True)
                },
            }
            for every in zip(*named.values(), strict=True)
        ],
    }
    if path is not None:
        every = -(-FINE * (len(path) - 1) // MOST_STEPS)
        step = next(size for size in STEPS if size >= min(every, FINE))
        laid = [
            on_surface(plane, view.scale.place(view.quantity.drawn(parts[view.split])), path)[::step]
            for view in views
        ]
        panel["path"] = {
            "x": numbers(laid[0][:, 0]),
            "y": numbers(laid[0][:, 1]),
            "z": [numbers(own[:, 2]) for own in laid],
        }
    return panel
