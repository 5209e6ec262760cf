"""On a plane about the solution: θ(α, β) = θ* + α δ + β η (Li et al. 2018; equation 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from study.analysis.measures import BASIN_OF_PLANE, EXTREMES, basin_extent, extremes, level_set_area
from study.analysis.roughness import ROUGHNESS, roughness_measures
from study.kinds.base import Kind
from study.kinds.directed import BasinConfig
from study.kinds.directed_plane import (
    LABELS,
    SPANNED,
    DirectedPlaneConfig,
    alike,
    caption,
    geometry,
    grid,
    spanned,
)
from study.kinds.replicated import ReplicatedConfig
from study.kinds.replicated_drawing import ReplicatedPlaneDrawing
from study.landscape.result import Landscape


@dataclass
class ContourConfig(BasinConfig, ReplicatedConfig, DirectedPlaneConfig):
    """A plane through the solution, and the basin there."""


def measures(landscape: Landscape, config: BasinConfig) -> Mapping[str, float]:
    """Basin (units of α and β), roughness, extremes (the loss's unit), and the cosine of the axes."""
    return {
        **basin_extent(landscape, config.basin_rise),
        "level_set_area": level_set_area(landscape, config.basin_rise),
        **roughness_measures(landscape),
        **extremes(landscape),
        **spanned(landscape),
    }


KIND = Kind(
    name="contour",
    title="On a plane about the solution",
    schema=ContourConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(*BASIN_OF_PLANE, "level_set_area", *ROUGHNESS, *EXTREMES, *SPANNED),
    alike=alike,
    drawing=ReplicatedPlaneDrawing(LABELS),
    caption=caption,
    needs=lambda config: config.needs,
)
