"""Any grid: where its coordinates lie, and that a landscape over it comes back from its files as it was."""

import io
import tempfile
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from study.landscape.directions import Direction
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Plane
from study.landscape.grid import Grid, spaced
from study.landscape.result import Landscape, Point, Status
from study.landscape.weights import Weights

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=100)
ENDS = st.floats(-1e6, 1e6)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\")
NAMES = st.text(CHARACTERS, min_size=1, max_size=8)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[float, float, int]:
    """A low end, a high end above it by more than rounding, and a number of points."""
    low, high = sorted((draw(ENDS), draw(ENDS)))
    assume(high - low > 1e-6 * max(abs(low), abs(high)))
    return low, high, draw(st.integers(2, 60))


@st.composite
def landscapes(draw: st.DrawFn) -> Landscape:
    """A landscape of any values on a line or a plane that is seldom square."""
    shape = tuple(draw(st.lists(st.integers(2, 5), min_size=1, max_size=2)))
    names = ("alpha", "beta")[: len(shape)]
    grid = {name: spaced(draw(ENDS), 1e7, size) for name, size in zip(names, shape, strict=True)}

    def array() -> np.ndarray:
        size = int(np.prod(shape))
        return np.array(draw(st.lists(NUMBERS, min_size=size, max_size=size))).reshape(shape)

    splits = draw(st.sampled_from([("",), ("train/",), ("train/", "test/")]))
    values = {f"{split}{name}": array() for split in splits for name in ("loss", "accuracy")}
    points = {
        name: Point(tuple(draw(ENDS) for _axis in shape), {key: draw(NUMBERS) for key in values})
        for name in draw(st.lists(NAMES, max_size=3, unique=True))
    }
    codes = st.sampled_from([int(code) for code in Status])
    size = int(np.prod(shape))
    return Landscape(
        axes=grid,
        values=values,
        status=np.array(draw(st.lists(codes, min_size=size, max_size=size)), np.int8).reshape(shape),
        points=points,
        example_losses={"train": np.float32([[1.5, np.nan]] * shape[0])} if len(shape) == 1 else {},
        provenance=draw(st.dictionaries(NAMES, st.one_of(st.integers(), NAMES, st.none()), max_size=3)),
    )


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays have the same bits, NaN and the sign of zero among them."""
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def assert_same(first: Landscape, second: Landscape) -> None:
    for name in ("axes", "values", "example_losses"):
        own, other = getattr(first, name), getattr(second, name)
        assert list(own) == list(other)
        assert all(same(own[key], other[key]) for key in own), name
    assert same(first.status, second.status)
    assert first.provenance == second.provenance
    assert list(first.points) == list(second.points)
    for point, again in zip(first.points.values(), second.points.values(), strict=True):
        assert point.coordinates == again.coordinates
        assert list(point.values) == list(again.values)
        own, other = (np.array([*of.values.values()]) for of in (point, again))
        assert same(np.where(np.isnan(own), np.nan, own), other)  # kept as JSON, where no NaN has a sign


@FIXED
@given(ranges())
def test_each_coordinate_is_the_float_nearest_to_the_exact_one(given_range):
    low, high, points = given_range
    axis = spaced(low, high, points)
    assert (axis[0], axis[-1], len(axis)) == (low, high, points)
    assert (np.diff(axis) > 0).all()
    step = (Fraction(high) - Fraction(low)) / (points - 1)
    for at, found in enumerate(axis):
        exact = Fraction(low) + at * step
        beside = (np.nextafter(found, -np.inf), np.nextafter(found, np.inf))
        missed, *others = (abs(Fraction(float(number)) - exact) for number in (found, *beside))
        assert missed <= min(others)


@FIXED
@given(ranges(), st.integers(1, 6))
def test_a_finer_grid_holds_the_bits_of_a_coarser_one(given_range, times):
    low, high, points = given_range
    coarse, fine = spaced(low, high, points), spaced(low, high, times * (points - 1) + 1)
    assert same(fine[::times], coarse)


@FIXED
@given(st.integers(-50, 50), st.integers(1, 40), st.integers(0, 30), st.integers(-8, 8))
def test_a_wider_grid_of_the_same_step_holds_the_bits_of_the_narrower(first, steps, more, exponent):
    step = 2.0**exponent * 3
    narrow = spaced(first * step, (first + steps) * step, steps + 1)
    wide = spaced((first - more) * step, (first + steps + more) * step, steps + 2 * more + 1)
    assert same(wide[more : more + steps + 1], narrow)


@FIXED
@given(ranges())
def test_a_mirrored_range_has_mirrored_coordinates_and_a_symmetric_one_its_middle(given_range):
    low, high, points = given_range
    assert np.array_equal(spaced(-high, -low, points), -spaced(low, high, points)[::-1])
    if high > 0:
        assert spaced(-high, high, 2 * (points // 2) + 1)[points // 2] == 0.0


@FIXED
@given(ranges(), ranges())
def test_cells_go_rows_first_with_alpha_along_rows(alpha, beta):
    grid = Grid.rectangle(alpha, beta)
    assert grid.shape == (alpha[2], beta[2])
    assert grid.coordinates == list(product(*(axis.tolist() for axis in grid.axes.values())))


@FIXED
@given(landscapes())
def test_a_landscape_comes_back_from_npz_as_it_was(landscape):
    content = landscape.to_bytes()
    again = Landscape.from_bytes(content)
    assert_same(landscape, again)
    assert again.to_bytes() == content
    within = Landscape(landscape.axes, landscape.values, landscape.status, companions={"θ/beside": landscape})
    assert_same(Landscape.from_bytes(within.to_bytes()).companions["θ/beside"], landscape)


@settings(FIXED, max_examples=20)
@given(landscapes(), NAMES)
def test_a_file_of_any_name_is_found_again(landscape, name):
    with tempfile.TemporaryDirectory() as folder:
        landscape.save(Path(folder, f"a{name}"))
        (file,) = Path(folder).iterdir()
        assert_same(Landscape.load(file), landscape)


@FIXED
@given(landscapes())
def test_a_table_comes_back_from_csv_with_each_value_at_its_coordinates(landscape):
    text = landscape.to_frame().to_csv(index=False)
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    assert len(table) == landscape.status.size + len(landscape.points)

    def number(text: str) -> float:
        return float(text) if text else np.nan  # how pandas writes NaN

    for row, index in zip(table.to_dict("records"), np.ndindex(landscape.shape), strict=False):
        for place, (name, axis) in zip(index, landscape.axes.items(), strict=True):
            assert number(row[name]) == axis[place]
        for name, array in landscape.values.items():
            np.testing.assert_equal(number(row[name]), array[index])
        assert row["status"] == Status(landscape.status[index]).name.lower()
        assert row["point"] == ""
    rest = table.iloc[landscape.status.size :].to_dict("records")
    for row, (name, point) in zip(rest, landscape.points.items(), strict=True):
        assert row["point"] == name
        assert tuple(number(row[axis]) for axis in landscape.axes) == point.coordinates
        for key, value in point.values.items():
            np.testing.assert_equal(number(row[key]), value)


@FIXED
@given(landscapes())
def test_a_split_is_told_from_the_other_and_keeps_the_special_points(landscape):
    for name in landscape.splits:
        part, prefix = landscape.split(name), f"{name}/" if name else ""
        assert same(part.values["loss"], landscape.values[f"{prefix}loss"])
        assert list(part.points) == list(landscape.points)
        for point, whole in zip(part.points.values(), landscape.points.values(), strict=True):
            np.testing.assert_equal(point.values["loss"], whole.values[f"{prefix}loss"])
        lost = part.status == Status.DIVERGED
        assert not np.isfinite(part.values["loss"][lost]).any() or not prefix


@settings(FIXED, max_examples=25)
@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=5, unique=True),
    st.lists(st.floats(-3, 3), min_size=2, max_size=4, unique=True),
    st.data(),
)
def test_a_value_depends_on_its_own_coordinates_alone(alpha, beta, data):
    """θ = (a, b), L = a² + 3 b: over the whole grid, a row, a column or a cell pair it is the same bits."""
    model = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    centre = Weights.of(model)
    unit = torch.eye(2, dtype=torch.float64)
    plane = Plane.through(centre, Direction(unit[0], {}), Direction(unit[1], {}))
    axes = {"alpha": np.array(sorted(alpha)), "beta": np.array(sorted(beta))}
    assume(all((np.diff(axis) > 0).all() for axis in axes.values()))
    inputs = torch.eye(2, dtype=torch.float64)
    factors = torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.float64)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return 2 * (targets[:, :1] * outputs**2 + targets[:, 1:] * outputs).squeeze(1)

    def over(rows: np.ndarray, columns: np.ndarray) -> Landscape:
        return evaluate(model, loss, [(inputs, factors)], plane, Grid({"alpha": rows, "beta": columns}))

    whole = over(*axes.values())
    a, b = (float(own) for own in centre.flat)
    exact = (a + axes["alpha"][:, None]) ** 2 + 3 * (b + axes["beta"][None, :])
    np.testing.assert_allclose(whole.values["loss"], exact, rtol=1e-12, atol=1e-12)
    row = data.draw(st.integers(0, len(alpha) - 2), "row")
    column = data.draw(st.integers(0, len(beta) - 2), "column")
    part = over(axes["alpha"][row : row + 2], axes["beta"][column : column + 2])
    assert np.array_equal(part.values["loss"], whole.values["loss"][row : row + 2, column : column + 2])
    assert part.points == whole.points
    assert whole.points["centre"].values["loss"] == pytest.approx(a**2 + 3 * b, rel=1e-12, abs=1e-12)
