"""What every figure marks: the special points, and the cells that are diverged, missing or interpolated."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from study.figures.layout import layout
from study.figures.style import COLOURS, HATCHES, MARKERS, STAR
from study.landscape.result import Landscape, Status

Boxes = list[tuple[float, float, float, float]]
"""Rectangles (x0, y0, x1, y1) in points (1/72 inch) of the figure."""


SOLUTIONS = ("solution", "averaged weights", "centre")  # else the weights after an update
BEFORE = {"initialisation": MARKERS[0], "checkpoint": MARKERS[1]}  # where a training passed: no star
EVALUATED = "evaluated (between: interpolated)"  # what the dots of such a picture are


@dataclass(frozen=True)
class Cells:
    """Masks over the grid of one split's landscape.

    Attributes:
        diverged: evaluated, and the loss, or what is drawn of it, is not finite.
        missing: not evaluated, and not interpolated either.
        interpolated: a prediction from other cells.
    """

    diverged: np.ndarray
    missing: np.ndarray
    interpolated: np.ndarray

    @classmethod
    def of(cls, landscape: Landscape, value: str = "loss") -> "Cells":
        """The masks of a landscape of one split, of which a value is drawn."""
        missing = landscape.status == Status.MISSING
        lost = ~np.isfinite(landscape.values["loss"]) | ~np.isfinite(landscape.values[value])
        diverged = ~missing & ((landscape.status == Status.DIVERGED) | lost)
        return cls(diverged, missing, (landscape.status == Status.INTERPOLATED) & ~diverged)

    @property
    def drawn(self) -> np.ndarray:
        """Where there is a value to draw."""
        return ~self.diverged & ~self.missing


def cell_status(part: Landscape) -> np.ndarray:
    """`Status` of each cell of one split, uint8 of its shape; diverged where the loss is not finite."""
    return np.where(Cells.of(part).diverged, Status.DIVERGED, part.status).astype(np.uint8)


@dataclass(frozen=True)
class Mark:
    """A special point as it is drawn; points at the same place are one mark with all their names.

    Attributes:
        name: what stands beside it.
        coordinates: one number an axis.
        values: as `Point.values` of one split.
        marker: matplotlib's code.
    """

    name: str
    coordinates: tuple[float, ...]
    values: dict[str, float]
    marker: str

    def look(self, size: float) -> dict[str, Any]:
        """How it is drawn: white with a black edge, readable on every colour; `size` in points, of a star."""
        return {
            "linestyle": "none",
            "marker": self.marker,
            "markersize": size if self.marker == STAR else 0.63 * size,
            "markerfacecolor": COLOURS.paper,
            "markeredgecolor": COLOURS.ink,
            "markeredgewidth": 0.1 * size,
        }


def marks(landscape: Landscape) -> list[Mark]:
    """The special points of a landscape of one split: a star for the solution, a circle where it began."""
    found: dict[tuple[float, ...], list[str]] = {}
    for name, point in landscape.points.items():
        found.setdefault(point.coordinates, []).append(name)
    markers = _markers(found, list(landscape.points))
    return [
        Mark(", ".join(names), place, landscape.points[names[0]].values, markers[place])
        for place, names in found.items()
    ]


def _markers(found: Mapping[tuple[float, ...], list[str]], names: list[str]) -> dict[tuple[float, ...], str]:
    """A marker for each place: the star is the solution's or the centre's, else the last point's.

    Where other weights than a training's last are looked at, the solution is called by what they are.
    """
    if len(names) == 1 and names[0] in BEFORE:
        return dict.fromkeys(found, BEFORE[names[0]])
    solutions = [name for name in SOLUTIONS if name in names]
    updates = [name for name in names if name.startswith("update ")]
    star = [*solutions, *updates, *names[-1:], ""][0]
    others = [place for place, own in found.items() if star not in own]
    others.sort(key=lambda place: "initialisation" not in found[place])
    chosen = dict(zip(others, cycle(MARKERS)))
    return {place: chosen.get(place, STAR) for place in found}


def hatched(label: str, which: int = 0) -> Patch:
    """The legend entry, and the look, of what diverged."""
    return Patch(
        facecolor="#EDEDED" if which == 0 else "none",
        edgecolor=COLOURS.diverged,
        hatch=HATCHES[which],
        linewidth=0,
        label=label,
    )


def blank(label: str = "not evaluated") -> Patch:
    """The legend entry, and the look, of what is missing."""
    return Patch(facecolor=COLOURS.paper, edgecolor=COLOURS.diverged, linewidth=0.5, label=label)


def name_marks(axes: Axes, found: list[Mark], clear_of: Boxes | None = None) -> Boxes:
    """Write each mark's name beside it, where it covers neither another mark nor another name.

    A name that finds no room nearby goes further away, with a line back to its mark. The layout must be
    final.

    Args:
        axes: on which the marks are.
        found: the marks.
        clear_of: further rectangles to keep clear of, in points.

    Returns:
        the rectangles that are taken: by marks, by names, and those to keep clear of.
    """
    figure = axes.figure
    scale = 72.0 / figure.dpi
    frame = axes.get_window_extent()
    inside = Bbox.from_extents(*(value * scale for value in frame.extents))
    at = [axes.transData.transform(mark.coordinates) * scale for mark in found]
    taken: Boxes = [*(clear_of or []), *((x - 4, y - 4, x + 4, y + 4) for x, y in at)]
    for mark, (x, y) in zip(found, at, strict=True):
        place = (mark.coordinates[0], mark.coordinates[1])
        text = axes.annotate(
            mark.name,
            place,
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=layout().small_size,
            color=COLOURS.ink,
            path_effects=[withStroke(linewidth=2.0, foreground=COLOURS.paper)],
            parse_math=False,
            zorder=8,
        )
        size = text.get_window_extent()
        half_width, half_height = size.width * scale / 2 + 1.0, size.height * scale / 2
        offset, box = _free_place(x, y, half_width, half_height, taken, inside)
        text.set_position(offset)
        taken.append(box)
        if max(abs(offset[0]) - half_width, abs(offset[1]) - half_height) > 8:
            axes.annotate(
                "",
                place,
                xytext=offset,
                textcoords="offset points",
                arrowprops={
                    "arrowstyle": "-",
                    "linewidth": 0.5,
                    "color": COLOURS.ink,
                    "shrinkA": 6,
                    "shrinkB": 2,
                },
                zorder=7,
            )
    return taken


def name_above(axes: Axes, found: list[Mark], width: float) -> float:
    """Write the names of a line's marks above the axes: level where they fit, upright and spread where not.

    Args:
        axes: with their horizontal limits set; not laid out yet.
        found: the marks of a line.
        width: about how wide the axes will be, in inches.

    Returns:
        the inches that upright names take above what level ones would; 0 for level ones.
    """
    if not found:
        return 0.0
    low, high = axes.get_xlim()
    ordered = sorted(found, key=lambda mark: mark.coordinates)
    at = np.array([(mark.coordinates[0] - low) / (high - low) * width * 72.0 for mark in ordered])
    texts = [
        axes.annotate(
            mark.name,
            (mark.coordinates[0], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=layout().small_size,
            parse_math=False,
        )
        for mark in ordered
    ]
    halves = np.array([text.get_window_extent().width * 36.0 / axes.figure.dpi for text in texts])
    if np.all(np.diff(at) >= halves[1:] + halves[:-1] + 4.0):
        return 0.0
    for text, shift in zip(texts, _spread(at, 1.25 * layout().small_size) - at, strict=True):
        text.set(rotation=90, position=(shift, 9))
        axes.annotate(
            "",
            text.xy,
            xycoords=("data", "axes fraction"),
            xytext=(shift, 9),
            textcoords="offset points",
            arrowprops={
                "arrowstyle": "-",
                "linewidth": 0.5,
                "color": COLOURS.quiet,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
    return float(halves.max() / 36.0)


def _spread(at: np.ndarray, gap: float) -> np.ndarray:
    """Increasing positions (n,) moved apart to at least `gap`, with their mean unchanged where they crowd."""
    moved = at.copy()
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    return moved - (moved - at).mean()


def _free_place(
    x: float, y: float, half_width: float, half_height: float, taken: Boxes, inside: Bbox
) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
    """The nearest free place for a box about (x, y): its offset and its rectangle, in points."""
    best = None
    for distance in (5.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0):
        for angle in np.deg2rad((45, 135, -45, -135, 90, -90, 0, 180)):
            right, up = np.cos(angle), np.sin(angle)
            dx = np.sign(np.round(right, 6)) * half_width + distance * right
            dy = np.sign(np.round(up, 6)) * half_height + distance * up
            box = (x + dx - half_width, y + dy - half_height, x + dx + half_width, y + dy + half_height)
            outside = max(inside.x0 - box[0], box[2] - inside.x1, inside.y0 - box[1], box[3] - inside.y1, 0.0)
            cost = outside + sum(_overlap(box, other) for other in taken)
            if best is None or cost < best[0]:
                best = (cost, ((float(dx), float(dy)), box))
            if cost == 0:
                return best[1]
    assert best is not None
    return best[1]


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """The area that two rectangles share, in square points."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0
