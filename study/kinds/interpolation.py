"""From the initialisation to the solution: θ(α) = (1 − α) θ₀ + α θ* (Goodfellow et al. 2014; equation 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.measures import EXTREMES, extremes, largest_rise
from study.analysis.roughness import ROUGHNESS, roughness_measures
from study.keys import LARGEST_SEED, key, points_key
from study.kinds.base import Kind, LandscapeConfig, Trained
from study.kinds.drawing import LineDrawing
from study.kinds.steps import beside
from study.landscape.geometry import Geometry, Line
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class InterpolationConfig(LandscapeConfig):
    """The line from the initialisation to the solution."""

    alpha_range: list[float] = key(
        "first and last α; 0 is the initialisation, 1 the solution", length=2, increasing=True
    )
    points: int = points_key("number of grid points; both ends of the line are evaluated besides")
    start_seed: int | None = key(
        "seed of a fresh initialisation to start from; null starts from the run's own",
        at_least=0,
        at_most=LARGEST_SEED,
    )


def geometry(config: InterpolationConfig, trained: Trained) -> Line:
    """The line between the two sets of weights; difference geometry is never normalised."""
    if config.start_seed is not None:
        start, name = trained.fresh(config.start_seed), "fresh initialisation"
    else:
        assert trained.initialisation is not None  # `needs` is checked before work starts
        start, name = trained.initialisation, "initialisation"
    return Line.between(start, trained.solution, names=(name, trained.solution_name))


def grid(config: InterpolationConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α."""
    low, high = config.alpha_range
    return Grid.line(low, high, config.points)


def measures(landscape: Landscape, _config: InterpolationConfig) -> Mapping[str, float]:
    """`largest_rise`, the roughness of the line, and the extremes; rise and extremes in the loss's unit."""
    return {
        "largest_rise": largest_rise(landscape),
        **roughness_measures(landscape),
        **extremes(landscape),
    }


def alike(config: InterpolationConfig) -> Mapping[str, Any]:
    """Where it starts, and how it is read; the range may differ, as every line goes from α = 0 to 1."""
    start = None if config.start_seed is None else f"fresh, seed {config.start_seed}"
    return {**config.read_alike, "initialisation": start}


def caption(config: InterpolationConfig, about: Mapping[str, Any]) -> list[str]:
    """Where it starts, and how far the solution lies from there."""
    fresh = [] if config.start_seed is None else [f"θ₀ a fresh initialisation of seed {config.start_seed}"]
    return [*fresh, f"‖θ*−θ₀‖ = {about['distance']:.3g}{beside(about['distance'], about['end_norm'])}"]


KIND = Kind(
    name="interpolation",
    title="From the initialisation to the solution",
    schema=InterpolationConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=("largest_rise", *ROUGHNESS, *EXTREMES),
    alike=alike,
    drawing=LineDrawing({"alpha": "α (0 = {0}, 1 = {1})"}),
    caption=caption,
    needs=lambda config: "initialisation" if config.start_seed is None else None,
)
