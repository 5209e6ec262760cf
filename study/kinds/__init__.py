"""The landscape kinds. One module each; the schema, the runner and the docs loop over this registry."""

from study.kinds import (
    contour,
    curve,
    evolution,
    hessian_map,
    hessian_plane,
    interpolation,
    line,
    minima,
    scaling,
    three_points,
    trajectory,
)
from study.kinds.base import Companion, Kind, LandscapeConfig, Trained

_MODULES = (
    interpolation,
    line,
    contour,
    scaling,
    trajectory,
    evolution,
    three_points,
    minima,
    curve,
    hessian_plane,
    hessian_map,
)
KINDS: dict[str, Kind] = {module.KIND.name: module.KIND for module in _MODULES}

__all__ = ["KINDS", "Companion", "Kind", "LandscapeConfig", "Trained"]
