"""Along one direction from the solution: θ(α) = θ* + α δ (equation 2 in one dimension)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.measures import BASIN, EXTREMES, basin_extent, extremes
from study.analysis.roughness import ROUGHNESS, roughness_measures
from study.errors import ConfigError
from study.keys import key, points_key
from study.kinds.base import Kind, Trained
from study.kinds.directed import BasinConfig
from study.kinds.replicated import ReplicatedConfig
from study.kinds.replicated_drawing import ReplicatedLineDrawing
from study.landscape.geometry import Geometry, Line
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class LineConfig(BasinConfig, ReplicatedConfig):
    """A line through the solution along a direction."""

    alpha_range: list[float] = key("first and last α; 0 is the solution", length=2, increasing=True)
    points: int = points_key("number of grid points; the solution is evaluated besides")

    def check(self, name: str) -> None:
        """Refuse more than one direction.

        Raises:
            ConfigError: naming them.
        """
        super().check(name)
        if len(self.directions) != 1:
            raise ConfigError(f"{name}.directions", "must have 1 entry on a line", self.directions)


def geometry(config: LineConfig, trained: Trained) -> Line:
    """The line through θ* along the direction asked for."""
    (delta,) = config.axes(trained)
    return Line.through(trained.solution, delta, trained.solution_name)


def grid(config: LineConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α."""
    low, high = config.alpha_range
    return Grid.line(low, high, config.points)


def measures(landscape: Landscape, config: LineConfig) -> Mapping[str, float]:
    """The basin's width (units of α), the roughness of the line, and the extremes (in the loss's unit)."""
    return {
        **basin_extent(landscape, config.basin_rise),
        **roughness_measures(landscape),
        **extremes(landscape),
    }


def alike(config: LineConfig) -> Mapping[str, Any]:
    """What one step of α means; the range may differ."""
    return {**config.read_alike, **config.direction_alike}


def caption(config: LineConfig, about: Mapping[str, Any]) -> list[str]:
    """How the direction is scaled."""
    return config.direction_words(about)


KIND = Kind(
    name="line",
    title="Along a direction",
    schema=LineConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(*BASIN, *ROUGHNESS, *EXTREMES),
    alike=alike,
    drawing=ReplicatedLineDrawing({"alpha": "α (steps along the direction δ; 0 = {0})"}),
    caption=caption,
    needs=lambda config: config.needs,
)
