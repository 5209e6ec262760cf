"""Losses that are not as they should be: one line, or the number that follows from what they return."""

# ruff: noqa: E501  # messages stand whole

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from study import Grid, Line, Objective, Status, Weights, evaluate

cross_entropy = partial(nn.functional.cross_entropy, reduction="none")


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def examples(count: int = 40):
    inputs = torch.randn(count, 5, generator=torch.Generator().manual_seed(1))
    return inputs, torch.arange(count) % 3


def read(loss, **settings):
    model = network()
    return evaluate(model, loss, [examples()], Line.random(model), Grid.line(-1, 1, 3), **settings)


def by_hand() -> np.ndarray:
    """The cross-entropy of each example at the centre, by NumPy from logits in float64."""
    inputs, labels = examples()
    with torch.no_grad():
        logits = network()(inputs).double().numpy()
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(40), labels.numpy()]


REFUSED = {
    "nothing": (lambda o, t: None, "the loss must be a scalar or have shape (40,), one value an example, got NoneType"),
    "a float": (lambda o, t: float(cross_entropy(o, t).mean()), "one value an example, got float"),
    "an array": (lambda o, t: cross_entropy(o, t).numpy(), "one value an example, got ndarray"),
    "a tuple": (lambda o, t: (cross_entropy(o, t), o), "one value an example, got tuple"),
    "a dict": (lambda o, t: {"loss": cross_entropy(o, t)}, "one value an example, got dict"),
    "a column": (lambda o, t: cross_entropy(o, t)[:, None], "one value an example, got shape (40, 1)"),
    "a row": (lambda o, t: cross_entropy(o, t)[None], "one value an example, got shape (1, 40)"),
    "one an output": (lambda o, t: o.square(), "one value an example, got shape (40, 3)"),
    "none at all": (lambda o, t: cross_entropy(o, t)[:0], "one value an example, got shape (0,)"),
    "one too few": (lambda o, t: cross_entropy(o, t)[1:], "one value an example, got shape (39,)"),
    "one too many": (lambda o, t: nn.functional.pad(cross_entropy(o, t), (0, 1)), "got shape (41,)"),
    "a mean of one entry": (lambda o, t: cross_entropy(o, t).mean()[None], "got shape (1,)"),
    "complex": (lambda o, t: cross_entropy(o, t) * (1 + 1j), "the loss must be real, got torch.complex64"),
    "a complex mean": (lambda o, t: cross_entropy(o, t).mean() * 1j, "the loss must be real, got torch.complex64"),
    "a sum": (lambda o, t: cross_entropy(o, t).sum(), "a scalar loss must be the mean of the batch, got the sum"),
    "a sum by torch": (partial(nn.functional.cross_entropy, reduction="sum"), "must be the mean of the batch, got the sum"),
    "a negative sum": (lambda o, t: -cross_entropy(o, t).sum(), "must be the mean of the batch, got the sum"),
    "a sum over outputs": (lambda o, t: o.square().sum(), "must be the mean of the batch, got the sum"),
    "torch's module of sums": (nn.CrossEntropyLoss(reduction="sum"), "got one with reduction 'sum'"),
    "one that writes to targets": (lambda o, t: cross_entropy(o, t.add_(1).remainder_(3)), "and the loss to no target"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_loss_is_refused_in_one_line(name):
    loss, message = REFUSED[name]
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared whole below
        read(loss)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError, RuntimeError, ValueError])
def test_what_a_loss_raises_is_the_callers_and_the_model_is_whole(error):
    def loss(outputs, targets):
        raise error("the loss broke")

    model = network().train()
    before = [tensor.clone() for tensor in model.parameters()]
    with pytest.raises(error, match="the loss broke"):
        evaluate(model, loss, [examples()], Line.random(model), Grid.line(-1, 1, 3))
    assert model.training
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


EXPECTED = {
    "float64": (lambda o, t: cross_entropy(o.double(), t), lambda own: own, 1e-6),
    "float16": (lambda o, t: cross_entropy(o, t).half(), lambda own: own, 1e-3),
    "integers": (lambda o, t: (cross_entropy(o, t) * 10).long(), lambda own: np.floor(own * 10), 1e-12),
    "whether it errs": (lambda o, t: cross_entropy(o, t) > 1.1, lambda own: own > 1.1, 1e-12),
    "without a gradient": (lambda o, t: cross_entropy(o, t).detach(), lambda own: own, 1e-6),
    "negative": (lambda o, t: -cross_entropy(o, t), lambda own: -own, 1e-6),
    "huge": (lambda o, t: cross_entropy(o, t) * 1e30, lambda own: own * 1e30, 1e-6),
    "zero": (lambda o, t: cross_entropy(o, t) * 0, lambda own: own * 0, 1e-12),
    "a mean": (lambda o, t: cross_entropy(o, t).mean(), lambda own: own, 1e-6),
    "a mean by torch": (nn.CrossEntropyLoss(), lambda own: own, 1e-6),
    "a constant": (lambda o, t: torch.tensor(3), lambda own: 0 * own + 3, 1e-12),
    "a mean of zero": (lambda o, t: cross_entropy(o, t).mean() * 0, lambda own: own * 0, 1e-12),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_an_unusual_loss_has_the_mean_that_numpy_has(name):
    loss, of, tolerance = EXPECTED[name]
    found = read(loss)
    assert found.points["centre"].values["loss"] == pytest.approx(
        of(by_hand()).mean(), rel=tolerance, abs=1e-12
    )
    assert (found.status == Status.EVALUATED).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("where", ["everywhere", "one example"])
def test_a_loss_that_is_no_number_is_diverged_and_never_left_out(value, where):
    def loss(outputs, targets):
        own = cross_entropy(outputs, targets)
        return torch.where(torch.arange(len(own)) < (len(own) if where == "everywhere" else 1), value, own)

    found = read(loss)
    np.testing.assert_array_equal(found.values["loss"], value)
    assert (found.status == Status.DIVERGED).all()
    assert np.isnan(found.values["loss_standard_error"]).all()


def test_a_loss_that_writes_to_the_outputs_does_not_change_the_accuracy():
    plain, writing = read(cross_entropy), read(lambda o, t: cross_entropy(o.neg_(), t))
    np.testing.assert_array_equal(plain.values["accuracy"], writing.values["accuracy"])


def test_a_loss_of_one_example_is_both_a_mean_and_a_sum_and_no_error():
    model = network()
    data = [examples(1)]
    found = evaluate(model, nn.CrossEntropyLoss(), data, Line.random(model), Grid.line(-1, 1, 3))
    inputs, labels = data[0]
    assert found.points["centre"].values["loss"] == pytest.approx(
        nn.functional.cross_entropy(model(inputs), labels).item(), rel=1e-6
    )


@pytest.mark.parametrize("name", ["nothing", "a float", "a column", "complex", "one too few"])
def test_derivatives_refuse_the_same_losses(name):
    loss, message = REFUSED[name]
    model = network()
    objective = Objective(model, loss, *examples())
    with pytest.raises((ValueError, RuntimeError)) as error:
        objective.value_and_gradient(Weights.of(model))
    assert message in str(error.value)


SETTINGS = {
    "micro_batch": (0, "micro_batch must be at least 1, got 0"),
    "points_at_once": (0, "points_at_once must be at least 1, got 0"),
    "precision": ("float16", "precision must be one of float32, bfloat16, got 'float16'"),
    "batch_statistics": (
        "forzen",
        "batch_statistics must be one of frozen, interpolated, recomputed, got 'forzen'",
    ),
    "tolerance": (float("nan"), "tolerance must be above 0 and finite, got nan"),
    "population": (39, "population must be at least the 40 examples, got 39"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_out_of_range_are_refused_in_one_line(name):
    value, message = SETTINGS[name]
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared whole below
        read(cross_entropy, **{name: value})
    assert str(error.value) == message


@pytest.mark.parametrize("tolerance", [float("inf"), 0, -1.0])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(ValueError, match=rf"^tolerance must be above 0 and finite, got {tolerance}$"):
        read(cross_entropy, tolerance=tolerance)
