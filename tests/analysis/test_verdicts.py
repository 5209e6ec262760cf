"""Verdicts by known effects; how often they are wrong, and how often reached, over made-up studies."""

import math

import numpy as np
import pytest

from study.analysis.evidence import Evidence
from study.analysis.verdicts import FEWEST, LEVEL, POWER, Direction, Hypothesis, Outcome, judge

ABOVE = Hypothesis(Direction.ABOVE, 0.5)
BELOW = Hypothesis(Direction.BELOW, 0.5)
SAME = Hypothesis(Direction.SAME, 0.5)
NOISE = np.array([-0.1, 0.05, 0.0, 0.1, -0.05])
STUDIES = 1500


def outcome(hypothesis: Hypothesis, effect: float, noise: float = 1.0) -> Outcome:
    (verdict,) = judge([(hypothesis, Evidence.of_one(effect + noise * NOISE))])
    return verdict.outcome


@pytest.mark.parametrize(
    ("effect", "above", "below", "same"),
    [
        (1.0, Outcome.REPRODUCED, Outcome.NOT_REPRODUCED, Outcome.NOT_REPRODUCED),
        (0.5, Outcome.INCONCLUSIVE, Outcome.NOT_REPRODUCED, Outcome.INCONCLUSIVE),
        (0.0, Outcome.NOT_REPRODUCED, Outcome.NOT_REPRODUCED, Outcome.REPRODUCED),
        (-0.5, Outcome.NOT_REPRODUCED, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
        (-1.0, Outcome.NOT_REPRODUCED, Outcome.REPRODUCED, Outcome.NOT_REPRODUCED),
    ],
)
def test_a_clear_effect_is_on_the_side_where_it_lies(effect, above, below, same):
    assert [outcome(each, effect) for each in (ABOVE, BELOW, SAME)] == [above, below, same]


def test_a_noisy_effect_is_inconclusive_and_the_number_that_would_do_is_said():
    (verdict,) = judge([(ABOVE, Evidence.of_one(0.8 + 8 * NOISE))])
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.needed > FEWEST
    assert "not told apart" in verdict.reason


def test_too_few_replicates_are_never_a_yes_or_a_no():
    clear = Evidence.of_one(9 + NOISE[: FEWEST - 1])
    (verdict,) = judge([(ABOVE, clear)])
    assert (verdict.outcome, math.isnan(verdict.p), verdict.needed) == (Outcome.INCONCLUSIVE, True, FEWEST)
    assert verdict.reason == "4 replicates, and at least 5 decide"
    (verdict,) = judge([(ABOVE, Evidence.of_two(9 + NOISE, NOISE[:4]))])
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_what_was_not_found_is_inconclusive_for_its_reason_and_counts_as_a_claim():
    fair = Evidence.of_one(0.6 + NOISE)
    (alone,) = judge([(ABOVE, fair)])
    among = judge([(ABOVE, fair), (ABOVE, "there is no such measure")])
    assert among[1].outcome is Outcome.INCONCLUSIVE
    assert among[1].reason == "there is no such measure"
    assert among[0].p == pytest.approx(2 * alone.p)


def test_more_claims_make_a_verdict_harder():
    fair = Evidence.of_one(0.6 + NOISE)
    assert judge([(ABOVE, fair)])[0].outcome is Outcome.REPRODUCED
    rest = [(ABOVE, Evidence.of_one(0.5 + NOISE))] * 39
    assert judge([(ABOVE, fair), *rest])[0].outcome is Outcome.INCONCLUSIVE


def _made_up(generator: np.random.Generator, effect: float, paired: bool, replicates: int) -> Evidence:
    values = effect + generator.normal(size=replicates)
    return Evidence.of_one(values) if paired else Evidence.of_two(values, generator.normal(size=replicates))


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("claims", [1, 5])
def test_at_most_one_study_in_twenty_has_a_false_claim_reproduced(paired, claims):
    """All effects at the very bound of what is claimed, where a false claim is hardest to tell."""
    generator = np.random.default_rng(claims + 10 * paired)
    bounds = [(ABOVE, 0.5), (BELOW, -0.5), (SAME, 0.5), (SAME, -0.5), (ABOVE, 0.5)][:claims]
    wrong = 0
    for _ in range(STUDIES):
        tested = [(each, _made_up(generator, effect, paired, FEWEST)) for each, effect in bounds]
        wrong += any(verdict.outcome is Outcome.REPRODUCED for verdict in judge(tested))
    assert wrong / STUDIES < LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / STUDIES)


def test_true_claims_beside_it_do_not_help_a_false_one():
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(STUDIES):
        tested = [(ABOVE, _made_up(generator, 30.0, True, FEWEST)) for _ in range(3)]
        tested.append((ABOVE, _made_up(generator, 0.5, True, FEWEST)))
        wrong += judge(tested)[-1].outcome is Outcome.REPRODUCED
    assert wrong / STUDIES == pytest.approx(LEVEL, abs=3 * math.sqrt(LEVEL * (1 - LEVEL) / STUDIES))


@pytest.mark.parametrize("hypothesis", [ABOVE, SAME])
def test_an_opposite_verdict_is_as_seldom_wrong(hypothesis):
    generator = np.random.default_rng(6)
    wrong = 0
    for _ in range(STUDIES):
        (verdict,) = judge([(hypothesis, _made_up(generator, 0.5, True, FEWEST))])
        wrong += verdict.outcome is Outcome.NOT_REPRODUCED
    assert wrong / STUDIES < LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / STUDIES)


@pytest.mark.parametrize(
    ("hypothesis", "effect", "wanted"),
    [
        (ABOVE, 1.5, Outcome.REPRODUCED),
        (BELOW, -1.5, Outcome.REPRODUCED),
        (ABOVE, -0.5, Outcome.NOT_REPRODUCED),
        (Hypothesis(Direction.SAME, 1.0), 0.2, Outcome.REPRODUCED),
        (Hypothesis(Direction.SAME, 1.0), 2.0, Outcome.NOT_REPRODUCED),
    ],
)
def test_with_the_number_that_is_said_to_be_needed_a_verdict_is_reached(hypothesis, effect, wanted):
    """Of claims that are decided one by one at the level of the least likely in a study of four."""
    generator = np.random.default_rng(7)
    claims = 4
    known = Evidence(effect, 1.0, 4.0, (FEWEST,), (1.0,), alike=False)
    needed = hypothesis.needed(known, LEVEL / claims)
    assert needed is not None
    silent = (SAME, "nothing")  # three claims that use up their share of the level
    reached = 0
    for _ in range(STUDIES):
        found = _made_up(generator, effect, True, max(needed, FEWEST))
        reached += judge([(hypothesis, found), silent, silent, silent])[0].outcome is wanted
    assert reached / STUDIES > POWER - 3 * math.sqrt(POWER * (1 - POWER) / STUDIES)
