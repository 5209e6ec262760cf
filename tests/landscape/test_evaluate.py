"""The hot loop: exact means, standard errors, statuses, and a model that comes back as it went in."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from study.landscape.directions import Direction
from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator, standard_error
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.result import Status
from study.landscape.task import Task
from study.landscape.weights import Weights

GRID = Grid.line(-0.4, 1.0, 3)


# --- the mean and its standard error


def test_the_loss_is_the_exact_mean_over_examples(least_squares):
    model = least_squares.model(least_squares.theta)
    x, y = least_squares.data[0]
    batches = [(x[a:b], y[a:b]) for a, b in ((0, 7), (7, 10), (10, 11))]
    for micro_batch in (1, 4, 11, None):
        landscape = evaluate(
            model, least_squares.loss, batches, Line.random(model), GRID, micro_batch=micro_batch
        )
        expected = least_squares.value(least_squares.theta)
        assert landscape.points["centre"].values["loss"] == pytest.approx(expected, rel=1e-13)


class Passing(nn.Module):
    """Puts out its input, whatever its one weight: the losses are the data."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def forward(self, x):
        return x + 0 * self.weight


def first_column(outputs, _targets):
    return outputs[:, 0]


def measured(losses, **settings):
    """The centre's values where example i has loss `losses[i]`."""
    column = torch.as_tensor(losses).view(-1, 1)
    model = Passing()
    landscape = evaluate(
        model, first_column, [(column, column[:, 0])], Line.random(model), Grid.line(points=2), **settings
    )
    return landscape.points["centre"].values


def test_losses_are_summed_in_double_precision():
    losses = np.full(60_001, np.float32(0.1))
    losses[0] = 2.0**24  # in float32 the sum would never leave this number
    exact = losses.astype(np.float64).sum() / 60_001
    assert measured(losses)["loss"] == pytest.approx(exact, rel=1e-15)
    assert measured(losses, micro_batch=60_001)["loss"] == measured(losses, micro_batch=50)["loss"]


def test_the_standard_error_is_numpys():
    losses = np.random.default_rng(0).gamma(2.0, size=37)
    s = np.std(losses, ddof=1)
    assert measured(losses)["loss_standard_error"] == pytest.approx(s / np.sqrt(37), rel=1e-13)
    corrected = measured(losses, population=100)["loss_standard_error"]
    assert corrected == pytest.approx(s / np.sqrt(37) * np.sqrt(1 - 37 / 100), rel=1e-13)
    assert measured(losses, population=37)["loss_standard_error"] == 0.0
    assert measured(losses, population={"": 50, "unused": 3})["loss_standard_error"] == pytest.approx(
        s / np.sqrt(37) * np.sqrt(1 - 37 / 50), rel=1e-13
    )


def test_one_example_has_no_standard_error():
    assert np.isnan(measured([2.0])["loss_standard_error"])
    assert measured([2.0], population=1)["loss_standard_error"] == 0.0
    assert np.isnan(standard_error(np.array([1.0, np.inf, 2.0]), None))
    assert np.isnan(standard_error(np.array([1.0, np.inf]), 2))


@pytest.mark.parametrize("population", [60, None])
def test_the_standard_error_has_the_size_of_the_means_scatter(population):
    """2,000 subsets of 40: the mean squared error of the means is the mean of the squared standard errors."""
    rng = np.random.default_rng(1)
    everything = rng.gamma(1.5, size=60)
    draws = [rng.choice(everything, 40, replace=population is None) for _ in range(2_000)]
    scatter = np.mean([(draw.mean() - everything.mean()) ** 2 for draw in draws])
    stated = np.mean([standard_error(draw, population) ** 2 for draw in draws])
    assert stated == pytest.approx(scatter, rel=0.12)  # four standard deviations of the estimate


def test_a_population_smaller_than_its_subset_is_refused():
    with pytest.raises(ValueError, match="population must be at least the 5 examples, got 4"):
        measured(np.arange(5.0), population=4)


def test_each_split_has_its_own_population(mlp, vectors, cross_entropy):
    model, data = mlp(), {"train": [vectors(30)], "test": [vectors(20, seed=3)]}
    plain = evaluate(model, cross_entropy, data, Line.random(model), GRID)
    some = evaluate(model, cross_entropy, data, Line.random(model), GRID, population={"train": 40})
    for split, factor in (("train", np.sqrt(1 - 30 / 40)), ("test", 1.0)):
        name = f"{split}/loss_standard_error"
        np.testing.assert_allclose(some.values[name], factor * plain.values[name], rtol=1e-13)
    assert some.provenance["splits"]["train"] == {"examples": 30, "population": 40}


def test_a_scalar_loss_gives_the_weighted_mean_and_no_standard_error(least_squares):
    model = least_squares.model(least_squares.theta)
    x, y = least_squares.data[0]

    def scalar(outputs, targets):
        return least_squares.loss(outputs, targets).mean()

    for batches, micro_batch in (([(x, y)], 4), ([(x[:7], y[:7]), (x[7:], y[7:])], None), ([(x, y)], 11)):
        landscape = evaluate(model, scalar, batches, Line.random(model), GRID, micro_batch=micro_batch)
        assert set(landscape.values) == {"loss"}
        assert not landscape.example_losses
        value = landscape.points["centre"].values["loss"]
        assert value == pytest.approx(least_squares.value(least_squares.theta), rel=1e-13)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda o, t: (o - t) ** 2, r"shape \(11,\), one value an example, got shape \(11, 2\)"),
        (lambda o, t: ((o - t) ** 2).sum(dim=1, keepdim=True), r"got shape \(11, 1\)"),
        (lambda o, t: ((o - t) ** 2).mean().view(1), r"got shape \(1,\)"),
        (lambda o, t: float(((o - t) ** 2).mean()), "got float"),
    ],
)
def test_a_loss_of_another_shape_is_refused(least_squares, loss, message):
    model = least_squares.model(least_squares.theta)
    with pytest.raises(ValueError, match=message):
        evaluate(model, loss, least_squares.data, Line.random(model), GRID)


def test_accuracy_is_the_fraction_of_hits(mlp, vectors, cross_entropy):
    model = mlp()
    inputs, targets = vectors(75)
    landscape = evaluate(model, cross_entropy, [(inputs, targets)], Line.random(model), GRID)
    predicted = model(inputs).detach().numpy().argmax(axis=1)
    assert landscape.points["centre"].values["accuracy"] == (predicted == targets.numpy()).mean()


def test_what_is_no_classification_has_no_accuracy(least_squares, vectors):
    model = least_squares.model(least_squares.theta)
    assert (
        "accuracy"
        not in evaluate(model, least_squares.loss, least_squares.data, Line.random(model), GRID).values
    )
    counts = nn.Linear(5, 1)  # one output and whole-number targets: a regression

    def squared(outputs, targets):
        return (outputs[:, 0] - targets) ** 2

    assert "accuracy" not in evaluate(counts, squared, [vectors()], Line.random(counts), GRID).values


# --- cells that diverge


def test_infinite_and_undefined_losses_are_diverged_and_nothing_is_filled():
    losses = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    model = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(model.weight)
    line = Line.through(model, Direction(torch.ones(1, dtype=torch.float64), {}))

    def loss(outputs, targets):  # θ = 1 + α: infinite for one example from 1.5 on, not a number from 2.5 on
        theta = (outputs[:, 0] / targets).mean()
        bad = torch.where(theta > 2.5, torch.nan, torch.inf)
        return torch.where((theta > 1.5) & (targets == 2.0), bad, targets * theta)

    landscape = evaluate(model, loss, [(losses.view(-1, 1), losses)], line, Grid.line(-1, 2, 4))
    np.testing.assert_array_equal(landscape.values["loss"], [0.0, 2.0, np.inf, np.nan])
    assert landscape.status.tolist() == [Status.EVALUATED, Status.EVALUATED, Status.DIVERGED, Status.DIVERGED]
    np.testing.assert_allclose(
        landscape.values["loss_standard_error"], [0.0, 1 / np.sqrt(3), np.nan, np.nan], atol=1e-15
    )
    np.testing.assert_allclose(landscape.example_losses[""][2], [2.0, np.inf, 6.0])


def test_accuracy_is_undefined_only_where_the_loss_is(mlp, vectors, cross_entropy):
    model = mlp()
    inputs, targets = vectors(30)
    broken = inputs.clone()
    broken[4, 0] = float("nan")

    def infinite(outputs, labels):
        return cross_entropy(outputs, labels) + torch.where(labels == 1, torch.inf, 0.0)

    data = {"good": [(inputs, targets)], "bad": [(broken, targets)]}
    landscape = evaluate(model, cross_entropy, data, Line.random(model), GRID)
    assert np.isnan(landscape.values["bad/loss"]).all()
    assert np.isnan(landscape.values["bad/accuracy"]).all()
    assert (landscape.status == Status.DIVERGED).all()
    assert (landscape.split("bad").status == Status.DIVERGED).all()
    assert (landscape.split("good").status == Status.EVALUATED).all()
    assert np.isfinite(landscape.values["good/accuracy"]).all()
    unbounded = evaluate(model, infinite, [(inputs, targets)], Line.random(model), GRID)
    assert (unbounded.values["loss"] == np.inf).all()
    np.testing.assert_array_equal(unbounded.values["accuracy"], landscape.values["good/accuracy"])


# --- the model and the world outside


class Fragile(nn.Module):
    """Everything an evaluation might disturb; raises on its `fuse`-th forward pass."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(5, 6)
        self.norm = nn.BatchNorm1d(6, momentum=0.3)
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Linear(6, 6)
        self.frozen.requires_grad_(False)
        self.last = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.fuse = -1
        self.left = [0]

    def forward(self, x):
        self.left[0] += 1
        if self.left[0] == self.fuse:
            raise RuntimeError("the model broke")
        self.calls.add_(1)
        return self.last(self.dropout(torch.relu(self.frozen(self.norm(self.first(x))))))


def everything(model):
    return {
        "tensors": {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
        "identities": [id(tensor) for tensor in [*model.parameters(), *model.buffers()]],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "training": [layer.training for layer in model.modules()],
        "momentum": model.norm.momentum,
        "hooks": [(len(layer._forward_hooks), len(layer._forward_pre_hooks)) for layer in model.modules()],
        "inference": [tensor.is_inference() for tensor in [*model.parameters(), *model.buffers()]],
        "device": [str(tensor.device) for tensor in [*model.parameters(), *model.buffers()]],
        "generator": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],  # noqa: NPY002 - the state of the global generator is the question
        "grad_enabled": torch.is_grad_enabled(),
    }


@pytest.fixture
def fragile(vectors, cross_entropy):
    model = Fragile().train()
    model.norm.eval()
    cross_entropy(model(vectors(20)[0]), vectors(20)[1]).mean().backward()
    torch.manual_seed(31)
    return model


def assert_same(model, before):
    after = everything(model)
    for name, tensor in before.pop("tensors").items():
        assert torch.equal(tensor, after["tensors"][name]), name
    after.pop("tensors")
    for name, kept in before.items():
        if name in {"grads", "generator", "numpy"}:
            torch.testing.assert_close(after[name], kept, rtol=0, atol=0, msg=name)
        else:
            assert after[name] == kept, name


@pytest.mark.parametrize("policy", ["frozen", "interpolated", "recomputed"])
def test_the_model_and_the_generators_come_back_as_they_went_in(fragile, vectors, cross_entropy, policy):
    other = copy.deepcopy(fragile)
    with torch.no_grad():
        other.first.weight.mul_(1.3)
    line = Line.between(fragile, other)
    before = everything(fragile)
    evaluate(fragile, cross_entropy, {"train": [vectors(70)]}, line, GRID, batch_statistics=policy)
    assert_same(fragile, before)
    cross_entropy(fragile.train()(vectors(20)[0]), vectors(20)[1]).mean().backward()  # it still trains


@pytest.mark.parametrize("fuse", [1, 2, 3, 5])  # in the plan, gathering, at the start, at the end
def test_they_do_so_after_an_error_in_the_model(fragile, vectors, cross_entropy, fuse):
    line = Line.between(fragile, copy.deepcopy(fragile))
    before = everything(fragile)
    fragile.left[0], fragile.fuse = 0, fuse
    with pytest.raises(RuntimeError, match="the model broke"):
        evaluate(fragile, cross_entropy, {"train": [vectors(70)]}, line, GRID)
    assert_same(fragile, before)


def test_they_do_so_after_an_error_in_the_loss_the_callback_or_an_interrupt(fragile, vectors, cross_entropy):
    line = Line.between(fragile, copy.deepcopy(fragile))
    before = everything(fragile)

    def broken(outputs, targets):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(fragile, broken, {"train": [vectors(70)]}, line, GRID)
    assert_same(fragile, dict(before))

    def stop(done, total):
        raise StopAsyncIteration(f"{done} of {total}")

    with pytest.raises(StopAsyncIteration, match="1 of 4"):
        evaluate(fragile, cross_entropy, {"train": [vectors(70)]}, line, GRID, on_point=stop)
    assert_same(fragile, dict(before))


def test_a_model_that_writes_to_its_buffers_is_read_from_the_same_ones_at_every_point(vectors):
    class Drifting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 3)
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            self.seen.add_(1)
            return self.linear(x) * 0 + self.seen

    model = Drifting()
    line = Line.random(model)
    landscape = evaluate(model, lambda o, t: o[:, 0], [vectors(20)], line, GRID, micro_batch=20)
    assert landscape.values["loss"].tolist() == [1.0, 1.0, 1.0]
    assert (model.seen, line.origin.buffers["seen"]) == (0.0, 0.0)


def test_the_models_own_weights_are_not_read(mlp, vectors, cross_entropy):
    line = Line.between(mlp(0), mlp(1))
    first = evaluate(mlp(0), cross_entropy, [vectors()], line, GRID)
    fifth = evaluate(mlp(5), cross_entropy, [vectors()], line, GRID)
    assert first.to_bytes() == fifth.to_bytes()


def test_another_architecture_than_the_geometrys_is_refused(mlp, vectors, cross_entropy):
    """`functional_call` would take the model's own parameters for those that it is not given."""
    model = mlp()
    wrapped = nn.ModuleDict({"module": model})
    wrapped.forward = model.forward
    deeper = nn.Sequential(*model, nn.Linear(3, 3))
    for other in (wrapped, deeper, mlp(bias=False)):
        with pytest.raises(ValueError, match="must have the parameters"):
            evaluate(other, cross_entropy, [vectors()], Line.random(model), GRID)


def test_a_sequence_of_points_is_measured_as_each_alone(mlp, vectors, cross_entropy):
    model = mlp()
    plane, grid = Plane.random(model, seed=2), Grid.rectangle((-1, 2, 4), (0, 0.5, 2))
    landscape = evaluate(model, cross_entropy, [vectors()], plane, grid)
    with Evaluator.open(Task.of(model, cross_entropy, [vectors()])) as evaluator:
        for i, alpha in reversed(list(enumerate(grid.axes["alpha"]))):
            for j, beta in enumerate(grid.axes["beta"]):
                alone = evaluator.measure(plane.at(alpha, beta)).values
                assert alone == {name: array[i, j] for name, array in landscape.values.items()}


def test_progress_counts_special_points_and_cells(mlp, vectors, cross_entropy):
    seen = []
    line = Line.between(mlp(0), mlp(1))
    evaluate(
        mlp(), cross_entropy, [vectors()], line, GRID, on_point=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)], "an end of the line that is a grid point counts once"


def test_an_evaluator_measures_weights_of_any_origin(mlp, vectors, cross_entropy):
    inputs, targets = vectors(60)
    with Evaluator.open(Task.of(mlp(0), cross_entropy, [(inputs, targets)])) as evaluator:
        for seed in (0, 1):
            values = evaluator.measure(Weights.of(mlp(seed))).values
            expected = cross_entropy(mlp(seed).double()(inputs.double()), targets).mean().item()
            assert values["loss"] == pytest.approx(expected, rel=1e-6)
