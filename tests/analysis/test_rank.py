"""Rank correlation against closed forms and SciPy's own."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from study.analysis.rank import FEWEST, granulated_kendall, rank_correlation


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


def test_granulated_kendall_is_by_hand_what_it_says():
    """Two settings of two values each: four pairs that differ in one of them."""
    settings = [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    x = np.array([1.0, 2.0, 3.0, 4.0])
    y = np.array([1.0, 2.0, 0.5, 3.0])
    # first setting: (1, a)-(2, a) disagrees, (1, b)-(2, b) agrees: 0. Second: both agree: 1.
    assert granulated_kendall(x, y, settings, [0, 1]) == pytest.approx(0.5)
    assert granulated_kendall(x, y, settings, [0]) == pytest.approx(0.0)
    assert granulated_kendall(x, y, settings, [1]) == pytest.approx(1.0)


def test_over_one_setting_it_is_kendalls_tau():
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(2, 9))
    own = granulated_kendall(x, y, [(place,) for place in range(9)], [0])
    assert own == pytest.approx(kendalltau(x, y).statistic)


def test_a_correlation_that_another_setting_makes_does_not_count():
    """Both grow with the width; at one width they are unrelated (Jiang et al. 2020, section 4)."""
    settings = [(width, seed) for width in range(4) for seed in range(4)]
    within = {0: 0, 1: 1, 2: 2, 3: 3}, {0: 1, 1: 3, 2: 0, 3: 2}  # τ of these is 0
    x, y = (np.array([10.0 * width + order[place] for width, place in settings]) for order in within)
    assert granulated_kendall(x, y, settings, [1]) == pytest.approx(
        kendalltau([0, 1, 2, 3], [1, 3, 0, 2]).statistic
    )
    assert granulated_kendall(x, y, settings, [0, 1]) < kendalltau(x, y).statistic


def test_without_a_pair_it_is_undefined():
    assert np.isnan(granulated_kendall(np.arange(2.0), np.arange(2.0), [(1, 1), (2, 2)], [0, 1]))
    assert np.isnan(granulated_kendall(np.arange(2.0), np.arange(2.0), [(1,), (1,)], [0]))
