"""Measures of how two minima are connected."""

import numpy as np

from study.analysis.measures import along_line
from study.landscape.result import Landscape

BARRIERS = ("barrier", "barrier_from_mean", "error_barrier", "error_barrier_from_mean")
"""What `barriers` finds; those of the error where there is an accuracy."""


def barriers(landscape: Landscape) -> dict[str, float]:
    """The barriers between two minima, of the loss in its unit and, where there is an accuracy, of the error.

    `barrier` is max over α ∈ [0, 1] of L(α) − [(1 − α) L(0) + α L(1)] (Entezari et al. 2022, equation 1);
    `barrier_from_mean` is the same against (L(0) + L(1)) / 2, the reference of Frankle et al. 2020 (section
    2). `error_barrier` and `error_barrier_from_mean` are of 1 − accuracy, a fraction. Infinite where a value
    on [0, 1] is not finite.

    Args:
        landscape: of one split, over the line between the two, α = 0 and α = 1 among its special points.
    """
    found: dict[str, float] = {}
    for value, prefix in (("loss", ""), ("accuracy", "error_")):
        if value not in landscape.values:
            continue
        alpha, height = along_line(landscape, value)
        height = height if value == "loss" else 1 - height
        within = (alpha >= 0) & (alpha <= 1)
        straight, from_mean = _barrier(alpha[within], height[within])
        found |= {f"{prefix}barrier": straight, f"{prefix}barrier_from_mean": from_mean}
    return found


def _barrier(alpha: np.ndarray, height: np.ndarray) -> tuple[float, float]:
    """Height above the straight line between the ends, and above their mean."""
    if not np.isfinite(height).all():
        return np.inf, np.inf
    straight = (1 - alpha) * height[0] + alpha * height[-1]
    return float((height - straight).max()), float((height - (height[0] + height[-1]) / 2).max())
