"""What the landscapes on a plane along two directions share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.errors import ConfigError
from study.keys import key, points_key
from study.kinds.base import Trained
from study.kinds.directed import DirectedConfig
from study.kinds.rectangle import RectangleConfig
from study.landscape.directions import orthogonalised
from study.landscape.geometry import Geometry, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class DirectedPlaneConfig(RectangleConfig, DirectedConfig):
    """A plane through the solution along two directions."""

    orthogonal: bool = key("take from the second direction its part along the first")
    alpha_range: list[float] = key("first and last α; 0 is the solution", length=2, increasing=True)
    points: int = points_key("number of grid points along α; the solution is evaluated besides")
    beta_points: int | None = points_key("number of grid points along β; null takes α's")

    def check(self, name: str) -> None:
        """Refuse another number of directions than two.

        Raises:
            ConfigError: naming them.
        """
        super().check(name)
        if len(self.directions) != 2:
            raise ConfigError(f"{name}.directions", "must have 2 entries on a plane", self.directions)


def geometry(config: DirectedPlaneConfig, trained: Trained) -> Plane:
    """The plane through θ* along the two directions asked for."""
    delta, eta = config.axes(trained)
    if config.orthogonal:
        eta = orthogonalised(eta, delta)
    return Plane.through(trained.solution, delta, eta, trained.solution_name)


def grid(config: DirectedPlaneConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns)."""
    return config.rectangle(config.beta_points)


def alike(config: DirectedPlaneConfig) -> Mapping[str, Any]:
    """What one step means, and the same axes."""
    made = {"second direction": "orthogonal to the first" if config.orthogonal else None}
    return {**config.read_alike, **config.direction_alike, **made, **config.ranges_alike}


def caption(config: DirectedPlaneConfig, about: Mapping[str, Any]) -> list[str]:
    """How the directions are scaled."""
    return config.direction_words(about)


def spanned(landscape: Landscape) -> dict[str, float]:
    """`axes_cosine`, that of the angle between the two directions as they are; none where one is zero."""
    cosine = landscape.provenance.get("cosine")
    return {} if cosine is None else {"axes_cosine": float(cosine)}


SPANNED = ("axes_cosine",)
"""What `spanned` finds."""

LABELS = {"alpha": "α (steps along δ)", "beta": "β (steps along η)"}
