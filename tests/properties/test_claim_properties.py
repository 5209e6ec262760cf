"""Verdicts on any values: what must change nothing, what must mirror, and what may never be said."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from study.analysis.evidence import Evidence, holm
from study.analysis.verdicts import LEVEL, Direction, Hypothesis, Outcome, judge
from study.claims import Judged, in_words, metrics, table, verdicts
from study.config_claims import DIFFERENCE, RATIO, ClaimConfig
from study.errors import ConfigError
from study.keys import check
from study.replicates import Item, Items

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=100)
MEASURE = "contour/train/basin_width"
OPPOSITE = {"above": "below", "below": "above", "same": "same"}
Runs = dict[int, list[tuple[int, float]]]  # by batch size, (seed, value) of each
POSITIVE = st.floats(0.01, 100.0)
ANY = st.one_of(st.floats(-100.0, 100.0), st.floats(-1e38, 1e38), st.sampled_from([0.0, 1.0, -1.0]))
P_VALUES = st.lists(st.floats(0.0, 1.0), max_size=8)


@st.composite
def claims(draw: st.DrawFn, compared_as: str | None = None) -> ClaimConfig:
    """A claim about the runs of batch size 64 against those of 256."""
    how = compared_as or draw(st.sampled_from([RATIO, DIFFERENCE]))
    direction = draw(st.sampled_from(sorted(OPPOSITE)))
    least = 1.0 if how == RATIO else 0.0
    return ClaimConfig(
        says="a claim",
        paper="",
        measure=MEASURE,
        runs={"training.batch_size": 64},
        against={"training.batch_size": 256},
        direction=direction,
        smallest=least + draw(st.sampled_from([0.01, 0.1, 0.5] if direction == "same" else [0.0, 0.1, 0.5])),
        compared_as=how,
    )


@st.composite
def groups(draw: st.DrawFn, values: st.SearchStrategy[float] = POSITIVE) -> Runs:
    """By batch size, (seed, value) of each run: of the same seeds, or of seeds of their own."""
    common = draw(st.booleans())
    found = {}
    for place, size in enumerate((64, 256)):
        number = draw(st.integers(5, 8))
        centre, spread = draw(values), draw(st.sampled_from([0.0, 0.01, 0.3, 1.0]))
        noise = draw(st.lists(st.floats(0.5, 1.5), min_size=number, max_size=number))
        seeds = range(0 if common else 100 * place, number + (0 if common else 100 * place))
        found[size] = [
            (seed, centre * (1 + spread * (own - 1))) for seed, own in zip(seeds, noise, strict=True)
        ]
    return found


def items(runs: Runs, order: list[int] | None = None) -> Items:
    found = [
        Item(({"seed": seed, "training.batch_size": size},), {MEASURE: value})
        for size, own in runs.items()
        for seed, value in own
    ]
    return Items([found[at] for at in order] if order else found, [], ["training.batch_size"])


def judged(claim: ClaimConfig, runs: Runs, order: list[int] | None = None) -> Judged:
    (found,) = verdicts({"claim": claim}, items(runs, order))
    return found


def assert_alike(first: Judged, second: Judged) -> None:
    """The same, up to rounding; a p beside the level may fall on either side of it."""
    own, other = first.verdict, second.verdict
    for name in ("p", "p_opposite"):
        np.testing.assert_allclose(getattr(own, name), getattr(other, name), rtol=1e-5, atol=1e-12)
    if all(abs(p - LEVEL) > 1e-6 for p in (own.p, own.p_opposite)):
        assert own.outcome is other.outcome


def is_clear(runs: Runs) -> bool:
    """Whether the values differ by far more than rounding: not where a test by signs takes over."""
    spreads = [np.std([value for _seed, value in own]) / abs(own[0][1] or 1.0) for own in runs.values()]
    return max(spreads) > 1e-4


@FIXED
@given(claims(), groups())
def test_swapped_groups_and_the_opposite_direction_have_the_mirrored_outcome(claim, runs):
    assume(is_clear(runs))
    swapped = replace(claim, runs=claim.against, against=claim.runs, direction=OPPOSITE[claim.direction])
    first, second = judged(claim, runs), judged(swapped, runs)
    assert_alike(first, second)
    mirror = (lambda value: 1 / value) if claim.compared_as == RATIO else (lambda value: -value)
    ends = [mirror(value) for value in (second.effect, second.high, second.low)]
    size = max(abs(value) for own in runs.values() for _seed, value in own)
    np.testing.assert_allclose([first.effect, first.low, first.high], ends, rtol=1e-6, atol=1e-9 * size)


@FIXED
@given(claims(RATIO), groups(), st.integers(-60, 60))
def test_the_unit_of_a_positive_measure_does_not_matter_to_a_ratio(claim, runs, exponent):
    assume(is_clear(runs))
    scaled = {size: [(seed, value * 2.0**exponent) for seed, value in own] for size, own in runs.items()}
    assert_alike(judged(claim, runs), judged(claim, scaled))
    assert judged(claim, scaled).effect == pytest.approx(judged(claim, runs).effect)


@FIXED
@given(claims(DIFFERENCE), groups(), st.integers(-60, 60))
def test_a_difference_in_another_unit_with_its_bound_in_it_is_judged_the_same(claim, runs, exponent):
    factor = 2.0**exponent
    scaled = {size: [(seed, value * factor) for seed, value in own] for size, own in runs.items()}
    assert_alike(judged(claim, runs), judged(replace(claim, smallest=claim.smallest * factor), scaled))


@FIXED
@given(claims(), groups(), st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(claim, runs, random):
    assume(is_clear(runs))
    order = random.sample(range(total := sum(map(len, runs.values()))), total)
    first, second = judged(claim, runs), judged(claim, runs, order)
    assert_alike(first, second)
    assert (first.replicates, first.verdict.reason) == (second.replicates, second.verdict.reason)
    np.testing.assert_allclose(first.effect, second.effect, rtol=1e-6, atol=1e-9)


@FIXED
@given(st.lists(claims(), min_size=2, max_size=5), groups(), st.randoms(use_true_random=False))
def test_the_order_of_claims_does_not_matter(several, runs, random):
    named = {f"c{place}": claim for place, claim in enumerate(several)}
    shuffled = dict(random.sample(sorted(named.items()), len(named)))
    first = {own.name: own for own in verdicts(named, items(runs))}
    second = {own.name: own for own in verdicts(shuffled, items(runs))}
    for name in named:
        assert_alike(first[name], second[name])


@FIXED
@given(st.lists(st.floats(-10.0, 10.0), min_size=2, max_size=12), st.floats(-5.0, 5.0), st.integers(2, 5))
def test_more_replicates_of_the_same_values_say_the_same_more_clearly(values, bound, times):
    assume(np.std(values) > 1e-3)
    few, many = Evidence.of_one(values), Evidence.of_one(values * times)
    assert many.effect == pytest.approx(few.effect, abs=1e-12)
    (low, high), (lower, higher) = few.interval(), many.interval()
    assert low < lower < higher < high
    assume(abs(few.effect - bound) > 1e-9)
    if few.effect > bound:
        assert many.above(bound) <= few.above(bound) <= 0.5 <= few.below(bound) <= many.below(bound)
    else:
        assert many.below(bound) <= few.below(bound) <= 0.5 <= few.above(bound) <= many.above(bound)


@FIXED
@given(st.lists(st.floats(-10.0, 10.0), min_size=2, max_size=9), st.floats(-9.0, 9.0), st.floats(0.0, 5.0))
def test_a_stricter_bound_is_never_easier_to_pass_and_the_two_sides_share_all_doubt(values, bound, more):
    found = Evidence.of_one(values)
    assert found.above(bound) <= found.above(bound + more)
    assert found.below(bound + more) <= found.below(bound)
    assert found.above(bound) + found.below(bound) >= 1 - 1e-12
    mirrored = Evidence.of_one([-value for value in values])
    assert mirrored.below(-bound) == pytest.approx(found.above(bound), rel=1e-9, abs=1e-12)


@FIXED
@given(POSITIVE, st.integers(5, 9), st.integers(5, 9), st.sampled_from([1.0, 1.1, 1.5]), st.booleans())
def test_replicates_that_lie_on_the_bound_decide_nothing(value, number, others, factor, paired):
    """They differ by the rounding of their means and logarithms alone, whatever sign that has."""
    claim = ClaimConfig(
        says="", paper="", measure=MEASURE, runs={"training.batch_size": 64},
        against={"training.batch_size": 256}, direction="above", smallest=factor, compared_as=RATIO,
    )  # fmt: skip
    runs = {
        64: [(seed, value * factor) for seed in range(number)],
        256: [(seed + (0 if paired else 100), value) for seed in range(number if paired else others)],
    }
    for direction, smallest in (("above", factor), ("below", 1 / factor)):
        if smallest >= 1:
            found = judged(replace(claim, direction=direction, smallest=smallest), runs)
            assert found.verdict.outcome is not Outcome.REPRODUCED, found.verdict
            assert found.verdict.p_opposite == 1.0


@FIXED
@given(P_VALUES, st.randoms(use_true_random=False))
def test_an_adjusted_p_is_never_below_the_raw_one_and_keeps_their_order(values, random):
    adjusted = holm(values)
    assert all(
        raw <= own <= min(1.0, raw * len(values)) + 1e-15 for raw, own in zip(values, adjusted, strict=True)
    )
    pairs = sorted(zip(values, adjusted, strict=True))
    assert [own for _raw, own in pairs] == sorted(adjusted)
    order = random.sample(range(len(values)), len(values))
    assert holm([values[at] for at in order]) == [adjusted[at] for at in order]


@FIXED
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.floats(0.0, 1.0))
def test_another_claim_never_makes_those_before_it_easier(values, other):
    alone, among = holm(values), holm([*values, other])
    assert all(own <= later for own, later in zip(alone, among, strict=False))
    assert holm(values[:1]) == values[:1]


@FIXED
@given(
    st.lists(
        st.tuples(st.sampled_from(Direction), st.floats(0.01, 3.0), st.lists(ANY, min_size=2, max_size=9)),
        min_size=1,
        max_size=5,
    )
)
def test_no_claim_is_both_and_a_decided_effect_lies_on_the_side_that_is_said(drawn):
    tested = [(Hypothesis(own, smallest), Evidence.of_one(values)) for own, smallest, values in drawn]
    for (hypothesis, found), verdict in zip(tested, judge(tested), strict=True):
        low, high = hypothesis.range
        assert not (verdict.p <= LEVEL and verdict.p_opposite <= LEVEL)
        if verdict.outcome is Outcome.REPRODUCED:
            assert verdict.p <= LEVEL < verdict.p_opposite
            assert low < found.effect < high
        elif verdict.outcome is Outcome.NOT_REPRODUCED:
            assert verdict.p_opposite <= LEVEL < verdict.p
            assert not low <= found.effect <= high
        else:
            assert verdict.reason
        if min(found.counts) < 5:
            assert verdict.outcome is Outcome.INCONCLUSIVE


@FIXED
@given(claims(), groups(), st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans(), st.data())
def test_a_value_that_is_not_finite_never_makes_a_claim_reproduced(claim, runs, value, exact, data):
    size = data.draw(st.sampled_from([64, 256]))
    place = data.draw(st.integers(0, 4))
    runs[size][place] = (runs[size][place][0], value)
    found = judged(replace(claim, exact=exact or None), runs)
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert found.verdict.reason
    assert metrics([found]) == {}
    assert in_words(table([found])).loc[0, "verdict"] == "inconclusive"


@FIXED
@given(groups(), st.sampled_from([0.0, -1.0, -5e-324]), st.data())
def test_a_ratio_of_what_is_not_above_zero_is_never_taken(runs, value, data):
    size = data.draw(st.sampled_from([64, 256]))
    runs[size][0] = (runs[size][0][0], value)
    claim = data.draw(claims(RATIO))
    assert judged(claim, runs).verdict.outcome is Outcome.INCONCLUSIVE


@FIXED
@given(claims(), groups(st.floats(1e-30, 1e30)))
def test_values_of_any_size_are_judged_and_said(claim, runs):
    found = judged(claim, runs)
    assert found.verdict.outcome in Outcome
    assert len(in_words(table([found]))) == 1
    if not math.isnan(found.verdict.p):
        assert 0 <= found.verdict.p <= 1
        assert 0 <= found.verdict.p_opposite <= 1


@FIXED
@given(claims(), st.sampled_from(["smallest", "than", "paper_effect"]), st.sampled_from([math.nan, math.inf]))
def test_a_claim_about_no_number_is_refused(claim, name, value):
    if name == "than":
        claim = replace(claim, against=None)
    with pytest.raises(ConfigError, match=f"claims.c.{name} must be finite"):
        check({"claims": {"c": replace(claim, **{name: value})}})
