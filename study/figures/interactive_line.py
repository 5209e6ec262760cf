"""A line for a web page: curves of loss and accuracy."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from study.figures.beside import PALE, check_others
from study.figures.hover import axis_words, cell_facts, cell_hover, menu, point_marker, point_words
from study.figures.marks import Cells, marks
from study.figures.scale import spans_decades
from study.figures.style import COLOURS, GREEK, UNITS, unit
from study.landscape.result import Landscape

DASHES = ("solid", "dash", "dot", "dashdot")


def line_curves(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    others: Mapping[str, Landscape] = {},
) -> go.Figure:
    """Curves of every split, loss on the left and accuracy on the right; buttons choose scale and split."""
    check_others(landscape, others)
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    (label,), (short,) = axis_words(landscape, axis_labels)
    owner: list[str] = []
    losses = []
    for index, name in enumerate(landscape.splits):
        part = landscape.split(name)
        losses.append(np.where(Cells.of(part).drawn, part.values["loss"], np.nan))
        for trace, right in _traces(part, escape(name), short, DASHES[index % len(DASHES)]):
            figure.add_trace(trace, secondary_y=right)
            owner.append(name)
        for (other, whole), colours in zip(others.items(), PALE, strict=False):
            further = whole.split(name)
            losses.append(np.where(Cells.of(further).drawn, further.values["loss"], np.nan))
            words = f"{escape(other)}: {escape(name)}".removesuffix(": ")
            for trace, right in _curves(further, words, short, DASHES[index % len(DASHES)], colours):
                figure.add_trace(trace, secondary_y=right)
                owner.append(name)
    loss = np.concatenate(losses)
    log = spans_decades(loss)
    menus = []
    if not (loss < 0).any() and (loss > 0).any():
        scales = [
            {"label": f"{scale} loss", "method": "relayout", "args": [{"yaxis.type": scale}]}
            for scale in ("linear", "log")
        ]
        menus.append(menu(scales, int(log), 0.0))
    if len(landscape.splits) > 1:
        shown = {
            "all splits": [True] * len(owner),
            **{name: [of == name for of in owner] for name in landscape.splits},
        }
        splits = [
            {"label": escape(choice), "method": "restyle", "args": [{"visible": visible}]}
            for choice, visible in shown.items()
        ]
        menus.append(menu(splits, 0, 0.35))
    figure.update_layout(updatemenus=menus, legend={"orientation": "h", "y": -0.15}, hovermode="closest")
    figure.update_xaxes(title_text=label)
    scale = "log" if log else "linear"
    figure.update_yaxes(
        title_text=unit("loss", escape(landscape.loss_unit)),
        type=scale,
        exponentformat="power",
        secondary_y=False,
    )
    figure.update_yaxes(
        title_text=UNITS["accuracy"], range=[-4, 104], dtick=20, showgrid=False, secondary_y=True
    )
    return figure


def _traces(part: Landscape, name: str, label: str, dash: str) -> list[tuple[Any, bool]]:
    """The traces of one split, each with whether it belongs to the right axis."""
    (x,) = part.axes.values()
    cells = Cells.of(part)
    facts, hover = cell_facts(part), cell_hover(part, (label,))
    traces = _curves(part, name, label, dash, (COLOURS.loss, COLOURS.accuracy))
    named = marks(part)
    losses = np.array([mark.values.get("loss", np.nan) for mark in named], dtype=float)
    traces.append((
        go.Scatter(
            x=[mark.coordinates[0] for mark in named],
            y=np.where(np.isfinite(losses), losses, np.nan),
            textposition="top center",
            marker=point_marker(named, 10),
            name=f"{name} special points".strip(),
            **point_words(named, part.loss_unit),
        ),
        False,
    ))
    if cells.diverged.any():
        finite = part.values["loss"][cells.drawn]
        traces.append((
            go.Scatter(
                x=x[cells.diverged],
                y=np.full(cells.diverged.sum(), finite.max() if finite.size else 1.0),
                mode="markers",
                marker={"symbol": "x", "size": 8, "color": COLOURS.diverged},
                customdata=facts[cells.diverged].tolist(),
                hovertemplate=hover,
                name=f"{name} loss not finite".strip(),
            ),
            False,
        ))
    return traces


def _curves(
    part: Landscape, name: str, label: str, dash: str, colours: tuple[str, str]
) -> list[tuple[Any, bool]]:
    """Loss and accuracy of one split, each with whether it belongs to the right axis."""
    (x,) = part.axes.values()
    cells = Cells.of(part)
    shared = {
        "x": x,
        "mode": "lines+markers",
        "customdata": cell_facts(part).tolist(),
        "hovertemplate": cell_hover(part, (label,)),
        "connectgaps": False,
    }

    def curve(value: str, colour: str, symbol: str, factor: float) -> Any:
        return go.Scatter(
            **shared,
            y=np.where(cells.drawn, part.values[value], np.nan) * factor,
            name=f"{name} {value}".strip(),
            line={"color": colour, "dash": dash},
            marker={"size": 5, "symbol": np.where(cells.interpolated, f"{symbol}-open", symbol).tolist()},
        )

    traces = [(curve("loss", colours[0], "circle", 1.0), False)]
    if "accuracy" in part.values:
        traces.append((curve("accuracy", colours[1], "square", 100.0), True))
    return traces
