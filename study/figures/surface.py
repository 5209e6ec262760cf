"""A plane's loss, or another value, as a surface in three dimensions, with its contours on the floor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from study.figures.contour import check_plane
from study.figures.layout import WIDTH, layout
from study.figures.marks import Mark, blank, marks
from study.figures.path import DOTS, FINE, LINE, between_ends, check_path, on_surface
from study.figures.quantity import Quantity, Value, quantity
from study.figures.scale import Scale, labels, levels
from study.figures.style import (
    COLOURS,
    GREEK,
    compose,
    name_coordinate,
    new_figure,
    styled,
    unit,
    wrap,
)
from study.landscape.result import Landscape

HEIGHT = 2.65
"""Height of the picture with its labels, in inches."""

EDGE = 1.7
"""How long an axis's label may be in one line, in inches, in a picture of the default width."""

RASTER = 10_000
"""Above so many facets the surface is an image within the vector formats: they would weigh too much."""


def surface_figure(
    landscape: Landscape,
    *,
    split: str,
    title: str,
    caption: str,
    value: Value = "loss",
    path: np.ndarray | None = None,
    axis_labels: Mapping[str, str] = GREEK,
    warning: str | None = None,
) -> Figure:
    """A value of one split over a plane as a surface; the loss, logarithmic where it spans decades.

    Facets with a corner that diverged, or was not evaluated, are left open. Every special point stands on the
    floor and at its own value, with a stem between.

    Args:
        landscape: over a plane of at least 2 by 2 points.
        split: one of `landscape.splits`.
        title: above the picture.
        caption: below it.
        value: what to draw: `loss` in its unit, `accuracy` in percent, or `eigenvalue_ratio`.
        path: (α, β) of an optimiser's checkpoints, (K, 2), drawn on the surface and on the floor with its
            two ends marked; special points at the checkpoints between them are not.
        axis_labels: of the axes, by their names in the landscape.
        warning: why the picture is not to be trusted; conspicuous above it.

    Raises:
        ValueError: if the landscape is no such plane, or lacks the split or the value, or the path is none.
    """
    plane = check_plane(landscape, split)
    drawn = quantity(plane, value)
    if path is not None:
        path = check_path(path)
        plane = between_ends(plane, path)
    cells = drawn.cells(plane)
    with styled():
        heights = Heights.of([plane], drawn)
        figure = new_figure(layout().tall(HEIGHT))
        axes: Axes3D = figure.add_subplot(projection="3d", computed_zorder=False)
        label = unit(value, landscape.loss_unit, split if len(landscape.splits) > 1 else "")
        draw_surface(axes, plane, heights, label, axis_labels, path)
        handles = [
            look
            for mask, look in (
                (cells.diverged, blank(f"open: diverged, {drawn.lost} not finite")),
                (cells.missing, blank("open: not evaluated")),
            )
            if mask.any()
        ]
        handles = [*axes.get_legend_handles_labels()[0], *handles]
        body = compose(
            figure,
            title=title,
            caption=caption,
            handles=handles,
            body_height=layout().tall(HEIGHT),
            warning=warning,
        )
        fit(figure, axes, body)
    return figure


@dataclass(frozen=True)
class Heights:
    """Where the values of surfaces stand: those of one, or of several that are to share their axis.

    Attributes:
        drawn: what is drawn of each.
        scale: of it.
        chosen: its levels, for colours and contours.
        shown: every value that is drawn, of any shape.
        floor: where the contours lie.
        high: where the axis ends.
    """

    drawn: Quantity
    scale: Scale
    chosen: np.ndarray
    shown: np.ndarray
    floor: float
    high: float

    @classmethod
    def of(cls, planes: Sequence[Landscape], drawn: Quantity) -> "Heights":
        """Heights that hold every finite value of these planes of one split, and their special points."""
        shown = np.concatenate([drawn.drawn(plane).ravel() for plane in planes])
        scale = Scale.of(shown, log=drawn.log)
        chosen = levels(shown, log=scale.log)
        places = scale.place(shown)
        seen = [*places[np.isfinite(places)], *scale.place(chosen)[[0, -1]]]
        for plane in planes:
            for mark in marks(plane):
                seen += list(_height(scale, drawn, mark))
        low, high = float(min(seen)), float(max(seen))
        return cls(drawn, scale, chosen, shown, low - 0.35 * (high - low), high)


def draw_surface(
    axes: Axes3D,
    plane: Landscape,
    heights: Heights,
    label: str,
    axis_labels: Mapping[str, str] = GREEK,
    path: np.ndarray | None = None,
) -> None:
    """Draw one split's plane as a surface, with its contours on the floor.

    Args:
        axes: empty, without computed zorder.
        plane: of one split.
        heights: of this surface, and of those that are to be of one scale with it.
        label: of the heights.
        axis_labels: of the axes, by their names in the landscape.
        path: (α, β) of an optimiser's checkpoints, (K, 2).
    """
    drawn, scale, floor = heights.drawn, heights.scale, heights.floor
    named, places = marks(plane), scale.place(drawn.drawn(plane))
    _draw_facets(axes, plane, places, scale.place(heights.chosen), floor, drawn.colours)
    if path is not None:
        _draw_path(axes, on_surface(plane, places, path), floor)
    _draw_marks(axes, named, scale, drawn, floor)
    known = [mark.coordinates for mark in named] + ([] if path is None else path.tolist())
    _draw_axes(axes, plane, known)
    _draw_height_axis(axes, heights.shown, scale, drawn, heights.chosen)
    for axis, name in zip((axes.xaxis, axes.yaxis), plane.axes, strict=True):
        _name_edge(axis, axis_labels.get(name, name))
    _part_ticks(axes)
    size = min(axis.label.get_fontsize() for axis in (axes.xaxis, axes.yaxis))
    long = max((len(text.get_text()) for text in axes.get_zticklabels()), default=0) > 6
    axes.set_zlabel(label, labelpad=4 if layout().words or not long else 11, fontsize=size)
    axes.set_zlim(floor, heights.high)


def _height(scale: Scale, drawn: Quantity, mark: Mark) -> np.ndarray:
    """Where a special point stands: one number, or none where its value is not finite."""
    height = scale.place(np.array([drawn.at(mark)]))
    return height[np.isfinite(height)]


def _draw_facets(
    axes: Axes3D, plane: Landscape, heights: np.ndarray, at: np.ndarray, floor: float, colours_name: str
) -> None:
    x, y = np.meshgrid(*plane.axes.values(), indexing="ij")
    corners = np.stack([x, y, heights], axis=-1)
    facets = np.stack(
        [corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], axis=2
    ).reshape(-1, 4, 3)
    facets = facets[np.isfinite(facets).all(axis=(1, 2))]
    if not len(facets):
        return
    colours, norm = mpl.colormaps[colours_name], Normalize(at[0], at[-1])
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


def _draw_path(axes: Axes3D, path: np.ndarray, floor: float) -> None:
    """Draw a path on the surface, (n, 3) at fine steps, and below it on the floor."""
    on_floor = np.column_stack([path[:, :2], np.full(len(path), floor)])
    for place, level in ((on_floor, 1.3), (path, 2.5)):
        axes.plot(*place.T, zorder=level, **LINE)
        axes.plot(*place[FINE:-FINE:FINE].T, zorder=level + 0.05, **DOTS | {"markersize": 1.8})


def _draw_marks(axes: Axes3D, named: list[Mark], scale: Scale, drawn: Quantity, floor: float) -> None:
    for mark in named:
        x, y = mark.coordinates
        look = mark.look(7.0)
        axes.plot([x], [y], [floor], zorder=1.5, **look)
        for height in _height(scale, drawn, mark):
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


def _draw_axes(axes: Axes3D, plane: Landscape, places: Sequence[Sequence[float]]) -> None:
    """Give the axes limits about the grid and all `places`, and the view."""
    (x, y), (xs, ys) = plane.axes.values(), zip(*places, strict=True) if places else ((), ())
    axes.set_xlim(min([x[0], *xs]), max([x[-1], *xs]))
    axes.set_ylim(min([y[0], *ys]), max([y[-1], *ys]))
    axes.tick_params(labelsize=layout().small_size, pad=-1)
    axes.view_init(elev=28, azim=-58)
    axes.set_box_aspect((1, 1, 0.9))
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis._axinfo["grid"].update(linewidth=0.3, color="#C8C8C8")


def _draw_height_axis(
    axes: Axes3D, shown: np.ndarray, scale: Scale, drawn: Quantity, chosen: np.ndarray
) -> None:
    """Label the heights, or say that there is none."""
    ticks = chosen[:: -(-len(chosen) // 7)] if scale.log else levels(chosen, 6)
    texts = labels(ticks)
    places = list(scale.place(ticks))
    if not np.isfinite(shown).any():
        places, texts = [], []
        axes.text2D(0.5, 0.55, f"no finite {drawn.short}", transform=axes.transAxes, ha="center")
    elif scale.below(shown).any():
        room = scale.floor + 0.12 * (max(places) - scale.floor)
        kept = [(place, text) for place, text in zip(places, texts, strict=True) if place > room]
        places, texts = [scale.floor, *(place for place, _ in kept)], ["0", *(text for _, text in kept)]
    axes.set_zticks(places, labels=texts)
    if not layout().words and any("times" in text for text in texts):  # else they would lie on their axis
        axes.tick_params(axis="z", pad=5)


def _name_edge(axis: Axis, label: str) -> None:
    """Give an axis of the floor its label: a long one small, in several lines."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    edge = EDGE * layout().width / WIDTH
    if "\n" in wrap(figure, label, size=layout().label_size, width=edge):
        label = wrap(figure, label, size=layout().small_size, width=0.75 * edge)
        axis.label.set_fontsize(layout().small_size)
    name_coordinate(axis, label, between="\n")


def _part_ticks(axes: Axes3D) -> None:
    """Move the ticks' labels away from the corner at which both axes end."""
    for axis, side in ((axes.xaxis, "right"), (axes.yaxis, "left")):
        axis.labelpad = 6 + 3 * axis.get_label_text().count("\n")
        for text in axis.get_ticklabels():
            text.set_horizontalalignment(side)


def fit(figure: Figure, axes: Axes3D, body: tuple[float, float, float, float]) -> None:
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
