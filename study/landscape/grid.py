"""The coordinates at which a geometry is read."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isfinite

import numpy as np

Coordinates = tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """The coordinates at which a geometry is read: α along rows, β along columns.

    Attributes:
        axes: name to coordinates, float64, strictly increasing.

    Raises:
        ValueError: if an axis has fewer than 2 points, a coordinate that is not finite, or is not increasing.
    """

    axes: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, axis in self.axes.items():
            if axis.ndim != 1 or len(axis) < 2:
                raise ValueError(f"axis {name!r} must hold at least 2 points, got shape {axis.shape}")
            if not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
                raise ValueError(f"axis {name!r} must be finite and strictly increasing")

    @classmethod
    def line(cls, low: float = -0.5, high: float = 1.5, points: int = 51) -> "Grid":
        """`points` evenly spaced coordinates from `low` to `high`."""
        return cls({"alpha": spaced(low, high, points)})

    @classmethod
    def square(cls, radius: float = 1.0, points: int = 51) -> "Grid":
        """`points` × `points` coordinates on [−radius, radius]²."""
        return cls.rectangle((-radius, radius, points), (-radius, radius, points))

    @classmethod
    def rectangle(cls, alpha: tuple[float, float, int], beta: tuple[float, float, int]) -> "Grid":
        """A grid with a (low, high, points) for each axis."""
        return cls({"alpha": spaced(*alpha), "beta": spaced(*beta)})

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points along each axis."""
        return tuple(len(axis) for axis in self.axes.values())

    @cached_property
    def coordinates(self) -> list[Coordinates]:
        """The coordinates of every cell, rows first."""
        mesh = np.meshgrid(*self.axes.values(), indexing="ij")
        return [tuple(map(float, cell)) for cell in zip(*(axis.ravel() for axis in mesh), strict=True)]


def spaced(low: float, high: float, points: int) -> np.ndarray:
    """`points` evenly spaced numbers, each the float64 nearest to the exact one.

    So the ends are exact, the middle of a symmetric range is, and two grids share the bits of each number
    that both hold: points are found again when a grid is refined or widened.

    Raises:
        ValueError: if there are fewer than 2 points, or `low` is not below `high`, or not finite.
    """
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ValueError(f"the range must be finite and go from low to high, got {low} to {high}")
    first, last, steps = Fraction(low), Fraction(high), points - 1
    return np.array([float(((steps - at) * first + at * last) / steps) for at in range(points)])
