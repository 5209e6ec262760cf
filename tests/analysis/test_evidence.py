"""t-tests about a bound against SciPy's own, their level and their power against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.evidence import Evidence, holm

TABLES = 4000


def test_one_group_is_scipys_t_test_about_a_bound():
    values = np.array([0.4, 1.1, 0.9, 1.6, 0.2, 0.8])
    found = Evidence.of_one(values)
    for bound in (-0.5, 0.3, 0.8, 2.0):
        assert found.above(bound) == pytest.approx(
            stats.ttest_1samp(values, bound, alternative="greater").pvalue
        )
        assert found.below(bound) == pytest.approx(
            stats.ttest_1samp(values, bound, alternative="less").pvalue
        )
    assert found.interval() == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.95))


def test_two_groups_are_scipys_welch_test():
    first, second = np.array([3.0, 3.5, 2.9, 4.1, 3.3]), np.array([1.0, 2.0, 1.8, 0.2, 2.9, 1.1, 0.7])
    found = Evidence.of_two(first, second)
    for bound in (0.0, 1.0, 2.5):
        own = stats.ttest_ind(first - bound, second, equal_var=False, alternative="greater")
        assert found.above(bound) == pytest.approx(own.pvalue)
        assert found.below(bound) == pytest.approx(1 - own.pvalue)
    assert found.freedom == pytest.approx(own.df)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    assert found.interval(0.9) == pytest.approx(expected)


def test_replicates_that_are_all_alike_are_tested_by_their_signs():
    found = Evidence.of_one([0.3] * 5)
    assert found.alike
    assert found.above(0.1) == pytest.approx(1 / 32)
    assert found.above(0.3) == 1.0
    assert found.below(0.1) == 1.0
    assert all(map(math.isnan, found.interval()))
    assert Evidence.of_one(0.1 + 1e-12 * np.arange(5)).alike
    assert Evidence.of_two([1.0] * 3, [0.0] * 5).above(0.5) == pytest.approx(1 / math.comb(8, 3))
    assert not Evidence.of_two([1.0, 1.0, 1.0], [0.0, 0.0, 0.1]).alike


def test_one_constant_group_leaves_the_others_degrees_of_freedom():
    assert Evidence.of_two([1.0] * 6, [0.0, 0.2, 0.1, 0.4]).freedom == pytest.approx(3.0)


@pytest.mark.parametrize("values", [[1.0], [1.0, float("inf")], [1.0, float("nan")]])
def test_what_cannot_be_tested_is_refused(values):
    with pytest.raises(ValueError, match="at least 2 values, all finite"):
        Evidence.of_one(values)


@pytest.mark.parametrize("counts", [(5,), (5, 5), (5, 9)])
def test_at_the_bound_one_table_in_twenty_is_below_a_twentieth(counts):
    generator = np.random.default_rng(0)
    below = 0
    for _ in range(TABLES):
        groups = [generator.normal(size=count) * (1 + 2 * place) for place, count in enumerate(counts)]
        groups[0] += 0.7
        found = Evidence.of_one(groups[0]) if len(groups) == 1 else Evidence.of_two(*groups)
        below += found.above(0.7) <= 0.05
    assert below / TABLES == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / TABLES))


@pytest.mark.parametrize("groups", [1, 2])
def test_the_number_that_a_power_needs_reaches_it(groups):
    """At the true spread: simulated studies of that many replicates decide as often as was stated."""
    generator = np.random.default_rng(1)
    spreads, gap, level, power = (1.0, 2.5)[:groups], 1.4, 0.0125, 0.8
    known = Evidence(0.0, 1.0, 1.0, (9,) * groups, tuple(spread**2 for spread in spreads), alike=False)
    needed = known.needed(gap, level, power)
    assert needed is not None
    reached = []
    for count in (needed, needed - 1):
        decided = 0
        for _ in range(TABLES):
            own = [spread * generator.normal(size=count) for spread in spreads]
            found = Evidence.of_one(own[0] + gap) if groups == 1 else Evidence.of_two(own[0] + gap, own[1])
            decided += found.above(0.0) <= level
        reached.append(decided / TABLES)
    error = 4 * math.sqrt(power * (1 - power) / TABLES)
    assert reached[0] > power - error
    assert reached[1] < power + error


def test_no_number_is_needed_where_none_would_do():
    found = Evidence.of_one([0.1, 0.2, 0.3])
    assert found.needed(0.0, 0.05) is None
    assert found.needed(-1.0, 0.05) is None
    assert found.needed(1e-4, 0.05) is None  # beyond a thousand
    assert Evidence.of_one([0.2] * 5).needed(0.1, 0.05 / 4) == 7  # 2⁻⁷ is the first below
    assert Evidence.of_one([0.1, 0.2, 0.3]).needed(1e6, 0.05) == 2


def test_holm_is_as_in_his_paper():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
