"""The optimiser's path on a plane: a line through its checkpoints that can be read on every colour."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from scipy.interpolate import RegularGridInterpolator

from study.figures.marks import Boxes
from study.figures.style import COLOURS
from study.landscape.result import Landscape, Point

LINE: dict[str, Any] = {
    "color": COLOURS.ink,
    "linewidth": 0.9,
    "solid_joinstyle": "round",
    "path_effects": [withStroke(linewidth=2.2, foreground=COLOURS.paper)],
}
"""Between checkpoints: black with a white edge."""

DOTS: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 2.4,
    "markerfacecolor": COLOURS.paper,
    "markeredgecolor": COLOURS.ink,
    "markeredgewidth": 0.5,
}
"""At checkpoints: smaller than any special point."""

NEAR = 1e-9
"""Of a path's extent: within it a special point is a checkpoint of the path."""

FINE = 24
"""Steps between two checkpoints where a path follows a surface."""


def check_path(path: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
    """The (α, β) of a path's checkpoints, (K, 2) float64.

    Raises:
        ValueError: if it is not that, is shorter than two, or holds what is not finite.
    """
    found = np.asarray(path, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] < 2 or found.shape[1] != 2:
        raise ValueError(f"path must be (α, β) of at least 2 checkpoints, (K, 2), got shape {found.shape}")
    if not np.isfinite(found).all():
        at = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(f"path must be finite, got {found[at].tolist()} at checkpoint {at}")
    return found


def between_ends(plane: Landscape, path: np.ndarray) -> Landscape:
    """The plane with the two ends of a path as special points, and none of the checkpoints between them.

    An end that is a special point already keeps its name and its values.
    """
    checkpoints = special_on(plane, path)
    inner = {name for own in checkpoints[1:-1] for name in own} - {*checkpoints[0], *checkpoints[-1]}
    kept = {name: point for name, point in plane.points.items() if name not in inner}
    start = {} if checkpoints[0] else {"start": Point(tuple(path[0].tolist()), {})}
    end = {} if checkpoints[-1] else {"end": Point(tuple(path[-1].tolist()), {})}
    return replace(plane, points={**start, **kept, **end})


def special_on(plane: Landscape, path: np.ndarray) -> list[list[str]]:
    """The names of the special points at each checkpoint of a path."""
    reach = NEAR * float(np.abs(path).max())
    return [
        [
            name
            for name, point in plane.points.items()
            if np.abs(np.subtract(point.coordinates, place)).max() <= reach
        ]
        for place in path
    ]


def draw_path(axes: Axes, path: np.ndarray) -> None:
    """Draw a path over the colours and isolines of a plane, below its special points."""
    axes.plot(*path.T, zorder=5, gid="path", **LINE)
    axes.plot(*path[1:-1].T, zorder=5.5, gid="checkpoints", **DOTS)


def path_boxes(axes: Axes, path: np.ndarray) -> Boxes:
    """Rectangles in points along a path, for words to keep clear of. The layout must be final."""
    at = axes.transData.transform(path) * 72.0 / axes.figure.dpi
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(at, axis=0).T))])
    steps = np.linspace(0.0, along[-1], max(2, int(along[-1] / 3.0)))
    x, y = (np.interp(steps, along, at[:, axis]) for axis in (0, 1))
    return [(a - 1.5, b - 1.5, a + 1.5, b + 1.5) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def on_surface(plane: Landscape, heights: np.ndarray, path: np.ndarray) -> np.ndarray:
    """A path laid on a surface: (α, β, height) at fine steps through every checkpoint, (n, 3).

    Args:
        plane: whose grid it is.
        heights: of the surface, (A, B); NaN where it is open.
        path: (K, 2).

    Returns:
        heights of the bilinear interpolant; NaN off the grid and beside what is open. Every `FINE`-th row is
        a checkpoint.
    """
    steps = np.arange(FINE * (len(path) - 1) + 1) / FINE
    fine = np.stack([np.interp(steps, np.arange(len(path)), path[:, axis]) for axis in (0, 1)], axis=1)
    height = RegularGridInterpolator(tuple(plane.axes.values()), heights, bounds_error=False)(fine)
    return np.column_stack([fine, height])
