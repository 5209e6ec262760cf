"""The curvature of the loss at one set of weights: the spectrum of its second derivatives."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator

from study.analysis.density import SpectralDensity, spectral_density
from study.analysis.trace import Trace, estimate_trace
from study.landscape.archive import pack, unpack, write
from study.landscape.eigenpairs import eigenvalue_ratio, extreme_eigenvalues, top_eigenpairs

FORMAT = "curvature/1"

DENSITY = ("grid", "values", "standard_error", "nodes", "weights")
"""The arrays of a spectral density."""


@dataclass(frozen=True)
class Quadrature:
    """How a spectral density is computed; see `spectral_density`."""

    probes: int
    steps: int
    smoothing: float


@dataclass(frozen=True)
class Probing:
    """How a spectrum is computed.

    Attributes:
        eigenvalues: k, how many of the largest.
        tolerance: largest residual of an eigenvalue, relative to the largest magnitude of all.
        trace_repeats: independent repetitions of Hutch++.
        trace_probes: random vectors in each; see `estimate_trace`.
        seed: of every random vector.
        quadrature: of the density; None computes none.
    """

    eigenvalues: int
    tolerance: float
    trace_repeats: int
    trace_probes: int
    seed: int
    quadrature: Quadrature | None = None


MEASURED = ("top_eigenvalue", "smallest_eigenvalue", "eigenvalue_ratio", "trace", "trace_standard_error")
"""The names of a spectrum's measures."""


@dataclass(frozen=True)
class Spectrum:
    """What is known of the spectrum of one matrix.

    Attributes:
        eigenvalues: the k largest, largest first, (k,), in the loss's unit per squared unit of weight.
        residuals: ‖A v − λ v‖ of each, (k,).
        smallest: λmin.
        smallest_residual: its residual norm.
        trace: with its standard error.
        density: None if it was not asked for.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    smallest: float
    smallest_residual: float
    trace: Trace
    density: SpectralDensity | None

    @classmethod
    def of(cls, operator: LinearOperator, probing: Probing) -> "Spectrum":
        """The spectrum of a symmetric operator, (P, P), by its products; NaN where one is not finite."""
        top = top_eigenpairs(operator, probing.eigenvalues, seed=probing.seed, tolerance=probing.tolerance)
        if not np.isfinite(top.values).all():
            return cls(top.values, top.residuals, np.nan, np.nan, Trace(np.nan, np.nan), None)
        ends = extreme_eigenvalues(operator, probing.seed, tolerance=probing.tolerance)
        trace = estimate_trace(
            operator, repeats=probing.trace_repeats, probes=probing.trace_probes, seed=probing.seed
        )
        density = None
        if probing.quadrature is not None:
            density = spectral_density(operator, **asdict(probing.quadrature), seed=probing.seed)
        return cls(top.values, top.residuals, ends.smallest, ends.residual, trace, density)

    @property
    def measures(self) -> dict[str, float]:
        """The numbers to compare: λmax, λmin, |λmin / λmax| (Li et al. 2018, figure 7), the trace."""
        largest = float(self.eigenvalues[0])
        return {
            "top_eigenvalue": largest,
            "smallest_eigenvalue": self.smallest,
            "eigenvalue_ratio": eigenvalue_ratio(self.smallest, largest),
            "trace": self.trace.value,
            "trace_standard_error": self.trace.standard_error,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays, by name, for a file."""
        found = {"eigenvalues": self.eigenvalues, "residuals": self.residuals}
        if self.density is not None:
            found |= {name: getattr(self.density, name) for name in DENSITY}
        return found

    def numbers(self) -> dict[str, Any]:
        """All else, JSON-able, for a file."""
        own = self.density
        return {
            "smallest": self.smallest,
            "smallest_residual": self.smallest_residual,
            "trace": asdict(self.trace),
            "density": None if own is None else {"width": own.width, "probes": own.probes},
        }

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> "Spectrum":
        """What `arrays` and `numbers` were made of."""
        density = None
        if numbers["density"] is not None:
            own: dict[str, Any] = {name: arrays[name] for name in DENSITY}
            density = SpectralDensity(**own, **numbers["density"])
        return cls(
            arrays["eigenvalues"],
            arrays["residuals"],
            numbers["smallest"],
            numbers["smallest_residual"],
            Trace(**numbers["trace"]),
            density,
        )

    def rows(self) -> list[pd.DataFrame]:
        """Its part of `Curvature.to_frame`."""
        ranks = np.arange(1.0, len(self.eigenvalues) + 1)
        found = [
            _rows("eigenvalue", ranks, self.eigenvalues, self.residuals),
            _rows("smallest_eigenvalue", [np.nan], [self.smallest], [self.smallest_residual]),
            _rows("trace", [np.nan], [self.trace.value], [self.trace.standard_error]),
        ]
        if (own := self.density) is not None:
            found.append(_rows("density", own.grid, own.values, own.standard_error))
        return found


@dataclass(frozen=True)
class Curvature:
    """The curvature of the mean loss at one set of weights.

    Attributes:
        spectra: by the name of the matrix, `hessian` or `gauss_newton`.
        provenance: what the values depend on; JSON-able.
    """

    spectra: dict[str, Spectrum]
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        operators: Mapping[str, Callable[[], LinearOperator]],
        probing: Probing,
        provenance: dict[str, Any],
        on_matrix: Callable[[int, int], None] | None = None,
    ) -> "Curvature":
        """The curvature by the products of each matrix.

        Args:
            operators: make the operators, by name.
            probing: how spectra are computed.
            provenance: what else the values depend on.
            on_matrix: called with (matrices done, matrices in all).
        """
        spectra = {}
        for name, make in operators.items():
            spectra[name] = Spectrum.of(make(), probing)
            if on_matrix is not None:
                on_matrix(len(spectra), len(operators))
        return cls(spectra, {**provenance, "probing": asdict(probing)})

    def to_frame(self) -> pd.DataFrame:
        """A row a number: `matrix`, `quantity`, `at`, `value`, `error`.

        `at` is the rank of an `eigenvalue`, and the eigenvalue at which a `density` is. `error` is the
        residual norm of an eigenvalue, and the standard error of all else.
        """
        parts = [
            rows.assign(matrix=name) for name, spectrum in self.spectra.items() for rows in spectrum.rows()
        ]
        return pd.concat(parts, ignore_index=True)[["matrix", "quantity", "at", "value", "error"]]

    def to_bytes(self) -> bytes:
        """The `.npz` file as bytes; equal results give equal bytes."""
        arrays = {
            f"{name}/{key}": array
            for name, spectrum in self.spectra.items()
            for key, array in spectrum.arrays().items()
        }
        header = {
            "spectra": {name: spectrum.numbers() for name, spectrum in self.spectra.items()},
            "provenance": self.provenance,
        }
        return pack(FORMAT, header, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Curvature":
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: if the bytes are no curvature, or one of another format.
        """
        header, arrays = unpack(FORMAT, data)
        spectra = {}
        for name, numbers in header["spectra"].items():
            own = {key.removeprefix(f"{name}/"): array for key, array in arrays.items()}
            spectra[name] = Spectrum.read(own, numbers)
        return cls(spectra, header["provenance"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to `path`, atomically; `.npz` is added to a name that does not end in it."""
        write(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Curvature":
        """Read a curvature from `path`.

        Raises:
            ValueError: naming the file, if it holds no curvature.
        """
        try:
            return cls.from_bytes(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _rows(quantity: str, at: Any, values: Any, errors: Any) -> pd.DataFrame:
    return pd.DataFrame({"quantity": quantity, "at": at, "value": values, "error": errors})
