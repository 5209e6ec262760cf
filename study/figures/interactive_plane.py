"""A plane for a web page: a surface in three dimensions beside its contours."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from study.figures.hover import axis_words, cell_facts, cell_hover, menu, point_marker, point_words
from study.figures.marks import Mark, marks
from study.figures.path import between_ends, check_path, on_surface, special_on
from study.figures.quantity import Quantity, Value, quantity
from study.figures.scale import Scale, levels, spans_decades
from study.figures.style import COLOURS, GREEK, unit
from study.landscape.result import Landscape

LARGEST_LINEAR = 1e30
"""Above this a surface has no linear view: the browser's 3-D numbers end at 3e38."""

HEIGHT = 620
"""Height of the picture where the panels are side by side, in pixels."""

SOLID = ("surface", "scatter3d")
"""Traces of the scene, in three dimensions; the others are flat."""

NARROW = 1100
"""Pixels of width below which the panels do not fit side by side."""

BESIDE = {"scene.domain": {"x": [0, 0.54], "y": [0, 1]}, "xaxis.domain": [0.6, 1], "yaxis.domain": [0, 1]}
"""The panels side by side."""

STACKED = {"scene.domain": {"x": [0, 1], "y": [0.54, 1]}, "xaxis.domain": [0, 1], "yaxis.domain": [0, 0.44]}
"""The surface above the contours."""

_ARRANGE = """
const pane = document.getElementById('{plot_id}');
let width = 0;
function arrange() {
  if (pane.clientWidth === width) return;
  width = pane.clientWidth;
  const narrow = width < NARROW;
  const layout = narrow ? STACKED : BESIDE;
  const height = narrow ? Math.round(Math.min(1.7 * width, 1200)) : HEIGHT;
  pane.parentElement.style.height = height + 'px';
  Plotly.relayout(pane, {...layout, height: height});
}
window.addEventListener('resize', arrange);
arrange();
"""


@dataclass(frozen=True)
class _View:
    """One value of one split on one scale.

    Attributes:
        name: of the split.
        plane: of that split.
        quantity: which value, and how it is drawn.
        scale: of it.
    """

    name: str
    plane: Landscape
    quantity: Quantity
    scale: Scale

    @property
    def shown(self) -> np.ndarray:
        """The value, (A, B); NaN where there is none, or none that is finite."""
        return self.quantity.drawn(self.plane)

    @property
    def title(self) -> str:
        """What it is called, with its unit."""
        return unit(self.quantity.name, escape(self.plane.loss_unit), escape(self.name))

    @property
    def label(self) -> str:
        """What stands on its button."""
        scale = f"{'log' if self.scale.log else 'linear'} {self.quantity.short}"
        return f"{escape(self.name)}, {scale}" if self.name else scale


def plane_views(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    values: Sequence[Value] = ("loss",),
    path: np.ndarray | None = None,
) -> go.Figure:
    """A surface and contours for each value, split and scale; one is visible, and a button shows each."""
    path = None if path is None else check_path(path)
    figure = make_subplots(cols=2, specs=[[{"type": "scene"}, {"type": "xy"}]], column_widths=[0.52, 0.48])
    (x_label, y_label), short = axis_words(landscape, axis_labels)
    views = _views(landscape, values)
    first = [view for view in views if (view.name, view.quantity) == (views[0].name, views[0].quantity)]
    active = next((index for index, view in enumerate(first) if view.scale.log == _is_log(view)), 0)
    owner: list[int] = []
    for index, view in enumerate(views):
        for trace in _traces(view, short, path):
            trace.visible = index == active
            figure.add_trace(trace, row=1, col=1 if trace.type in SOLID else 2)
            owner.append(index)
    buttons = [
        {
            "label": view.label,
            "method": "update",
            "args": [{"visible": [of == index for of in owner]}, {"scene.zaxis": _height_axis(view)}],
        }
        for index, view in enumerate(views)
    ]
    figure.update_layout(
        showlegend=False,
        updatemenus=[menu(buttons, active, 0.0)] if len(buttons) > 1 else [],
        scene={
            "camera": {"eye": {"x": 1.55, "y": 1.55, "z": 1.2}},  # far enough for every title to be seen
            "xaxis": {"title": {"text": x_label}},
            "yaxis": {"title": {"text": y_label}},
            "zaxis": _height_axis(views[active]),
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.8},
        },
        xaxis={"title": {"text": x_label}},
        yaxis={"title": {"text": y_label}},
        **{name.replace(".", "_"): domain for name, domain in BESIDE.items()},
    )
    return figure


def arrange_panels() -> str:
    """The page's script that stacks the panels where the window is narrow.

    The drawing library fits a scene's height alone: one higher than wide loses its labels at the sides.
    """
    script = _ARRANGE
    for name, value in (("NARROW", NARROW), ("STACKED", STACKED), ("BESIDE", BESIDE), ("HEIGHT", HEIGHT)):
        script = script.replace(name, json.dumps(value))
    return script


def _views(landscape: Landscape, values: Sequence[Value]) -> list[_View]:
    """Each value and split on a logarithmic scale if none is negative, on a linear one if none is huge."""
    views = []
    for value, name in product(values, landscape.splits):
        plane = landscape.split(name)
        linear = _View(name, plane, quantity(plane, value), Scale(log=False))
        finite = linear.shown[np.isfinite(linear.shown)]
        positive = bool(finite.size and finite.min() >= 0 and finite.max() > 0)
        if positive:
            views.append(replace(linear, scale=Scale.of(finite, log=True)))
        if not positive or finite.max() <= LARGEST_LINEAR:
            views.append(linear)
    return views


def _is_log(view: _View) -> bool:
    """Whether a logarithmic scale is due for what a view shows."""
    return spans_decades(view.shown) if view.quantity.log is None else view.quantity.log


def _traces(view: _View, names: tuple[str, ...], path: np.ndarray | None) -> list[Any]:
    """The traces of one view: surface, contours, the path and special points in both, and what diverged."""
    x, y = view.plane.axes.values()
    facts, hover = cell_facts(view.plane), cell_hover(view.plane, names)
    numbers = {
        "x": x,
        "y": y,
        "z": view.scale.place(view.shown).T,  # α along x, β along y
        "customdata": facts.swapaxes(0, 1).tolist(),
        "hovertemplate": hover,
        "colorscale": view.quantity.colours.capitalize(),
        "connectgaps": False,
        "name": "",
    }
    named = marks(view.plane if path is None else between_ends(view.plane, path))
    heights = view.scale.place(np.array([view.quantity.at(mark) for mark in named], dtype=float))
    at_x, at_y = ([mark.coordinates[axis] for mark in named] for axis in (0, 1))
    words = point_words(named, view.plane.loss_unit)
    gaps = np.argwhere(view.quantity.cells(view.plane).diverged)
    return [
        go.Surface(
            **numbers,
            showscale=False,
            contours={"z": {"show": True, "usecolormap": True, "project": {"z": True}}},
        ),
        go.Contour(
            **numbers,
            ncontours=16,
            line={"width": 0.5},
            contours={"coloring": "heatmap"},
            colorbar={"title": {"text": view.title, "side": "right"}, **_ticks(view)},
        ),
        *([] if path is None else _path_traces(view, path)),
        go.Scatter3d(
            x=at_x,
            y=at_y,
            z=heights,
            marker=point_marker(named, 4, depth=True),
            **words,
        ),
        go.Scatter(
            x=at_x,
            y=at_y,
            textposition="top center",
            cliponaxis=False,  # names at the edge stay whole
            textfont={"color": COLOURS.paper, "shadow": "0 0 3px #000, 0 0 3px #000"},
            marker=point_marker(named, 9),
            **words,
        ),
        go.Scatter(
            x=x[gaps[:, 0]],
            y=y[gaps[:, 1]],
            mode="markers",
            marker={"symbol": "x", "size": 4, "color": COLOURS.diverged},
            customdata=[facts[i, j].tolist() for i, j in gaps],
            hovertemplate=hover,
            name="",
        ),
    ]


def _path_traces(view: _View, path: np.ndarray) -> list[Any]:
    """A path on the surface and on the contours, with what is known of each checkpoint under the pointer."""
    x, y, z = on_surface(view.plane, view.scale.place(view.shown), path).T
    points = view.plane.points
    checkpoints = [
        Mark(", ".join(names) or "checkpoint", tuple(place), points[names[0]].values if names else {}, "o")
        for names, place in zip(special_on(view.plane, path), path.tolist(), strict=True)
    ]
    return [
        go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": COLOURS.ink, "width": 4}, hoverinfo="skip"),
        go.Scatter(
            x=path[:, 0],
            y=path[:, 1],
            line={"color": COLOURS.ink, "width": 2},
            marker=point_marker(checkpoints, 5),
            **point_words(checkpoints, view.plane.loss_unit) | {"mode": "lines+markers"},
        ),
    ]


def _height_axis(view: _View) -> dict[str, Any]:
    return {"title": {"text": view.title}, **_ticks(view)}


def _ticks(view: _View) -> dict[str, Any]:
    """Ticks of an axis or a colour bar; where it holds logarithms, under the numbers they stand for."""
    if not view.scale.log:
        return {"tickmode": "auto", "exponentformat": "power"}
    ticks = levels(view.shown, 10, log=True)
    places, words = view.scale.place(ticks).tolist(), [_power(tick) for tick in ticks]
    if view.scale.below(view.shown).any():
        places, words = [view.scale.floor, *places], ["0", *words]
    return {"tickmode": "array", "tickvals": places, "ticktext": words}


def _power(value: float) -> str:
    if 1e-3 <= value <= 1e3:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}×10{raised}"
