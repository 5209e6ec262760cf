"""A line for a web page: curves of loss and accuracy, with switches for the scale and the split."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from study.figures.beside import PALE, check_others
from study.figures.hover import axis_words, cell_facts, cell_hover, point_marker, point_words
from study.figures.marks import Cells, marks
from study.figures.scale import can_be_log, spans_decades
from study.figures.style import COLOURS, GREEK, UNITS, unit
from study.figures.switches import Switch
from study.figures.web_page import asset, json_block, script
from study.landscape.result import Landscape

DASHES = ("solid", "dash", "dot", "dashdot")

FEW_DECADES = 4.0
"""Over fewer, a logarithmic axis has ticks at 2 and 5 too."""

STYLE = "#curves { height: min(36em, 90vh); min-height: 24em; }"


def line_body(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    others: Mapping[str, Landscape] = {},
) -> str:
    """The switches, the picture, and what the script draws in it, as HTML."""
    figure = line_curves(landscape, axis_labels, others)
    loss = np.concatenate([trace.y for trace in figure.data if trace.yaxis == "y"], dtype=float)
    scales = ["linear", "log"] if can_be_log(loss) else ["linear"]
    splits = {"all": "all", **{str(place): name for place, name in enumerate(landscape.splits)}}
    switches = [
        Switch("scale", {scale: scale for scale in scales}, figure.layout.yaxis.type),
        Switch("split", splits if len(landscape.splits) > 1 else {"all": "all"}, "all"),
    ]
    return f"""<div class="switches">{"".join(switch.html() for switch in switches)}
<button type="button" id="reset">reset view</button></div>
<div id="curves" role="img" aria-label="Curves of loss and accuracy"></div>
{json_block("content", json.loads(figure.to_json()))}
{script(asset("line.js"))}"""


def line_curves(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    others: Mapping[str, Landscape] = {},
) -> go.Figure:
    """Curves of every split, loss on the left and accuracy on the right; `meta` is the split of each."""
    check_others(landscape, others)
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    (label,), (short,) = axis_words(landscape, axis_labels)
    losses = []
    for place, name in enumerate(landscape.splits):
        dash = DASHES[place % len(DASHES)]
        parts = [landscape.split(name), *(whole.split(name) for whole in others.values())]
        losses += [np.where(Cells.of(part).drawn, part.values["loss"], np.nan) for part in parts]
        found = _traces(parts[0], escape(name), short, dash)
        for other, part, colours in zip(others, parts[1:], PALE, strict=False):
            words = f"{escape(other)}: {escape(name)}".removesuffix(": ")
            found += _curves(part, words, short, dash, colours)
        for trace, right in found:
            trace.meta = place
            figure.add_trace(trace, secondary_y=right)
    figure.update_layout(
        template="plotly_white",
        margin={"l": 70, "r": 60, "t": 20, "b": 50},
        font={"family": "DejaVu Sans, Verdana, sans-serif", "size": 13, "color": COLOURS.ink},
        legend={"orientation": "h", "y": -0.15},
        hovermode="closest",
    )
    figure.update_xaxes(title_text=label)
    loss = np.concatenate(losses)
    positive = loss[loss > 0]
    few = positive.size > 0 and np.log10(positive.max()) - np.log10(positive.min()) < FEW_DECADES
    figure.update_layout(meta={"dtick": "D2" if few else None})
    figure.update_yaxes(
        title_text=unit("loss", escape(landscape.loss_unit)),
        type="log" if spans_decades(loss) else "linear",
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
