"""Trace, spectral density and the whole curvature, held against matrices whose spectrum is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from study.analysis.curvature import Curvature, Probing, Quadrature
from study.analysis.density import PER_WIDTH, spectral_density
from study.analysis.trace import estimate_trace

SIZE = 400
KNOWN = np.concatenate([np.geomspace(0.01, 3.0, SIZE - 4), [-0.5, 8.0, 20.0, 50.0]])
"""Many small eigenvalues, a few outliers, one negative: as the Hessian of a network has them."""


def turned(values: np.ndarray) -> LinearOperator:
    """A full matrix of these eigenvalues."""
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((len(values), len(values))))[0]
    return aslinearoperator((turn * values) @ turn.T)


@pytest.fixture(scope="module")
def operator() -> LinearOperator:
    return turned(KNOWN)


def counting(operator: LinearOperator) -> tuple[LinearOperator, list[int]]:
    calls = [0]

    def product(vector: np.ndarray) -> np.ndarray:
        calls[0] += 1
        return operator @ vector

    return LinearOperator(operator.shape, matvec=product, dtype=np.float64), calls


# Trace


def test_the_trace_lies_within_what_is_stated_of_it(operator):
    """In 40 estimates of 6 repetitions, Student's 99% interval (t = 4.03) holds the truth nearly always."""
    found = [estimate_trace(operator, repeats=6, probes=5, seed=seed) for seed in range(40)]
    errors = np.array([own.value - KNOWN.sum() for own in found])
    stated = np.array([own.standard_error for own in found])
    assert (abs(errors) <= 4.03 * stated).sum() >= 37
    assert 0.6 < errors.std() / np.sqrt((stated**2).mean()) < 1.6  # and is no wider than it need be
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(40)  # no bias
    assert len({own.value for own in found}) == 40


def test_the_outliers_are_taken_out_of_the_traces_error():
    """Hutchinson's own error has variance 2 (‖A‖² − Σ Aᵢᵢ²) / probes: the outliers dominate it."""
    operator = turned(np.concatenate([np.full(300, 0.01), [40.0, -60.0, 80.0]]))
    found = estimate_trace(operator, repeats=4, probes=8, seed=0)
    matrix = operator @ np.eye(303)
    plain = np.sqrt(2 * ((matrix**2).sum() - (np.diag(matrix) ** 2).sum()) / (3 * 8 * 4))
    assert found.standard_error < plain / 100
    assert found.value == pytest.approx(63, abs=1e-2)


def test_the_trace_takes_three_products_a_probe_and_is_exact_where_that_is_no_less(operator):
    counted, calls = counting(operator)
    estimate_trace(counted, repeats=3, probes=5, seed=0)
    assert calls[0] == 45
    counted, calls = counting(turned(np.array([3.0, -1.0, 5.0])))
    found = estimate_trace(counted, repeats=2, probes=1, seed=0)
    assert (found.value, found.standard_error, calls[0]) == (pytest.approx(7.0), 0.0, 3)


def test_a_trace_of_one_repetition_or_no_probe_is_refused(operator):
    with pytest.raises(ValueError, match="repeats must be at least 2, got 1"):
        estimate_trace(operator, repeats=1, probes=5, seed=0)
    with pytest.raises(ValueError, match="probes must be at least 1, got 0"):
        estimate_trace(operator, repeats=2, probes=0, seed=0)


# Density


def test_the_quadrature_has_the_moments_of_the_spectrum(operator):
    found = spectral_density(operator, probes=12, steps=30, smoothing=0.01, seed=0)
    assert found.weights.sum() == pytest.approx(1)
    assert found.probes == 12
    for power, allowed in ((1, 0.25), (2, 0.45)):  # Gaussian vectors: the error of a moment is √(2/12P)-like
        assert (found.weights * found.nodes**power).sum() == pytest.approx((KNOWN**power).mean(), rel=allowed)
    assert found.nodes.min() == pytest.approx(-0.5, abs=1e-3)
    assert found.nodes.max() == pytest.approx(50, abs=1e-3)


def test_a_probes_moments_are_exact_to_twice_its_steps(operator):
    """vᵀAᵏv for k ≤ 2 · 3 − 1, from three steps: what makes it a Gauss quadrature."""
    found = spectral_density(operator, probes=2, steps=3, smoothing=0.01, seed=5)
    rng = np.random.default_rng(5)
    for probe in range(2):
        vector = rng.standard_normal(SIZE)
        vector /= np.linalg.norm(vector)
        nodes, weights = (array[3 * probe : 3 * probe + 3] for array in (found.nodes, 2 * found.weights))
        power = vector.copy()
        for k in range(6):
            assert (weights * nodes**k).sum() == pytest.approx(vector @ power, rel=1e-8)
            power = operator @ power


def test_the_density_is_that_of_the_known_eigenvalues_smoothed(operator):
    found = spectral_density(operator, probes=20, steps=19, smoothing=0.05, seed=0)
    assert found.width == pytest.approx(0.05 * 50.5, rel=1e-3)
    truth = np.exp(-0.5 * ((found.grid[:, None] - KNOWN) / found.width) ** 2).mean(axis=1)
    truth /= found.width * np.sqrt(2 * np.pi)
    assert np.trapezoid(found.values, found.grid) == pytest.approx(1, abs=1e-5)
    near = truth > 1e-3 * truth.max()
    assert (abs(found.values - truth)[near] <= 4.5 * found.standard_error[near] + 1e-3 * truth.max()).all()
    spacing = np.diff(found.grid)
    assert spacing.max() <= found.width / PER_WIDTH * (1 + 1e-9)


def test_a_small_matrix_has_the_density_of_its_every_eigenvalue():
    known = np.array([0.0, 0.0, 1.0, 4.0])
    counted, calls = counting(turned(known))
    found = spectral_density(counted, probes=2, steps=2, smoothing=0.01, seed=0)
    assert calls[0] == 4
    np.testing.assert_allclose(np.sort(found.nodes), known, atol=1e-12)
    assert not found.standard_error.any()
    assert found.probes == 0
    peak = found.values[abs(found.grid - 4).argmin()]
    assert peak == pytest.approx(0.25 / (0.04 * np.sqrt(2 * np.pi)), rel=0.02)  # one of four


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_a_spectrum_of_one_value_has_a_width_all_the_same(value):
    found = spectral_density(aslinearoperator(value * np.eye(50)), probes=2, steps=3, smoothing=0.01, seed=0)
    assert found.width == pytest.approx(0.01 * (value or 1.0))
    assert np.trapezoid(found.values, found.grid) == pytest.approx(1, abs=1e-5)


def test_a_density_of_one_probe_or_no_step_is_refused(operator):
    with pytest.raises(ValueError, match="probes must be at least 2, got 1"):
        spectral_density(operator, probes=1, steps=3, smoothing=0.01, seed=0)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        spectral_density(operator, probes=2, steps=0, smoothing=0.01, seed=0)


# The whole


PROBING = Probing(3, 1e-6, 3, 4, 7, Quadrature(probes=3, steps=12, smoothing=0.02))


@pytest.fixture(scope="module")
def curvature(operator) -> Curvature:
    spectra = {"hessian": lambda: operator, "gauss_newton": lambda: turned(abs(KNOWN))}
    return Curvature.of(spectra, PROBING, {"examples": 5})


def test_the_measures_are_those_of_the_spectrum(curvature):
    measures = curvature.spectra["hessian"].measures
    assert measures["top_eigenvalue"] == pytest.approx(50, rel=1e-6)
    assert measures["smallest_eigenvalue"] == pytest.approx(-0.5, abs=1e-4)
    assert measures["eigenvalue_ratio"] == pytest.approx(0.01, rel=1e-3)
    assert abs(measures["trace"] - KNOWN.sum()) < 10 * measures["trace_standard_error"]
    np.testing.assert_allclose(curvature.spectra["gauss_newton"].eigenvalues, [50, 20, 8], rtol=1e-6)
    assert curvature.spectra["gauss_newton"].smallest > 0


@pytest.mark.parametrize("with_density", [True, False])
def test_what_is_kept_is_read_back_to_the_bit(curvature, tmp_path, with_density):
    if not with_density:
        spectra = {name: replace(own, density=None) for name, own in curvature.spectra.items()}
        curvature = replace(curvature, spectra=spectra)
    curvature.save(tmp_path / "it")
    again = Curvature.load(tmp_path / "it.npz")
    assert again.to_bytes() == curvature.to_bytes()
    assert again.to_frame().equals(curvature.to_frame())
    assert again.provenance["probing"]["seed"] == 7
    assert (again.spectra["hessian"].density is None) != with_density


def test_the_frame_has_a_row_a_number(curvature):
    frame = curvature.to_frame()
    assert list(frame) == ["matrix", "quantity", "at", "value", "error"]
    own = frame[frame["matrix"] == "hessian"].groupby("quantity").size().to_dict()
    grid = curvature.spectra["hessian"].density.grid
    assert own == {"density": len(grid), "eigenvalue": 3, "smallest_eigenvalue": 1, "trace": 1}
    top = frame[(frame["matrix"] == "gauss_newton") & (frame["quantity"] == "eigenvalue")]
    assert top["at"].tolist() == [1, 2, 3]
    assert top["value"].iloc[1] == pytest.approx(20, rel=1e-6)


def test_what_is_not_finite_is_kept_as_it_is():
    broken = LinearOperator((90, 90), matvec=lambda vector: vector * np.nan, dtype=np.float64)
    found = Curvature.of({"hessian": lambda: broken}, PROBING, {})
    assert all(np.isnan(value) for value in found.spectra["hessian"].measures.values())
    again = Curvature.from_bytes(found.to_bytes())
    assert again.to_frame().equals(found.to_frame())


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", header=np.array('{"format": "landscape/1"}'))
    with pytest.raises(ValueError, match=r"other\.npz: curvature format must be 'curvature/1', got 'landsc"):
        Curvature.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz: not a curvature file"):
        Curvature.load(tmp_path / "text.npz")
