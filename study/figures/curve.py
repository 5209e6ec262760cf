"""What is drawn along a line: a value of one split, at the cells and at the special points between them."""

from dataclasses import dataclass

import numpy as np

from study.figures.marks import Cells, marks
from study.landscape.result import Landscape


@dataclass(frozen=True)
class Curve:
    """A value of one split along the line, at the cells and at the special points, in order of the parameter.

    Attributes:
        x: the parameter, (n,).
        y: the value; NaN where it is not finite.
        error: the standard error; NaN where there is none.
        hollow: whether the cell is interpolated.
        on_grid: whether it is a cell of the grid, and not a special point between cells.
        diverged: whether the loss there is evaluated and not finite.
        missing: whether it is not evaluated.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray
    hollow: np.ndarray
    on_grid: np.ndarray
    diverged: np.ndarray
    missing: np.ndarray

    @property
    def alone(self) -> np.ndarray:
        """Values that no line reaches: their neighbours have none."""
        known = np.concatenate([[False], np.isfinite(self.y), [False]])
        return known[1:-1] & ~known[:-2] & ~known[2:]

    @classmethod
    def of(cls, part: Landscape, value: str, factor: float = 1.0) -> "Curve":
        """The curve of one split, its values times `factor`."""
        cells = Cells.of(part)
        (x,) = part.axes.values()
        between = [mark for mark in marks(part) if mark.coordinates[0] not in x and value in mark.values]
        positions = np.array([*x, *(mark.coordinates[0] for mark in between)])
        y = np.array([
            *np.where(cells.drawn, part.values[value], np.nan),
            *(mark.values[value] for mark in between),
        ])
        name = "loss_standard_error" if value == "loss" else ""
        unknown = np.full(x.shape, np.nan)
        error = np.array([
            *part.values.get(name, unknown),
            *(mark.values.get(name, np.nan) for mark in between),
        ])
        hollow = np.array([*cells.interpolated, *(False for _ in between)])
        on_grid = np.arange(len(positions)) < len(x)
        lost = [not np.isfinite(mark.values.get("loss", np.nan)) for mark in between]
        diverged = np.array([*cells.diverged, *lost])
        missing = np.array([*cells.missing, *(False for _ in between)])
        y = np.where(np.isfinite(y), y, np.nan) * factor
        error = np.where(np.isfinite(error) & (error > 0), error, np.nan)
        order = np.argsort(positions, kind="stable")
        columns = (positions, y, error, hollow, on_grid, diverged, missing)
        return cls(*(column[order] for column in columns))
