"""Adaptive evaluation on surfaces in closed form: what it states of its error is true, and what it saves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Measured
from study.landscape.geometry import Plane
from study.landscape.grid import Coordinates, Grid, spaced
from study.landscape.refine import CHANCE, FLOOR, chance, refine, sample_size
from study.landscape.result import Status
from study.landscape.surface import Surface

Function = Callable[..., np.ndarray]


@dataclass
class Truth:
    """Surfaces in closed form, by name, and what was asked of them."""

    functions: dict[str, Function]
    asked: list[Coordinates] = field(default_factory=list)

    def at(self, point: Coordinates) -> Measured:
        with np.errstate(all="ignore"):
            values = {name: float(own(*map(np.float64, point))) for name, own in self.functions.items()}
        return Measured(values)

    def __call__(self, points):
        self.asked += points
        return [self.at(point) for point in points]

    def over(self, grid: Grid) -> dict[str, np.ndarray]:
        cells = [self.at(point) for point in grid.coordinates]
        return {
            name: np.array([cell.values[name] for cell in cells]).reshape(grid.shape)
            for name in self.functions
        }


def scaled(losses: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The scale that errors are stated on: relative ones, absolute below a thousandth."""
    if np.nanmin(np.where(np.isfinite(true), true, np.nan)) < 0:
        return np.arcsinh(losses / 1e-3)
    return np.log(losses + 1e-3)


def is_loss(name: str) -> bool:
    return name.split("/")[-1] == "loss"


def checked(functions, grid: Grid, tolerance: float = 0.05, special=None) -> tuple[Surface, Truth]:
    """A refined surface, held to all that is said of every one."""
    truth = Truth(functions if isinstance(functions, dict) else {"loss": functions})
    centre = (0.0,) * len(grid.axes)
    points = {point: truth.at(point) for point in ([centre] if special is None else special)}
    surface = refine(grid, points, truth, tolerance)

    asked = len(truth.asked)
    assert asked == len(set(truth.asked)) <= np.prod(grid.shape)
    assert set(truth.asked) <= set(grid.coordinates)

    true = truth.over(grid)
    losses = [name for name in true if is_loss(name)]
    finite = np.logical_and.reduce([np.isfinite(true[name]) for name in losses])
    measured = np.array([point in set(truth.asked) for point in grid.coordinates]).reshape(grid.shape)
    status = np.where(measured, np.where(finite, Status.EVALUATED, Status.DIVERGED), Status.INTERPOLATED)
    assert surface.status.tolist() == status.tolist()
    assert finite[~measured].all(), "a cell that is not finite is guessed"

    estimate = surface.estimate
    between = int((~measured).sum())
    assert (estimate["evaluated"], estimate["interpolated"]) == (asked, between)
    assert estimate["tolerance"] == tolerance
    assert set(surface.values) == {*true, *(f"{name}_interpolation_error" for name in losses)}
    for name, own in true.items():
        np.testing.assert_array_equal(surface.values[name][measured], own[measured])
        assert np.isfinite(surface.values[name][~measured]).all()
    for name in losses:
        bound = surface.values[f"{name}_interpolation_error"]
        assert (bound[measured] == 0).all()
        if not between:
            continue
        stated = estimate["errors"][name]
        assert 0 <= stated["median"] <= stated["largest"] <= tolerance
        assert (bound[~measured] > 0).all() or stated["largest"] == 0
        guessed, right = surface.values[name][~measured], true[name][~measured]
        error = np.abs(scaled(guessed, true[name]) - scaled(right, true[name]))
        # of a hundred cells from which some were drawn, five may be worse than the worst drawn
        above = error > stated["largest"] + 1e-9
        assert above.sum() <= max(2, 0.08 * (between + estimate["drawn"])), (
            f"{above.mean():.1%} are off by more than is stated"
        )
    return surface, truth


def shares(surface: Surface) -> float:
    return surface.estimate["evaluated"] / surface.status.size


# --- surfaces


def bowl(a, b):
    return 0.3 + 2 * (a - 0.1) ** 2 + 0.7 * b**2 + 0.4 * a * b


def decades(a, b):
    """From 1e-4 to 1e7."""
    return 10 ** (1.5 + 5.5 * np.sin(1.9 * a + 0.6 * b))


def needle(a, b):
    return bowl(a, b) + 4 * np.exp(-(a**2 + b**2) / (2 * 0.03**2))


def kink(a, b):
    return 0.2 + np.abs(a - 0.13) + 0.3 * b**2


def cliff(a, b):
    return np.where(a + 0.3 * b > 0.21, 2.0, 0.5) + 0.1 * b**2


def hole(a, b):
    """No number in one corner, infinite in another."""
    return np.where(a - b > 1.4, np.nan, np.where(a + 1.5 * b > 1.9, np.inf, bowl(a, b)))


def negative(a, b):
    return a * b - 0.3 + 0.5 * np.sin(2 * a)


def zero(a, b):
    return a**2 + 3 * b**2


def quartic_valley(a, b):
    return 5 * (a - b**2) ** 2 + 0.05 * (1 - b) ** 2


@lru_cache
def _table(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(size=(1009,))


def noise(a, b):
    return _table(3)[int(abs(round(float(a) * 7919 + float(b) * 104729))) % 1009]


SURFACES = [bowl, decades, needle, kink, cliff, hole, negative, zero, quartic_valley, noise]
WIDE = Grid.rectangle((-1.0, 1.0, 31), (-1.2, 0.9, 23))


@pytest.mark.parametrize("surface", SURFACES, ids=lambda own: own.__name__)
@pytest.mark.parametrize("tolerance", [0.02, 0.2])
def test_the_error_is_what_is_stated(surface, tolerance):
    checked(surface, WIDE, tolerance)


def test_a_smooth_bowl_needs_an_eighth_of_its_cells():
    surface, _truth = checked(bowl, Grid.square(1.0, 51), 0.05)
    assert shares(surface) <= 1 / 8


def test_a_fine_grid_costs_a_smaller_share_than_a_coarse_one():
    coarse, _truth = checked(decades, Grid.rectangle((-1, 1, 26), (-1, 1, 11)), 0.05)
    fine, _truth = checked(decades, Grid.rectangle((-1, 1, 101), (-1, 1, 41)), 0.05)
    assert shares(fine) < shares(coarse) / 2


def test_a_smaller_tolerance_is_kept_too():
    loose, _truth = checked(decades, WIDE, 0.2)
    strict, _truth = checked(decades, WIDE, 0.002)
    assert strict.estimate["evaluated"] > loose.estimate["evaluated"]
    assert strict.estimate["errors"]["loss"]["largest"] <= 0.002


@pytest.mark.parametrize("place", [(0.0, 0.0), (-0.4, 0.3)])
def test_a_needle_at_a_special_point_is_seen(place):
    """As wide as half a cell: at every other place it would be missed."""
    grid = Grid.rectangle((-1.0, 1.0, 41), (-0.9, 0.9, 37))

    def narrow(a, b):
        return bowl(a, b) + 30 * np.exp(-((a - place[0]) ** 2 + (b - place[1]) ** 2) / (2 * 0.025**2))

    surface, truth = checked(narrow, grid, 0.05, special=[place])
    at = tuple(
        int(np.argmin(np.abs(axis - own))) for axis, own in zip(grid.axes.values(), place, strict=True)
    )
    assert surface.status[at] == Status.EVALUATED
    assert surface.values["loss"].max() == pytest.approx(truth.over(grid)["loss"].max())


def test_noise_is_evaluated_and_never_guessed():
    surface, _truth = checked(noise, WIDE, 0.02)
    assert (surface.status == Status.EVALUATED).all()
    assert surface.estimate == {
        "tolerance": 0.02,
        "evaluated": 31 * 23,
        "interpolated": 0,
        "drawn": 0,
        "errors": {},
    }
    assert (surface.values["loss_interpolation_error"] == 0).all()


def test_every_diverged_cell_is_evaluated_and_said_to_have_diverged():
    surface, truth = checked(hole, WIDE, 0.05)
    true = truth.over(WIDE)["loss"]
    np.testing.assert_array_equal(surface.status == Status.DIVERGED, ~np.isfinite(true))
    np.testing.assert_array_equal(surface.values["loss"][~np.isfinite(true)], true[~np.isfinite(true)])
    assert (surface.status == Status.INTERPOLATED).any()


@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_a_surface_that_is_nowhere_finite_is_evaluated_everywhere(lost):
    grid = Grid.rectangle((-1, 1, 17), (-1, 2, 14))
    surface, _truth = checked(lambda a, b: lost, grid)
    assert (surface.status == Status.DIVERGED).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_a_loss_that_is_finite_on_one_line_of_the_plane_only_is_evaluated(axis):
    """What is finite then has no area: nothing can be interpolated across it."""
    grid = Grid.rectangle((-1, 1, 21), (-1, 1, 41))
    surface, _truth = checked(lambda *at: np.where(at[axis] == 0, 1 + at[1 - axis] ** 2, np.inf), grid)
    assert np.isfinite(surface.values["loss"]).sum() == (41, 21)[axis]


def test_a_loss_that_is_finite_on_an_edge_only_is_evaluated():
    grid = Grid.rectangle((0, 1, 30), (0, 1, 25))
    surface, _truth = checked(lambda a, b: np.where(a == 0, np.exp(b), np.nan), grid, special=[(0.0, 0.0)])
    assert (surface.status == Status.DIVERGED).sum() == 29 * 25


def test_a_loss_that_is_never_negative_is_not_guessed_to_be():
    surface, _truth = checked(zero, Grid.rectangle((-1, 1, 41), (-1, 1, 33)), 0.2)
    assert (surface.values["loss"] >= 0).all()
    assert surface.values["loss"][20, 16] == 0


@pytest.mark.parametrize(
    "grid",
    [
        Grid.rectangle((-1, 1, 2), (-1, 1, 2)),
        Grid.rectangle((-1, 1, 3), (-2, 1, 7)),
        Grid.rectangle((-1, 1, 11), (-2, 1, 11)),
        Grid.line(-0.5, 1.5, 2),
        Grid.line(-0.5, 1.5, 11),
    ],
    ids=lambda own: "x".join(map(str, own.shape)),
)
def test_a_small_grid_is_evaluated_throughout(grid):
    surface, _truth = checked(lambda a, b=0.5: 1 + a**2 + b, grid)
    assert (surface.status == Status.EVALUATED).all()


@pytest.mark.parametrize("shape", [(2, 60), (60, 2), (3, 50), (12, 12), (2, 12)])
@pytest.mark.parametrize("surface", [bowl, kink, hole], ids=lambda own: own.__name__)
def test_narrow_grids_keep_the_statement(shape, surface):
    checked(surface, Grid.rectangle((-1, 1, shape[0]), (-1, 1, shape[1])))


LINES = {
    "parabola": lambda a: 0.1 + (a - 0.3) ** 2,
    "decades": lambda a: 10 ** (1.5 + 5.5 * np.sin(2 * a)),
    "kink": lambda a: 0.1 + np.abs(a - 0.37),
    "cliff": lambda a: np.where(a > 0.61, 3.0, 0.2),
    "pole": lambda a: 1 / np.abs(a - 0.3),
    "diverged beyond": lambda a: np.where(a > 1.1, np.nan, np.exp(a)),
    "negative": lambda a: np.sin(3 * a),
    "constant": lambda a: 0.7,
    "nothing": lambda a: 0.0,
    "wave": lambda a: 1.2 + np.sin(40 * a),
}


@pytest.mark.parametrize("name", LINES)
def test_the_error_on_a_line_is_what_is_stated(name):
    special = [(0.0,), (1.0,)]
    checked(LINES[name], Grid.line(-0.5, 1.5, 201), 0.05, special)
    steps = np.cumsum(np.random.default_rng(5).gamma(0.8, size=150)) / 60
    checked(LINES[name], Grid({"alpha": steps - 0.5}), 0.05, special)


def test_a_finer_line_costs_little_more():
    """Sixteen times the cells: the sample grows towards 59, and the points that the surface needs stay."""
    special = [(0.0,), (1.0,)]
    coarse, fine = (
        checked(LINES["parabola"], Grid.line(-0.5, 1.5, points), 0.05, special)[0] for points in (101, 1601)
    )
    assert fine.estimate["evaluated"] <= 1.6 * coarse.estimate["evaluated"]
    assert shares(fine) <= 1 / 12


def test_axes_may_be_spaced_unevenly():
    rng = np.random.default_rng(2)
    axes = {
        "alpha": np.concatenate([-np.geomspace(1, 1e-3, 15), np.geomspace(1.5e-3, 1, 20)]),
        "beta": np.cumsum(rng.uniform(0.03, 0.12, size=28)) - 1,
    }
    for surface in (bowl, hole):
        checked(surface, Grid(axes))


def test_a_special_point_that_is_a_cell_but_for_rounding_does_no_harm():
    """A point of weight space that lies on the grid in the numbers meant, and beside it in floating point."""
    axis = spaced(-0.5, 1.5, 101)
    shifted = np.nextafter(axis, 2)
    plane = Grid({"alpha": shifted, "beta": np.nextafter(spaced(-1, 1, 21), -2)})
    checked(bowl, plane, special=[(0.0, 0.0), (1.0, 0.0)])
    checked(LINES["parabola"], Grid({"alpha": shifted}), special=[(0.0,), (1.0,)])
    checked(LINES["decades"], Grid({"alpha": axis + 1e-9}), special=[(0.0,), (1.0,)])


def test_special_points_beside_the_grid_are_no_cells_of_it():
    grid = Grid.rectangle((-1.0, 1.0, 31), (-0.7, 0.9, 20))
    apart = [(5.0, 5.0), (-1.01, 0.0), (0.011, 0.023)]
    _surface, truth = checked(bowl, grid, special=apart)
    assert not set(apart) & set(truth.asked)
    lost, _truth = checked(bowl, grid, special=[])
    assert lost.estimate["interpolated"] > 0


def test_a_special_point_that_is_not_finite_is_no_part_of_the_surface():
    surface, _truth = checked(
        lambda a, b: np.where((a == 0.011) & (b == 0.023), np.nan, bowl(a, b)),
        Grid.rectangle((-1.0, 1.0, 31), (-0.7, 0.9, 20)),
        special=[(0.011, 0.023)],
    )
    assert np.isfinite(surface.values["loss"]).all()


# --- several values


def test_accuracy_stays_a_fraction():
    def functions(accuracy):
        return {"loss": decades, "accuracy": accuracy, "loss_standard_error": lambda a, b: 0.1 * bowl(a, b)}

    for accuracy in (
        lambda a, b: 1.0,
        lambda a, b: 0.0,
        lambda a, b: np.clip(0.5 + 2 * a, 0, 1),
        lambda a, b: float(a + b > 0.1),
    ):
        surface, _truth = checked(functions(accuracy), Grid.rectangle((-1, 1, 43), (-1, 1, 37)), 0.2)
        between = surface.status == Status.INTERPOLATED
        assert between.any()
        assert (surface.values["accuracy"][between] >= 0).all()
        assert (surface.values["accuracy"][between] <= 1).all()


def test_every_split_has_its_own_stated_error():
    grid = Grid.rectangle((-1, 1, 33), (-1, 1, 26))
    surface, _truth = checked(
        {
            "train/loss": bowl,
            "train/accuracy": lambda a, b: 0.5,
            "test/loss": decades,
            "test/accuracy": lambda a, b: 0.25 + 0.1 * a,
        },
        grid,
    )
    assert set(surface.estimate["errors"]) == {"train/loss", "test/loss"}
    alone, _truth = checked(bowl, grid)
    assert surface.estimate["evaluated"] > alone.estimate["evaluated"]


def test_a_cell_diverges_where_any_split_does():
    grid = Grid.rectangle((-1, 1, 33), (-1, 1, 26))
    surface, truth = checked({"train/loss": bowl, "test/loss": hole}, grid)
    lost = ~np.isfinite(truth.over(grid)["test/loss"])
    np.testing.assert_array_equal(surface.status == Status.DIVERGED, lost)


def test_one_split_may_be_negative_and_the_other_huge():
    checked({"train/loss": negative, "test/loss": decades}, WIDE)


def test_two_runs_are_equal():
    for surface in (hole, cliff):
        first, asked = checked(surface, WIDE)
        second, again = checked(surface, WIDE)
        assert asked.asked == again.asked
        assert first.estimate == second.estimate
        for name, values in first.values.items():
            np.testing.assert_array_equal(values, second.values[name])


def test_the_bound_in_the_losss_unit_is_the_stated_error_carried_over():
    """An error of e in log(L + ε) moves L by up to (L + ε)(exp(e) − 1)."""
    surface, _truth = checked(decades, WIDE, 0.7)
    between = surface.status == Status.INTERPOLATED
    largest = surface.estimate["errors"]["loss"]["largest"]
    assert largest > 0.02
    least = (surface.values["loss"][between] + FLOOR) * np.expm1(largest)
    assert (surface.values["loss_interpolation_error"][between] >= least * (1 - 1e-9)).all()


# --- how many cells are drawn


@pytest.mark.parametrize("cells", [*range(1, 130), 500, 2601, 10_201, 10**6])
def test_the_sample_is_the_smallest_that_misses_the_worst_cells_once_in_twenty(cells):
    """The chance of no worst cell among n drawn without replacement is the hypergeometric P(X = 0)."""

    def chance(drawn: int) -> float:
        more_than_the_share = int(np.floor(0.05 * (cells - drawn) + 1e-9)) + 1
        return hypergeom.pmf(0, cells, more_than_the_share, drawn)

    size = sample_size(cells)
    assert 0 <= size <= cells
    assert size == cells or chance(size) <= 0.05 * (1 + 1e-9)
    if cells < 1000:
        assert all(chance(fewer) > 0.05 * (1 - 1e-9) for fewer in range(size))


def test_fifty_nine_are_enough_of_very_many():
    assert sample_size(10**7) == 59  # the smallest n with 0.95ⁿ ≤ 0.05
    assert sample_size(1) == 1


def test_as_many_cells_are_drawn_as_are_said():
    surface, _truth = checked(bowl, Grid.square(1.0, 51), 0.05)
    drawn, left = surface.estimate["drawn"], surface.estimate["interpolated"]
    assert drawn in {sample_size(drawn + left, chance(measurement)) for measurement in range(20)}


def test_the_chances_of_all_measurements_are_the_one_that_is_stated():
    """By the union bound, however often a surface was measured, it passes wrongly with 5% at most."""
    assert sum(chance(measurement) for measurement in range(200)) == pytest.approx(CHANCE, rel=1e-12)
    assert all(chance(later + 1) < chance(later) for later in range(50))
    sizes = [sample_size(10_000, chance(measurement)) for measurement in range(6)]
    assert sizes == sorted(sizes)


# --- anything smooth

COEFFICIENT = st.floats(-2, 2, allow_nan=False).map(lambda x: round(x, 3))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(2, 26), st.integers(2, 22)),
    coefficients=st.lists(COEFFICIENT, min_size=6, max_size=6),
    exponential=st.booleans(),
    tolerance=st.sampled_from([0.01, 0.05, 0.3]),
)
def test_any_smooth_surface_on_any_grid(shape, coefficients, exponential, tolerance):
    c0, c1, c2, c3, c4, c5 = coefficients

    def surface(a, b):
        polynomial = c0 + c1 * a + c2 * b + c3 * a**2 + c4 * a * b + c5 * b**3
        return np.exp(2 * polynomial) if exponential else polynomial

    grid = Grid.rectangle((-0.8, 1.0, shape[0]), (-1.0, 0.7, shape[1]))
    functions = {"loss": surface, "accuracy": lambda a, b: 1 / (1 + np.exp(c1 * a + c2 * b))}
    refined, _truth = checked(functions, grid, tolerance)
    assert ((refined.values["accuracy"] >= 0) & (refined.values["accuracy"] <= 1)).all()


# --- through a network


def test_evaluated_cells_of_a_network_have_the_bits_of_the_exact_landscape(mlp, vectors, cross_entropy):
    model = mlp()
    plane = Plane.random(model, seed=3)
    grid = Grid.rectangle((-1.0, 1.2, 24), (-0.8, 0.9, 19))
    data = {"train": [vectors(40)], "test": [vectors(33, seed=5)]}
    exact = evaluate(model, cross_entropy, data, plane, grid)
    counts = []
    adaptive = evaluate(
        model,
        cross_entropy,
        data,
        plane,
        grid,
        tolerance=0.05,
        on_point=lambda done, total: counts.append((done, total)),
    )
    measured = adaptive.status == Status.EVALUATED
    assert 0 < measured.sum() < exact.status.size
    for name, values in exact.values.items():
        assert values[measured].tobytes() == adaptive.values[name][measured].tobytes()
    assert adaptive.points == exact.points
    stated = adaptive.provenance["interpolation"]
    assert stated["evaluated"] == measured.sum()
    for split in ("train", "test"):
        right, guessed = (own.values[f"{split}/loss"][~measured] for own in (exact, adaptive))
        error = np.abs(np.log((guessed + 1e-3) / (right + 1e-3)))
        assert (error > stated["errors"][f"{split}/loss"]["largest"]).mean() <= 0.08
    done, totals = zip(*counts, strict=True)
    assert list(done) == list(range(1, len(done) + 1))
    assert all(now <= total for now, total in counts)
    assert done[-1] == totals[-1] == measured.sum() + 1  # the centre lies between the cells
    assert "interpolation" not in exact.provenance


def test_example_losses_are_kept_where_a_line_is_evaluated(mlp, vectors, cross_entropy):
    from study.landscape.geometry import Line

    model = mlp()
    line, grid, data = Line.random(model, seed=4), Grid.line(-0.6, 0.9, 61), [vectors(40)]
    exact = evaluate(model, cross_entropy, data, line, grid)
    adaptive = evaluate(model, cross_entropy, data, line, grid, tolerance=0.05)
    measured = adaptive.status == Status.EVALUATED
    assert 0 < measured.sum() < 61
    assert exact.example_losses[""][measured].tobytes() == adaptive.example_losses[""][measured].tobytes()
    assert np.isnan(adaptive.example_losses[""][~measured]).all()


def test_a_tolerance_must_be_above_zero(mlp, vectors, cross_entropy):
    model = mlp()
    for tolerance in (0.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="tolerance must be above 0"):
            evaluate(
                model,
                cross_entropy,
                [vectors(5)],
                Plane.random(model),
                Grid.square(points=3),
                tolerance=tolerance,
            )
