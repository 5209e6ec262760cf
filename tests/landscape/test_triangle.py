"""The plane through three sets of weights against closed forms, and what must not change it."""

import copy
import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.geometry import Plane
from study.landscape.grid import Grid
from study.landscape.ranges import bounding_ranges
from study.landscape.task import Task
from study.landscape.triangle import Triangle
from study.landscape.weights import Weights

NAMES = ("small", "large", "averaged")


def axes_of(first, second, third):
    """Garipov et al. 2018, as they write it, in NumPy."""
    u = second - first
    v = (third - first) - (third - first) @ u / (u @ u) * u
    return u / np.linalg.norm(u), v / np.linalg.norm(v)


def moved(weights: Weights, flat: np.ndarray) -> Weights:
    return Weights(weights.layout, torch.from_numpy(flat).to(weights.flat), weights.buffers)


@pytest.fixture
def three(mlp) -> list[Weights]:
    return [Weights.of(mlp(seed, dtype=torch.float64)) for seed in (0, 1, 2)]


def test_the_plane_has_the_quadratics_values_at_every_cell(least_squares):
    thetas = [least_squares.theta, least_squares.other, np.array([[0.4, -2.0, 1.0], [3.0, 0.1, -0.7]])]
    u, v = axes_of(*(theta.ravel() for theta in thetas))
    models = [least_squares.model(theta) for theta in thetas]
    plane = Plane.through_points(*models, names=NAMES)
    grid = Grid.rectangle((-1.2, 3.1, 5), (-2.0, 0.7, 3))
    landscape = evaluate(models[0], least_squares.loss, least_squares.data, plane, grid)
    expected = np.array([
        [least_squares.value(thetas[0] + (a * u + b * v).reshape(2, 3)) for b in np.linspace(-2.0, 0.7, 3)]
        for a in np.linspace(-1.2, 3.1, 5)
    ])
    np.testing.assert_allclose(landscape.values["loss"], expected, rtol=1e-10)
    assert list(landscape.points) == list(NAMES)
    for name, theta in zip(NAMES, thetas, strict=True):
        point = landscape.points[name]
        assert point.values["loss"] == pytest.approx(least_squares.value(theta), rel=1e-12)
        away = (theta - thetas[0]).ravel()
        assert point.coordinates == pytest.approx((away @ u, away @ v), rel=1e-12, abs=1e-14)
    assert landscape.points["small"].coordinates == (0.0, 0.0)
    assert landscape.points["large"].coordinates[1] == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_of_the_three_has_its_very_bits_at_its_own_coordinates(mlp, dtype):
    for seed in range(40):
        models = [mlp(3 * seed + own, dtype=dtype) for own in range(3)]
        plane = Plane.through_points(*models, names=NAMES)
        for name, model in zip(NAMES, models, strict=True):
            assert torch.equal(plane.at(*plane.special[name]).flat, Weights.of(model).flat), (seed, name)
        (_, along), (_, aside) = plane.special["large"], plane.special["averaged"]
        assert along == 0.0 < aside


def test_each_of_the_three_has_its_own_loss_by_the_same_engine(convnet, images, cross_entropy):
    """In channels-last memory, beside cells far away, and whichever grid it is on."""
    models, data = [convnet(seed) for seed in (3, 4, 5)], [images(50)]
    with Evaluator.open(Task.of(models[0], cross_entropy, data)) as evaluator:
        own = [evaluator.measure(Weights.of(model)).values for model in models]
    plane = Plane.through_points(*models, names=NAMES)
    (_, right), (_, top) = bounding_ranges(plane, 0.0)
    corner = Grid.rectangle((-100.0, right, 3), (0.0, top, 2))
    landscape = evaluate(models[0], cross_entropy, data, plane, corner)
    assert [landscape.points[name].values for name in NAMES] == own
    assert landscape.values["loss"][2, 0] == own[1]["loss"], "w₂ lies on the grid"
    assert len({values["loss"] for values in own}) == 3


def test_distances_in_the_plane_are_distances_of_weights(three):
    plane = Plane.through_points(*three)
    rng = np.random.default_rng(1)
    for first, second in rng.normal(scale=6.0, size=(20, 2, 2)):
        apart = plane.at(*first).flat - plane.at(*second).flat
        assert float(apart.norm()) == pytest.approx(np.linalg.norm(first - second), rel=1e-11)
    along, aside = (plane.at(*unit).flat - plane.at(0.0, 0.0).flat for unit in ((1.0, 0.0), (0.0, 1.0)))
    assert abs(float(along @ aside)) < 1e-12


@pytest.mark.parametrize("beside", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_triangle_that_is_all_but_a_line_has_orthonormal_axes(mlp, beside, dtype):
    first, second = (Weights.of(mlp(seed, dtype=dtype)) for seed in (0, 1))
    noise = np.random.default_rng(2).normal(size=first.layout.size)
    flat = 0.3 * first.flat.double().numpy() + 0.7 * second.flat.double().numpy() + beside * noise
    third = moved(first, flat)
    exact = [weights.flat.double().numpy() for weights in (first, second, third)]
    u, v = axes_of(*exact)
    triangle = Triangle.of(first.flat, second.flat, third.flat)
    away = exact[2] - exact[0]
    assert triangle.foot == pytest.approx(away @ u, rel=1e-9)
    assert triangle.height == pytest.approx(np.linalg.norm(away - (away @ u) * u), rel=1e-9)
    mixed = [sum(w * own for w, own in zip(triangle.mix(*at), exact, strict=True)) for at in ((1, 0), (0, 1))]
    got = [point - exact[0] for point in mixed]
    gram = [[a @ b for b in got] for a in got]
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(got[1], v, atol=1e-6)


def permuted(flat: torch.Tensor, weights: Weights) -> torch.Tensor:
    """The same function with the hidden units of `mlp` in another order."""
    tensors = weights.layout.views(flat)
    first, second = torch.tensor([3, 0, 6, 1, 5, 2, 4]), torch.tensor([5, 3, 0, 1, 4, 2])
    turned = {
        "0.weight": tensors["0.weight"][first],
        "0.bias": tensors["0.bias"][first],
        "2.weight": tensors["2.weight"][second][:, first],
        "2.bias": tensors["2.bias"][second],
        "4.weight": tensors["4.weight"][:, second],
        "4.bias": tensors["4.bias"],
    }
    return weights.layout.flatten(turned)


def test_permuting_the_hidden_units_of_all_three_changes_nothing(mlp, vectors, cross_entropy, three):
    model, data = mlp(dtype=torch.float64), [vectors(60, dtype=torch.float64)]
    grid = Grid.rectangle((-1.0, 4.0, 4), (-0.5, 3.0, 3))
    turned = [Weights(own.layout, permuted(own.flat, own), own.buffers) for own in three]

    def surface(points):
        return evaluate(model, cross_entropy, data, Plane.through_points(*points), grid).values["loss"]

    before = surface(three)
    np.testing.assert_allclose(surface(turned), before, rtol=1e-9)
    assert np.abs(surface([turned[0], *three[1:]]) / before - 1).max() > 1e-2, "one of them alone is another"


def test_the_order_of_the_three_moves_coordinates_and_no_weights(three):
    shares = [0.2, -0.7, 1.5]
    expected = sum(share * own.flat.numpy() for share, own in zip(shares, three, strict=True))
    areas = set()
    for order in permutations(range(3)):
        plane = Plane.through_points(*(three[own] for own in order))
        corners = np.array(list(plane.special.values()))
        place = np.array([shares[own] for own in order]) @ corners
        np.testing.assert_allclose(plane.at(*place).flat.numpy(), expected, rtol=1e-9, atol=1e-12)
        areas.add(round(plane.provenance["area"], 9))
    assert len(areas) == 1


def test_it_says_what_it_depends_on_in_json(three):
    plane = Plane.through_points(*three, names=NAMES)
    about = plane.provenance
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    flats = [own.flat.numpy() for own in three]
    for point, name, own, flat in zip(about["points"], NAMES, three, flats, strict=True):
        assert (point["name"], point["digest"]) == (name, own.digest)
        assert point["norm"] == pytest.approx(np.linalg.norm(flat), rel=1e-12)
        assert tuple(point["coordinates"]) == plane.special[name]
    distances = [[np.linalg.norm(one - other) for other in flats] for one in flats]
    np.testing.assert_allclose(about["distances"], distances, rtol=1e-11)
    along, aside = flats[1] - flats[0], flats[2] - flats[0]
    cosine = along @ aside / np.linalg.norm(along) / np.linalg.norm(aside)
    assert about["angle_degrees"] == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-9)
    gram = np.linalg.det([[along @ along, along @ aside], [along @ aside, aside @ aside]])
    assert about["area"] == pytest.approx(np.sqrt(gram) / 2, rel=1e-9)
    assert about["gram"] == [[1.0, 0.0], [0.0, 1.0]]


def test_a_plane_that_was_copied_or_moved_is_the_same_plane(three):
    plane = Plane.through_points(*three)
    for other in (copy.deepcopy(plane), plane.on("cpu")):
        assert other.digest == plane.digest
        assert torch.equal(other.at(0.3, -2.0).flat, plane.at(0.3, -2.0).flat)
    stretched = replace(plane.triangle, height=2 * plane.triangle.height)
    assert replace(plane, triangle=stretched).digest != plane.digest, "other weights at its coordinates"
    digests = {Plane.through_points(*order).digest for order in permutations(three)}
    assert len(digests) == 6, "other points have other bits at the same coordinates"


def test_points_that_span_no_plane_are_refused(mlp):
    first, second = Weights.of(mlp(0)), Weights.of(mlp(1))
    for points in ([first, first, second], [first, second, first], [second, first, first]):
        with pytest.raises(ValueError, match="three points must differ, got distances"):
            Plane.through_points(*points)
    for share in (0.5, 1 / 3, -4.1, 1 - 1e-4):
        between = (1 - share) * first.flat + share * second.flat
        third = Weights(first.layout, between, first.buffers)
        for points in permutations([first, second, third]):
            with pytest.raises(ValueError, match="three points must not lie on one line, got distances"):
                Plane.through_points(*points)
    broken = first.flat.clone()
    broken[4] = float("nan")
    for points in permutations([first, second, Weights(first.layout, broken, first.buffers)]):
        with pytest.raises(ValueError, match=r"three points must be finite, got L2 norms .*nan"):
            Plane.through_points(*points)


def test_unlike_architectures_and_equal_names_are_refused(mlp):
    with pytest.raises(ValueError, match="three points must have the same parameters"):
        Plane.through_points(mlp(0), mlp(1), mlp(2, bias=False))
    with pytest.raises(ValueError, match="must have different names, got 'a', 'b', 'a'"):
        Plane.through_points(mlp(0), mlp(1), mlp(2), names=("a", "b", "a"))
    with pytest.raises(ValueError, match="must be 2 numbers, got 1"):
        Plane.through_points(nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)).at(0.5)
