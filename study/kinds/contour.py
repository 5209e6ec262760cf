"""On a random plane about the solution: θ(α, β) = θ* + α δ + β η (Li et al. 2018; equation 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.analysis.measures import basin_extent, extremes
from study.keys import key
from study.kinds.base import Kind, RandomDirectionConfig, Trained
from study.landscape.geometry import Plane
from study.landscape.grid import Grid
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class PlaneConfig(RandomDirectionConfig):
    """A plane through the solution along two random directions."""

    alpha_range: list[float] = key("first and last α; 0 is the solution", length=2, increasing=True)
    beta_range: list[float] | None = key("first and last β; null takes α's", length=2, increasing=True)
    points: int = key("number of grid points along α; the solution is evaluated besides", at_least=2)
    beta_points: int | None = key("number of grid points along β; null takes α's", at_least=2)


def geometry(config: PlaneConfig, trained: Trained) -> Plane:
    """The plane through θ* along the seed's first two directions."""
    return Plane.random(trained.solution, name=trained.solution_name, **config.direction_arguments)


def grid(config: PlaneConfig) -> Grid:
    """Evenly spaced α (rows) and β (columns)."""
    low, high = config.alpha_range
    beta_low, beta_high = config.beta_range or config.alpha_range
    return Grid.rectangle(
        (low, high, config.points), (beta_low, beta_high, config.beta_points or config.points)
    )


def measures(landscape: Landscape, config: PlaneConfig) -> Mapping[str, float]:
    """The basin's extents (units of α and β) and the extremes (nats)."""
    return {**basin_extent(landscape, config.basin_rise), **extremes(landscape)}


def figures(landscape: Landscape, title: str, caption: str) -> Mapping[str, "Figure"]:
    """A contour and a surface for each split; those of the second split carry its name."""
    from study.figures.contour import contour_figure
    from study.figures.surface import surface_figure

    drawn = {}
    for position, split in enumerate(landscape.splits):
        suffix = f".{split}" if position else ""
        of_split = f"{title}: {split} split" if len(landscape.splits) > 1 else title
        drawn[suffix] = contour_figure(landscape, split=split, title=of_split, caption=caption)
        drawn[f"{suffix}.surface"] = surface_figure(landscape, split=split, title=of_split, caption=caption)
    return drawn


KIND = Kind(
    name="contour",
    title="On a random plane",
    schema=PlaneConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    figures=figures,
)
