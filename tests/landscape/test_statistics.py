"""Batch statistics: frozen, interpolated, recomputed, against independent computations."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from study.landscape.evaluate import evaluate
from study.landscape.evaluator import Evaluator
from study.landscape.geometry import Line, Plane
from study.landscape.grid import Grid
from study.landscape.statistics import gathering, layers_with_running_statistics, recompute
from study.landscape.task import Task
from study.landscape.weights import Weights

EPS = 1e-5


class Normalised(nn.Module):
    """Linear, batch normalization, dropout, linear: small enough to write down again in NumPy."""

    def __init__(self, seed: int, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(4, 3)
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.normal_(self.norm.bias)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)
        self.double()

    def forward(self, x):
        return self.last(self.dropout(self.norm(self.first(x))))


def loss_by_hand(weights, data, mean, var):
    """Mean cross-entropy of `Normalised` with these weights and statistics."""
    p = {name: tensor.numpy() for name, tensor in weights.named.items()}
    x, y = data[0].numpy(), data[1].numpy()
    hidden = x @ p["first.weight"].T + p["first.bias"]
    hidden = (hidden - mean) / np.sqrt(var + EPS) * p["norm.weight"] + p["norm.bias"]
    logits = hidden @ p["last.weight"].T + p["last.bias"]
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]).mean())


def statistics_by_hand(weights, inputs):
    hidden = inputs.numpy() @ weights.named["first.weight"].numpy().T + weights.named["first.bias"].numpy()
    return hidden.mean(axis=0), hidden.var(axis=0, ddof=1)


@pytest.fixture
def train(vectors):
    inputs, targets = vectors(60, dtype=torch.float64)
    return 2 * inputs - 0.3, targets


@pytest.fixture
def test(vectors):
    inputs, targets = vectors(45, seed=5, dtype=torch.float64)
    return inputs + 4.0, targets


def test_frozen_takes_the_origins_statistics(train, cross_entropy):
    first, second = Normalised(0), Normalised(1)
    line = Line.between(first, second)
    landscape = evaluate(
        first, cross_entropy, [train], line, Grid.line(-0.5, 1.5, 4), batch_statistics="frozen"
    )
    mean, var = first.norm.running_mean.numpy(), first.norm.running_var.numpy()
    for alpha, loss in zip(landscape.axes["alpha"], landscape.values["loss"], strict=True):
        assert loss == pytest.approx(loss_by_hand(line.at(alpha), train, mean, var), rel=1e-12)
    assert landscape.provenance["batch_statistics"] == "frozen"


def test_interpolated_mixes_them_within_the_ends_and_holds_them_outside(train, cross_entropy):
    first, second = Normalised(0), Normalised(1)
    line, grid = Line.between(first, second), Grid.line(-0.5, 1.25, 8)
    landscape = evaluate(first, cross_entropy, [train], line, grid, batch_statistics="interpolated")
    assert {0.0, 1.0} <= set(grid.axes["alpha"])
    for alpha, loss in zip(grid.axes["alpha"], landscape.values["loss"], strict=True):
        t = min(max(alpha, 0), 1)
        mean, var = (
            (1 - t) * getattr(first.norm, name).numpy() + t * getattr(second.norm, name).numpy()
            for name in ("running_mean", "running_var")
        )
        assert loss == pytest.approx(loss_by_hand(line.at(alpha), train, mean, var), rel=1e-12)


def test_interpolated_ends_are_the_checkpoints_own_even_beside_a_diverged_one(train, cross_entropy):
    first, second = Normalised(0), Normalised(1)
    second.norm.running_var[2] = float("inf")
    second.norm.running_mean[1] = float("nan")
    line = Line.between(first, second)
    landscape = evaluate(
        first, cross_entropy, [train], line, Grid.line(points=3), batch_statistics="interpolated"
    )
    with Evaluator.open(Task.of(first, cross_entropy, [train])) as evaluator:
        assert landscape.points["start"].values == evaluator.measure(Weights.of(first)).values
    assert np.isnan(landscape.points["end"].values["loss"])
    with pytest.raises(ValueError, match="needs a line between two sets of weights"):
        evaluate(
            first, cross_entropy, [train], Plane.random(first), Grid.square(), batch_statistics="interpolated"
        )


def test_recomputed_takes_the_training_sets_mean_and_variance_and_never_the_test_sets(
    train, test, cross_entropy
):
    first, second = Normalised(0), Normalised(1)
    line = Line.between(first, second)
    landscape = evaluate(
        first,
        cross_entropy,
        {"test": [test], "train": [train]},
        line,
        Grid.line(-0.5, 1.5, 5),
    )
    assert landscape.provenance["batch_statistics"] == "recomputed", "the default between two sets of weights"
    for alpha, on_train, on_test in zip(
        landscape.axes["alpha"], landscape.values["train/loss"], landscape.values["test/loss"], strict=True
    ):
        weights = line.at(alpha)
        mean, var = statistics_by_hand(weights, train[0])
        assert on_train == pytest.approx(loss_by_hand(weights, train, mean, var), rel=1e-12)
        assert on_test == pytest.approx(loss_by_hand(weights, test, mean, var), rel=1e-12)
    ends = landscape.points
    for name, model in (("start", first), ("end", second)):
        mean, var = statistics_by_hand(Weights.of(model), train[0])
        expected = loss_by_hand(Weights.of(model), test, mean, var)
        assert ends[name].values["test/loss"] == pytest.approx(expected, rel=1e-12)


def test_recomputed_takes_the_statistics_data_it_is_given(train, test, cross_entropy):
    model = Normalised(0)
    plane = Plane.random(model, seed=1)
    grid = Grid.rectangle((-0.5, 1.0, 3), (-0.2, 0.3, 2))
    landscape = evaluate(
        model, cross_entropy, [test], plane, grid, batch_statistics="recomputed", statistics_data=[train]
    )
    for i, alpha in enumerate(grid.axes["alpha"]):
        for j, beta in enumerate(grid.axes["beta"]):
            weights = plane.at(alpha, beta)
            expected = loss_by_hand(weights, test, *statistics_by_hand(weights, train[0]))
            assert landscape.values["loss"][i, j] == pytest.approx(expected, rel=1e-12)


def test_recomputed_needs_training_examples(train, test, cross_entropy):
    line = Line.between(Normalised(0), Normalised(1))
    for data in ([train], {"test": [test]}):
        with pytest.raises(ValueError, match="'recomputed' needs statistics_data"):
            evaluate(Normalised(0), cross_entropy, data, line, Grid.line(points=2))


@pytest.mark.parametrize("micro_batch", [None, 32, 50])
def test_the_average_over_batches_is_cumulative_whatever_the_plan(vectors, cross_entropy, micro_batch):
    """300 examples are averaged in three batches of 100: the most, 128, is the same for every plan."""
    train = vectors(300, dtype=torch.float64)
    model = Normalised(0)
    line = Line.between(model, Normalised(1))
    landscape = evaluate(
        model, cross_entropy, {"train": [train]}, line, Grid.line(points=2), micro_batch=micro_batch
    )
    weights = Weights.of(model)
    means, variances = zip(*(statistics_by_hand(weights, part) for part in train[0].split(100)), strict=True)
    expected = loss_by_hand(weights, train, np.mean(means, axis=0), np.mean(variances, axis=0))
    assert landscape.points["start"].values["train/loss"] == pytest.approx(expected, rel=1e-12)


def test_an_unknown_policy_is_refused(train, cross_entropy):
    model = Normalised(0)
    with pytest.raises(ValueError, match="must be one of frozen, interpolated, recomputed, got 'frosen'"):
        evaluate(
            model, cross_entropy, [train], Line.random(model), Grid.line(points=2), batch_statistics="frosen"
        )


def test_default_policies(train, mlp, vectors, cross_entropy):
    model = Normalised(0)
    assert Line.between(model, model).default_batch_statistics == "recomputed"
    about = [(Line.random(model), Grid.line(points=2)), (Plane.random(model), Grid.square(points=2))]
    for geometry, grid in about:
        landscape = evaluate(model, cross_entropy, {"train": [train]}, geometry, grid)
        assert landscape.provenance["batch_statistics"] == "frozen"
        stored = loss_by_hand(
            Weights.of(model), train, model.norm.running_mean.numpy(), model.norm.running_var.numpy()
        )
        assert landscape.points["centre"].values["train/loss"] == pytest.approx(stored, rel=1e-12)
    plain = evaluate(mlp(), cross_entropy, [vectors()], Line.between(mlp(), mlp(1)), Grid.line(points=2))
    assert plain.provenance["batch_statistics"] == "none kept"


def test_dropout_is_off_also_while_statistics_are_recomputed(train, cross_entropy):
    model, plain = Normalised(0, dropout=0.9).train(), Normalised(0)
    other = Normalised(1)
    grid = Grid.line(-0.5, 1.5, 3)
    noisy = evaluate(model, cross_entropy, {"train": [train]}, Line.between(model, other), grid)
    clean = evaluate(plain, cross_entropy, {"train": [train]}, Line.between(plain, other), grid)
    np.testing.assert_array_equal(noisy.values["train/loss"], clean.values["train/loss"])


def test_dropout_before_a_layer_with_statistics_does_not_disturb_them(train):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(5)).double().eval()
    weights = Weights.of(model)
    fresh = recompute(
        model,
        weights.buffers,
        lambda buffers: functional_call(model, {**weights.named, **buffers}, (train[0],)),
    )
    np.testing.assert_allclose(fresh["1.running_mean"], train[0].numpy().mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fresh["1.running_var"], train[0].numpy().var(axis=0, ddof=1), rtol=1e-12)
    assert torch.equal(weights.buffers["1.running_mean"], torch.zeros(5, dtype=torch.float64)), "not changed"


def test_batch_norm_2d_gathers_over_batch_and_space(images):
    inputs, _ = images(30)
    inputs = inputs.double()
    model = nn.BatchNorm2d(2).double().eval()
    model.running_mean.fill_(float("nan"))  # a diverged checkpoint's statistics do not linger
    weights = Weights.of(model)

    def forward(buffers):
        for part in inputs.split(10):
            functional_call(model, {**weights.named, **buffers}, (part,))

    fresh = recompute(model, weights.buffers, forward)
    parts = inputs.numpy().reshape(3, 10, 2, 6, 5)
    np.testing.assert_allclose(fresh["running_mean"], parts.mean(axis=(0, 1, 3, 4)), rtol=1e-12)
    np.testing.assert_allclose(
        fresh["running_var"], parts.var(axis=(1, 3, 4), ddof=1).mean(axis=0), rtol=1e-12
    )


def test_instance_norm_that_keeps_statistics_gathers_them_too():
    x = 3 * torch.randn(12, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    model = nn.InstanceNorm1d(3, track_running_stats=True).double().eval()

    def forward(buffers):
        for part in x.split(4):
            functional_call(model, buffers, (part,))

    fresh = recompute(model, dict(model.named_buffers()), forward)
    np.testing.assert_allclose(fresh["running_mean"], x.numpy().mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(fresh["running_var"], x.numpy().var(axis=2, ddof=1).mean(axis=0), rtol=1e-12)


def test_only_layers_that_keep_statistics_count():
    model = nn.ModuleDict({
        "kept": nn.BatchNorm1d(2),
        "none": nn.BatchNorm1d(2, track_running_stats=False),
        "layer": nn.LayerNorm(2),
        "instance": nn.InstanceNorm1d(2),
    })
    assert list(layers_with_running_statistics(model)) == ["kept"]


def test_gathering_restores_flags_momentum_and_hooks_also_after_an_error():
    model = nn.Sequential(
        nn.BatchNorm1d(2, momentum=0.3), nn.BatchNorm1d(2, momentum=None), nn.Dropout()
    ).eval()
    model[1].train()

    def interrupted():
        with gathering(model):
            assert [layer.training for layer in model] == [True, True, False]
            model(torch.randn(5, 2))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert [layer.training for layer in model] == [False, True, False]
    assert [layer.momentum for layer in model[:2]] == [0.3, None]
    assert not any(layer._forward_pre_hooks for layer in model)
