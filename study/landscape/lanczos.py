"""The Lanczos recursion: a symmetric operator, seen from one vector, as a small tridiagonal matrix."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator


@dataclass(frozen=True)
class Tridiagonal:
    """What m steps of the recursion gave: T of shape (m, m), and how far it reaches beyond itself.

    Attributes:
        diagonal: (m,).
        off_diagonal: (m − 1,).
        remainder: β_m, the norm of what the last product has outside the steps so far; 0 where nothing is
            left, and then the eigenvalues of T are eigenvalues of the operator.
    """

    diagonal: np.ndarray
    off_diagonal: np.ndarray
    remainder: float

    def eigenpairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Ritz values in ascending order, (m,), and the eigenvectors of T in columns, (m, m)."""
        return eigh_tridiagonal(self.diagonal, self.off_diagonal)


def lanczos(operator: LinearOperator, start: np.ndarray) -> Iterator[Tridiagonal]:
    """T after each step, a product of the operator each; ends where nothing is left, or is not finite.

    No basis is kept and nothing is made orthogonal again, so it needs four vectors of memory. Rounding then
    shows converged eigenvalues several times, which moves neither the ends of the spectrum (Paige 1980) nor,
    as copies share the weight of the one that they copy, the quadrature from T (Greenbaum 1989).

    Args:
        operator: symmetric, (P, P).
        start: not zero, (P,).
    """
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    before = np.zeros_like(start)
    vector = start / np.linalg.norm(start)
    beta = 0.0
    while True:
        product = operator @ vector - beta * before
        alpha = float(vector @ product)
        product -= alpha * vector
        diagonal.append(alpha)
        before, beta = vector, float(np.linalg.norm(product))
        yield Tridiagonal(np.array(diagonal), np.array(off_diagonal), beta)
        scale = max(map(abs, (*diagonal, *off_diagonal)))
        if not np.isfinite(beta) or beta <= np.finfo(np.float64).eps * scale:
            return
        off_diagonal.append(beta)
        vector = product / beta
