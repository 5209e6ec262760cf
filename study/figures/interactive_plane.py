"""A plane for a web page: what its script draws a surface and contours of, every number once."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from plotly.colors import get_colorscale

from study.figures.hover import SYMBOLS, axis_words
from study.figures.marks import cell_status, marks
from study.figures.path import FINE, between_ends, check_path, on_surface, special_on
from study.figures.quantity import QUANTITIES, Quantity, Value, quantity
from study.figures.scale import Scale, scales
from study.figures.style import GREEK, LOSSES, STAR, unit
from study.figures.switches import Switch
from study.figures.web_page import asset, json_block, script
from study.landscape.result import Landscape

SCRIPTS = ("numbers.js", "solid.js", "plane.js")

STYLE = """.panels { display: flex; flex-wrap: wrap; gap: 0.5em; }
.panels > div { flex: 1 1 26em; min-width: 0; aspect-ratio: 1; max-height: 36em; }
#facts { display: block; min-height: 2.8em; margin: 0.6em 0 0; font-size: 0.85em; }
.stages { display: flex; gap: 0.7em; align-items: center; margin: 0.6em 0 0; font-size: 0.85em; }
.stages input { flex: 0 1 24em; min-width: 8em; accent-color: #0072B2; }
.stages input:focus-visible { outline: 2px solid #D55E00; outline-offset: 1px; }"""
"""The panels side by side, or stacked in a narrow window; none higher than wide: the drawing library fits the
height of a scene alone, and a higher one loses the labels at its sides."""


def plane_body(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    first: Value = "loss",
    path: np.ndarray | None = None,
    stages: Mapping[str, Landscape] = {},
) -> str:
    """The switches, the panels, and what the script draws in them, as HTML."""
    content = plane_content(landscape, axis_labels, first, path, stages)
    shown = content["values"]
    scales = [scale for scale in ("linear", "log") if any(scale in own["scales"] for own in shown.values())]
    switches = [
        Switch("value", {name: own["short"] for name, own in shown.items()}, first),
        Switch("scale", {scale: scale for scale in scales}, shown[first]["start"]),
        Switch("split", {str(k): name for k, name in enumerate(landscape.splits)}, "0"),
    ]
    return f"""<div class="switches">{"".join(switch.html() for switch in switches)}
<button type="button" id="reset">reset view</button></div>
{_slider(list(stages))}<output id="facts">Point at the surface or at the contours to read values off.</output>
<div class="panels">
<div id="surface" role="img" aria-label="Surface in three dimensions"></div>
<div id="contours" role="group" tabindex="0" aria-label="Contours; arrow keys move the point read off">
</div>
</div>
{json_block("content", content)}
{script("".join(asset(name) for name in SCRIPTS))}"""


def _slider(stages: list[str]) -> str:
    """What chooses between several planes, in their order; nothing where there is one."""
    if len(stages) < 2:
        return ""
    last = len(stages) - 1
    return f"""<div class="stages"><label for="stage">checkpoint</label>
<input type="range" id="stage" min="0" max="{last}" value="{last}" aria-valuetext="{escape(stages[-1])}">
<output for="stage" id="stage-name">{escape(stages[-1])}</output></div>
"""


def plane_content(
    landscape: Landscape,
    axis_labels: Mapping[str, str] = GREEK,
    first: Value = "loss",
    path: np.ndarray | None = None,
    stages: Mapping[str, Landscape] = {},
) -> dict[str, Any]:
    """What the page's script draws, JSON-able; arrays as little-endian float64 in base 64, rows α.

    Every value that each split has can be shown, `first` to begin with, and each on a logarithmic scale if it
    is a loss, or spread of one, and none is negative; on a linear one if none is huge. Its scale is one for
    all splits and all stages. A path lies on the surfaces of one plane.

    Raises:
        ValueError: if a split lacks `first`, the path is none, there are both a path and stages, or a stage
            has other axes, splits or places of special points than `landscape`.
    """
    if path is not None and stages:
        raise ValueError(f"path must lie on one plane, got one beside {len(stages)} stages")
    at_each = {name: _alike(name, stage, landscape) for name, stage in (stages or {"": landscape}).items()}
    planes = [plane for of_splits in at_each.values() for plane in of_splits]
    path = None if path is None else check_path(path)
    for plane in planes:
        quantity(plane, first)
    held = [name for name in QUANTITIES if all(name in plane.values for plane in planes)]
    shown = {name: QUANTITIES[name] for name in sorted(held, key=lambda name: name != first)}
    known = {name: _finite(own, planes) for name, own in shown.items()}
    on = {name: scales(known[name], log=own.log) for name, own in shown.items()}
    labels, short = axis_words(landscape, axis_labels)
    places = [mark.coordinates for mark in marks(landscape)] + ([] if path is None else path.tolist())
    ends = [
        [float(min([axis[0], *at])), float(max([axis[-1], *at]))]
        for axis, at in zip(
            landscape.axes.values(), zip(*places, strict=True) if places else ((), ()), strict=True
        )
    ]
    return {
        "axes": [
            {"label": label, "short": name, "at": _packed(axis), "range": reach}
            for label, name, axis, reach in zip(labels, short, landscape.axes.values(), ends, strict=True)
        ],
        "values": {
            name: {
                "short": own.short,
                "colours": get_colorscale(own.colours),
                "factor": own.factor,
                "unit": escape(landscape.loss_unit) if name in LOSSES else own.suffix,
                "start": next(iter(on[name])),
                "scales": {
                    word: _reach(known[name], _at_points(own, planes), scale) | {"floor": scale.floor}
                    for word, scale in on[name].items()
                },
            }
            for name, own in shown.items()
        },
        "splits": [
            {value: unit(value, escape(landscape.loss_unit), escape(name)) for value in shown}
            for name in landscape.splits
        ],
        "stages": [
            {
                "name": escape(name),
                "splits": [_split(plane, shown) for plane in of_splits],
                "points": _points(of_splits, path),
            }
            for name, of_splits in at_each.items()
        ],
        "path": None if path is None else _path(path, planes, shown, on),
    }


def _alike(name: str, stage: Landscape, landscape: Landscape) -> list[Landscape]:
    """The planes of a stage, split by split.

    Raises:
        ValueError: if it is not over the same places, or of other splits.
    """
    places = [[point.coordinates for point in own.points.values()] for own in (stage, landscape)]
    axes = [[axis.tolist() for axis in own.axes.values()] for own in (stage, landscape)]
    if axes[0] != axes[1] or places[0] != places[1] or stage.splits != landscape.splits:
        raise ValueError(
            "stages must have the axes, the splits and the places of special points of the landscape, which "
            f"{name!r} has not"
        )
    return [stage.split(split) for split in stage.splits]


def _packed(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array, dtype="<f8").tobytes()).decode()


def _split(plane: Landscape, shown: Mapping[Value, Quantity]) -> dict[str, Any]:
    return {
        "numbers": {value: _packed(plane.values[value]) for value in shown},
        "status": b64encode(cell_status(plane).tobytes()).decode(),
    }


def _finite(own: Quantity, planes: list[Landscape]) -> np.ndarray:
    values = np.concatenate([own.drawn(plane).ravel() for plane in planes])
    return values[np.isfinite(values)]


def _at_points(own: Quantity, planes: list[Landscape]) -> np.ndarray:
    """A value at the special points of every split, (n,)."""
    return np.array([own.at(mark) for plane in planes for mark in marks(plane)], dtype=float)


def _reach(known: np.ndarray, at_points: np.ndarray, scale: Scale) -> dict[str, list[float]]:
    """From where to where the colours reach, and the heights, which special points are among."""
    cells, points = scale.place(known), scale.place(at_points)
    both = np.concatenate([cells, points[np.isfinite(points)]])
    return {"colours": _widened(cells), "heights": _widened(both)}


def _widened(values: np.ndarray) -> list[float]:
    """The ends of the values; around a single one, some room."""
    if not values.size:
        return [0.0, 1.0]
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = 0.1 * max(abs(low), abs(high)) or 1.0
        return [low - room, high + room]
    return [low, high]


def _points(planes: list[Landscape], path: np.ndarray | None) -> list[dict[str, Any]]:
    """The special points of planes, one a split, with the values of each."""
    found = [marks(plane if path is None else between_ends(plane, path)) for plane in planes]
    return [
        {
            "name": escape(mark.name),
            "at": list(mark.coordinates),
            "symbol": SYMBOLS.get(mark.marker, "circle"),
            "star": mark.marker == STAR,
            "values": [_known(own[place].values) for own in found],
        }
        for place, mark in enumerate(found[0])
    ]


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values that a page speaks of; None where one is not finite."""
    return {
        name: value if np.isfinite(value) else None for name, value in values.items() if name in QUANTITIES
    }


def _path(
    path: np.ndarray,
    planes: list[Landscape],
    shown: Mapping[Value, Quantity],
    scales: Mapping[Value, Mapping[str, Scale]],
) -> dict[str, Any]:
    """A path at fine steps with its heights on every surface, and its checkpoints."""
    fine = on_surface(planes[0], np.zeros(planes[0].shape), path)
    names = special_on(planes[0], path)
    return {
        "at": [_packed(fine[:, 0]), _packed(fine[:, 1])],
        "every": FINE,
        "names": [escape(", ".join(own)) or "checkpoint" for own in names],
        "values": [[_known(plane.points[own[0]].values) if own else {} for own in names] for plane in planes],
        "heights": [
            {
                value: {
                    word: _packed(on_surface(plane, scale.place(own.drawn(plane)), path)[:, 2])
                    for word, scale in scales[value].items()
                }
                for value, own in shown.items()
            }
            for plane in planes
        ],
    }
