"""A plane's loss as a surface in three dimensions, with its contours on the floor."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from study.figures.contour import check_plane
from study.figures.marks import Cells, Mark, blank, marks
from study.figures.scale import Scale, labels, levels
from study.figures.style import (
    COLOURS,
    GREEK,
    SMALL_SIZE,
    compose,
    name_coordinate,
    new_figure,
    styled,
    unit,
)
from study.landscape.result import Landscape

HEIGHT = 2.65
"""Height of the picture with its labels, in inches."""

RASTER = 10_000
"""Above so many facets the surface is an image within the vector formats: they would weigh too much."""


def surface_figure(
    landscape: Landscape,
    *,
    split: str,
    title: str,
    caption: str,
    axis_labels: Mapping[str, str] = GREEK,
    warning: str | None = None,
) -> Figure:
    """The loss of one split over a plane as a surface, logarithmic where it spans decades.

    Facets with a corner that diverged, or was not evaluated, are left open. Every special point stands on the
    floor and at its own loss, with a stem between.

    Args:
        landscape: over a plane of at least 2 by 2 points.
        split: one of `landscape.splits`.
        title: above the picture.
        caption: below it.
        axis_labels: of the axes, by their names in the landscape.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if the landscape is no such plane, or lacks the split.
    """
    plane = check_plane(landscape, split)
    cells = Cells.of(plane)
    loss = np.where(cells.drawn, plane.values["loss"], np.nan)
    named = marks(plane)
    with styled():
        scale = Scale.of(loss)
        chosen = levels(loss, log=scale.log)
        at = scale.place(chosen)
        figure = new_figure(HEIGHT)
        axes: Axes3D = figure.add_subplot(projection="3d", computed_zorder=False)
        heights = scale.place(loss)
        seen = [*heights[np.isfinite(heights)], *at[[0, -1]]]
        for mark in named:
            seen += list(_height(scale, mark))
        low, high = float(min(seen)), float(max(seen))
        floor = low - 0.35 * (high - low)
        _draw_surface(axes, plane, heights, at, floor)
        _draw_marks(axes, plane, named, scale, floor)
        _draw_axes(axes, plane, named, scale, chosen)
        for axis, name in zip((axes.xaxis, axes.yaxis), plane.axes, strict=True):
            name_coordinate(axis, axis_labels.get(name, name), between="\n")
        _part_ticks(axes)
        axes.set_zlabel(unit("loss", split if len(landscape.splits) > 1 else ""), labelpad=4)
        axes.set_zlim(floor, high)
        handles = [
            look
            for mask, look in (
                (cells.diverged, blank("open: diverged, loss not finite")),
                (cells.missing, blank("open: not evaluated")),
            )
            if mask.any()
        ]
        handles = [*axes.get_legend_handles_labels()[0], *handles]
        body = compose(
            figure, title=title, caption=caption, handles=handles, body_height=HEIGHT, warning=warning
        )
        _fit(figure, axes, body)
    return figure


def _height(scale: Scale, mark: Mark) -> np.ndarray:
    """Where a special point stands: one number, or none where its loss is not finite."""
    height = scale.place(np.array([mark.values.get("loss", np.nan)]))
    return height[np.isfinite(height)]


def _draw_surface(axes: Axes3D, plane: Landscape, heights: np.ndarray, at: np.ndarray, floor: float) -> None:
    x, y = np.meshgrid(*plane.axes.values(), indexing="ij")
    corners = np.stack([x, y, heights], axis=-1)
    facets = np.stack(
        [corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=2
    ).reshape(-1, 4, 3)
    facets = facets[np.isfinite(facets).all(axis=(1, 2))]
    if not len(facets):
        return
    colours, norm = mpl.colormaps[COLOURS.loss_map], Normalize(at[0], at[-1])
    axes.contour(
        x,
        y,
        np.ma.masked_invalid(heights),
        levels=at,
        zdir="z",
        offset=floor,
        cmap=colours,
        norm=norm,
        linewidths=0.7,
        zorder=1,
    )
    faces = colours(norm(facets[:, :, 2].mean(axis=1)))
    fine = len(facets) > 2500
    sheet = Poly3DCollection(
        facets,
        facecolors=faces,
        edgecolors=faces if fine else (0, 0, 0, 0.35),
        linewidths=0.1 if fine else 0.15,
        zorder=2,
    )
    sheet.set_rasterized(len(facets) > RASTER)
    axes.add_collection3d(sheet)


def _draw_marks(axes: Axes3D, plane: Landscape, named: list[Mark], scale: Scale, floor: float) -> None:
    for mark in named:
        x, y = mark.coordinates
        look = mark.look(7.0)
        axes.plot([x], [y], [floor], zorder=1.5, **look)
        for height in _height(scale, mark):
            axes.plot(
                [x, x],
                [y, y],
                [floor, height],
                color=COLOURS.ink,
                linewidth=0.6,
                linestyle=(0, (2, 1.5)),
                zorder=1.4,
            )
            axes.plot([x], [y], [height], zorder=3, **look)
        axes.plot([], [], [], label=mark.name, **look)


def _draw_axes(axes: Axes3D, plane: Landscape, named: list[Mark], scale: Scale, chosen: np.ndarray) -> None:
    x, y = plane.axes.values()
    axes.set_xlim(
        min([x[0], *(mark.coordinates[0] for mark in named)]),
        max([x[-1], *(mark.coordinates[0] for mark in named)]),
    )
    axes.set_ylim(
        min([y[0], *(mark.coordinates[1] for mark in named)]),
        max([y[-1], *(mark.coordinates[1] for mark in named)]),
    )
    ticks = chosen[:: -(-len(chosen) // 7)] if scale.log else levels(chosen, 6)
    texts = labels(ticks)
    places = list(scale.place(ticks))
    drawn = Cells.of(plane).drawn
    if not drawn.any():
        places, texts = [], []
        axes.text2D(0.5, 0.55, "no finite loss", transform=axes.transAxes, ha="center")
    elif scale.below(plane.values["loss"][drawn]).any():
        room = scale.floor + 0.12 * (max(places) - scale.floor)
        kept = [(place, text) for place, text in zip(places, texts, strict=True) if place > room]
        places, texts = [scale.floor, *(place for place, _ in kept)], ["0", *(text for _, text in kept)]
    axes.set_zticks(places, labels=texts)
    axes.tick_params(labelsize=SMALL_SIZE, pad=-1)
    axes.view_init(elev=28, azim=-58)
    axes.set_box_aspect((1, 1, 0.9))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis._axinfo["grid"].update(linewidth=0.3, color="#C8C8C8")


def _part_ticks(axes: Axes3D) -> None:
    """Move the ticks' labels away from the corner at which both axes end."""
    for axis, side in ((axes.xaxis, "right"), (axes.yaxis, "left")):
        axis.labelpad = 9 if "\n" in axis.get_label_text() else 6
        for text in axis.get_ticklabels():
            text.set_horizontalalignment(side)


def _fit(figure: Figure, axes: Axes3D, body: tuple[float, float, float, float]) -> None:
    """Make the picture with all its labels as large as the body allows: its words do not scale with it."""
    left, bottom, width, height = body
    goal = np.array([left + width / 2, bottom + height / 2])
    for _ in range(5):
        figure.draw_without_rendering()
        box = axes.get_tightbbox().transformed(figure.transFigure.inverted())
        place = axes.get_position(original=True)
        grow = min(width / box.width, height / box.height)
        centre = np.array([place.x0 + place.width / 2, place.y0 + place.height / 2])
        drawn = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
        size = np.array([place.width, place.height]) * grow
        axes.set_position((*(goal - (drawn - centre) * grow - size / 2), *size))
