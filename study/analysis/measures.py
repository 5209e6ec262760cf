"""Measures of a landscape. A value that is not finite within a measure's range makes the measure infinite."""

from itertools import pairwise

import numpy as np
from contourpy import contour_generator

from study.landscape.result import Landscape, Status

EXTREMES = ("minimum", "maximum", "diverged_cells")
"""What `extremes` finds."""

BASIN = ("basin_width", "basin_reaches_edge", "basin_unresolved")
"""What `basin_extent` finds along a line."""

BASIN_OF_PLANE = (*BASIN, "basin_width_alpha", "basin_width_beta")
"""What it finds on a plane."""


def extremes(landscape: Landscape) -> dict[str, float]:
    """Minimum and maximum loss, in its unit, over grid and special points, and how many cells diverged.

    The maximum is infinite as soon as one cell diverged; the minimum is over the others, infinite if there
    is none.

    Args:
        landscape: of one split.
    """
    losses = np.append(
        landscape.values["loss"].ravel(), [point.values["loss"] for point in landscape.points.values()]
    )
    finite = losses[np.isfinite(losses)]
    return {
        "minimum": float(finite.min()) if len(finite) else np.inf,
        "maximum": float(finite.max()) if len(finite) == len(losses) else np.inf,
        "diverged_cells": float((landscape.status == Status.DIVERGED).sum()),
    }


def largest_rise(landscape: Landscape) -> float:
    """The largest L(α₂) − L(α₁) over 0 ≤ α₁ < α₂ ≤ 1: zero means monotone (Lucas et al. 2021).

    Args:
        landscape: a line, of one split; its special points count.
    """
    alpha, loss = along_line(landscape)
    within = (alpha >= 0) & (alpha <= 1)
    return _largest_rise(loss[within])


def basin_extent(landscape: Landscape, rise: float) -> dict[str, float]:
    """Extent of the basin: the connected part of {L ≤ L(θ*) + rise} that holds the centre.

    Along each axis, in the units of the grid, from linear interpolation between cells. On a line
    `basin_width` is the extent along α; on a plane it is the mean of `basin_width_alpha` and
    `basin_width_beta`, the sides of the basin's bounding box. Cells that diverged lie outside.

    Args:
        landscape: about one solution, of one split; its special point is the centre.
        rise: in the loss's unit, positive.

    Returns:
        The extents; `basin_reaches_edge`, 1 where the basin reaches the edge of the grid, so that its width
        is a lower bound; `basin_unresolved`, 1 where along some axis it spans fewer than three coordinates of
        the grid (the centre's among them), so that its width is no more than a guess below the spacing. The
        extents are infinite where the centre itself is not finite.
    """
    (center,) = landscape.points.values()
    level = center.values["loss"] + rise
    names = ["basin_width"]
    if len(landscape.shape) == 2:
        names = ["basin_width", "basin_width_alpha", "basin_width_beta"]
    if not np.isfinite(level):
        return {**dict.fromkeys(names, np.inf), "basin_reaches_edge": 1.0, "basin_unresolved": 0.0}
    if len(landscape.shape) == 1:
        low, high = _interval(*along_line(landscape), center.coordinates[0], level)
        box = [(low, high)]
    else:
        box = _box(landscape, center.coordinates, level)
    widths = [high - low for low, high in box]
    edge = any(
        high > low and (low <= axis[0] or high >= axis[-1])
        for (low, high), axis in zip(box, landscape.axes.values(), strict=True)
    )
    spanned = [
        ((low <= known) & (known <= high)).sum()
        for (low, high), axis, at in zip(box, landscape.axes.values(), center.coordinates, strict=True)
        for known in [np.union1d(axis, at)]
    ]
    values = [float(np.mean(widths)), *widths] if len(widths) == 2 else widths
    return {
        **dict(zip(names, values, strict=True)),
        "basin_reaches_edge": float(edge),
        "basin_unresolved": float(min(spanned) < 3),
    }


def level_set_area(landscape: Landscape, rise: float) -> float:
    """Area of the basin on a plane: the connected part of {L ≤ L(θ*) + rise} that holds the centre.

    In units of α times units of β, from linear interpolation between cells, as `basin_extent`; holes are
    taken off. It is a lower bound where the basin reaches the edge of the grid, and infinite where the centre
    is not finite.

    Args:
        landscape: about one solution, of one split; its special point is the centre.
        rise: in nats, positive.
    """
    (center,) = landscape.points.values()
    level = center.values["loss"] + rise
    if not np.isfinite(level):
        return np.inf
    rings = _rings(landscape, center.coordinates, level)
    return abs(_area(rings[0])) - sum(abs(_area(hole)) for hole in rings[1:]) if rings else 0.0


def along_line(landscape: Landscape, value: str = "loss") -> tuple[np.ndarray, np.ndarray]:
    """(α, value) of a line with its special points among the grid's, in order of α, each α once; (M,) each.

    Where a special point lies on the grid, its own value is the one that counts.
    """
    (axis,) = landscape.axes.values()
    points = landscape.points.values()
    alpha = np.append([point.coordinates[0] for point in points], axis)
    values = np.append([point.values[value] for point in points], landscape.values[value])
    alpha, first = np.unique(alpha, return_index=True)
    return alpha, values[first]


def _largest_rise(loss: np.ndarray) -> float:
    if not np.isfinite(loss).all():
        return np.inf
    lowest_so_far = np.minimum.accumulate(loss)
    return float((loss - lowest_so_far).max())


def _interval(alpha: np.ndarray, loss: np.ndarray, center: float, level: float) -> tuple[float, float]:
    """Where the loss crosses `level` on either side of the centre, or the end of the grid."""
    at = int(np.searchsorted(alpha, center))

    def crossing(step: int) -> float:
        inside = at
        while 0 <= inside + step < len(alpha) and loss[inside + step] <= level:
            inside += step
        outside = inside + step
        if not 0 <= outside < len(alpha):
            return float(alpha[inside])
        if not np.isfinite(loss[outside]):
            return float(alpha[inside])
        share = (level - loss[inside]) / (loss[outside] - loss[inside])
        return float(alpha[inside] + share * (alpha[outside] - alpha[inside]))

    return crossing(-1), crossing(+1)


def _box(landscape: Landscape, center: tuple[float, ...], level: float) -> list[tuple[float, float]]:
    """Bounding box, (low, high) along α and β, of the region at or below `level` that holds the centre."""
    rings = _rings(landscape, center, level)
    if not rings:
        return [(center[0], center[0]), (center[1], center[1])]
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    return [(float(low[axis]), float(high[axis])) for axis in (0, 1)]


def _rings(landscape: Landscape, center: tuple[float, ...], level: float) -> list[np.ndarray]:
    """The region at or below `level` that holds the centre: its outline, then its holes, (n, 2) each.

    In (α, β). Nothing where it lies between the cells.
    """
    alpha, beta = landscape.axes.values()
    loss = landscape.values["loss"]
    outside = np.finfo(np.float64).max / 4  # a cell that diverged: the crossing lies next to its neighbour
    height = np.where(np.isfinite(loss), loss, outside)
    generator = contour_generator(beta, alpha, height, fill_type="OuterOffset")
    polygons, offsets = generator.filled(-np.inf, level)[:2]
    for points, starts in zip(polygons, offsets, strict=True):
        assert points is not None  # None stands in chunked fill types only
        assert starts is not None
        # (β, α) as contourpy has it -> (α, β)
        rings = [points[first:last][:, ::-1] for first, last in pairwise(starts)]
        if _holds(rings[0], np.array(center)):
            return rings
    return []


def _area(ring: np.ndarray) -> float:
    """The area within a closed ring, (n, 2), by the trapezoids below its edges; negative one way round."""
    return float((np.diff(ring[:, 0]) * (ring[1:, 1] + ring[:-1, 1])).sum() / 2.0)


def _holds(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether a closed polygon, (n, 2), holds `point`, by counting the edges that a ray from it crosses."""
    first, second = polygon[:-1] - point, polygon[1:] - point
    straddles = (first[:, 1] > 0) != (second[:, 1] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = first[:, 0] - first[:, 1] * (second[:, 0] - first[:, 0]) / (second[:, 1] - first[:, 1])
    return bool((straddles & (crossing > 0)).sum() % 2)
