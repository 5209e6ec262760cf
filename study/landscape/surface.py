"""What was found on a grid, before it is a landscape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from study.landscape.evaluator import Measured
from study.landscape.result import Status, is_loss


@dataclass(frozen=True)
class Surface:
    """Values on a grid.

    Attributes:
        values: see `Landscape`.
        status: see `Landscape`.
        example_losses: see `Landscape`.
        estimate: where cells are interpolated, how many are, and with what error; JSON-able.
    """

    values: dict[str, np.ndarray]
    status: np.ndarray
    example_losses: dict[str, np.ndarray]
    estimate: dict[str, Any] | None = None

    @classmethod
    def of(cls, shape: tuple[int, ...], cells: np.ndarray, measured: Sequence[Measured]) -> "Surface":
        """The surface of which some cells are measured; the others are missing, and NaN.

        Args:
            shape: of the grid.
            cells: positions of those measured, (n, D).
            measured: what was measured there; at least one.
        """
        at, first = tuple(cells.T), measured[0]
        values = {name: np.full(shape, np.nan) for name in first.values}
        for name, array in values.items():
            array[at] = [own.values[name] for own in measured]
        examples = {
            name: np.full((*shape, len(losses)), np.nan, dtype=np.float32)
            for name, losses in first.example_losses.items()
        }
        for name, array in examples.items():
            array[at] = [own.example_losses[name] for own in measured]
        finite = np.logical_and.reduce([
            np.isfinite(own[at]) for name, own in values.items() if is_loss(name)
        ])
        status = np.full(shape, Status.MISSING, dtype=np.int8)
        status[at] = np.where(finite, Status.EVALUATED, Status.DIVERGED)
        return cls(values, status, examples)
