"""The text's Listing 6 as written: L(α θ* + α β θ*), the loss of the multiples α (1 + β) of the solution.

It is shown for what it is, labelled: a surface in one scalar, without base point or random direction.
Equation 2, which the text states beside it, is the kind `contour`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.measures import EXTREMES, extremes
from study.keys import key
from study.kinds.base import Kind, OneSolutionConfig, Trained
from study.kinds.drawing import PlaneDrawing
from study.kinds.rectangle import RectangleConfig
from study.landscape.geometry import Geometry, Scaling
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class ScalingConfig(RectangleConfig, OneSolutionConfig):
    """The multiples α (1 + β) θ* of the solution."""

    alpha_range: list[float] = key("first and last α; (1, 0) is the solution", length=2, increasing=True)


def geometry(_config: ScalingConfig, trained: Trained) -> Scaling:
    """The multiples of θ*."""
    return Scaling.of(trained.solution, name=trained.solution_name)


def grid(config: ScalingConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns)."""
    return config.rectangle()


def measures(landscape: Landscape, _config: ScalingConfig) -> Mapping[str, float]:
    """The extremes, in the loss's unit."""
    return extremes(landscape)


def alike(config: ScalingConfig) -> Mapping[str, Any]:
    """How it is read, and the same axes."""
    return {**config.read_alike, **config.ranges_alike}


def caption(_config: ScalingConfig, about: Mapping[str, Any]) -> list[str]:
    """How long the solution is."""
    return [f"‖θ*‖ = {about['center_norm']:.3g}"]


KIND = Kind(
    name="scaling",
    title="Listing 6 as written: multiples of the solution",
    schema=ScalingConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=EXTREMES,
    alike=alike,
    drawing=PlaneDrawing({"alpha": "α (θ = α (1 + β) θ*)", "beta": "β"}),
    caption=caption,
)
