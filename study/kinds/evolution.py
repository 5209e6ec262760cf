"""The plane about each of several checkpoints of a training, along the same directions.

The main landscape is the plane about the solution, as the kind `contour` has it; its companions `update_N`
are the planes about the checkpoints before.

A Gaussian direction is drawn once, and scaled anew to each checkpoint's own filters, unless `normalized_to`
is the solution. Weights change their size in training, and a step of one length changes a small network more
than a large one: a basin would seem to widen where only the weights grew. Scaled to its own checkpoint, a
step is the same share of every filter at each of them, which is what makes two networks comparable (Li et al.
2018, section 4), and so two checkpoints. Scaled to the solution, the planes are parallel, and a step is the
same distance in weight space. Directions of other kinds are the solution's, at every checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from study.analysis.measures import BASIN, basin_extent, extremes
from study.figures.few import evenly
from study.keys import key
from study.kinds.base import Companion, Kind, Trained
from study.kinds.contour import KIND as CONTOUR
from study.kinds.contour import measures as of_solution
from study.kinds.directed import BasinConfig
from study.kinds.directed_plane import LABELS, DirectedPlaneConfig, alike, grid
from study.kinds.directed_plane import caption as of_directions
from study.kinds.directed_plane import geometry as through_solution
from study.kinds.evolution_drawing import COMPANION, EvolutionDrawing
from study.landscape.directions import Direction, orthogonalised
from study.landscape.geometry import Plane
from study.landscape.result import Landscape
from study.landscape.weights import Weights

INITIAL = (*(f"initial_{name}" for name in BASIN), "initial_maximum", "basin_width_ratio")
"""What `measures` finds besides those of the solution's plane."""


@dataclass
class EvolutionConfig(BasinConfig, DirectedPlaneConfig):
    """Planes about several checkpoints of a training."""

    checkpoints: int = key(
        "checkpoints that are shown at most, evenly spread over the training, the initialisation and the "
        "solution among them",
        at_least=2,
    )
    normalized_to: str = key(
        "whose weights Gaussian directions are scaled to: of each checkpoint, so that a step is the same "
        "share of its filters, or of the solution, so that it is the same distance",
        choices=("checkpoint", "solution"),
    )


def geometry(config: EvolutionConfig, trained: Trained) -> Plane:
    """The plane about the solution."""
    plane = through_solution(config, trained)
    every = list(trained.checkpoints())
    about = {
        "updates": evenly(every, config.checkpoints),
        "checkpoints": len(every),
        "updates_per_epoch": trained.updates_per_epoch,
    }
    return replace(plane, provenance={**plane.provenance, **about})


def companions(config: EvolutionConfig, trained: Trained, geometry: Plane) -> Mapping[str, Companion]:
    """The plane about each checkpoint that is shown, but for the solution."""
    own, checkpoints, planes = config.axes(trained), trained.checkpoints(), {}
    for update in geometry.provenance["updates"][:-1]:
        weights = checkpoints[update]
        axes = [
            config.gaussian(index, weights)
            if spec.kind == "gaussian" and config.normalized_to == "checkpoint"
            else axis
            for index, (spec, axis) in enumerate(zip(config.specs, own, strict=True))
        ]
        name = f"update {update}" if update else "initialisation"
        plane = _plane(config, axes, weights, name)
        planes[f"{COMPANION}{update}"] = Companion(plane, grid(config, plane), config.tolerance)
    return planes


def _plane(config: EvolutionConfig, axes: list[Direction], weights: Weights, name: str) -> Plane:
    delta, eta = axes
    return Plane.through(weights, delta, orthogonalised(eta, delta) if config.orthogonal else eta, name)


def measures(landscape: Landscape, config: EvolutionConfig) -> Mapping[str, float]:
    """Of the solution's plane what `contour` measures; of the initialisation's its basin and its maximum.

    `basin_width_ratio` is the solution's basin width over that at the initialisation, infinite where one is
    not finite or the latter is zero: a bound where a basin reaches the edge of the grid.
    """
    found, initial = of_solution(landscape, config), next(iter(landscape.companions.values()))
    before = basin_extent(initial, config.basin_rise)
    width, first = found["basin_width"], before["basin_width"]
    return {
        **found,
        **{f"initial_{name}": before[name] for name in BASIN},
        "initial_maximum": extremes(initial)["maximum"],
        "basin_width_ratio": width / first if np.isfinite([width, first]).all() and first > 0 else np.inf,
    }


def caption(config: EvolutionConfig, about: Mapping[str, Any]) -> list[str]:
    """Which checkpoints, how the directions are scaled, and to which weights."""
    words = [f"planes about {len(about['updates'])} of {about['checkpoints']} checkpoints"]
    if any(spec.kind == "gaussian" for spec in config.specs) and config.normalization != "none":
        own = config.normalized_to == "checkpoint"
        words.append(f"Gaussian directions scaled to {'each checkpoint' if own else 'the solution'}")
    return [*words, *of_directions(config, about)]


KIND = Kind(
    name="evolution",
    title="The plane about each checkpoint",
    schema=EvolutionConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(*CONTOUR.measured, *INITIAL),
    alike=alike,
    drawing=EvolutionDrawing(LABELS),
    caption=caption,
    needs=lambda _config: "checkpoints",
    companions=companions,
)
