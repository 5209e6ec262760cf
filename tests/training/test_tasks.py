"""The loss and the score of each task, against their definitions and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score

from study.training.data import DataSet, Examples, validate
from study.training.tasks import Classification, Regression

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS, NUMBERS = torch.randn(2, 7, 3, generator=GENERATOR)


@pytest.mark.parametrize(("outputs", "shape"), [(3, (7, 3)), (1, (7, 1)), (1, (7,))])
def test_the_squared_error_is_sklearns(outputs, shape):
    given, wanted = OUTPUTS[:, :outputs], NUMBERS[:, :outputs].reshape(shape)
    task = Regression(outputs)
    losses = task.loss(given, wanted)
    assert losses.shape == (7,)
    expected = mean_squared_error(wanted, given.reshape(shape))
    assert losses.mean().item() == pytest.approx(expected, rel=1e-6)
    assert task.minimised(given, wanted, 0.0).item() == pytest.approx(expected, rel=1e-6)
    wanted_r2 = r2_score(wanted, given.reshape(shape), multioutput="variance_weighted")
    assert task.score(given, wanted) == pytest.approx(wanted_r2, rel=1e-6)


def test_the_mean_of_the_targets_scores_zero_and_constant_targets_have_no_score():
    wanted = NUMBERS[:, 0]
    assert Regression(1).score(wanted.mean().repeat(7)[:, None], wanted) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(Regression(1).score(OUTPUTS[:, :1], torch.full((7,), 2.0)))


def test_a_column_is_never_held_against_a_row():
    """(N, 1) less (N,) is an (N, N) matrix, whose mean is a loss of another kind."""
    with pytest.raises(ValueError, match=r"shape \(7, 1\) of their targets, got \(7,\)$"):
        Regression(1).loss(OUTPUTS[:, 0], NUMBERS[:, 0])
    with pytest.raises(ValueError, match=r"shape \(7, 3\) of their targets, got \(7, 1\)$"):
        Regression(3).loss(OUTPUTS[:, :1], NUMBERS)


def test_the_cross_entropy_and_the_accuracy_are_sklearns():
    classes = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    chances = OUTPUTS.double().softmax(dim=1)
    task = Classification(3)
    assert task.loss(OUTPUTS, classes).mean().item() == pytest.approx(log_loss(classes, chances), rel=1e-6)
    assert task.score(OUTPUTS, classes) == accuracy_score(classes, OUTPUTS.argmax(1))


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (1, torch.zeros(4, 2), r"must be float32 of shape \(N,\) or \(N, 1\), got torch.float32 \(4, 2\)"),
        (2, torch.zeros(4), r"must be float32 of shape \(N, 2\), got torch.float32 \(4,\)"),
        (1, torch.zeros(4).double(), r"must be float32 of shape .*, got torch.float64 \(4,\)"),
        (1, torch.tensor([0.0, 1.0, float("inf"), 2.0]), r"must be finite, got inf in example 2"),
        (1, torch.zeros(3), r"inputs and targets must be as many, got 4 and 3"),
    ],
)
def test_targets_that_are_no_such_numbers_are_refused(outputs, targets, message):
    split = Examples(torch.zeros(4, 5), targets)
    with pytest.raises(ValueError, match=f"^mine: train .*{message}$"):
        validate(DataSet("mine", split, split, Regression(outputs)))


def test_labels_of_numbers_are_not_smoothed():
    with pytest.raises(ValueError, match="must be 0 for regression"):
        Regression(3).minimised(OUTPUTS, NUMBERS, 0.1)
