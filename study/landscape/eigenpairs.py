"""Eigenvalues at the ends of the spectrum of a symmetric operator, by products with it alone."""

from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from study.landscape.lanczos import lanczos

DENSE = 64
"""Up to so many weights the whole matrix is written out: iterations would take as many products."""

SETTLED = 8
"""Over so many steps of the recursion an end must have moved by no more than the tolerance."""

End = Literal["LA", "SA", "LM"]


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenvalues of a symmetric operator.

    Attributes:
        values: (k,), the first is the one at the end that was asked for.
        vectors: a row each, (k, P), of length 1, with the entry of largest magnitude positive.
        residuals: ‖A v − λ v‖ of each, (k,): some eigenvalue lies within it of the value.
        products: of the operator, that it took.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    products: int


@dataclass(frozen=True)
class Extremes:
    """The two ends of a spectrum.

    Attributes:
        smallest: λmin, from above.
        largest: λmax, from below.
        residual: the larger of both residual norms.
        products: of the operator, that it took.
    """

    smallest: float
    largest: float
    residual: float
    products: int

    @property
    def ratio(self) -> float:
        """|λmin / λmax|, how far the loss is from convex there (Li et al. 2018, figure 7)."""
        return eigenvalue_ratio(self.smallest, self.largest)


def eigenvalue_ratio(smallest: float, largest: float) -> float:
    """|λmin / λmax|; infinite where only the largest is zero, NaN where both are."""
    if largest == 0:
        return float("nan") if smallest == 0 else float("inf")
    return abs(smallest / largest)


def top_eigenpairs(
    operator: LinearOperator, k: int, which: End = "LA", seed: int = 0, *, tolerance: float = 1e-4
) -> Eigenpairs:
    """The eigenpairs at one end of the spectrum, by implicitly restarted Lanczos (Lehoucq et al. 1998).

    The spectrum is first shifted to one side of zero: its eigenvectors stay, and the tolerance is then
    relative to the largest magnitude rather than to eigenvalues that may be zero.

    Args:
        operator: symmetric, (P, P).
        k: how many; all P where there are no more.
        which: `LA` the largest, `SA` the smallest, `LM` the largest in magnitude.
        seed: of the vector that the iteration starts from.
        tolerance: largest residual, relative to about the largest magnitude of all eigenvalues.

    Returns:
        the pairs; NaN where a product is not finite.

    Raises:
        ValueError: if `k` is below 1, or `which` is none of these.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if which not in get_args(End):
        raise ValueError(f"which must be one of {', '.join(get_args(End))}, got {which!r}")
    size = operator.shape[0]
    counted = _Counted(operator)
    if size <= max(DENSE, 2 * k):
        matrix = dense(counted)
        vectors = np.linalg.eigh(matrix)[1].T if np.isfinite(matrix).all() else np.full_like(matrix, np.nan)
    else:
        ends = extreme_eigenvalues(counted, seed, tolerance=0.1)
        radius = max(abs(ends.smallest), abs(ends.largest))
        signs = {"LA": (1.0,), "SA": (-1.0,), "LM": (1.0, -1.0)}[which]
        if np.isfinite(radius) and radius > 0:
            vectors = np.concatenate([_one_end(counted, k, radius, sign, seed, tolerance) for sign in signs])
        else:
            vectors = np.eye(k, size) + radius  # of the zero operator, any are; or NaN
    vectors = vectors * np.sign(np.take_along_axis(vectors, abs(vectors).argmax(1)[:, None], 1))
    products = np.stack([counted @ vector for vector in vectors])
    values = np.einsum("ij,ij->i", vectors, products)
    order = np.argsort({"LA": -values, "SA": values, "LM": -abs(values)}[which], kind="stable")[:k]
    residuals = np.linalg.norm(products - values[:, None] * vectors, axis=1)
    return Eigenpairs(values[order], vectors[order], residuals[order], counted.products)


def extreme_eigenvalues(
    operator: LinearOperator, seed: int = 0, *, tolerance: float = 1e-3, most_products: int = 300
) -> Extremes:
    """λmin and λmax, both from one Lanczos recursion, in four vectors of memory.

    A small residual alone says that some eigenvalue is near. Near zero, where a network has nearly all of
    them, it is small before the recursion has seen that there are negative ones: so each end must have come
    to rest besides (its values in later steps only move outwards).

    Args:
        operator: symmetric, (P, P).
        seed: of the vector that the recursion starts from.
        tolerance: largest residual of either, and largest move over `SETTLED` steps, relative to the larger
            magnitude of the two.
        most_products: after which it ends in any case: the residual says how well.

    Returns:
        both ends; NaN where a product is not finite.
    """
    size = operator.shape[0]
    if size <= DENSE:
        matrix = dense(operator)
        if not np.isfinite(matrix).all():
            return Extremes(np.nan, np.nan, np.nan, size)
        values = np.linalg.eigvalsh(matrix)
        return Extremes(float(values[0]), float(values[-1]), 0.0, size)
    course: list[np.ndarray] = []  # both ends after each step
    for step, found in enumerate(islice(lanczos(operator, _start(size, seed)), most_products), start=1):
        if not np.isfinite(found.remainder):
            return Extremes(np.nan, np.nan, np.nan, step)
        values, vectors = found.eigenpairs()
        course.append(values[[0, -1]])
        residual = float(found.remainder * abs(vectors[-1, [0, -1]]).max())
        most = tolerance * abs(course[-1]).max()
        settled = step > SETTLED and abs(course[-1] - course[-1 - SETTLED]).max() <= most
        if residual <= most and settled:
            break
    return Extremes(float(values[0]), float(values[-1]), residual, step)


def dense(operator: LinearOperator) -> np.ndarray:
    """A symmetric operator written out, (P, P), by P products; made symmetric to the bit."""
    matrix = np.stack([operator @ unit for unit in np.eye(operator.shape[0])])
    return (matrix + matrix.T) / 2


class _Counted(LinearOperator):
    """An operator that counts its products."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(np.dtype(np.float64), operator.shape)
        self._operator, self.products = operator, 0

    def _matvec(self, vector: np.ndarray) -> np.ndarray:
        self.products += 1
        return self._operator @ vector


def _one_end(
    operator: LinearOperator, k: int, radius: float, sign: float, seed: int, tolerance: float
) -> np.ndarray:
    """Eigenvectors of the k largest (sign 1) or smallest (sign −1) eigenvalues, a row each."""
    size = operator.shape[0]

    def shifted(vector: np.ndarray) -> np.ndarray:
        return radius * vector + sign * (operator @ vector)

    moved = LinearOperator(operator.shape, matvec=shifted, dtype=np.dtype(np.float64))
    return eigsh(moved, k=k, which="LA", v0=_start(size, seed), tol=tolerance)[1].T


def _start(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size)
