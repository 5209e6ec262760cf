"""From the initialisation to the solution: θ(α) = (1 − α) θ₀ + α θ* (Goodfellow et al. 2014; equation 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.analysis.measures import extremes, largest_rise
from study.keys import key
from study.kinds.base import Kind, LandscapeConfig, Trained
from study.landscape.geometry import Line
from study.landscape.grid import Grid
from study.landscape.result import Landscape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class InterpolationConfig(LandscapeConfig):
    """The line from the initialisation to the solution."""

    alpha_range: list[float] = key(
        "first and last α; 0 is the initialisation, 1 the solution", length=2, increasing=True
    )
    points: int = key("number of grid points; both ends of the line are evaluated besides", at_least=2)


def geometry(_config: InterpolationConfig, trained: Trained) -> Line:
    """The line between the two sets of weights; difference geometry is never normalised."""
    assert trained.initialisation is not None  # `needs_initialisation` is checked before work starts
    return Line.between(
        trained.initialisation, trained.solution, names=("initialisation", trained.solution_name)
    )


def grid(config: InterpolationConfig) -> Grid:
    """Evenly spaced α."""
    low, high = config.alpha_range
    return Grid.line(low, high, config.points)


def measures(landscape: Landscape, _config: InterpolationConfig) -> Mapping[str, float]:
    """`largest_rise` (nats) and the extremes."""
    return {"largest_rise": largest_rise(landscape), **extremes(landscape)}


def figures(landscape: Landscape, title: str, caption: str) -> Mapping[str, "Figure"]:
    """One picture: loss and accuracy of every split."""
    from study.figures.line import line_figure

    label = "α (0 = initialisation, 1 = solution)"
    return {"": line_figure(landscape, title=title, caption=caption, parameter_label=label)}


KIND = Kind(
    name="interpolation",
    title="From the initialisation to the solution",
    schema=InterpolationConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    figures=figures,
    needs_initialisation=True,
)
