"""How rough the loss is along the lines of a landscape. What is not finite makes it infinite.

Both numbers are this project's definitions: for a plane they are over all rows and columns of its grid.
"""

from collections.abc import Iterator

import numpy as np

from study.landscape.result import Landscape

CUTOFF = 4
"""Cycles over the extent of a line above which its variation counts as rough: a basin has one or two."""

FEWEST = 12
"""Points of a line below which nothing lies well above the cutoff."""


ROUGHNESS = ("roughness", "spectral_roughness")
"""What `roughness_measures` finds."""


def roughness_measures(landscape: Landscape) -> dict[str, float]:
    """`roughness`, and `spectral_roughness` where every line of the grid has `FEWEST` points."""
    found = {"roughness": roughness(landscape)}
    if min(landscape.shape) >= FEWEST:
        found["spectral_roughness"] = spectral_roughness(landscape)
    return found


def roughness(landscape: Landscape) -> float:
    """The total variation of the loss along lines over its range there, Σ Σ |ΔL| / Σ (max L − min L).

    1 where each line is monotone, 2 where each is a valley between ends of one height, more with every
    further rise and fall. A line weighs as much as its range. A landscape without any variation has 1.

    Args:
        landscape: of one split; its grid counts, its special points do not.
    """
    lines = list(_lines(landscape))
    if not all(np.isfinite(line).all() for line in lines):
        return np.inf
    extent = sum(float(np.ptp(line)) for line in lines)
    return sum(float(np.abs(np.diff(line)).sum()) for line in lines) / extent if extent > 0 else 1.0


def spectral_roughness(landscape: Landscape) -> float:
    """The share of the power of the loss along lines that lies above `CUTOFF` cycles a line.

    Of each line the least-squares parabola is taken, what is left is weighted by a Hann window and summed
    over its discrete Fourier transform. A line weighs as much as its power; a landscape of parabolas, to
    within rounding, has 0.

    Args:
        landscape: of one split, on an evenly spaced grid; its special points do not count.

    Raises:
        ValueError: if a line has fewer than `FEWEST` points.
    """
    lines = list(_lines(landscape))
    if min(len(line) for line in lines) < FEWEST:
        raise ValueError(f"each line must have at least {FEWEST} points, got shape {landscape.shape}")
    if not all(np.isfinite(line).all() for line in lines):
        return np.inf
    rough = whole = 0.0
    for line in lines:
        place = np.linspace(-1.0, 1.0, len(line))
        left = line - np.polynomial.Polynomial.fit(place, line, 2)(place)
        if np.abs(left).max() <= len(line) * np.finfo(np.float32).eps * np.abs(line).max():
            continue  # rounding of the losses
        power = np.abs(np.fft.rfft(left * np.hanning(len(line)))) ** 2
        rough += float(power[CUTOFF + 1 :].sum())
        whole += float(power.sum())
    return rough / whole if whole > 0 else 0.0


def _lines(landscape: Landscape) -> Iterator[np.ndarray]:
    """The loss along every line of the grid: the line itself, or the columns and the rows."""
    loss = landscape.values["loss"]
    if loss.ndim == 1:
        yield loss
    else:
        yield from (*loss.T, *loss)
