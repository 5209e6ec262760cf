"""What has no value, hatched where it diverged and left white where it was not evaluated."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from study.figures.curve import Curve
from study.figures.marks import Boxes, blank, hatched
from study.figures.quantity import Quantity
from study.figures.style import COLOURS
from study.landscape.masks import runs
from study.landscape.result import Landscape


def draw_plane_gaps(axes: Axes, plane: Landscape, quantity: Quantity) -> list[Artist]:
    """Fill every square of the grid with a corner that has no value; contours cover what they reach of it.

    Args:
        axes: of the plane.
        plane: of one split.
        quantity: what is drawn of it.

    Returns:
        the legend's entries.
    """
    handles: list[Artist] = []
    x, y = plane.axes.values()
    cells = quantity.cells(plane)
    lost = hatched(f"diverged: {quantity.lost} not finite")
    for mask, look in ((cells.missing, blank()), (cells.diverged, lost)):
        touched = mask[:-1, :-1] | mask[1:, :-1] | mask[:-1, 1:] | mask[1:, 1:]
        if not touched.any():
            continue
        squares = [
            Path.unit_rectangle().transformed(
                Affine2D.from_values(x[i + 1] - x[i], 0, 0, y[j + 1] - y[j], x[i], y[j])
            )
            for i, j in zip(*np.nonzero(touched), strict=True)
        ]
        axes.add_patch(
            PathPatch(
                Path.make_compound_path(*squares),
                facecolor=look.get_facecolor(),
                edgecolor=look.get_edgecolor(),
                hatch=look.get_hatch(),
                linewidth=0,
                zorder=1,
            )
        )
        handles.append(look)
    return handles


def gap_boxes(axes: Axes, plane: Landscape, quantity: Quantity) -> Boxes:
    """Rectangles in points about the cells without a value, as far as the squares that they leave open."""
    gaps = np.argwhere(~quantity.cells(plane).drawn)
    x, y = plane.axes.values()
    last = (len(x) - 1, len(y) - 1)
    low, high = np.maximum(gaps - 1, 0), np.minimum(gaps + 1, last)
    scale = 72.0 / axes.figure.dpi
    corners = [
        axes.transData.transform(np.stack([x[at[:, 0]], y[at[:, 1]]], axis=1)) * scale for at in (low, high)
    ]
    return [tuple(box) for box in np.concatenate(corners, axis=1).tolist()]


def draw_line_gaps(axes: Axes, curves: dict[str, Curve]) -> list[Artist]:
    """Hatch the spans where a split diverged, and frame those that were not evaluated.

    A span reaches from the last value before it to the first after it: where the curve ends, it begins.

    Args:
        axes: of the loss.
        curves: the losses, by split.

    Returns:
        the legend's entries.
    """
    handles: list[Artist] = []
    first = next(iter(curves.values()))
    same = all(np.array_equal(first.diverged, other.diverged) for other in curves.values())
    for index, (name, curve) in enumerate(curves.items()):
        if not curve.diverged.any() or (same and index > 0):
            continue
        look = hatched("loss not finite" if same else f"{name} loss not finite", index % 4)
        for start, stop in _spans(curve.x, curve.diverged):
            axes.axvspan(
                start,
                stop,
                facecolor=look.get_facecolor() if index == 0 else "none",
                edgecolor=look.get_edgecolor(),
                hatch=look.get_hatch(),
                linewidth=0,
                zorder=0.5,
            )
        handles.append(look)
    if first.missing.any():
        for start, stop in _spans(first.x, first.missing):
            axes.axvspan(start, stop, facecolor="none", edgecolor=COLOURS.diverged, linewidth=0.5, zorder=0.4)
        handles.append(blank())
    return handles


def _spans(x: np.ndarray, mask: np.ndarray) -> list[tuple[float, float]]:
    """First and last coordinate of each run of `mask`, up to its neighbours outside it."""
    last = len(x) - 1
    return [(float(x[max(start - 1, 0)]), float(x[min(stop + 1, last)])) for start, stop in runs(mask)]
