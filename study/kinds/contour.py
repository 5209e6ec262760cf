"""On a random plane about the solution: θ(α, β) = θ* + α δ + β η (Li et al. 2018; equation 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.measures import basin_extent, extremes
from study.keys import key
from study.kinds.base import Kind, RandomDirectionConfig, Trained
from study.kinds.drawing import PlaneDrawing
from study.kinds.rectangle import RectangleConfig
from study.landscape.geometry import Geometry, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class PlaneConfig(RectangleConfig, RandomDirectionConfig):
    """A plane through the solution along two random directions."""

    alpha_range: list[float] = key("first and last α; 0 is the solution", length=2, increasing=True)
    points: int = key("number of grid points along α; the solution is evaluated besides", at_least=2)
    beta_points: int | None = key("number of grid points along β; null takes α's", at_least=2)


def geometry(config: PlaneConfig, trained: Trained) -> Plane:
    """The plane through θ* along the seed's first two directions."""
    return Plane.random(trained.solution, name=trained.solution_name, **config.direction_arguments)


def grid(config: PlaneConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns)."""
    return config.rectangle(config.beta_points)


def measures(landscape: Landscape, config: PlaneConfig) -> Mapping[str, float]:
    """The basin's extents (units of α and β) and the extremes (nats)."""
    return {**basin_extent(landscape, config.basin_rise), **extremes(landscape)}


def alike(config: PlaneConfig) -> Mapping[str, Any]:
    """What one step means, and the same axes."""
    return {**config.read_alike, **config.direction_alike, **config.ranges_alike}


def caption(config: PlaneConfig, about: Mapping[str, Any]) -> list[str]:
    """How the directions are scaled."""
    return config.direction_words(about)


KIND = Kind(
    name="contour",
    title="On a random plane",
    schema=PlaneConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    alike=alike,
    drawing=PlaneDrawing({"alpha": "α (steps along δ)", "beta": "β (steps along η)"}),
    caption=caption,
)
