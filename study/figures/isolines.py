"""Labels on isolines, only where they can be read."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.path import Path

from study.figures.layout import layout
from study.figures.marks import Boxes

MARGIN = 1.0
"""Space on either side of a label, in points."""

INK = 0.84
"""Part of a label's height that its characters fill."""


def label_isolines(axes: Axes, lines: QuadContourSet, texts: list[str], taken: Boxes) -> int:
    """Write at most one label on each isoline, in a gap of the line, where nothing else is in its way.

    A level gets its label at the place furthest from the other isolines where these do not cross it, clear of
    the frame, of the marks and of other labels; where no place has room for it, it gets none, and the colour
    bar tells it. The layout must be final.

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
        half = _size(axes, text) * scale / 2 + (MARGIN, 0.0)
        places, along = _candidates(paths[index], half[0])
        if not len(places):
            continue
        reach = half[0] * np.abs(along) + half[1] * np.abs(along[:, ::-1])  # of the upright box about it
        around = np.concatenate([places - reach, places + reach], axis=1)
        room = (around[:, :2] >= frame[:2]).all(axis=1) & (around[:, 2:] <= frame[2:]).all(axis=1)
        for box in boxes:
            room &= ~((around[:, :2] < box[2:]) & (around[:, 2:] > box[:2])).all(axis=1)
        others = [piece for other, pieces in enumerate(paths) if other != index for piece in pieces]
        clear = np.full(len(places), layout().smallest_size)
        if others:
            clear = np.minimum(clear, _clearance(places, along, half * (1.0, INK), np.concatenate(others)))
        clear[~room] = 0.0
        best = int(np.argmax(clear))
        if clear[best] <= 0:
            continue
        place = axes.transData.inverted().transform(places[best] / scale)
        lines.clabel(
            [level],
            manual=[tuple(place)],
            fmt={level: text},
            fontsize=layout().smallest_size,
            inline_spacing=1.5,
        )
        boxes = np.vstack([boxes, around[best]])
        labelled += 1
    return labelled


def _points(path: Path, axes: Axes, scale: float) -> list[np.ndarray]:
    """Each piece of an isoline's path as points (n, 2), in points of the figure, about two apart."""
    found = []
    for piece in path.to_polygons(closed_only=False):
        vertices = axes.transData.transform(np.asarray(piece)) * scale
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(vertices, axis=0).T))])
        steps = np.linspace(0.0, along[-1], max(2, int(along[-1] / 2.0)))
        found.append(np.stack([np.interp(steps, along, vertices[:, k]) for k in (0, 1)], axis=1))
    return found


def _candidates(pieces: list[np.ndarray], half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a label fits on an isoline, and the unit vector along it there: two arrays (n, 2).

    A label takes the chord between the points half its width away on either side, and leaves half as much of
    the line to be seen as it covers.
    """
    places, along = [np.empty((0, 2))], [np.empty((0, 2))]
    for piece in pieces:
        step = float(np.hypot(*(piece[1] - piece[0])))
        aside = int(np.ceil(half_width / step)) if step > 0 else len(piece)
        if len(piece) <= 3 * aside:
            continue
        middle = slice(aside, len(piece) - aside)
        chord = piece[2 * aside :] - piece[: -2 * aside]
        length = np.hypot(*chord.T)
        straight = length > 1.6 * half_width
        places.append(piece[middle][straight])
        along.append((chord / np.maximum(length, 1e-9)[:, None])[straight])
    return np.concatenate(places), np.concatenate(along)


def _clearance(places: np.ndarray, along: np.ndarray, half: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From the label at each place (n, 2) to the nearest of the other points (m, 2): (n,), 0 within it."""
    found = np.empty(len(places))
    for index, (place, (right, up)) in enumerate(zip(places, along, strict=True)):
        beside = others - place
        turned = np.abs(beside @ np.array([[right, -up], [up, right]]))
        found[index] = np.hypot(*np.maximum(turned - half, 0.0).T).min()
    return found


def _size(axes: Axes, text: str) -> np.ndarray:
    """Width and height of a label, in pixels."""
    probe = axes.text(0, 0, text, fontsize=layout().smallest_size)
    size = np.array(probe.get_window_extent().size)
    probe.remove()
    return size
