"""The defects of earlier tools that DESIGN.md lists, by number: none of them is here.

11 (trajectories) and 14 (resuming) belong to other parts.
"""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from study.landscape.directions import Direction, cosine, random_direction
from study.landscape.eigenpairs import dense
from study.landscape.evaluate import evaluate
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.hessian import Objective
from study.landscape.result import Landscape, Status
from study.landscape.weights import Weights


class Plain:
    """A model of two weights at the origin, whose plane's coordinates are the weights themselves."""

    def __init__(self) -> None:
        self.model = nn.Linear(2, 1, bias=False, dtype=torch.float64)
        nn.init.zeros_(self.model.weight)
        unit = torch.eye(2, dtype=torch.float64)
        self.plane = Plane.through(self.model, Direction(unit[0], {}), Direction(unit[1], {}))

    def surface(self, function, grid, **settings):
        """The landscape of L(α, β) = function(α, β)."""

        def loss(outputs, _targets):
            alpha, beta = outputs[0, 0], outputs[1, 0]
            return function(alpha, beta).expand(2)

        data = [(torch.eye(2, dtype=torch.float64), torch.zeros(2))]
        return evaluate(self.model, loss, data, self.plane, grid, **settings)


@pytest.fixture
def plain():
    return Plain()


def test_01_non_square_grids_are_not_scrambled(plain):
    grid = Grid.rectangle((0, 4, 5), (10, 12, 3))
    values = plain.surface(lambda alpha, beta: 100 * alpha + beta, grid).values["loss"]
    assert values.tolist() == [
        [10, 11, 12],
        [110, 111, 112],
        [210, 211, 212],
        [310, 311, 312],
        [410, 411, 412],
    ]


def test_02_alternate_rows_are_not_shifted(plain):
    grid = Grid.rectangle((-1.3, 0.9, 6), (-0.4, 2.1, 5))
    values = plain.surface(lambda alpha, beta: torch.sin(3 * alpha) * torch.exp(beta), grid).values["loss"]
    expected = np.sin(3 * np.linspace(-1.3, 0.9, 6))[:, None] * np.exp(np.linspace(-0.4, 2.1, 5))[None, :]
    for row in range(6):
        np.testing.assert_allclose(values[row], expected[row], rtol=1e-12)


def test_03_directions_are_gaussian_not_uniform():
    weights = Weights.of(nn.Linear(200, 100, bias=False))
    entries = random_direction(weights, normalization="none").flat
    assert abs(cosine(entries, torch.ones_like(entries))) < 4 / np.sqrt(20_000)
    assert stats.kstest(entries.numpy(), "norm").pvalue > 1e-3
    assert entries.min() < -3
    assert entries.max() > 3


def test_04_the_angle_between_the_directions_is_recorded_as_it_is():
    torch.manual_seed(0)
    model = nn.Linear(200, 100, bias=False)
    theta = Weights.of(model)
    plane = Plane.random(model, seed=3)
    delta, eta = (random_direction(theta, seed=3, index=index) for index in (0, 1))
    a, b = delta.flat.double().numpy(), eta.flat.double().numpy()
    assert plane.provenance["cosine"] == pytest.approx(
        a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-12
    )
    assert abs(plane.provenance["cosine"]) < 4 / np.sqrt(20_000)
    leaning = Direction(0.6 * delta.flat / delta.norm - 0.8 * eta.flat / eta.norm, {})
    recorded = Plane.through(model, delta, leaning).provenance["cosine"]
    assert recorded == pytest.approx(0.6, abs=0.03)


def test_05_indices_and_seeds_give_directions_of_their_own():
    weights = Weights.of(nn.Linear(200, 100, bias=False))
    flats = [
        random_direction(weights, seed=seed, index=index).flat for seed in (0, 1, 10) for index in (0, 1, 2)
    ]
    for i, first in enumerate(flats):
        for second in flats[:i]:
            assert abs(cosine(first, second)) < 5 / np.sqrt(20_000)
    _, delta, eta = Plane.random(nn.Linear(200, 100, bias=False), seed=0).bases
    assert abs(cosine(delta, eta)) < 4 / np.sqrt(20_000)


@pytest.mark.parametrize("constant", [0.0, -1.0])
def test_06_no_value_stands_for_not_computed(plain, constant, tmp_path):
    evaluated = []
    surface = plain.surface(
        lambda alpha, beta: constant + 0 * alpha,
        Grid.rectangle((0, 1, 3), (0, 1, 2)),
        on_point=lambda done, total: evaluated.append((done, total)),
    )
    assert evaluated == [(i, 6) for i in range(1, 7)], "each point once, the centre too"
    surface.save(tmp_path / "surface.npz")
    for landscape in (surface, Landscape.load(tmp_path / "surface.npz")):
        assert (landscape.values["loss"] == constant).all()
        assert (landscape.status == Status.EVALUATED).all()


def test_07_a_range_may_start_at_zero(plain):
    assert Grid.line(0, 1, 3).axes["alpha"].tolist() == [0.0, 0.5, 1.0]
    assert Grid.line(-1, 0, 3).axes["alpha"].tolist() == [-1.0, -0.5, 0.0]
    surface = plain.surface(lambda alpha, beta: alpha + beta, Grid.rectangle((0, 2, 3), (0, 0.5, 2)))
    assert surface.values["loss"].tolist() == [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]


def test_08_a_line_to_a_model_is_not_a_line_along_it(least_squares):
    first, second = least_squares.theta, least_squares.other
    model = least_squares.model(first)
    between = Line.between(model, least_squares.model(second))
    along = Line.through(model, Direction(Weights.of(least_squares.model(second)).flat, {}))
    grid = Grid.line(0, 1, 3)
    to = evaluate(model, least_squares.loss, least_squares.data, between, grid).values["loss"]
    on = evaluate(model, least_squares.loss, least_squares.data, along, grid).values["loss"]
    assert to[2] == pytest.approx(least_squares.value(second), rel=1e-12)
    assert on[2] == pytest.approx(least_squares.value(first + second), rel=1e-12)
    assert to[1] == pytest.approx(least_squares.value((first + second) / 2), rel=1e-12)
    assert on[1] == pytest.approx(least_squares.value(first + second / 2), rel=1e-12)


@pytest.mark.parametrize("micro_batch", [3, None])
def test_10_a_short_last_batch_counts_by_its_examples(micro_batch):
    column = torch.tensor([1.0] * 9 + [11.0]).view(-1, 1)
    model = nn.Linear(1, 1)
    nn.init.ones_(model.weight)
    nn.init.zeros_(model.bias)
    batches = [(part, part[:, 0]) for part in column.split(3)]  # the means of the four: 1, 1, 1, 11

    def mean_output(outputs, _targets):
        return outputs.mean()

    for loss in (lambda outputs, _targets: outputs[:, 0], mean_output):
        line = Line.through(model, Direction(torch.tensor([1.0, 0.0]), {}))
        landscape = evaluate(model, loss, batches, line, Grid.line(0, 1, 2), micro_batch=micro_batch)
        np.testing.assert_allclose(landscape.values["loss"], [2.0, 4.0], rtol=1e-6)


def test_09_products_are_of_the_mean_over_all_examples(least_squares):
    model = least_squares.model(least_squares.theta)
    ((inputs, targets),) = least_squares.data
    expected = 2 * np.kron(np.eye(2), least_squares.x.T @ least_squares.x / 11)
    for micro_batch in (11, 4):  # all at once; in 4, 4 and 3
        objective = Objective(model, least_squares.loss, inputs, targets, micro_batch)
        for product in (objective.hessian, objective.gauss_newton):
            np.testing.assert_allclose(dense(product(Weights.of(model))), expected, rtol=1e-12, atol=1e-12)


def test_12_what_is_not_finite_stays_so_and_nothing_is_added(plain):
    grid = Grid.rectangle((-1, 1, 3), (0, 3, 4))

    def holes(alpha, beta):  # not a number in one cell, infinite in another, flat maxima elsewhere
        value = torch.where(beta == 2, torch.inf, torch.tensor(5.0, dtype=torch.float64))
        return torch.where(beta == 1, torch.nan, value) if alpha == 0 else 5.0 + 0 * alpha

    surface = plain.surface(holes, grid)
    expected = [[5.0] * 4, [5.0, np.nan, np.inf, 5.0], [5.0] * 4]
    np.testing.assert_array_equal(surface.values["loss"], expected)
    diverged, evaluated = int(Status.DIVERGED), int(Status.EVALUATED)
    assert surface.status.tolist() == [
        [evaluated] * 4,
        [evaluated, diverged, diverged, evaluated],
        [evaluated] * 4,
    ]
    assert surface.to_bytes() == plain.surface(holes, grid).to_bytes()
    assert surface.to_frame()["status"].tolist().count("diverged") == 2


def test_13_the_callers_model_is_neither_put_to_train_nor_to_eval_nor_moved_nor_wrapped(
    convnet, images, cross_entropy
):
    model = convnet(norm=True)
    for training in (True, False):
        model.train(training)
        model[1].train(not training)
        line = Line.random(model)
        identities = [id(tensor) for tensor in [*model.parameters(), *model.buffers(), *model.modules()]]
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        evaluate(model, cross_entropy, [images()], line, Grid.line(points=2))
        assert model.training == training
        assert model[1].training != training
        assert [
            id(tensor) for tensor in [*model.parameters(), *model.buffers(), *model.modules()]
        ] == identities
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
        assert all(tensor.is_contiguous() for tensor in model.parameters()), (
            "its layout, too, is the caller's"
        )


def test_15_one_dimensional_parameters_are_not_their_own_direction():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(50, 400), nn.BatchNorm1d(400))
    nn.init.normal_(model[1].weight)
    theta = Weights.of(model)
    for name in ("0.bias", "1.weight"):
        own = theta.named[name]
        delta, eta = (
            theta.layout.views(random_direction(theta, index=index, include_bias_and_norm=True).flat)[name]
            for index in (0, 1)
        )
        for first, second in ((delta, own), (eta, own), (delta, eta)):
            assert abs(cosine(first, second)) < 4 / np.sqrt(400), name
        torch.testing.assert_close(delta.norm(), own.norm())
        assert not theta.layout.views(random_direction(theta).flat)[name].any(), "by default they do not move"


def test_a_model_that_writes_to_its_input_changes_nobodys_data():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x.sub_(0.5).mul_(1.5))

    inputs, targets = torch.rand(70, 3), torch.arange(70) % 2
    before, model = inputs.clone(), InPlace()
    loss = nn.CrossEntropyLoss(reduction="none")
    landscape = evaluate(model, loss, [(inputs, targets)], Line.random(model), Grid.line(-1, 1, 3))
    assert torch.equal(inputs, before)
    assert landscape.values["loss"][1] == landscape.points["centre"].values["loss"]
