"""What a plane can show, and how each of it is drawn: its words, its colours, its scale."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from study.figures.marks import Cells, Mark
from study.figures.style import COLOURS, UNITS, unit
from study.landscape.result import Landscape

Value = Literal["loss", "accuracy", "eigenvalue_ratio", "loss_standard_deviation"]


@dataclass(frozen=True)
class Quantity:
    """A value of a plane, and how it is drawn.

    Attributes:
        name: in a landscape.
        colours: the colour map.
        factor: from what a landscape holds to what is shown.
        log: whether its scale is logarithmic; None for where it spans decades.
        lost: what is not finite in a cell without it.
        suffix: after a number of it.
    """

    name: Value
    colours: str
    factor: float = 1.0
    log: bool | None = None
    lost: str = "loss"
    suffix: str = ""

    @property
    def short(self) -> str:
        """What it is called without its unit."""
        return unit(self.name, "").partition(" (")[0]

    def of(self, plane: Landscape) -> np.ndarray:
        """What is shown of a plane of one split, (A, B)."""
        return plane.values[self.name] * self.factor

    def at(self, mark: Mark) -> float:
        """What is shown of a special point; NaN where it has no such value."""
        return self.factor * mark.values.get(self.name, np.nan)

    def cells(self, plane: Landscape) -> Cells:
        """Which cells have it."""
        return Cells.of(plane, self.name)

    def drawn(self, plane: Landscape) -> np.ndarray:
        """What is shown of a plane, (A, B); NaN in a cell without it."""
        return np.where(self.cells(plane).drawn, self.of(plane), np.nan)

    def words(self, mark: Mark) -> str:
        """Its value at a special point."""
        return f"{self.at(mark):.{3 if self.suffix else 2}g}{self.suffix}"


QUANTITIES: dict[Value, Quantity] = {
    "loss": Quantity("loss", COLOURS.loss_map),
    "accuracy": Quantity("accuracy", COLOURS.accuracy_map, factor=100.0, log=False, suffix="%"),
    # linear: all small ratios say the same, that the loss is nearly convex
    "eigenvalue_ratio": Quantity(
        "eigenvalue_ratio", COLOURS.ratio_map, log=False, lost=UNITS["eigenvalue_ratio"]
    ),
    "loss_standard_deviation": Quantity(
        "loss_standard_deviation", COLOURS.spread_map, lost="loss along some direction"
    ),
}


def quantity(plane: Landscape, value: Value) -> Quantity:
    """How a value of a plane of one split is drawn.

    Raises:
        ValueError: if the landscape has no such value.
    """
    if value not in QUANTITIES or value not in plane.values:
        raise ValueError(
            f"value must be one of {[name for name in QUANTITIES if name in plane.values]}, got {value!r}"
        )
    return QUANTITIES[value]
