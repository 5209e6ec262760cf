"""|λmin / λmax| of the Hessian over a plane about the solution (Li et al. 2018, figure 7).

Small where the loss is nearly convex: what a plane shows there as convex is so along other axes too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from study.analysis.measures import EXTREMES, extremes
from study.errors import ConfigError
from study.keys import LARGEST_SEED, key
from study.kinds.base import Kind
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
from study.kinds.drawing import HessianMapDrawing
from study.kinds.second_derivatives import check_second_derivatives
from study.landscape.eigenvalues import Eigenvalues
from study.landscape.result import Landscape

RATIO = "eigenvalue_ratio"


@dataclass
class HessianMapConfig(DirectedPlaneConfig):
    """The eigenvalue ratio over a plane along two directions."""

    eigenvalue_tolerance: float = key(
        "largest residual of either eigenvalue, and largest move over eight steps of the iteration, "
        "relative to the larger magnitude of the two",
        above=0,
    )
    products: int = key("products with the Hessian at a point, at most", at_least=2)
    lanczos_seed: int = key(
        "seed of the vector that the iteration starts from", at_least=0, at_most=LARGEST_SEED
    )

    def check(self, name: str) -> None:
        """Refuse what has no meaning for eigenvalues.

        Raises:
            ConfigError: for a tolerance, which is the loss's, and for statistics that follow the point.
        """
        super().check(name)
        if self.tolerance is not None:
            rule = "must be null: eigenvalues are not interpolated"
            raise ConfigError(f"{name}.tolerance", rule, self.tolerance)
        check_second_derivatives(self, name)


def eigenvalues(config: HessianMapConfig) -> Eigenvalues:
    """How exactly they are found."""
    return Eigenvalues(config.eigenvalue_tolerance, config.products, config.lanczos_seed)


def measures(landscape: Landscape, _config: HessianMapConfig) -> Mapping[str, float]:
    """The ratio and eigenvalues at the solution, largest ratio and residual anywhere, the loss's extremes."""
    (center,) = landscape.points.values()
    ratio = np.append(landscape.values[RATIO].ravel(), center.values[RATIO])
    own = {name: center.values[name] for name in (RATIO, "largest_eigenvalue", "smallest_eigenvalue")}
    residual = np.append(
        landscape.values["eigenvalue_residual"].ravel(), center.values["eigenvalue_residual"]
    )
    largest = float(ratio.max()) if np.isfinite(ratio).all() else np.inf
    return {
        **own,
        "largest_ratio": largest,
        "largest_residual": float(residual.max()),
        **extremes(landscape),
        **spanned(landscape),
    }


KIND = Kind(
    name="hessian_map",
    title="|λmin / λmax| of the Hessian on a plane",
    schema=HessianMapConfig,
    geometry=geometry,
    grid=grid,
    measures=measures,
    measured=(
        RATIO,
        "largest_eigenvalue",
        "smallest_eigenvalue",
        "largest_ratio",
        "largest_residual",
        *EXTREMES,
        *SPANNED,
    ),
    alike=alike,
    drawing=HessianMapDrawing(LABELS),
    caption=caption,
    needs=lambda config: config.needs,
    eigenvalues=eigenvalues,
)
