"""Where three points of weight space lie in the plane through them (Garipov et al. 2018)."""

from dataclasses import dataclass
from math import atan2, degrees, dist, isfinite
from typing import Any

import torch
from torch import Tensor

from study.landscape.directions import ROUNDING
from study.landscape.grid import Coordinates


@dataclass(frozen=True)
class Triangle:
    """Three points w₁, w₂, w₃ on the axes of unit length û and v̂, α along û and β along v̂, from w₁:

    u = w₂ − w₁, v = (w₃ − w₁) − ⟨w₃ − w₁, u⟩ u / ‖u‖² (Garipov et al. 2018). A distance in (α, β) is the L2
    distance of the weights. The axes themselves are not kept: a point of the plane is a mix of the three.

    Attributes:
        base: ‖u‖; w₂ lies at (base, 0).
        foot: ⟨w₃ − w₁, û⟩, where the height stands on the line from w₁ to w₂; w₃ lies at (foot, height).
        height: ‖v‖.
    """

    base: float
    foot: float
    height: float

    @classmethod
    def of(cls, first: Tensor, second: Tensor, third: Tensor) -> "Triangle":
        """The triangle of three points, each (P,).

        Raises:
            ValueError: if a point is not finite, two of them are equal, or they lie on one line to within the
                rounding of their entries.
        """
        norms = [_norm(point) for point in (first, second, third)]
        if not all(map(isfinite, norms)):
            said = ", ".join(f"{norm:.6g}" for norm in norms)
            raise ValueError(f"the three points must be finite, got L2 norms {said}")
        along, aside = (point.double() - first.double() for point in (second, third))
        sides = [_norm(along), _norm(aside), _norm(aside - along)]
        said = ", ".join(f"{side:.6g}" for side in sides)
        if min(sides) == 0:
            raise ValueError(f"the three points must differ, got distances (1–2, 1–3, 2–3) {said}")
        along /= sides[0]
        foot = float(along @ aside)
        height = _norm(aside - foot * along)
        beside = sides[0] * height / max(sides)  # the least of the three heights, in whatever order they come
        if beside <= ROUNDING * torch.finfo(first.dtype).eps * max(norms):
            raise ValueError(
                f"the three points must not lie on one line, got distances (1–2, 1–3, 2–3) {said} "
                f"and {beside:.2g} from one to the line of the others"
            )
        return cls(base=sides[0], foot=foot, height=height)

    @property
    def corners(self) -> tuple[Coordinates, Coordinates, Coordinates]:
        """The coordinates (α, β) of the three."""
        return (0.0, 0.0), (self.base, 0.0), (self.foot, self.height)

    def mix(self, alpha: float, beta: float) -> tuple[float, float, float]:
        """The barycentric coefficients of a point: exactly one 1 and two 0 at a corner."""
        third = beta / self.height
        second = (alpha - third * self.foot) / self.base
        return 1.0 - second - third, second, third

    def describe(self) -> dict[str, Any]:
        """Distances in weight space, in the order of the points, area, and the angle at w₁; JSON-able."""
        distances = [[dist(one, other) for other in self.corners] for one in self.corners]
        return {
            "distances": distances,
            "area": self.base * self.height / 2,
            "angle_degrees": degrees(atan2(self.height, self.foot)),
            "axes": "orthonormal: alpha along w2 - w1, beta along w3 - w1 less its projection on w2 - w1",
            "gram": [[1.0, 0.0], [0.0, 1.0]],
        }


def _norm(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
