"""Tables of numbers that scikit-learn brings along: no files to fetch and no network."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from study.training.data import DataSet, Examples, halves, validate
from study.training.tasks import Classification, Regression


def diabetes(test_fraction: float = 0.2) -> DataSet:
    """Disease progression of 442 patients a year on, from 10 measurements (Efron et al. 2004); regression.

    The split is always the same, and keeps the order of the original. Each measurement is brought to mean 0
    and standard deviation 1 over the training split, and so is the target: a loss of 1 is the variance of the
    training targets. With `test_fraction` 0.2 their standard deviation is 78.30, so that a root of the loss
    times 78.30 is an error in the original score, 25 … 346.

    Args:
        test_fraction: share of the examples in the test split, rounded up to a whole number of them.

    Raises:
        ValueError: If `test_fraction` does not leave each split at least two examples.
    """
    from sklearn.datasets import load_diabetes  # here and below: other data sets need not wait for it

    table = load_diabetes(scaled=False)
    chosen = halves(len(table.target), test_fraction, fewest=2)
    train, test = (
        Examples(inputs, targets)
        for inputs, targets in zip(
            _standardised(table.data, *chosen), _standardised(table.target, *chosen), strict=True
        )
    )
    return validate(DataSet("diabetes", train, test, Regression(1)))


def breast_cancer(test_fraction: float = 0.2) -> DataSet:
    """569 tumours, malignant (0) or benign (1), by 30 measurements of cell nuclei (Street et al. 1993).

    The split is stratified and always the same, and keeps the order of the original. Each measurement is
    brought to mean 0 and standard deviation 1 over the training split.

    Args:
        test_fraction: as for `diabetes`.

    Raises:
        ValueError: If `test_fraction` does not leave each split as many examples as there are classes.
    """
    from sklearn.datasets import load_breast_cancer

    return _classes("breast_cancer", load_breast_cancer(), test_fraction)


def wine(test_fraction: float = 0.2) -> DataSet:
    """178 wines of three growers, by 13 chemical measurements (Aeberhard et al. 1994).

    The split and the standardisation are those of `breast_cancer`.

    Args:
        test_fraction: as for `diabetes`.

    Raises:
        ValueError: If `test_fraction` does not leave each split as many examples as there are classes.
    """
    from sklearn.datasets import load_wine

    return _classes("wine", load_wine(), test_fraction)


TABLES: dict[str, Callable[[float], DataSet]] = {
    "diabetes": diabetes,
    "breast_cancer": breast_cancer,
    "wine": wine,
}
"""Each table, by its name."""


def _classes(name: str, table: Any, test_fraction: float) -> DataSet:
    """A table whose targets are classes."""
    classes = len(table.target_names)
    chosen = halves(len(table.target), test_fraction, classes, table.target)
    train, test = (
        Examples(inputs, torch.from_numpy(table.target[half].astype(np.int64)))
        for inputs, half in zip(_standardised(table.data, *chosen), chosen, strict=True)
    )
    return validate(DataSet(name, train, test, Classification(classes)))


def _standardised(values: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[Tensor, Tensor]:
    """Both splits, each column by its mean and standard deviation over the training split; float32.

    Computed in float64 and rounded once. A column of one value is only centred.
    """
    mean, std = values[train].mean(axis=0), values[train].std(axis=0)
    scaled = (values - mean) / np.where(std == 0, 1.0, std)
    return torch.from_numpy(scaled[train]).float(), torch.from_numpy(scaled[test]).float()
