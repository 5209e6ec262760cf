"""The landscape kinds. One module each; the schema, the runner and the docs loop over this registry."""

from study.kinds import contour, interpolation, line, scaling
from study.kinds.base import Companion, Kind, LandscapeConfig, Trained

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (interpolation.KIND, line.KIND, contour.KIND, scaling.KIND)
}

__all__ = ["KINDS", "Companion", "Kind", "LandscapeConfig", "Trained"]
