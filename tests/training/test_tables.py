"""The tables that scikit-learn brings along: their sizes as published, their splits, their units."""

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from study.training.tables import TABLES, breast_cancer, diabetes, wine
from study.training.tasks import Classification, Regression

PUBLISHED = {
    "diabetes": (442, 10, Regression(1)),
    "breast_cancer": (569, 30, Classification(2)),
    "wine": (178, 13, Classification(3)),
}
"""Examples, measurements and targets, as their publications state them."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_as_published_and_standardised_by_its_training_split(name: str):
    data = TABLES[name](0.2)
    examples, measurements, task = PUBLISHED[name]
    assert (data.name, data.task, data.input_shape) == (name, task, (measurements,))
    assert (len(data.test), len(data.train)) == (-(-examples // 5), examples - -(-examples // 5))
    inputs = data.train.inputs.double()
    torch.testing.assert_close(inputs.mean(0), torch.zeros(measurements).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(inputs.std(0, correction=0), torch.ones(measurements).double())
    assert data.digest == TABLES[name](0.2).digest != TABLES[name](0.3).digest


@pytest.mark.parametrize(("load", "table"), [(breast_cancer, "breast_cancer"), (wine, "wine")])
def test_the_split_of_classes_is_stratified_and_in_order(load, table):
    """The test split's rows are found in scikit-learn's table by its own scaler."""
    original = getattr(datasets, f"load_{table}")()
    data = load(0.2)
    shares = np.bincount(original.target) / len(original.target)
    for split in (data.train, data.test):
        own = np.bincount(split.targets.numpy()) / len(split)
        np.testing.assert_allclose(own, shares, atol=1 / len(split))
    # A line through every column is undone by standardising: both are the same table up to it.
    together = torch.cat([data.train.inputs, data.test.inputs]).double().numpy()
    ours = StandardScaler().fit_transform(together)
    theirs = StandardScaler().fit_transform(original.data)
    at = [int(np.abs(theirs - row).max(axis=1).argmin()) for row in ours]
    assert sorted(at) == list(range(len(theirs)))
    np.testing.assert_allclose(ours, theirs[at], atol=1e-4)
    assert at[: len(data.train)] == sorted(at[: len(data.train)])
    np.testing.assert_array_equal(original.target[at], torch.cat([data.train.targets, data.test.targets]))


def test_a_loss_of_one_is_the_variance_of_the_training_targets():
    """So the stated scale brings a root mean square back to the score of 25 … 346 (Efron et al. 2004)."""
    data = diabetes()
    targets = torch.cat([data.train.targets, data.test.targets]).double()
    assert data.train.targets.shape == (353,)
    assert data.train.targets.double().square().mean().item() == pytest.approx(1.0, rel=1e-6)
    assert (targets.max() - targets.min()).item() == pytest.approx((346 - 25) / 78.30, rel=1e-4)


@pytest.mark.parametrize(("name", "fraction", "least"), [("wine", 0.999, 3), ("diabetes", 0.999, 2)])
def test_a_split_must_keep_examples(name, fraction, least):
    with pytest.raises(ValueError, match=f"^test_fraction must leave each split at least {least} of "):
        TABLES[name](fraction)
