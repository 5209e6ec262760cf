"""Between two minima: θ(α) = (1 − α) θ₀ + α θ₁ (Goodfellow et al. 2014; Listing 8).

Any two runs or checkpoints, the hidden units of the second matched to the first's if asked for (Ainsworth et
al. 2022).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from study.analysis.connectivity import BARRIERS, barriers
from study.analysis.measures import EXTREMES, extremes
from study.keys import key, points_key
from study.kinds.base import Kind, Trained
from study.kinds.drawing import LineDrawing
from study.kinds.ends import EndsConfig, ends_words
from study.landscape.geometry import Geometry, Line
from study.landscape.grid import Grid
from study.landscape.result import Landscape


@dataclass
class MinimaConfig(EndsConfig):
    """The line between two minima."""

    alpha_range: list[float] = key("first and last α; 0 is the start, 1 the end", length=2, increasing=True)
    points: int = points_key("number of grid points; both ends are evaluated besides")


def geometry(config: MinimaConfig, trained: Trained) -> Line:
    """The line between the two; difference geometry is never normalised."""
    ends = config.ends(trained)
    line = Line.between(ends.start, ends.end, names=ends.names)
    return replace(line, provenance={**line.provenance, **ends.about})


def grid(config: MinimaConfig, _geometry: Geometry) -> Grid:
    """Evenly spaced α."""
    low, high = config.alpha_range
    return Grid.line(low, high, config.points)


def measures(landscape: Landscape, _config: MinimaConfig) -> Mapping[str, float]:
    """The barriers (in the loss's unit, and fractions for the error) and the extremes."""
    return {**barriers(landscape), **extremes(landscape)}


def alike(config: MinimaConfig) -> Mapping[str, Any]:
    """How it is read; the range may differ, as every line goes from α = 0 to 1."""
    return {**config.read_alike, **config.ends_alike}


def caption(_config: MinimaConfig, about: Mapping[str, Any]) -> list[str]:
    """How far the minima are apart."""
    return ends_words(about)


KIND = Kind(
    name="minima",
    title="Between two minima",
    schema=MinimaConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(*BARRIERS, *EXTREMES),
    alike=alike,
    drawing=LineDrawing({"alpha": "α (0 = {0}, 1 = {1})"}),
    caption=caption,
)
