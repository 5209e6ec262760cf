"""Checkpoints on a plane: against NumPy's and scikit-learn's components, closed forms and random walks."""

import json

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from study.landscape import trajectory
from study.landscape.directions import Direction, random_direction
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Plane
from study.landscape.grid import Grid
from study.landscape.trajectory import RANDOM_SEED, principal_plane, project, random_walk_shares
from study.landscape.weights import Weights


def checkpoints_at(matrix: np.ndarray, dtype: torch.dtype = torch.float64) -> list[Weights]:
    """Weights of a linear layer, a row of the matrix each."""
    layout = Weights.of(nn.Linear(matrix.shape[1], 1, bias=False, dtype=dtype)).layout
    return [Weights(layout, torch.from_numpy(row).to(dtype), {}) for row in matrix]


def wandering(count: int = 7, size: int = 23, seed: int = 3) -> np.ndarray:
    """Points without a pattern whose mean is far from the last of them."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) * np.linspace(3, 0.5, size) + np.linspace(4, 0, count)[:, None]


def axes_of(plane: Plane) -> np.ndarray:
    return np.stack([base.double().numpy() for base in plane.bases[1:]])


def test_components_about_the_mean_are_those_of_scikit_learn():
    matrix = wandering()
    found = principal_plane(checkpoints_at(matrix), center="mean")
    pca = PCA().fit(matrix)
    np.testing.assert_allclose(found.shares["mean"], pca.explained_variance_ratio_[:6], rtol=1e-10)
    for own, theirs in zip(axes_of(found.plane), pca.components_[:2], strict=True):
        assert abs(own @ theirs) == pytest.approx(1.0, abs=1e-12)
    scores = (matrix - matrix[-1]) @ axes_of(found.plane).T
    np.testing.assert_allclose(found.coordinates, scores, atol=1e-12)


def test_components_about_the_solution_are_the_singular_vectors_of_the_differences():
    matrix = wandering()
    found = principal_plane(checkpoints_at(matrix))
    _, singular, vectors = np.linalg.svd(matrix - matrix[-1], full_matrices=False)
    np.testing.assert_allclose(found.shares["solution"], (singular**2 / (singular**2).sum())[:6], rtol=1e-10)
    for own, theirs in zip(axes_of(found.plane), vectors[:2], strict=True):
        assert abs(own @ theirs) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("center", ["solution", "mean"])
def test_what_is_asked_for_is_the_centre_of_the_axes_alone(center):
    weights = checkpoints_at(wandering())
    found, other = principal_plane(weights, center), principal_plane(weights, "mean")
    for about in ("solution", "mean"):
        np.testing.assert_array_equal(found.shares[about], other.shares[about])
        assert found.shares[about].sum() == pytest.approx(1.0)
        assert (np.diff(found.shares[about]) <= 0).all()
    assert abs(found.shares["solution"][0] - found.shares["mean"][0]) > 0.05  # so that a swap would be seen
    assert np.abs(axes_of(found.plane) @ axes_of(found.plane).T - np.eye(2)).max() < 1e-12
    assert (found.coordinates[0] >= 0).all()
    assert found.plane.special == {"solution": (0.0, 0.0)}
    assert found.coordinates[-1].tolist() == [0.0, 0.0]
    assert found.distances[-1] == 0.0
    assert torch.equal(found.plane.at(0.0, 0.0).flat, weights[-1].flat)


def test_distances_are_those_to_the_nearest_points():
    matrix = wandering()
    found = principal_plane(checkpoints_at(matrix))
    for row, at, distance in zip(matrix, found.coordinates, found.distances, strict=True):
        nearest, _, _, _ = np.linalg.lstsq(axes_of(found.plane).T, row - matrix[-1], rcond=None)
        np.testing.assert_allclose(at, nearest, atol=1e-12)
        there = found.plane.at(*at).flat.numpy()
        assert distance == pytest.approx(np.linalg.norm(row - there), abs=1e-12)
    assert (found.distances[:-1] > 0.5).all()


def test_checkpoints_in_a_plane_are_found_again_with_nothing_left_out():
    rng = np.random.default_rng(5)
    frame, _ = np.linalg.qr(rng.normal(size=(40, 2)))
    solution = rng.normal(size=40)
    inside = np.array([[5.0, 1.0], [3.0, -1.5], [2.0, 0.7], [0.5, -0.3], [0.0, 0.0]])
    found = principal_plane(checkpoints_at(solution + inside @ frame.T))
    np.testing.assert_allclose(found.distances, 0.0, atol=1e-13)
    np.testing.assert_allclose(found.coordinates @ axes_of(found.plane), inside @ frame.T, atol=1e-13)
    assert found.shares["solution"][:2].sum() == pytest.approx(1.0)
    # the same within the plane: two by two, whatever the other 38 dimensions
    expected = np.linalg.svd(inside)[1] ** 2
    np.testing.assert_allclose(found.shares["solution"][:2], expected / expected.sum(), rtol=1e-12)


def test_coordinates_are_steps_along_axes_of_any_length_and_angle():
    """Defect 11: earlier tools project on directions that they take to be of unit length."""
    matrix = wandering(4, 30)
    weights = checkpoints_at(matrix)
    delta = random_direction(weights[-1], normalization="none").flat
    eta = 0.3 * random_direction(weights[-1], index=1, normalization="none").flat + 0.2 * delta
    plane = Plane.through(weights[-1], Direction(7.0 * delta, {}), Direction(eta, {}))
    inside = np.array([[0.7, -0.2], [1.5, 2.5], [-3.0, 0.1]])
    on_it = [plane.at(*at) for at in inside]
    at, distances = project(on_it, plane)
    np.testing.assert_allclose(at, inside, rtol=1e-12)
    np.testing.assert_allclose(distances, 0.0, atol=1e-12)
    lifted = np.linalg.svd(axes_of(plane))[2][-1]  # of unit length, at a right angle to both axes
    off = [Weights(point.layout, point.flat + 2.5 * torch.from_numpy(lifted), {}) for point in on_it]
    at, distances = project(off, plane)
    np.testing.assert_allclose(at, inside, rtol=1e-12)
    np.testing.assert_allclose(distances, 2.5, rtol=1e-12)


def test_products_are_the_same_in_blocks(monkeypatch):
    weights = checkpoints_at(wandering())
    whole = principal_plane(weights)
    monkeypatch.setattr(trajectory, "BLOCK", 31)  # four entries of seven checkpoints, the last block short
    np.testing.assert_allclose(principal_plane(weights).coordinates, whole.coordinates, rtol=1e-11)


def test_float32_networks_have_orthonormal_axes_and_an_exact_solution(mlp, vectors, cross_entropy):
    weights = [Weights.of(mlp(seed)) for seed in range(4)]
    found = principal_plane(weights, name="θ*")
    assert np.abs(axes_of(found.plane) @ axes_of(found.plane).T - np.eye(2)).max() < 1e-6
    for axis in found.plane.provenance["directions"]:
        assert axis["norm"] == pytest.approx(1.0, abs=1e-6)
    grid = Grid.rectangle((-1.0, 2.0, 3), (-0.5, 1.0, 2))
    landscape = evaluate(mlp(3), cross_entropy, [vectors()], found.plane, grid)
    here = evaluate(mlp(0), cross_entropy, [vectors()], Plane.random(weights[-1]), grid)
    assert landscape.points["θ*"].values == here.points["centre"].values
    assert landscape.provenance["trajectory"] == found.plane.provenance["trajectory"]


def test_provenance_holds_the_trajectory_in_json():
    found = principal_plane(checkpoints_at(wandering()), center="mean")
    about = found.plane.provenance
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    np.testing.assert_array_equal(about["trajectory"]["coordinates"], found.coordinates)
    np.testing.assert_array_equal(about["trajectory"]["distances"], found.distances)
    for center in ("solution", "mean"):
        np.testing.assert_array_equal(about["trajectory"]["shares"][center], found.shares[center])
        np.testing.assert_array_equal(about["trajectory"]["random_walk"][center], found.random_walk[center])
    assert about["trajectory"]["random_plane"] == found.random_plane
    assert [axis["share"] for axis in about["directions"]] == found.shares["mean"][:2].tolist()


def test_the_share_in_two_random_directions_is_that_of_the_squared_projections():
    matrix = wandering()
    weights = checkpoints_at(matrix)
    plane = Plane.random(weights[-1], seed=RANDOM_SEED, include_bias_and_norm=True)
    basis, _triangle = np.linalg.qr(axes_of(plane).T)
    differences = matrix - matrix[-1]
    expected = ((differences @ basis) ** 2).sum() / (differences**2).sum()
    assert principal_plane(weights).random_plane == pytest.approx(expected)
    assert 0.01 < expected < 0.9  # of 23 dimensions


def test_random_directions_hold_next_to_nothing_of_a_path_in_many_dimensions():
    """Two directions hold 2 of 20,000 dimensions, a ten-thousandth, of a walk that knows them not."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=(13, 20_000)), axis=0)
    assert principal_plane(checkpoints_at(walk)).random_plane < 1e-3


@pytest.mark.parametrize("center", ["solution", "mean"])
def test_a_random_walk_explains_what_one_that_is_walked_explains(center):
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.choice([-1.0, 1.0], size=(13, 20_000)), axis=0)  # any step will do: here coins
    found = principal_plane(checkpoints_at(walk), center)
    np.testing.assert_allclose(found.shares[center], random_walk_shares(12, center), rtol=0.06)
    np.testing.assert_array_equal(found.random_walk[center], random_walk_shares(12, center))


def test_a_random_walk_has_the_shares_of_its_covariance():
    for steps in (1, 2, 9):
        walk = np.tril(np.ones((steps + 1, steps)), -1)  # steps that are orthogonal and of one length
        for center, origin in (("solution", walk[-1]), ("mean", walk.mean(axis=0))):
            variances = np.linalg.svd(walk - origin)[1] ** 2
            expected = variances / variances.sum()
            np.testing.assert_allclose(random_walk_shares(steps, center), expected, rtol=1e-12)


def test_a_long_random_walk_has_the_published_shares():
    mean, solution = random_walk_shares(20_000, "mean"), random_walk_shares(20_000, "solution")
    np.testing.assert_allclose(mean[:4], 6 / np.pi**2 / np.arange(1, 5) ** 2, rtol=1e-3)
    np.testing.assert_allclose(solution[:2], [0.8106, 0.0901], atol=1e-4)


def test_trajectories_without_a_plane_are_refused():
    matrix = wandering()
    with pytest.raises(ValueError, match="at least 3 checkpoints, got 2"):
        principal_plane(checkpoints_at(matrix[:2]))
    with pytest.raises(ValueError, match="3 checkpoints must span a plane, they lie on"):
        principal_plane(checkpoints_at(matrix[[1, 1, 1]]))
    with pytest.raises(ValueError, match="must span a plane"):
        principal_plane(checkpoints_at(np.array([[3.0, 6.0, 1.0], [2.0, 4.0, 1.0], [0.0, 0.0, 1.0]])))
    with pytest.raises(ValueError, match="must be finite"):
        principal_plane(checkpoints_at(np.where(matrix == matrix[2, 5], np.nan, matrix)))
    with pytest.raises(ValueError, match="center must be one of solution, mean, got 'median'"):
        principal_plane(checkpoints_at(matrix), center="median")
    with pytest.raises(ValueError, match=r"same parameters, .* number 2 differs"):
        principal_plane([*checkpoints_at(matrix[:2]), *checkpoints_at(matrix[2:, :5])])
    (solution,) = checkpoints_at(matrix[-1:])
    along = Direction(torch.ones(23, dtype=torch.float64), {})
    for eta in (along, Direction(torch.zeros(23, dtype=torch.float64), {})):
        with pytest.raises(ValueError, match="axes of the plane must not be parallel or zero"):
            project([solution], Plane.through(solution, along, eta))
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        random_walk_shares(0, "mean")
    with pytest.raises(ValueError, match="got 'start'"):
        random_walk_shares(3, "start")
