"""The trace of a symmetric operator that is known by its products alone."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

SKETCHES = 3
"""Products that Hutch++ takes for each probe: to find the large part, to know it, and for the rest."""


@dataclass(frozen=True)
class Trace:
    """A trace with its uncertainty.

    Attributes:
        value: the mean over independent repetitions.
        standard_error: of that mean, from the repetitions; 0 where the trace is exact.
    """

    value: float
    standard_error: float


def estimate_trace(operator: LinearOperator, *, repeats: int, probes: int, seed: int) -> Trace:
    """The trace by Hutch++ (Meyer et al. 2021, algorithm 1), or exact where that takes no more products.

    Each repetition takes 3 · `probes` products: it writes out the trace on the range of the operator times
    random signs, and estimates the rest by Hutchinson's method (1989). It is without bias.

    Args:
        operator: symmetric, (P, P).
        repeats: independent repetitions.
        probes: vectors of random signs in each of the two parts of a repetition.
        seed: of the signs.

    Raises:
        ValueError: if `repeats` is below 2, which leaves no standard error, or `probes` below 1.
    """
    if repeats < 2:
        raise ValueError(f"repeats must be at least 2, got {repeats}")
    if probes < 1:
        raise ValueError(f"probes must be at least 1, got {probes}")
    size = operator.shape[0]
    if size <= SKETCHES * probes * repeats:
        return Trace(float(sum((operator @ unit) @ unit for unit in np.eye(size))), 0.0)
    rng = np.random.default_rng(seed)
    found = np.array([_hutch_plus_plus(operator, probes, rng) for _ in range(repeats)])
    return Trace(float(found.mean()), float(found.std(ddof=1) / np.sqrt(repeats)))


def _hutch_plus_plus(operator: LinearOperator, probes: int, rng: np.random.Generator) -> float:
    size = operator.shape[0]

    def times(vectors: np.ndarray) -> np.ndarray:
        return np.stack([operator @ vector for vector in vectors.T], axis=1)

    def signs() -> np.ndarray:
        return rng.choice([-1.0, 1.0], size=(size, probes))

    basis = np.linalg.qr(times(signs()))[0]
    rest = signs()
    rest -= basis @ (basis.T @ rest)
    return float((basis * times(basis)).sum() + (rest * times(rest)).sum() / probes)
