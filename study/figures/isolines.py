"""Labels on isolines, only where they can be read."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.path import Path

from study.figures.marks import Boxes
from study.figures.style import SMALL_SIZE

SIZE = SMALL_SIZE - 1.0
"""Font size of the labels, in points."""


def label_isolines(axes: Axes, lines: QuadContourSet, texts: list[str], taken: Boxes) -> int:
    """Write at most one label on each isoline, in a gap of the line, where nothing else is in its way.

    A level gets its label at the place furthest from the other isolines, clear of the frame, of the marks and
    of other labels; where no place has room for it, it gets none, and the colour bar tells it. The layout
    must be final.

    Args:
        axes: on which the isolines are.
        lines: the isolines; their paths are cut where a label goes.
        texts: one for each level of `lines`.
        taken: rectangles to keep clear of, in points.

    Returns:
        how many levels have a label.
    """
    scale = 72.0 / axes.figure.dpi
    frame = np.array(axes.get_window_extent().extents) * scale
    paths = [_points(path, axes, scale) for path in lines.get_paths()]
    boxes = np.array(taken, dtype=float).reshape(-1, 4)
    labelled = 0
    for index, (level, text) in enumerate(zip(lines.levels, texts, strict=True)):
        half = _width(axes, text) * scale / 2 + 2.0
        candidates = np.concatenate(
            [piece for piece in paths[index] if _extent(piece) > 2.5 * half] or [np.empty((0, 2))]
        )
        candidates = candidates[:: max(1, len(candidates) // 300)]
        if not len(candidates):
            continue
        x, y = candidates.T
        room = np.minimum.reduce([x - frame[0], frame[2] - x, y - frame[1], frame[3] - y]) >= half
        beside = np.maximum(boxes[:, 0] - x[:, None], x[:, None] - boxes[:, 2])
        above = np.maximum(boxes[:, 1] - y[:, None], y[:, None] - boxes[:, 3])
        room &= (np.hypot(np.maximum(beside, 0), np.maximum(above, 0)) >= half).all(axis=1)
        others = [piece for other, pieces in enumerate(paths) if other != index for piece in pieces]
        clear = _distance(candidates, np.concatenate(others)) if others else np.full(len(x), np.inf)
        clear = np.where(room, clear, -1.0)
        best = int(np.argmax(np.minimum(clear, 1.5 * SIZE)))
        if clear[best] < 0.6 * SIZE:
            continue
        place = axes.transData.inverted().transform(candidates[best] / scale)
        lines.clabel([level], manual=[tuple(place)], fmt={level: text}, fontsize=SIZE, inline_spacing=1.5)
        near_x, near_y = candidates[best]
        boxes = np.vstack([boxes, (near_x - half, near_y - half, near_x + half, near_y + half)])
        labelled += 1
    return labelled


def _points(path: Path, axes: Axes, scale: float) -> list[np.ndarray]:
    """Each piece of an isoline's path as points (n, 2), in points of the figure, about three apart."""
    found = []
    for piece in path.to_polygons(closed_only=False):
        vertices = axes.transData.transform(np.asarray(piece)) * scale
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(vertices, axis=0).T))])
        steps = np.linspace(0.0, along[-1], max(2, int(along[-1] / 3.0)))
        found.append(np.stack([np.interp(steps, along, vertices[:, k]) for k in (0, 1)], axis=1))
    return found


def _extent(piece: np.ndarray) -> float:
    return float(np.ptp(piece, axis=0).max())


def _distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From each point (n, 2) to the nearest of the others (m, 2): (n,)."""
    return np.array([np.hypot(*(others - point).T).min() for point in points])


def _width(axes: Axes, text: str) -> float:
    probe = axes.text(0, 0, text, fontsize=SIZE)
    width = probe.get_window_extent().width
    probe.remove()
    return float(width)
