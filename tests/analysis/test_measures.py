"""Measures against closed forms: quadratics, known sequences, regions drawn by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from study.analysis.measures import along_line, basin_extent, extremes, largest_rise
from study.landscape.result import Landscape, Point, Status


def made(
    axes: dict[str, np.ndarray], loss: np.ndarray, points: dict[str, tuple[tuple[float, ...], float]]
) -> Landscape:
    return Landscape(
        axes=axes,
        values={"loss": loss},
        status=np.where(np.isfinite(loss), Status.EVALUATED, Status.DIVERGED).astype(np.int8),
        points={name: Point(place, {"loss": value}) for name, (place, value) in points.items()},
    )


def line(function: Callable[[np.ndarray], np.ndarray], alpha: np.ndarray, center: float = 0.0) -> Landscape:
    value = float(function(np.array(center)))
    return made({"alpha": alpha}, function(alpha), {"centre": ((center,), value)})


def sequence(
    values: list[float], alpha: list[float] | None = None, **points: tuple[float, float]
) -> Landscape:
    alpha = list(np.linspace(0, 1, len(values))) if alpha is None else alpha
    special = {name: ((place,), value) for name, (place, value) in points.items()}
    return made({"alpha": np.array(alpha)}, np.array(values, dtype=float), special)


def plane(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    alpha: np.ndarray,
    beta: np.ndarray,
    center: tuple[float, float] = (0.0, 0.0),
) -> Landscape:
    loss = function(alpha[:, None], beta[None, :])
    value = float(function(np.array(center[0]), np.array(center[1])))
    return made({"alpha": alpha, "beta": beta}, loss, {"centre": (center, value)})


# Rises


@pytest.mark.parametrize(
    ("values", "rise"),
    [
        ([5, 4, 3, 2, 1], 0),
        ([3, 3, 3], 0),
        ([1, 2, 4], 3),
        ([5, 1, 4, 0, 2], 3),  # 1 -> 4, not the highest above the lowest
        ([5, 3, 4, 0, 2.5, 1, 2], 2.5),
        ([0, 5, 4, 6, 1], 6),
    ],
)
def test_largest_rise_of_known_sequences(values, rise):
    assert largest_rise(sequence(values)) == rise


def test_largest_rise_looks_only_between_the_ends():
    assert largest_rise(sequence([9, 3, 1, 0, 7], [-0.5, 0.0, 0.5, 1.0, 1.5])) == 0
    assert largest_rise(sequence([0, 3, 1, 2, 9], [-0.5, 0.0, 0.5, 1.0, 1.5])) == 1


def test_largest_rise_counts_the_ends_that_the_grid_does_not_hit():
    grid = [-0.2, 0.3, 0.7, 1.2]
    assert largest_rise(sequence([9, 3, 2, 9], grid)) == 0
    assert largest_rise(sequence([9, 3, 2, 9], grid, start=(0.0, 1.0), end=(1.0, 2.5))) == 2
    assert largest_rise(sequence([9, 3, 2, 9], grid, start=(0.0, 4.0), end=(1.0, 2.5))) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_largest_rise_is_infinite_where_a_value_in_its_range_is_not_finite(value):
    assert largest_rise(sequence([3, value, 1])) == math.inf
    assert largest_rise(sequence([value, 3, 1], [-0.5, 0.0, 1.0])) == 0
    assert largest_rise(sequence([3, 1], [0.25, 0.75], start=(0.0, value))) == math.inf


def test_a_line_is_read_in_order_each_place_once():
    alpha, loss = along_line(sequence([4, 2, 1], [0.0, 0.5, 2.0], end=(1.0, 7.0), start=(0.0, 4.0)))
    assert alpha.tolist() == [0.0, 0.5, 1.0, 2.0]
    assert loss.tolist() == [4.0, 2.0, 7.0, 1.0]


# Extremes


def test_extremes_are_over_grid_and_special_points():
    assert extremes(sequence([3, 2, 4], start=(0.1, 1.0), end=(0.9, 5.0))) == {
        "minimum": 1.0,
        "maximum": 5.0,
        "diverged_cells": 0.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_extremes_say_what_diverged(value):
    assert extremes(sequence([3, value, 2, value], start=(0.1, 4.0))) == {
        "minimum": 2.0,
        "maximum": math.inf,
        "diverged_cells": 2.0,
    }
    special = extremes(sequence([3, 2], start=(0.1, value)))
    assert special == {"minimum": 2.0, "maximum": math.inf, "diverged_cells": 0.0}
    nothing = extremes(sequence([value, value], start=(0.1, value)))
    assert nothing == {"minimum": math.inf, "maximum": math.inf, "diverged_cells": 2.0}


# Basins on lines


@pytest.mark.parametrize(("h", "rise"), [(2.0, 0.1), (0.5, 0.02), (8.0, 1.0)])
@pytest.mark.parametrize("points", [50, 201])
def test_the_basin_of_a_quadratic_line(h, rise, points):
    alpha = np.linspace(-0.9, 1.3, points)
    found = basin_extent(line(lambda a: 0.3 + h * a**2 / 2, alpha), rise)
    step = alpha[1] - alpha[0]
    half = math.sqrt(2 * rise / h)
    slack = 2 * step**2 / (8 * half)  # of a secant of the parabola, divided by its slope, on both sides
    assert found["basin_width"] == pytest.approx(2 * half, abs=1.5 * slack)
    assert found["basin_width"] <= 2 * half  # a chord of a convex function lies above it
    assert found["basin_reaches_edge"] == 0.0
    assert set(found) == {"basin_width", "basin_reaches_edge", "basin_unresolved"}


def test_the_basin_of_two_slopes_is_exact():
    """Piecewise linear with its kink on the grid: linear interpolation has no error."""
    alpha = np.linspace(-1, 2, 7)
    found = basin_extent(line(lambda a: np.where(a < 0, -2 * a, 0.5 * a), alpha), 0.7)
    assert found["basin_width"] == pytest.approx(0.35 + 1.4, rel=1e-12)


def test_a_centre_beside_the_minimum_is_what_the_rise_is_above():
    h, center, rise = 2.0, 0.25, 0.1
    alpha = np.linspace(-1, 1, 401)
    found = basin_extent(line(lambda a: h * a**2 / 2, alpha, center), rise)
    assert found["basin_width"] == pytest.approx(2 * math.sqrt(center**2 + 2 * rise / h), abs=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "width"), [(-0.1, 1.0, 0.1 + 0.5), (-1.0, 0.2, 0.5 + 0.2), (-0.1, 0.2, 0.3)]
)
def test_a_basin_that_reaches_the_edge_is_flagged(low, high, width):
    found = basin_extent(line(abs, np.linspace(low, high, 301)), 0.5)
    assert found["basin_width"] == pytest.approx(width, abs=1e-9)
    assert found["basin_reaches_edge"] == 1.0


def test_a_needle_between_two_points_of_a_line():
    """The special point lies in it, so its width is read from the straight lines to its neighbours."""
    found = basin_extent(
        line(lambda a: np.minimum(1000 * abs(a), 10.0), np.array([-0.3, -0.1, 0.1, 0.3])), 0.1
    )
    assert found["basin_width"] == pytest.approx(2 * 0.1 * 0.1 / 10, rel=1e-9)
    assert found["basin_reaches_edge"] == 0.0


def test_only_the_basin_that_holds_the_centre_counts_on_a_line():
    def two(alpha: np.ndarray) -> np.ndarray:
        return np.minimum(abs(alpha), abs(alpha - 2))

    alpha = np.linspace(-1, 3, 401)
    assert basin_extent(line(two, alpha, 0.0), 0.25)["basin_width"] == pytest.approx(0.5, abs=1e-9)
    assert basin_extent(line(two, alpha, 2.0), 0.5)["basin_width"] == pytest.approx(1.0, abs=1e-9)
    joined = basin_extent(line(two, alpha, 0.0), 1.5)
    assert joined["basin_width"] == pytest.approx(4.0)
    assert joined["basin_reaches_edge"] == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_basin_ends_before_what_diverged_on_a_line(value):
    found = basin_extent(sequence([9, 0, 0, value, 0], [-2, -1, 1, 2, 3], centre=(0.0, 0.0)), 0.9)
    assert found["basin_width"] == pytest.approx(2 + 0.1)
    assert found["basin_reaches_edge"] == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_basin_without_a_finite_centre_is_infinite(value):
    on_line = basin_extent(sequence([1, 0, 1], centre=(0.5, value)), 0.1)
    assert on_line == {"basin_width": math.inf, "basin_reaches_edge": 1.0, "basin_unresolved": 0.0}
    axis = np.linspace(-1, 1, 3)
    on_plane = basin_extent(
        made({"alpha": axis, "beta": axis}, np.ones((3, 3)), {"centre": ((0.0, 0.0), value)}), 0.1
    )
    widths = ("basin_width", "basin_width_alpha", "basin_width_beta")
    assert on_plane == {
        **dict.fromkeys(widths, math.inf),
        "basin_reaches_edge": 1.0,
        "basin_unresolved": 0.0,
    }


# Basins on planes: never square, never symmetric


ALPHA, BETA = np.linspace(-1.3, 0.9, 45), np.linspace(-0.8, 1.9, 82)


@pytest.mark.parametrize("rise", [0.05, 0.3])
def test_the_basin_of_a_quadratic_plane(rise):
    h, k = 2.0, 0.7
    found = basin_extent(plane(lambda a, b: 1.0 + h * a**2 / 2 + k * b**2 / 2, ALPHA, BETA), rise)
    for name, curvature, axis in (("alpha", h, ALPHA), ("beta", k, BETA)):
        half = math.sqrt(2 * rise / curvature)
        step = axis[1] - axis[0]
        width = min(half, -axis[0]) + min(half, axis[-1])
        assert found[f"basin_width_{name}"] == pytest.approx(width, abs=step**2 / (2 * half) + 0.01)
    assert found["basin_width"] == (found["basin_width_alpha"] + found["basin_width_beta"]) / 2
    assert found["basin_reaches_edge"] == float(math.sqrt(2 * rise / k) > 0.8)


def test_the_basin_of_a_tilted_quadratic_is_its_bounding_box():
    """{x·Hx / 2 ≤ r} reaches √(2 r (H⁻¹)ᵢᵢ) along axis i."""
    hessian, rise = np.array([[6.0, 2.0], [2.0, 3.0]]), 0.1
    found = basin_extent(
        plane(
            lambda a, b: (6.0 * a**2 + 4.0 * a * b + 3.0 * b**2) / 2,
            np.linspace(-1, 0.8, 181),
            np.linspace(-1, 1.2, 201),
        ),
        rise,
    )
    reach = np.sqrt(2 * rise * np.diag(np.linalg.inv(hessian)))
    assert found["basin_width_alpha"] == pytest.approx(2 * reach[0], abs=2e-3)
    assert found["basin_width_beta"] == pytest.approx(2 * reach[1], abs=2e-3)
    assert found["basin_width_alpha"] < found["basin_width_beta"]


def test_a_plane_with_its_centre_off_the_grid():
    alpha, beta = np.linspace(-0.95, 1.03, 100), np.linspace(-1.01, 0.99, 151)
    found = basin_extent(plane(lambda a, b: np.maximum(2 * abs(a), abs(b)), alpha, beta), 0.4)
    assert not np.isin(0.0, alpha)
    assert found["basin_width_alpha"] == pytest.approx(0.4, abs=1e-9)
    assert found["basin_width_beta"] == pytest.approx(0.8, abs=1e-9)
    assert found["basin_reaches_edge"] == 0.0


@pytest.mark.parametrize(("axis", "widths"), [("alpha", (2.2, 0.4)), ("beta", (0.4, 2.7))])
def test_a_valley_reaches_the_edge_along_one_axis(axis, widths):
    found = basin_extent(
        plane(lambda a, b: abs(b) + 0 * a if axis == "alpha" else abs(a) + 0 * b, ALPHA, BETA), 0.2
    )
    assert (found["basin_width_alpha"], found["basin_width_beta"]) == pytest.approx(widths)
    assert found["basin_reaches_edge"] == 1.0


def test_a_needle_between_four_cells_has_no_width_that_a_plane_could_show():
    """As documented: zero where no cell near the centre lies in the basin."""
    axis, other = np.linspace(-1, 1, 4), np.linspace(-1, 1, 6)
    found = basin_extent(plane(lambda a, b: np.minimum(1000 * (abs(a) + abs(b)), 10.0), axis, other), 0.1)
    assert found == {
        "basin_width": 0.0,
        "basin_width_alpha": 0.0,
        "basin_width_beta": 0.0,
        "basin_reaches_edge": 0.0,
        "basin_unresolved": 1.0,
    }


def test_a_needle_on_one_cell_is_as_wide_as_the_lines_to_its_neighbours():
    axis, other = np.linspace(-1, 1, 5), np.linspace(-1, 1, 9)
    found = basin_extent(plane(lambda a, b: np.minimum(1000 * (abs(a) + abs(b)), 10.0), axis, other), 0.1)
    assert found["basin_width_alpha"] == pytest.approx(2 * 0.5 * 0.01)
    assert found["basin_width_beta"] == pytest.approx(2 * 0.25 * 0.01)


def test_only_the_basin_that_holds_the_centre_counts_on_a_plane():
    def two(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return np.minimum(np.hypot(alpha, beta), np.hypot(alpha, beta - 1.4) / 2)

    first = basin_extent(plane(two, ALPHA, BETA, (0.0, 0.0)), 0.2)
    assert first["basin_width_alpha"] == pytest.approx(0.4, abs=0.02)
    assert first["basin_width_beta"] == pytest.approx(0.4, abs=0.02)
    second = basin_extent(plane(two, ALPHA, BETA, (0.0, 1.4)), 0.2)
    assert second["basin_width_alpha"] == pytest.approx(0.8, abs=0.02)
    assert second["basin_width_beta"] == pytest.approx(0.8, abs=0.02)
    assert not first["basin_reaches_edge"]
    assert not second["basin_reaches_edge"]


def test_a_basin_with_an_island_is_as_wide_as_its_outer_shore():
    """A high hill beside the centre makes a hole, which is no part of the boundary that is measured."""

    def ring(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        hill = np.hypot(alpha - 0.25, beta) < 0.12
        return np.where(hill, 5.0, np.where(np.hypot(alpha, beta) < 0.7, 0.0, 9.0))

    found = basin_extent(plane(ring, ALPHA, BETA), 0.1)
    assert found["basin_width_alpha"] == pytest.approx(1.4, abs=0.1)
    assert found["basin_width_beta"] == pytest.approx(1.4, abs=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_basin_ends_before_what_diverged_on_a_plane(value):
    """Flat, but for the columns β ≥ 1 and the rows α ≤ −0.5, which diverged."""
    alpha, beta = np.linspace(-1, 0.75, 8), np.linspace(-0.6, 1.4, 11)
    found = basin_extent(plane(lambda a, b: np.where((b > 0.9) | (a < -0.45), value, 0.0), alpha, beta), 0.1)
    assert found["basin_width_alpha"] == pytest.approx(0.75 + 0.25, abs=1e-6)
    assert found["basin_width_beta"] == pytest.approx(0.6 + 0.8, abs=1e-6)
    assert found["basin_reaches_edge"] == 1.0  # of the sides that did not diverge


def test_a_basin_walled_in_by_what_diverged_reaches_no_edge():
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(-1, 1, 11)
    found = basin_extent(
        plane(lambda a, b: np.where(np.maximum(abs(a), abs(b)) > 0.7, np.inf, 0.0), alpha, beta), 0.1
    )
    assert found["basin_width_alpha"] == pytest.approx(1.0, abs=1e-6)
    assert found["basin_width_beta"] == pytest.approx(1.2, abs=1e-6)
    assert found["basin_reaches_edge"] == 0.0


def test_the_two_axes_are_not_taken_for_each_other():
    turned = basin_extent(plane(lambda a, b: 3 * abs(a) + abs(b), ALPHA, BETA), 0.3)
    straight = basin_extent(plane(lambda a, b: 3 * abs(b) + abs(a), BETA, ALPHA), 0.3)
    assert turned["basin_width_alpha"] == pytest.approx(straight["basin_width_beta"], rel=1e-9)
    assert turned["basin_width_beta"] == pytest.approx(straight["basin_width_alpha"], rel=1e-9)
    assert turned["basin_width_alpha"] < turned["basin_width_beta"]


@pytest.mark.parametrize(("points", "unresolved"), [(9, 1.0), (11, 1.0), (13, 0.0)])
def test_a_basin_that_spans_fewer_than_three_coordinates_is_unresolved(points, unresolved):
    """The basin is |a| <= 0.19; the coordinates beside the centre lie at 0.25, 0.2 and 1 / 6."""
    axis = np.linspace(-1, 1, points)
    assert basin_extent(line(lambda a: np.abs(a), axis), 0.19)["basin_unresolved"] == unresolved
    fine = np.linspace(-1, 1, 41)
    for surface in (
        plane(lambda a, b: np.hypot(a, b), axis, fine),
        plane(lambda a, b: np.hypot(a, b), fine, axis),
    ):
        assert basin_extent(surface, 0.19)["basin_unresolved"] == unresolved


def test_where_a_special_point_lies_on_the_grid_its_own_value_counts():
    landscape = sequence([1.0, 0.5, 1.0], [-1.0, 0.0, 1.0], centre=(0.0, 0.2))
    alpha, loss = along_line(landscape)
    assert alpha.tolist() == [-1.0, 0.0, 1.0]
    assert loss.tolist() == [1.0, 0.2, 1.0]
    # from 0.2 the level 0.3 is crossed an eighth of the way to 1.0 on either side
    assert basin_extent(landscape, 0.1)["basin_width"] == pytest.approx(0.25)
