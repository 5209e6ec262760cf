"""The plane of two Hessian eigenvectors, with what the eigenvalues predict along each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from study.analysis.measures import EXTREMES, extremes
from study.errors import ConfigError
from study.keys import key
from study.kinds.base import Companion, Kind, OneSolutionConfig, Trained
from study.kinds.drawing import HessianDrawing
from study.kinds.rectangle import RectangleConfig
from study.kinds.second_derivatives import check_second_derivatives, eigenvectors, quadratic
from study.kinds.steps import unit_step
from study.landscape.directions import Direction
from study.landscape.geometry import Geometry, Line, Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape

RANKS = {"top": (1, 2), "extremes": (1, -1)}


@dataclass
class HessianPlaneConfig(RectangleConfig, OneSolutionConfig):
    """The plane through the solution along two eigenvectors of the Hessian."""

    eigenvectors: str = key(
        "top, of the two largest eigenvalues, or extremes, of the largest and the smallest",
        choices=tuple(RANKS),
    )
    alpha_range: list[float] = key(
        "first and last α, an L2 distance; 0 is the solution", length=2, increasing=True
    )

    def check(self, name: str) -> None:
        """Refuse a prediction that is not of what is read.

        Raises:
            ConfigError: if the train split, whose Hessian it is, is not read.
        """
        super().check(name)
        check_second_derivatives(self, name)
        if self.split == "test":
            raise ConfigError(
                f"{name}.split", "must be train or both: the Hessian is the train loss's", self.split
            )


def geometry(config: HessianPlaneConfig, trained: Trained) -> Plane:
    """The plane through θ* along the two, each of unit length."""
    delta, eta = eigenvectors(config, trained, RANKS[config.eigenvectors])
    return Plane.through(trained.solution, delta, eta, trained.solution_name)


def grid(config: HessianPlaneConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns)."""
    return config.rectangle()


def companions(config: HessianPlaneConfig, trained: Trained, geometry: Plane) -> Mapping[str, Companion]:
    """The line along each eigenvector, through the solution."""
    lines = {}
    about = geometry.provenance["directions"]
    for name, own, vector, (low, high) in zip(
        ("alpha", "beta"), about, geometry.bases[1:], config.ranges, strict=True
    ):
        line = Line.through(trained.solution, Direction(vector, own), trained.solution_name)
        lines[name] = Companion(line, Grid.line(low, high, 2 * config.points - 1))
    return lines


def completed(landscape: Landscape, _config: HessianPlaneConfig) -> Landscape:
    """With the quadratic prediction of the train loss along each line."""
    lines = {}
    for name, line in landscape.companions.items():
        (own,) = line.provenance["directions"]
        (at,) = line.axes.values()
        (center,) = line.points.values()
        predicted = quadratic(own, at, center.values["train/loss"])
        lines[name] = replace(line, values={**line.values, "train/quadratic": predicted})
    return replace(landscape, companions=lines)


def measures(landscape: Landscape, _config: HessianPlaneConfig) -> Mapping[str, float]:
    """Along each axis the eigenvalue, the slope, and the curvature measured by differences; the extremes.

    `curvature_…` is (L(h) − 2 L(0) + L(−h)) / h² at the line's smallest step h that it has on both sides:
    what the eigenvalue is where the loss is quadratic within h.
    """
    found: dict[str, float] = {}
    for name, line in landscape.companions.items():
        (own,) = line.provenance["directions"]
        found |= {f"eigenvalue_{name}": own["eigenvalue"], f"slope_{name}": own["slope"]}
        found[f"curvature_{name}"] = _curvature(line)
    return {**found, **extremes(landscape)}


def alike(config: HessianPlaneConfig) -> Mapping[str, Any]:
    """Which eigenvectors, how it is read, and the same axes."""
    return {**config.read_alike, "eigenvectors": config.eigenvectors, **config.ranges_alike}


def caption(_config: HessianPlaneConfig, about: Mapping[str, Any]) -> list[str]:
    """The eigenvalues, and how long a step is."""
    values = ", ".join(f"{own['eigenvalue']:.4g}" for own in about["directions"])
    return [
        f"axes in L2 distance along Hessian eigenvectors, eigenvalues {values}",
        unit_step(about),
    ]


def _curvature(line: Landscape) -> float:
    (at,) = line.axes.values()
    (center,) = line.points.values()
    loss = dict(zip(at.tolist(), line.values["loss"].tolist(), strict=True))
    steps = [step for step in loss if step > 0 and -step in loss]
    if not steps:
        return np.nan
    step = min(steps)
    return (loss[step] - 2 * center.values["loss"] + loss[-step]) / step**2


KIND = Kind(
    name="hessian_plane",
    title="On the plane of two Hessian eigenvectors",
    schema=HessianPlaneConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(
        *(
            f"{measure}_{axis}"
            for measure in ("eigenvalue", "slope", "curvature")
            for axis in ("alpha", "beta")
        ),
        *EXTREMES,
    ),
    alike=alike,
    drawing=HessianDrawing({
        "alpha": "α (first eigenvector)",
        "beta": "β (second eigenvector)",
    }),
    caption=caption,
    companions=companions,
    completed=completed,
)
