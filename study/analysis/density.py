"""The spectral density of a symmetric operator, by stochastic Lanczos quadrature."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.sparse.linalg import LinearOperator

from study.landscape.eigenpairs import dense
from study.landscape.lanczos import lanczos

WITHIN = 5.0
"""Smoothing widths by which the grid reaches beyond the outermost nodes."""

PER_WIDTH = 4
"""Points of the grid within one smoothing width."""


@dataclass(frozen=True)
class SpectralDensity:
    """How the eigenvalues are spread: φ(t) = (1/P) Σ N(t; λ, width²), of integral 1.

    Attributes:
        grid: t, even, (G,), in the unit of an eigenvalue.
        values: φ on the grid, (G,), a share of the eigenvalues per unit.
        standard_error: of φ, from the probes, (G,); 0 where every eigenvalue is known.
        width: standard deviation of the Gaussians.
        nodes: Ritz values of all probes, (n,), or every eigenvalue.
        weights: of the nodes; they sum to 1, (n,).
        probes: random vectors; 0 where every eigenvalue is known.
    """

    grid: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray
    width: float
    nodes: np.ndarray
    weights: np.ndarray
    probes: int


def spectral_density(
    operator: LinearOperator, *, probes: int, steps: int, smoothing: float, seed: int
) -> SpectralDensity:
    """The density by Lanczos quadrature from random vectors (Ghorbani et al. 2019, algorithm 1).

    From each Gaussian vector, the Ritz values of `steps` Lanczos steps are the nodes, the squared first
    entries of their vectors the weights of a Gauss quadrature (Golub & Welsch 1969), exact for polynomials up
    to degree 2 · `steps` − 1. Where P products are no more than these, every eigenvalue is computed instead.

    Args:
        operator: symmetric, (P, P), and finite.
        probes: random vectors.
        steps: products from each.
        smoothing: width of the Gaussians, as a share of the spectrum's extent.
        seed: of the vectors.

    Raises:
        ValueError: if `probes` is below 2, which leaves no standard error, or `steps` below 1.
    """
    if probes < 2:
        raise ValueError(f"probes must be at least 2, got {probes}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    size = operator.shape[0]
    if size <= probes * steps:
        eigenvalues = np.linalg.eigvalsh(dense(operator))
        quadratures = [(eigenvalues, np.full(size, 1.0 / size))]
    else:
        rng = np.random.default_rng(seed)
        quadratures = [_quadrature(operator, rng.standard_normal(size), steps) for _ in range(probes)]
    nodes = np.concatenate([own for own, _weights in quadratures])
    weights = np.concatenate([own for _nodes, own in quadratures]) / len(quadratures)
    low, high = float(nodes.min()), float(nodes.max())
    extent = high - low if high - low > 1e-6 * max(abs(low), abs(high)) else abs(high) or 1.0
    width = smoothing * extent
    first, last = low - WITHIN * width, high + WITHIN * width
    grid = np.linspace(first, last, int(np.ceil(PER_WIDTH * (last - first) / width)) + 1)
    curves = np.stack([_smoothed(grid, *quadrature, width) for quadrature in quadratures])
    count = len(quadratures)
    return SpectralDensity(
        grid=grid,
        values=curves.mean(axis=0),
        standard_error=curves.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros_like(grid),
        width=width,
        nodes=nodes,
        weights=weights,
        probes=count if count > 1 else 0,
    )


def _quadrature(operator: LinearOperator, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, (m,) each, m ≤ `steps`."""
    *_before, last = islice(lanczos(operator, start), steps)
    nodes, vectors = last.eigenpairs()
    return nodes, vectors[0] ** 2


def _smoothed(grid: np.ndarray, nodes: np.ndarray, weights: np.ndarray, width: float) -> np.ndarray:
    """Σ weight · N(t; node, width²) on the grid, (G,)."""
    distance = (grid[:, None] - nodes[None, :]) / width
    return np.exp(-0.5 * distance**2) @ weights / (width * np.sqrt(2 * np.pi))
