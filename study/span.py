"""What the axes of a landscape span, and what they leave out of the way that the training went."""

from collections.abc import Mapping
from typing import Any

from study.kinds import Trained
from study.landscape.axes import share_along
from study.landscape.geometry import Geometry

PATH_SHARE = "path_share"

ORTHOGONAL = 5e-4  # a cosine below it is 0 to three digits
LEAST, MOST = 1e-4, 0.999  # shares between which a number is given, besides all of it


def path_share(geometry: Geometry, trained: Trained) -> float | None:
    """The share of ‖θ*−θ₀‖² that lies along a line or in a plane: ‖P(θ*−θ₀)‖² / ‖θ*−θ₀‖².

    P projects on what the axes span. None where no initialisation is known, or the solution is not on it.
    """
    if trained.initialisation is None or trained.solution_name not in geometry.special:
        return None
    return share_along(trained.solution.flat - trained.initialisation.flat, geometry.span)


def span_words(about: Mapping[str, Any], share: float | None) -> list[str]:
    """For a caption: the cosine of two axes that are not orthogonal, and the share of the way along them.

    Args:
        about: provenance of the landscape.
        share: `path_share`, where there is one.
    """
    words = []
    if (cosine := about.get("cosine")) is not None and abs(cosine) >= ORTHOGONAL:
        words.append(f"cosine of the axes {cosine:.2g}")
    if share is not None:
        shape = "plane" if about["geometry"].startswith("plane") else "line"
        words.append(f"the {shape} holds {_percent(share)} of ‖θ*−θ₀‖²")
    return words


def _percent(share: float) -> str:
    if share < LEAST:
        return f"less than {100 * LEAST:g}%"
    if share == 1:
        return "all"
    return f"{100 * share:.3g}%" if share < MOST else f"over {100 * MOST:g}%"
