"""What planes and lines say of their axes, by hand and by NumPy."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.axes import raw_cosine, share_along
from study.landscape.directions import Direction, given, random_direction
from study.landscape.geometry import Line, Plane
from study.landscape.weights import Weights


@pytest.fixture
def uneven() -> nn.Module:
    """A network whose filters differ in norm by thousands, so that normalization turns directions."""
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    with torch.no_grad():
        model[0].weight.mul_(torch.tensor([1.0, 30.0, 0.01, 5.0, 0.2]).view(-1, 1))
    return model


def numpys(first: torch.Tensor, second: torch.Tensor) -> float:
    a, b = first.double().numpy(), second.double().numpy()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_norms_gram_and_cosine_by_hand():
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[6.0, -8.0]]))
    delta, eta = Direction(torch.tensor([3.0, 4.0]), {}), Direction(torch.tensor([-2.0, 0.0]), {})
    about = Plane.through(model, delta, eta).provenance
    assert about["gram"] == [[25.0, -6.0], [-6.0, 4.0]]
    assert [axis["norm"] for axis in about["directions"]] == [5.0, 2.0]
    assert [axis["relative_norm"] for axis in about["directions"]] == [0.5, 0.2]
    assert about["cosine"] == pytest.approx(-0.6, rel=1e-15)
    assert about["raw_cosine"] == pytest.approx(-0.6, rel=1e-15), "neither was normalised"
    assert about["center_norm"] == 10.0
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    line = Line.through(model, delta).provenance
    assert line["gram"] == [[25.0]]
    assert not {"cosine", "raw_cosine"} & set(line), "one axis has no angle"


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("normalization", ["filter", "layer", "model", "weight", "none"])
def test_the_cosine_before_normalization_is_that_of_the_gaussian_entries(uneven, normalization, include):
    settings = {"seed": 8, "include_bias_and_norm": include}
    about = Plane.random(uneven, normalization=normalization, **settings).provenance
    theta = Weights.of(uneven)
    before, after = (
        [random_direction(theta, index=i, normalization=name, **settings).flat for i in (0, 1)]
        for name in ("none", normalization)
    )
    assert about["raw_cosine"] == pytest.approx(numpys(*before), abs=1e-7)
    assert about["cosine"] == pytest.approx(numpys(*after), abs=1e-12)
    if normalization in {"filter", "layer", "weight"}:
        assert abs(about["raw_cosine"] - about["cosine"]) > 1e-2
    gram = [[float(a.double().numpy() @ b.double().numpy()) for b in after] for a in after]
    np.testing.assert_allclose(about["gram"], gram, rtol=1e-12)


def test_the_cosine_of_a_drawn_and_a_given_direction_before_normalization(uneven):
    theta = Weights.of(uneven)
    vector = torch.linspace(-2, 1, theta.layout.size)
    raw = random_direction(theta, seed=2, normalization="none").flat
    delta = random_direction(theta, seed=2)
    found = raw_cosine(theta.layout, delta, given(vector, "gradient", {}))
    assert found == pytest.approx(numpys(raw, vector), abs=1e-6)
    assert abs(found - numpys(delta.flat, vector)) > 1e-2
    zero = Direction(torch.zeros(theta.layout.size), {})
    assert raw_cosine(theta.layout, delta, zero) is None


def test_an_orthogonal_random_plane_keeps_delta_and_says_what_it_changed(uneven):
    plain, orthogonal = Plane.random(uneven, seed=5), Plane.random(uneven, seed=5, orthogonal=True)
    assert torch.equal(plain.bases[1], orthogonal.bases[1])
    delta, eta = (base.double().numpy() for base in plain.bases[1:])
    rest = eta - (eta @ delta) / (delta @ delta) * delta
    expected = rest * np.linalg.norm(eta) / np.linalg.norm(rest)
    np.testing.assert_allclose(orthogonal.bases[2].numpy(), expected, rtol=1e-5, atol=1e-6)
    about, before = orthogonal.provenance, plain.provenance
    assert abs(about["cosine"]) < 1e-6 < abs(before["cosine"])
    assert about["raw_cosine"] == before["raw_cosine"]
    assert about["directions"][1]["cosine_before"] == pytest.approx(before["cosine"], abs=1e-12)
    assert about["directions"][1]["norm"] == pytest.approx(before["directions"][1]["norm"], rel=1e-6)
    assert orthogonal.digest != plain.digest
    assert json.loads(json.dumps(about, allow_nan=False)) == about
    with pytest.raises(ValueError, match="must be finite and not zero"):
        Plane.random(nn.LayerNorm(4), orthogonal=True)


def test_a_direction_of_another_dtype_takes_that_of_the_weights(uneven):
    theta = Weights.of(uneven)
    vector = torch.linspace(-2, 1, theta.layout.size, dtype=torch.float64)
    plane = Plane.through(theta, Direction(vector, {}), random_direction(theta))
    assert plane.at(0.5, 0.0).flat.dtype == torch.float32
    torch.testing.assert_close(plane.at(0.5, 0.0).flat, theta.flat + 0.5 * vector.float())


@pytest.mark.parametrize(
    ("axes", "share"),
    [
        ([[1, 0, 0]], 9 / 169),
        ([[-2e6, 0, 0]], 9 / 169),
        ([[1, 1, 0], [0, 0, 2]], (2 * 3.5**2 + 144) / 169),
        ([[0, 1e-3, 0], [1, 1e3, 0]], 25 / 169),  # at an angle of 0.06 degrees
        ([[1, 1, 0], [-2, -2, 0]], 2 * 3.5**2 / 169),
        ([[0, 0, 0], [1, 0, 0]], 9 / 169),
        ([[0, 0, 0]], 0.0),
        ([[4, -3, 0]], 0.0),
        ([[3, 4, 12]], 1.0),
        ([[1, 2, 3], [4, 6, 15]], 1.0),  # their difference
    ],
)
def test_the_share_along_axes_by_hand(axes, share):
    """Of (3, 4, 12), whose length is 13."""
    found = share_along(torch.tensor([3.0, 4.0, 12.0]), torch.tensor(axes, dtype=torch.float32).unbind())
    assert found == pytest.approx(share, rel=1e-9, abs=1e-15)
    assert (found == 1.0) == (share == 1.0), "exactly"


def test_the_share_along_axes_is_that_of_least_squares():
    generator = torch.Generator().manual_seed(3)
    axes = torch.randn(2, 500, generator=generator)
    axes[1] = 40 * (axes[0] + 0.1 * axes[1])
    vector = torch.randn(500, generator=generator) + 0.3 * axes[0]
    a, v = axes.double().numpy().T, vector.double().numpy()
    (rest,) = np.linalg.lstsq(a, v)[1]
    assert share_along(vector, list(axes)) == pytest.approx(1 - rest / (v @ v), rel=1e-12)


@pytest.mark.parametrize("vector", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_nothing_is_shared_of_a_vector_that_is_none(vector):
    assert share_along(torch.tensor(vector), [torch.tensor([1.0, 0.0])]) is None
