"""What the landscapes on planes through known points share: a grid that holds them all."""

from dataclasses import dataclass

from study.keys import key, points_key
from study.kinds.base import LandscapeConfig
from study.landscape.geometry import Geometry
from study.landscape.grid import Grid
from study.landscape.ranges import bounding_ranges


@dataclass
class BoundedConfig(LandscapeConfig):
    """A landscape on a plane whose ranges follow from the points that it is about."""

    margin: float = key("room beyond the outermost points, as a share of their extent", at_least=0)
    points: int = points_key("number of grid points along α; special points are evaluated besides")
    beta_points: int | None = points_key("number of grid points along β; null takes α's")

    def about(self, geometry: Geometry) -> Grid:
        """Evenly spaced α (rows) and β (columns) about the special points of a plane."""
        (low, high), (beta_low, beta_high) = bounding_ranges(geometry, self.margin)
        beta_points = self.beta_points or self.points
        return Grid.rectangle((low, high, self.points), (beta_low, beta_high, beta_points))
