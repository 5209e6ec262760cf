"""Lines and planes against closed forms; grids and their coordinates."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.directions import Direction, random_direction
from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.geometry import Line, Plane, Scaling
from study.landscape.grid import Grid, spaced
from study.landscape.task import Task
from study.landscape.weights import Weights


def test_line_between_two_models_has_the_quadratics_values(least_squares):
    first, second = least_squares.theta, least_squares.other
    line = Line.between(least_squares.model(first), least_squares.model(second))
    landscape = evaluate(
        least_squares.model(first), least_squares.loss, least_squares.data, line, Grid.line(-0.3, 1.6, 7)
    )
    alphas = np.linspace(-0.3, 1.6, 7)
    expected = [least_squares.value((1 - alpha) * first + alpha * second) for alpha in alphas]
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-12)
    np.testing.assert_allclose(landscape.axes["alpha"], alphas, atol=1e-15)
    examples = [least_squares.example_losses((1 - alpha) * first + alpha * second) for alpha in alphas]
    np.testing.assert_allclose(landscape.example_losses[""], examples, rtol=1e-6)
    assert landscape.example_losses[""].dtype == np.float32


def test_random_line_has_the_quadratics_values(least_squares):
    model = least_squares.model(least_squares.theta)
    line = Line.random(model, seed=3)
    delta = random_direction(Weights.of(model), seed=3).flat.view(2, 3).numpy()
    landscape = evaluate(model, least_squares.loss, least_squares.data, line, Grid.line(-0.7, 1.1, 5))
    expected = [
        least_squares.value(least_squares.theta + alpha * delta) for alpha in np.linspace(-0.7, 1.1, 5)
    ]
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-12)


def test_plane_has_the_quadratics_values_at_every_cell(least_squares):
    model = least_squares.model(least_squares.theta)
    plane = Plane.random(model, seed=5, normalization="none")
    delta, eta = (
        random_direction(Weights.of(model), seed=5, index=index, normalization="none").flat.view(2, 3).numpy()
        for index in (0, 1)
    )
    grid = Grid.rectangle((-0.4, 1.3, 5), (-2.0, 0.7, 3))
    landscape = evaluate(model, least_squares.loss, least_squares.data, plane, grid)
    expected = np.array([
        [least_squares.value(least_squares.theta + a * delta + b * eta) for b in np.linspace(-2.0, 0.7, 3)]
        for a in np.linspace(-0.4, 1.3, 5)
    ])
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-12)
    assert not landscape.example_losses, "kept on lines only"

    frame = landscape.to_frame()
    cells = frame[frame["point"] == ""]
    assert cells["alpha"].tolist() == np.repeat(landscape.axes["alpha"], 3).tolist(), "rows of the grid first"
    assert cells["beta"].tolist() == np.tile(landscape.axes["beta"], 5).tolist()
    np.testing.assert_allclose(cells["loss"], expected.ravel(), rtol=1e-12)
    (centre,) = frame[frame["point"] != ""].to_dict("records")
    assert (centre["point"], centre["alpha"], centre["beta"], centre["status"]) == (
        "centre",
        0.0,
        0.0,
        "evaluated",
    )
    assert centre["loss"] == pytest.approx(least_squares.value(least_squares.theta), rel=1e-12)


def test_weights_at_a_point_are_computed_from_the_origin(mlp):
    model = mlp()
    theta = Weights.of(model)
    delta, eta = (random_direction(theta, seed=1, index=index) for index in (0, 1))
    at = Plane.through(model, delta, eta).at(0.3, -1.7)
    expected = theta.flat.double() + 0.3 * delta.flat.double() - 1.7 * eta.flat.double()
    torch.testing.assert_close(at.flat.double(), expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(at.named["0.weight"], at.flat[:35].view(7, 5))


def test_special_points_exist_whether_the_grid_hits_them_or_not(least_squares):
    first, second = least_squares.model(least_squares.theta), least_squares.model(least_squares.other)
    grid = Grid.line()
    assert grid.shape == (51,)
    assert 0.0 not in grid.axes["alpha"]
    assert 1.0 not in grid.axes["alpha"]
    missed = evaluate(first, least_squares.loss, least_squares.data, Line.between(first, second), grid)
    hit = evaluate(
        first, least_squares.loss, least_squares.data, Line.between(first, second), Grid.line(0, 1, 3)
    )
    for landscape in (missed, hit):
        assert {name: point.coordinates for name, point in landscape.points.items()} == {
            "start": (0.0,),
            "end": (1.0,),
        }
        start, end = (landscape.points[name].values["loss"] for name in ("start", "end"))
        assert start == pytest.approx(least_squares.value(least_squares.theta), rel=1e-12)
        assert end == pytest.approx(least_squares.value(least_squares.other), rel=1e-12)
    assert hit.values["loss"][0] == hit.points["start"].values["loss"]
    assert hit.values["loss"][-1] == hit.points["end"].values["loss"]


def test_special_points_take_the_names_given(least_squares):
    model = least_squares.model(least_squares.theta)
    assert set(Line.between(model, model, names=("small batch", "large batch")).special) == {
        "small batch",
        "large batch",
    }
    assert set(Line.random(model, name="solution").special) == {"solution"}
    assert Plane.random(model, name="solution").special == {"solution": (0.0, 0.0)}
    with pytest.raises(ValueError, match="different names"):
        Line.between(model, model, names=("same", "same"))


def test_centre_and_endpoints_have_the_bits_of_the_checkpoints_own_evaluation(mlp, vectors, cross_entropy):
    first, second = mlp(0), mlp(1)
    data = [vectors(90)]
    with Evaluator.open(Task.of(first, cross_entropy, data)) as evaluator:
        own = {model: evaluator.measure(Weights.of(model)) for model in (first, second)}
    line = evaluate(first, cross_entropy, data, Line.between(first, second), Grid.line(-0.5, 1.5, 4))
    plane = evaluate(first, cross_entropy, data, Plane.random(first), Grid.rectangle((-1, 2, 3), (-1, 1, 2)))
    assert line.points["start"].values == own[first].values
    assert line.points["end"].values == own[second].values
    assert plane.points["centre"].values == own[first].values
    hit = evaluate(second, cross_entropy, data, Line.between(first, second), Grid.line(0, 1, 3))
    np.testing.assert_array_equal(hit.example_losses[""][0], own[first].example_losses[""].astype(np.float32))
    np.testing.assert_array_equal(
        hit.example_losses[""][2], own[second].example_losses[""].astype(np.float32)
    )


def test_special_points_keep_their_bits_where_a_vector_has_infinite_entries(mlp, vectors, cross_entropy):
    model, data = mlp(0), [vectors(40)]
    with Evaluator.open(Task.of(model, cross_entropy, data)) as evaluator:
        own = evaluator.measure(Weights.of(model)).values
    theta = Weights.of(model)
    broken = theta.flat.clone()
    broken[3], broken[20] = float("inf"), float("nan")
    direction = Direction(broken, {})
    plane = Plane.through(model, direction, direction)
    assert torch.equal(plane.at(0.0, 0.0).flat, theta.flat)
    landscape = evaluate(model, cross_entropy, data, plane, Grid.rectangle((-1, 2, 3), (-1, 1, 2)))
    assert landscape.points["centre"].values == own
    assert np.isnan(landscape.values["loss"]).all()
    line = Line.between(theta, Weights(theta.layout, broken, theta.buffers))
    assert torch.equal(line.at(0.0).flat, theta.flat)
    assert torch.equal(line.at(1.0).flat.nan_to_num(7.0), broken.nan_to_num(7.0))


def test_unlike_architectures_are_refused(mlp):
    with pytest.raises(ValueError, match="same parameters"):
        Line.between(mlp(), mlp(bias=False))
    with pytest.raises(ValueError, match="same parameters"):
        Line.between(mlp(), mlp(dtype=torch.float64))
    direction = random_direction(Weights.of(mlp(bias=False)))
    with pytest.raises(ValueError, match="111 entries"):
        Line.through(mlp(), direction)
    with pytest.raises(ValueError, match="111 entries"):
        Plane.through(mlp(), random_direction(Weights.of(mlp())), direction)
    with pytest.raises(ValueError, match="must be 2 numbers, got 1"):
        Plane.random(mlp()).at(0.5)


def test_geometries_describe_themselves_in_json(mlp):
    first, second = mlp(0), mlp(1)
    between = Line.between(first, second).provenance
    theta, other = Weights.of(first), Weights.of(second)
    assert json.loads(json.dumps(between, allow_nan=False)) == between
    assert between["distance"] == pytest.approx(float((theta.flat - other.flat).double().norm()), rel=1e-6)
    assert (between["start"], between["end"]) == (theta.digest, other.digest)
    plane = Plane.random(first, seed=4, normalization="layer").provenance
    assert json.loads(json.dumps(plane, allow_nan=False)) == plane
    assert plane["center"] == theta.digest
    assert [axis["index"] for axis in plane["directions"]] == [0, 1]
    for axis in plane["directions"]:
        assert (axis["seed"], axis["normalization"], axis["include_bias_and_norm"]) == (4, "layer", False)
        direction = random_direction(theta, seed=4, index=axis["index"], normalization="layer")
        norm = float(np.linalg.norm(direction.flat.double().numpy()))
        assert axis["norm"] == pytest.approx(norm, rel=1e-12)
        assert axis["relative_norm"] == pytest.approx(norm / plane["center_norm"], rel=1e-12)


def test_a_model_whose_weights_are_all_zero_has_a_flat_line(cross_entropy, vectors):
    model = nn.Linear(5, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    line = Line.random(model)
    assert line.provenance["directions"][0]["relative_norm"] is None
    landscape = evaluate(model, cross_entropy, [vectors()], line, Grid.line(points=3))
    np.testing.assert_allclose(landscape.values["loss"], np.log(3), rtol=1e-6)


# --- grids


def test_spaced_hits_ends_and_centre_exactly():
    for points in range(2, 120):
        for low, high in ((-0.58, 0.99), (0.1, 0.7), (-1 / 3, 1 / 3), (0.0, 0.3)):
            axis = spaced(low, high, points)
            assert axis.shape == (points,)
            assert (axis[0], axis[-1]) == (low, high), points
            np.testing.assert_allclose(axis, np.linspace(low, high, points), rtol=1e-14, atol=1e-15)
    for points in range(3, 121, 2):
        assert spaced(-0.7, 0.7, points)[points // 2] == 0.0
        assert (spaced(-0.7, 0.7, points) == -spaced(-0.7, 0.7, points)[::-1]).all()


@pytest.mark.parametrize("points", [2, 5, 11, 26, 51])
@pytest.mark.parametrize(("low", "high"), [(-0.5, 1.5), (-0.1, 0.7), (0.0, 1 / 3), (-25e3, 25e3)])
def test_a_refined_grid_contains_the_bits_of_the_coarse_one(points, low, high):
    np.testing.assert_array_equal(spaced(low, high, 2 * points - 1)[::2], spaced(low, high, points))


def test_grids_run_rows_first():
    grid = Grid.rectangle((0, 2, 3), (-1, 0.5, 2))
    assert grid.shape == (3, 2)
    assert grid.coordinates == [(0, -1), (0, 0.5), (1, -1), (1, 0.5), (2, -1), (2, 0.5)]
    assert Grid.square(radius=2.0, points=3).coordinates[:4] == [(-2, -2), (-2, 0), (-2, 2), (0, -2)]
    assert [type(number) for number in grid.coordinates[0]] == [float, float]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 1), "points must be at least 2, got 1"),
        ((1.0, 0.0, 5), "low to high, got 1.0 to 0.0"),
        ((0.5, 0.5, 5), "low to high, got 0.5 to 0.5"),
        ((float("nan"), 1.0, 5), "finite .* got nan to 1.0"),
        ((0.0, float("inf"), 5), "finite .* got 0.0 to inf"),
    ],
)
def test_bad_ranges_are_refused_with_the_rule_and_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        Grid.line(*arguments)
    with pytest.raises(ValueError, match=message):
        Grid.rectangle((0.0, 1.0, 3), arguments)


@pytest.mark.parametrize("axis", [[0.0], [0.0, 0.0, 1.0], [1.0, 0.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_bad_axes_are_refused_by_name(axis):
    with pytest.raises(ValueError, match="axis 'beta' must"):
        Grid({"alpha": np.array([0.0, 1.0]), "beta": np.array(axis)})


def test_the_grid_must_have_the_geometrys_axes(least_squares):
    model = least_squares.model(least_squares.theta)
    with pytest.raises(ValueError, match=r"axes \('alpha', 'beta'\), got \('alpha',\)"):
        evaluate(model, least_squares.loss, least_squares.data, Plane.random(model), Grid.line())
    with pytest.raises(ValueError, match=r"axes \('alpha',\), got \('alpha', 'beta'\)"):
        evaluate(model, least_squares.loss, least_squares.data, Line.random(model), Grid.square())


def test_the_surface_of_listing_6_is_a_surface_in_one_scalar(least_squares):
    model = least_squares.model(least_squares.theta)
    grid = Grid.rectangle((-1.0, 2.0, 4), (-1.0, 1.0, 3))
    landscape = evaluate(model, least_squares.loss, least_squares.data, Scaling.of(model), grid)
    expected = [
        [least_squares.value(a * least_squares.theta + a * b * least_squares.theta) for b in (-1.0, 0.0, 1.0)]
        for a in (-1.0, 0.0, 1.0, 2.0)
    ]
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-12)
    at_solution = landscape.points["centre"]
    assert at_solution.coordinates == (1.0, 0.0)
    assert at_solution.values["loss"] == pytest.approx(least_squares.value(least_squares.theta), rel=1e-12)
    loss = landscape.values["loss"]
    assert loss[1, 2] == loss[1, 0] == loss[3, 0]  # α = 0, or β = −1: no weights at all
    assert loss[2, 2] == loss[3, 1]  # 1 (1 + 1) = 2 (1 + 0)
