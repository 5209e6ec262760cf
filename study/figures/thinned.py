"""Fewer points of a line or a plane, where a page can show no more."""

from dataclasses import replace

import numpy as np

from study.figures.few import evenly
from study.landscape.result import Landscape


def few_of(size: int, most: int) -> np.ndarray:
    """Indices of at most so many of `size` points, evenly spaced, both ends among them."""
    return np.array(evenly(range(size), most))


def thinned(plane: Landscape, most: int) -> Landscape:
    """A plane with at most so many points along each axis, evenly spaced, both ends among them."""
    if max(plane.shape) <= most:
        return plane
    kept = [few_of(size, most) for size in plane.shape]
    cells = np.ix_(*kept)
    return replace(
        plane,
        axes={name: axis[own] for (name, axis), own in zip(plane.axes.items(), kept, strict=True)},
        values={name: array[cells] for name, array in plane.values.items()},
        status=plane.status[cells],
        example_losses={},
    )
