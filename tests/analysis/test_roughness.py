"""How rough lines and planes are, and the area of a basin, against functions whose values are known."""

import numpy as np
import pytest

from study.analysis.measures import level_set_area
from study.analysis.roughness import FEWEST, roughness, roughness_measures, spectral_roughness
from study.landscape.result import Landscape, Point, Status

ALPHA, BETA = np.linspace(-1.0, 0.9, 77), np.linspace(-1.3, 1.1, 121)


def landscape(*axes: np.ndarray, loss: np.ndarray, center: float = 0.0) -> Landscape:
    names = ("alpha", "beta")[: len(axes)]
    return Landscape(
        axes=dict(zip(names, axes, strict=True)),
        values={"loss": loss},
        status=np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8),
        points={"solution": Point((0.0,) * len(axes), {"loss": center})},
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 5], 1.0),
        ([5, 4, 1, 0], 1.0),
        ([4, 1, 0, 1, 4], 2.0),
        ([0, 1, 0, 1, 0], 4.0),
        ([3, 3, 3], 1.0),
    ],
)
def test_a_monotone_line_has_one_a_valley_two_and_each_swing_adds(values, expected):
    alpha = np.arange(float(len(values)))
    assert roughness(landscape(alpha, loss=np.array(values, dtype=float))) == expected


def test_the_roughness_of_a_plane_is_over_its_rows_and_columns():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    assert roughness(landscape(ALPHA, BETA, loss=a + 2 * b)) == pytest.approx(1.0)
    rising, swings = landscape(ALPHA, BETA, loss=a), landscape(ALPHA, loss=np.sin(9 * ALPHA))
    assert roughness(rising) == pytest.approx(1.0)
    along_alpha = landscape(ALPHA, BETA, loss=np.sin(9 * a))  # rows are flat and weigh nothing
    assert roughness(along_alpha) == pytest.approx(roughness(swings))


def test_neither_scale_nor_offset_nor_direction_changes_roughness():
    loss = np.abs(ALPHA) + 0.1 * np.sin(40 * ALPHA)
    for measure in (roughness, spectral_roughness):
        found = measure(landscape(ALPHA, loss=loss))
        assert measure(landscape(ALPHA, loss=5 * loss + 3)) == pytest.approx(found)
        assert measure(landscape(ALPHA, loss=loss[::-1])) == pytest.approx(found)


@pytest.mark.parametrize(("cycles", "low", "high"), [(1.5, 0.0, 0.02), (12, 0.98, 1.0)])
def test_the_spectrum_tells_a_fast_wave_from_a_slow_one(cycles, low, high):
    turns = np.linspace(0, 2 * np.pi * cycles, 101)
    parabola = 3 * np.linspace(-1, 1, 101) ** 2
    assert low <= spectral_roughness(landscape(turns, loss=parabola + np.sin(turns))) <= high


def test_a_parabola_has_no_roughness_and_ripples_on_it_add_to_it():
    parabola = 2 * ALPHA**2 + ALPHA + 1
    assert spectral_roughness(landscape(ALPHA, loss=parabola)) == 0.0
    quartic = parabola + ALPHA**4
    shares = [
        spectral_roughness(landscape(ALPHA, loss=quartic + ripple * np.cos(60 * ALPHA)))
        for ripple in (0.0, 0.05, 0.5)
    ]
    assert shares[0] < 0.01 < shares[1] < shares[2]


def test_a_line_of_few_points_has_no_spectrum():
    few = landscape(np.arange(FEWEST - 1.0), loss=np.arange(FEWEST - 1.0) ** 3)
    assert set(roughness_measures(few)) == {"roughness"}
    with pytest.raises(ValueError, match=f"at least {FEWEST} points"):
        spectral_roughness(few)
    enough = landscape(np.arange(float(FEWEST)), loss=np.arange(float(FEWEST)) ** 3)
    assert set(roughness_measures(enough)) == {"roughness", "spectral_roughness"}


def test_what_is_not_finite_makes_it_infinite():
    loss = ALPHA**2
    loss[3] = np.inf
    assert roughness_measures(landscape(ALPHA, loss=loss)) == {
        "roughness": np.inf,
        "spectral_roughness": np.inf,
    }


def test_the_area_of_an_elliptic_basin():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    bowl = landscape(ALPHA, BETA, loss=4 * a**2 + b**2)
    assert level_set_area(bowl, 0.64) == pytest.approx(np.pi * 0.4 * 0.8, rel=2e-3)
    assert level_set_area(bowl, 0.16) == pytest.approx(np.pi * 0.2 * 0.4, rel=5e-3)


def test_another_basin_is_not_part_of_it_and_a_hole_is_taken_off():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    both = np.minimum(a**2 + (b - 0.4) ** 2, a**2 + (b + 0.8) ** 2)
    near = Point((0.0, 0.4), {"loss": 0.0})
    two = landscape(ALPHA, BETA, loss=both)
    two.points["solution"] = near
    assert level_set_area(two, 0.09) == pytest.approx(np.pi * 0.09, rel=1e-2)
    radius = np.hypot(a + 0.5, b)  # a ring about a hole; the centre lies on the ring
    ring = landscape(ALPHA, BETA, loss=np.abs(radius - 0.5))
    assert level_set_area(ring, 0.2) == pytest.approx(_ring(0.3, 0.7), rel=2e-2)


def _ring(inner: float, outer: float) -> float:
    """Area of a ring about (−0.5, 0) within the grid: α ≥ −1 cuts off a segment of the outer circle."""
    segment = outer**2 * np.arccos(0.5 / outer) - 0.5 * np.sqrt(outer**2 - 0.5**2)
    return float(np.pi * (outer**2 - inner**2) - segment)


def test_an_area_without_a_finite_centre_is_infinite():
    a, b = np.meshgrid(ALPHA, BETA, indexing="ij")
    assert level_set_area(landscape(ALPHA, BETA, loss=a + b, center=np.nan), 0.1) == np.inf
