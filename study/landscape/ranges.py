"""Ranges of coordinates that hold what a geometry is about."""

from math import isfinite

from study.landscape.family import Geometry


def bounding_ranges(geometry: Geometry, margin: float = 0.2) -> tuple[tuple[float, float], ...]:
    """(low, high) of each axis of a geometry, wide enough for all its special points.

    An axis along which they all lie at one coordinate takes the extent of the widest axis, about them.

    Args:
        geometry: at least two of its special points lie apart.
        margin: room beyond the outermost points at either end, a share of the axis's extent.

    Raises:
        ValueError: if the margin is negative or not finite, or all special points lie at one place.
    """
    if not (isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be finite and at least 0, got {margin}")
    along = list(zip(*geometry.special.values(), strict=True))
    widest = max((max(axis) - min(axis) for axis in along), default=0.0)
    if not widest > 0:
        raise ValueError(f"special points must lie apart to bound a range, got {dict(geometry.special)}")
    ranges = []
    for axis in along:
        low, high = min(axis), max(axis)
        if low == high:
            low, high = low - widest / 2, high + widest / 2
        room = margin * (high - low)
        ranges.append((low - room, high + room))
    return tuple(ranges)
