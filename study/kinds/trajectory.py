"""The optimiser's path on the plane of its checkpoints' principal components (Li et al. 2018, section 7).

The path lies near the plane, not on it: the loss at each checkpoint stands beside the loss at its projection.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from study.analysis.measures import EXTREMES, extremes
from study.analysis.roughness import ROUGHNESS, roughness_measures
from study.errors import ConfigError
from study.keys import key
from study.kinds.base import Companion, Kind, OneSolutionConfig, Trained
from study.kinds.bounded import BoundedConfig
from study.kinds.steps import unit_step
from study.kinds.trajectory_drawing import TrajectoryDrawing
from study.landscape.geometry import Geometry, Plane
from study.landscape.grid import Grid
from study.landscape.path import Path
from study.landscape.result import Landscape
from study.landscape.trajectory import CENTERS, FEWEST, Center, principal_plane

PATH = "path"


@dataclass
class TrajectoryConfig(BoundedConfig, OneSolutionConfig):
    """The plane of the first two principal components of the checkpoints, through the solution."""

    center: str = key(
        "what the components are about: the solution, or the checkpoints' mean", choices=CENTERS
    )


def geometry(config: TrajectoryConfig, trained: Trained) -> Plane:
    """The plane; each checkpoint's projection on it is a special point, so that its loss is known.

    Raises:
        ConfigError: if the training left too few checkpoints for a plane, or they lie on a line.
    """
    checkpoints = trained.checkpoints()
    weights = list(checkpoints.values())
    try:
        found = principal_plane(weights, cast(Center, config.center), trained.solution_name)
    except ValueError as error:
        raise ConfigError("landscape", f"trajectory: {error}", len(weights)) from error
    *earlier, _solution = zip(checkpoints, found.coordinates.tolist(), strict=True)
    projected = {named(update): tuple(at) for update, at in earlier}
    return replace(
        found.plane,
        special={**projected, **found.plane.special},
        provenance={
            **found.plane.provenance,
            "updates": list(checkpoints),
            "updates_per_epoch": trained.updates_per_epoch,
        },
    )


def named(update: int) -> str:
    """Name of the special point that a checkpoint is projected on."""
    return f"update {update}, projected"


def grid(config: TrajectoryConfig, geometry: Geometry) -> Grid:
    """Evenly spaced α (rows) and β (columns) about all projections."""
    return config.about(geometry)


def companions(_config: TrajectoryConfig, trained: Trained, _geometry: Geometry) -> Mapping[str, Companion]:
    """The checkpoints themselves, by their updates."""
    checkpoints = trained.checkpoints()
    path = Path.through(list(checkpoints.values()), list(checkpoints), trained.solution_name)
    return {PATH: Companion(path, path.grid)}


def completed(landscape: Landscape, _config: TrajectoryConfig) -> Landscape:
    """With each checkpoint's place on the plane, its distance from it, and the loss at its projection."""
    path, about = landscape.companions[PATH], landscape.provenance["trajectory"]
    alpha, beta = np.array(about["coordinates"]).T
    values = {"alpha": alpha, "beta": beta, "distance": np.array(about["distances"])}
    projections = list(landscape.points.values())  # in the order of the checkpoints, the solution last
    for split in landscape.splits:
        name = f"{split}/loss" if split else "loss"
        values[f"{name}_at_projection"] = np.array([point.values[name] for point in projections])
    return replace(
        landscape,
        companions={PATH: replace(path, values={**path.values, **values}, points={})},
    )


def measures(landscape: Landscape, _config: TrajectoryConfig) -> Mapping[str, float]:
    """What the plane shows of the path, beside what it would show of a random walk, and what it leaves out.

    `explained_…` are fractions of the variance in the first and second component about each centre, and in
    both; `random_walk_…` are those of a random walk of as many steps; `random_plane_about_solution` is the
    fraction in two random filter-normalised directions (Li et al. 2018, section 7.1);
    `largest_distance` is the farthest checkpoint from the plane, as a fraction of ‖θ*−θ₀‖;
    `largest_projection_gap` is the largest |L(projection) − L(checkpoint)|, in the loss's unit. The
    roughness is the plane's.
    """
    about, path = landscape.provenance["trajectory"], landscape.companions[PATH].values
    found = {}
    for center in CENTERS:
        for source, shares in (("explained", about["shares"]), ("random_walk", about["random_walk"])):
            for component in (0, 1):
                found[f"{source}_{component + 1}_about_{center}"] = shares[center][component]
            found[f"{source}_about_{center}"] = sum(shares[center][:2])
    start = np.array([path["alpha"][0], path["beta"][0], path["distance"][0]])
    gap = np.abs(path["loss_at_projection"] - path["loss"])
    return {
        **found,
        "random_plane_about_solution": about["random_plane"],
        "largest_distance": float(path["distance"].max() / np.linalg.norm(start)),
        "largest_projection_gap": float(gap.max()) if np.isfinite(gap).all() else np.inf,
        **roughness_measures(landscape),
        **extremes(landscape),
    }


def alike(config: TrajectoryConfig) -> Mapping[str, Any]:
    """How it is read, and what its components are about: α and β are distances in weight space."""
    return {**config.read_alike, "components about": config.center}


def caption(config: TrajectoryConfig, about: Mapping[str, Any]) -> list[str]:
    """How much of the path the plane holds, beside a random walk."""
    found = about["trajectory"]
    percent = [f"{100 * share:.0f}%" for share in found["shares"][config.center][:2]]
    walk = [f"{100 * share:.0f}%" for share in found["random_walk"][config.center][:2]]
    far = max(found["distances"]) / math.hypot(*found["coordinates"][0], found["distances"][0])
    return [
        f"axes in L2 distance along the principal components of {len(about['updates'])} checkpoints about "
        f"the {config.center}: {' + '.join(percent)} of the variance, {' + '.join(walk)} in a random walk, "
        f"{100 * found['random_plane']:.2g}% in two random directions",
        unit_step(about),
        f"checkpoints lie up to {far:.2g} ‖θ*−θ₀‖ off the plane, so the path has not the loss below it",
    ]


KIND = Kind(
    name="trajectory",
    title="The optimiser's path on its plane",
    schema=TrajectoryConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(
        *(
            f"{source}{component}_about_{center}"
            for source in ("explained", "random_walk")
            for component in ("_1", "_2", "")
            for center in CENTERS
        ),
        *("random_plane_about_solution", "largest_distance", "largest_projection_gap"),
        *ROUGHNESS,
        *EXTREMES,
    ),
    alike=alike,
    drawing=TrajectoryDrawing({
        "alpha": "α (first component)",
        "beta": "β (second component)",
    }),
    caption=caption,
    needs=lambda _config: "checkpoints",
    fewest_checkpoints=FEWEST,
    companions=companions,
    completed=completed,
)
