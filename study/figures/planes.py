"""Several planes, of runs or of checkpoints, in panels with one set of levels, colours and axes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from study.figures.contour import check_plane, draw_colour_bar, draw_plane
from study.figures.gaps import gap_boxes
from study.figures.isolines import label_isolines
from study.figures.layout import layout
from study.figures.marks import marks
from study.figures.panels import (
    compose_panels,
    hide_labels,
    name_panel,
    panel_grid,
    span,
)
from study.figures.path import between_ends, check_path, path_boxes
from study.figures.quantity import Value, quantity
from study.figures.scale import STEPS, labels, levels
from study.figures.style import (
    DPI,
    GREEK,
    name_coordinate,
    styled,
    unit,
    wrap,
)
from study.landscape.result import Landscape

Drawn = tuple[Axes, Landscape, QuadContourSet | None, QuadContourSet | None]
"""A panel of a plane: its axes, the plane of one split, filled contours and isolines."""


def contour_panels(
    landscapes: Mapping[str, Landscape],
    *,
    split: str,
    title: str,
    caption: str,
    axis_labels: Mapping[str, str] = GREEK,
    value: Value = "loss",
    paths: Mapping[str, np.ndarray] = {},
    columns: int = 4,
    warning: str | None = None,
) -> Figure:
    """The loss, or another value, over several planes: panels of one scale, colours and axes.

    Args:
        landscapes: over planes, by the panel's title; their grids may differ.
        split: one of the splits of each.
        title: above the picture.
        caption: below it.
        axis_labels: of the axes, by their names in the landscapes.
        value: what to draw of each.
        paths: (α, β) of an optimiser's checkpoints, (K, 2), by the panel's title; as in `contour_figure`.
        columns: at most so many panels beside each other.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if there is no landscape, `columns` is below 1, or a landscape is no plane or lacks the
            split or the value, or a path is none.
    """
    if not landscapes:
        raise ValueError("landscapes must hold at least one run, got none")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    planes = {label: check_plane(landscape, split) for label, landscape in landscapes.items()}
    columns = layout().columns(min(columns, len(planes)))
    paths = {label: check_path(path) for label, path in paths.items()}
    planes |= {label: between_ends(planes[label], path) for label, path in paths.items()}
    first = next(iter(planes.values()))
    drawn = quantity(first, value)
    known = [quantity(plane, value).drawn(plane).ravel() for plane in planes.values()]
    known += [np.array([drawn.at(mark)]) for plane in planes.values() for mark in marks(plane)]
    across, up = (span(planes.values(), axis) for axis in (0, 1))
    shape = (up[1] - up[0]) / (across[1] - across[0])
    shape = shape if 0.5 <= shape <= 2.0 else 0.9
    with styled():
        figure, panels = panel_grid(len(planes), columns)
        room = (figure.get_figwidth() - 1.5) / columns - 0.1
        height = room * shape * -(-len(planes) // columns)
        chosen = levels(np.concatenate(known), int(np.clip(10 * height, 8, 14)), log=drawn.log)
        size = layout().label_size if columns < 3 else layout().small_size
        names = [
            wrap(figure, axis_labels.get(axis, axis), size=size, width=width)
            for axis, width in zip(first.axes, (room, max(room * shape, 1.0)), strict=True)
        ]
        found: list[Drawn] = []
        handles: list[Artist] = []
        for axes, (label, plane) in zip(panels, planes.items(), strict=True):
            fills, lines, entries = draw_plane(axes, plane, chosen, value, path=paths.get(label))
            axes.set(xlim=across, ylim=up)
            for axis, name in zip((axes.xaxis, axes.yaxis), names, strict=True):
                name_coordinate(axis, name, "\n")
                axis.label.set_fontsize(size)
                axis.set_major_locator(MaxNLocator(5 if room > 1.6 else 3, steps=STEPS))
            hide_labels(axes, x=len(found) + columns < len(planes), y=len(found) % columns > 0)
            name_panel(axes, label, room)
            found.append((axes, plane, fills, lines))
            handles += [Line2D([], [], label=mark.name, **mark.look(8.0)) for mark in marks(plane)] + entries
        filled = [fills for _, _, fills, _ in found if fills is not None]
        if filled:
            fullest = max(filled, key=lambda fills: fills.extend != "neither")
            several = any(len(landscape.splits) > 1 for landscape in landscapes.values())
            name = unit(value, next(iter(planes.values())).loss_unit, split if several else "")
            name = wrap(figure, name, size=layout().label_size, width=max(height, 1.0))
            bar = draw_colour_bar(figure, panels, fullest, chosen, name)
            step = int(np.ceil(0.13 * len(chosen) / height))
            texts = [text if index % step == 0 else "" for index, text in enumerate(labels(chosen))]
            bar.set_ticks(bar.get_ticks().tolist(), labels=texts)
        body = height + 1.0
        compose_panels(
            figure,
            title=title,
            caption=caption,
            handles=handles,
            body_height=body,
            ratio=shape,
            warning=warning,
        )
        for label, (axes, plane, _, lines) in zip(planes, found, strict=True):
            if lines is not None:
                at = [axes.transData.transform(mark.coordinates) * 72.0 / DPI for mark in marks(plane)]
                taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in at] + gap_boxes(axes, plane, drawn)
                taken += path_boxes(axes, paths[label]) if label in paths else []
                label_isolines(axes, lines, labels(chosen), taken)
    return figure
