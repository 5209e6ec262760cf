"""A plane for a web page: a surface in three dimensions beside its contours."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from study.figures.hover import axis_words, cell_facts, cell_hover, menu, point_marker, point_words
from study.figures.marks import Cells, marks
from study.figures.scale import Scale, levels, spans_decades
from study.figures.style import COLOURS, GREEK, unit
from study.landscape.result import Landscape

LARGEST_LINEAR = 1e30
"""Above this a surface has no linear view: the browser's 3-D numbers end at 3e38."""

PANELS = [1, 2, 1, 2, 2]
"""The panel of each trace of a view: surface, contours, special points in both, and what diverged."""

HEIGHT = 620
"""Height of the picture where the panels are side by side, in pixels."""

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
    """One split on one scale.

    Attributes:
        name: of the split.
        plane: of that split.
        scale: of the loss.
    """

    name: str
    plane: Landscape
    scale: Scale

    @property
    def loss(self) -> np.ndarray:
        """The loss, (A, B); NaN where there is none, or none that is finite."""
        return np.where(Cells.of(self.plane).drawn, self.plane.values["loss"], np.nan)

    @property
    def label(self) -> str:
        """What stands on its button."""
        scale = "log loss" if self.scale.log else "linear loss"
        return f"{escape(self.name)}, {scale}" if self.name else scale


def plane_views(landscape: Landscape, axis_labels: Mapping[str, str] = GREEK) -> go.Figure:
    """A surface and contours for each split and scale; one is visible, and a button for each shows it."""
    figure = make_subplots(cols=2, specs=[[{"type": "scene"}, {"type": "xy"}]], column_widths=[0.52, 0.48])
    (x_label, y_label), short = axis_words(landscape, axis_labels)
    views = _views(landscape)
    first = [view for view in views if view.name == views[0].name]
    active = next(
        (index for index, view in enumerate(first) if view.scale.log == spans_decades(view.loss)), 0
    )
    for index, view in enumerate(views):
        traces = _traces(view, short)
        for trace in traces:
            trace.visible = index == active
        figure.add_traces(traces, rows=[1] * len(PANELS), cols=PANELS)
    owner = np.repeat(np.arange(len(views)), len(PANELS))
    buttons = [
        {
            "label": view.label,
            "method": "update",
            "args": [{"visible": (owner == index).tolist()}, {"scene.zaxis": _loss_axis(view)}],
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
            "zaxis": _loss_axis(views[active]),
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


def _views(landscape: Landscape) -> list[_View]:
    """Each split on a logarithmic scale where no loss is negative, and on a linear one where none is huge."""
    views = []
    for name in landscape.splits:
        plane = landscape.split(name)
        linear = _View(name, plane, Scale(log=False))
        finite = linear.loss[np.isfinite(linear.loss)]
        positive = bool(finite.size and finite.min() >= 0 and finite.max() > 0)
        if positive:
            views.append(_View(name, plane, Scale.of(finite, log=True)))
        if not positive or finite.max() <= LARGEST_LINEAR:
            views.append(linear)
    return views


def _traces(view: _View, names: tuple[str, ...]) -> list[Any]:
    """The traces of one view, in the order of `PANELS`."""
    x, y = view.plane.axes.values()
    facts, hover = cell_facts(view.plane), cell_hover(view.plane, names)
    numbers = {
        "x": x,
        "y": y,
        "z": view.scale.place(view.loss).T,  # α along x, β along y
        "customdata": facts.swapaxes(0, 1).tolist(),
        "hovertemplate": hover,
        "colorscale": COLOURS.loss_map.capitalize(),
        "connectgaps": False,
        "name": "",
    }
    named = marks(view.plane)
    losses = view.scale.place(np.array([mark.values.get("loss", np.nan) for mark in named], dtype=float))
    at_x, at_y = ([mark.coordinates[axis] for mark in named] for axis in (0, 1))
    gaps = np.argwhere(Cells.of(view.plane).diverged)
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
            colorbar={"title": {"text": unit("loss", escape(view.name)), "side": "right"}, **_ticks(view)},
        ),
        go.Scatter3d(
            x=at_x, y=at_y, z=losses, marker=point_marker(named, 4, depth=True), **point_words(named)
        ),
        go.Scatter(
            x=at_x,
            y=at_y,
            textposition="top center",
            textfont={"color": COLOURS.paper, "shadow": "0 0 3px #000, 0 0 3px #000"},
            marker=point_marker(named, 9),
            **point_words(named),
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


def _loss_axis(view: _View) -> dict[str, Any]:
    return {"title": {"text": unit("loss", escape(view.name))}, **_ticks(view)}


def _ticks(view: _View) -> dict[str, Any]:
    """Ticks of an axis or a colour bar; where it holds logarithms, under the numbers they stand for."""
    if not view.scale.log:
        return {"tickmode": "auto", "exponentformat": "power"}
    ticks = levels(view.loss, 10, log=True)
    places, words = view.scale.place(ticks).tolist(), [_power(tick) for tick in ticks]
    if view.scale.below(view.loss).any():
        places, words = [view.scale.floor, *places], ["0", *words]
    return {"tickmode": "array", "tickvals": places, "ticktext": words}


def _power(value: float) -> str:
    if 1e-3 <= value <= 1e3:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}×10{raised}"
