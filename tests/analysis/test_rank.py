"""Rank correlation against closed forms and SciPy's own."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from study.analysis.rank import FEWEST, rank_correlation


def test_it_is_spearmans_with_ties():
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    y = np.array([2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0])
    assert rank_correlation(x, y).rho == pytest.approx(spearmanr(x, y).statistic, rel=1e-12)


def test_a_monotone_relation_is_one_whatever_its_shape():
    x = np.arange(10.0)
    found = rank_correlation(x, np.exp(x))
    assert found.rho == pytest.approx(1.0)
    assert found.interval == pytest.approx((1.0, 1.0))
    assert rank_correlation(x, -(x**3)).rho == pytest.approx(-1.0)


def test_the_interval_is_there_from_eight_on_and_covers_as_it_says():
    generator = np.random.default_rng(1)
    few = rank_correlation(*generator.normal(size=(2, FEWEST - 1)))
    assert few.interval is None
    covered = 0
    for _ in range(60):
        x = generator.normal(size=40)
        y = x + generator.normal(size=40)
        low, high = rank_correlation(x, y).interval
        assert low < high
        covered += low <= 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2) <= high  # ρ of a bivariate normal
    assert covered >= 50  # of 60; a binomial of 0.95 is below with a chance of 0.002


def test_the_same_pairs_give_the_same_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    assert rank_correlation(x, y) == rank_correlation(x, y)


@pytest.mark.parametrize("y", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, np.nan, np.nan]])
def test_what_has_no_rank_has_no_correlation(y: list[float]):
    found = rank_correlation(np.arange(4.0), np.array(y))
    assert np.isnan(found.rho)
    assert found.words() == f"ρ undefined, n = {found.count}"


def test_an_infinite_measure_ranks_above_all_others():
    assert rank_correlation(np.array([1.0, 2.0, np.inf]), np.array([1.0, 2.0, 3.0])).rho == pytest.approx(1.0)


def test_words_for_people():
    x = np.arange(9.0)
    assert rank_correlation(x, -x).words() == "ρ = −1.00 [−1.00, −1.00], n = 9"
