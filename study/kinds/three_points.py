"""The plane through three solutions (Garipov et al. 2018, section 4): orthonormal axes, the three marked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.measures import EXTREMES, extremes
from study.errors import ConfigError
from study.keys import key
from study.kinds.base import Kind, Trained
from study.kinds.bounded import BoundedConfig
from study.kinds.drawing import PlaneDrawing
from study.kinds.steps import unit_step
from study.landscape.geometry import Geometry, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape

OTHERS = ("second", "third")


@dataclass
class ThreePointsConfig(BoundedConfig):
    """The plane through this run's solution and two others."""

    second: str = key(
        "weights beside this run's solution: a run, RUN@UPDATE, RUN@averaged, a file, or seed+K, the "
        "solution that this configuration reaches with another seed"
    )
    third: str = key("likewise, a third")

    def check(self, name: str) -> None:
        """Refuse a plane through two.

        Raises:
            ConfigError: if both others are the same weights.
        """
        if self.second == self.third:
            raise ConfigError(f"{name}.third", f"must be other weights than {name}.second", self.third)

    @property
    def weights_named(self) -> dict[str, str]:
        """See `LandscapeConfig.weights_named`."""
        return {name: getattr(self, name) for name in OTHERS}


def geometry(config: ThreePointsConfig, trained: Trained) -> Plane:
    """The plane, from the solution: α towards the second, β across it towards the third."""
    second, third = (trained.named[words] for words in config.weights_named.values())
    return Plane.through_points(trained.solution, second, third, names=(trained.solution_name, *OTHERS))


def grid(config: ThreePointsConfig, geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns) about the three."""
    return config.about(geometry)


def measures(landscape: Landscape, _config: ThreePointsConfig) -> Mapping[str, float]:
    """The loss at each of the three, the highest of them, and the extremes (in the loss's unit)."""
    losses = {f"{name}_loss": landscape.points[name].values["loss"] for name in OTHERS}
    return {**losses, **extremes(landscape)}


def alike(config: ThreePointsConfig) -> Mapping[str, Any]:
    """How it is read: α and β are distances in weight space, whichever three lie there."""
    return config.read_alike


def caption(_config: ThreePointsConfig, about: Mapping[str, Any]) -> list[str]:
    """How far the three are apart."""
    first, second = about["distances"][0][1:], about["distances"][1][2]
    apart = ", ".join(f"{distance:.3g}" for distance in (*first, second))
    return [f"axes in L2 distance; {unit_step(about)}; distances of the three (1–2, 1–3, 2–3) {apart}"]


KIND = Kind(
    name="three_points",
    title="On the plane through three solutions",
    schema=ThreePointsConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(*(f"{name}_loss" for name in OTHERS), *EXTREMES),
    alike=alike,
    drawing=PlaneDrawing({"alpha": "α (towards the second)", "beta": "β (across)"}),
    caption=caption,
)
