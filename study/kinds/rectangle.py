"""What the landscapes over a rectangle share: the ranges of α and β, and the grid over them."""

from dataclasses import dataclass
from typing import Any

from study.keys import key, points_key
from study.kinds.base import LandscapeConfig
from study.landscape.grid import Grid


@dataclass
class RectangleConfig(LandscapeConfig):
    """A landscape over α and β; a kind says anew what its keys mean where that is its own."""

    alpha_range: list[float] = key("first and last α", length=2, increasing=True)
    beta_range: list[float] | None = key("first and last β; null takes α's", length=2, increasing=True)
    points: int = points_key("number of grid points along each axis; the solution is evaluated besides")

    @property
    def ranges(self) -> tuple[list[float], list[float]]:
        """First and last α, first and last β."""
        return self.alpha_range, self.beta_range or self.alpha_range

    @property
    def ranges_alike(self) -> dict[str, Any]:
        """In words, the axes: planes in panels of one scale have the same."""
        alpha, beta = self.ranges
        return {"α range": alpha, "β range": beta}

    def rectangle(self, beta_points: int | None = None) -> Grid:
        """Evenly spaced α (rows) and β (columns), as many of β as of α unless told."""
        (low, high), (beta_low, beta_high) = self.ranges
        return Grid.rectangle((low, high, self.points), (beta_low, beta_high, beta_points or self.points))
