"""Claims over made-up tables: what is compared with what, how, and what is said of it."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from study.analysis.rank import granulated_kendall
from study.analysis.verdicts import FEWEST, Outcome
from study.claim_checks import check_claims
from study.claims import Judged, in_words, metrics, table, verdict_tags, verdicts
from study.config_claims import ClaimConfig
from study.errors import ConfigError
from study.keys import check
from study.replicates import Item, Items

SIZE, RATE = "training.batch_size", "optimizer.learning_rate"
TABLES = 400


def claim(**given: Any) -> ClaimConfig:
    """A claim that large batches are sharper, by a factor of 1.2 at least, unless told otherwise."""
    usual: dict[str, Any] = {
        "says": "Large batches end in sharper minima.",
        "paper": "205 against 1.23",
        "measure": "sharpness",
        "runs": {SIZE: 256},
        "against": {SIZE: 16},
        "direction": "above",
        "smallest": 1.2,
        "compared_as": "ratio",
    }
    if given.keys() & {"beside", "than", "along"}:
        del usual["against"]
    return ClaimConfig(**{**usual, **given})


def run(values: Mapping[str, float], seed: int = 0, **settings: Any) -> Item:
    plain = {key.replace("__", "."): value for key, value in settings.items()}
    network = {"model.name": "mlp", "data.name": "digits", "training.init_seed": None}
    return Item(({**network, "seed": seed, **plain},), values)


def runs_of(small: Sequence[float], large: Sequence[float], **settings: Any) -> list[Item]:
    """One run a seed, at batch size 16 and at 256."""
    return [
        run({"sharpness": value}, seed, training__batch_size=size, **settings)
        for size, values in ((16, small), (256, large))
        for seed, value in enumerate(values)
    ]


def judged(
    given: ClaimConfig | Mapping[str, ClaimConfig], items: Sequence[Item], **rest: Any
) -> list[Judged]:
    named = given if isinstance(given, Mapping) else {"sharper": given}
    return verdicts(named, Items(items, rest.get("pairs", ()), rest.get("keys", (SIZE,))))


SMALL = (1.0, 3.0, 0.4, 8.0, 2.0)  # differ among seeds by far more than from the large ones


# What is compared


def test_runs_of_one_initialisation_are_paired_by_seed():
    (found,) = judged(
        claim(), runs_of(SMALL, [2.0 * value * (1 + 0.01 * seed) for seed, value in enumerate(SMALL)])
    )
    assert found.verdict.outcome is Outcome.REPRODUCED
    assert found.effect == pytest.approx(2.0 * math.exp(np.log(1 + 0.01 * np.arange(5)).mean()))
    assert found.low < found.effect < found.high
    assert found.high / found.low < 1.1
    assert found.replicates == "5 pairs"
    assert found.value / found.other == pytest.approx(found.effect)


def test_runs_of_other_initialisations_are_not():
    larger = [2.0 * value for value in SMALL]
    items = [
        run({"sharpness": value}, seed, model__width=4, **{"training__batch_size": 16})
        for seed, value in enumerate(SMALL)
    ]
    items += [
        run({"sharpness": value}, seed, model__width=8, **{"training__batch_size": 256})
        for seed, value in enumerate(larger)
    ]
    (found,) = judged(claim(), items)
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert found.replicates == "5 and 5"
    assert found.high / found.low > 10
    assert found.verdict.needed > 5


def test_a_given_initialisation_counts_and_not_the_seed():
    items = runs_of(SMALL, [2.0 * value for value in SMALL], training__init_seed=7)
    (found,) = judged(claim(), items)
    assert found.replicates == "5 pairs"
    apart = [
        Item(({**item.settings[0], "training.init_seed": item.settings[0][SIZE]},), item.values)
        for item in items
    ]
    (found,) = judged(claim(), apart)
    assert found.replicates == "5 and 5"


def test_what_rests_on_one_seed_is_averaged_first():
    """Four direction seeds of five trainings are five replicates."""
    generator = np.random.default_rng(0)
    items = [
        run(
            {"sharpness": value * factor},
            seed,
            training__batch_size=size,
            landscape__contour__direction_seed=direction,
        )
        for size, scale in ((16, 1.0), (256, 2.0))
        for seed, value in enumerate(scale * np.exp(generator.normal(size=5)))
        for direction, factor in enumerate(np.exp(generator.normal(size=4)))
    ]
    (found,) = judged(claim(), items)
    assert found.replicates == "5 pairs"
    logs = {
        size: [
            np.mean([
                math.log(item.values["sharpness"])
                for item in items
                if item.settings[0][SIZE] == size and item.settings[0]["seed"] == seed
            ])
            for seed in range(5)
        ]
        for size in (16, 256)
    }
    assert math.log(found.effect) == pytest.approx(np.mean(np.subtract(logs[256], logs[16])))


def test_a_seed_of_one_side_alone_is_left_out_and_said():
    items = runs_of(SMALL, [2.0 * value for value in SMALL])[:-1]
    items += [run({"sharpness": 5.0}, 9, training__batch_size=256)]
    (found,) = judged(claim(), items)
    assert found.replicates == "4 pairs"
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert "2 replicates of one side alone are left out" in found.row()["reason"]


def test_another_measure_of_the_same_runs_may_be_compared():
    items = [run({"explained": 0.9 + 0.01 * seed, "random_walk": 0.8}, seed) for seed in range(5)]
    given = claim(
        measure="explained", runs=None, beside="random_walk", smallest=0.05, compared_as="difference"
    )
    (found,) = judged(given, items)
    assert (found.verdict.outcome, found.replicates) == (Outcome.REPRODUCED, "5")
    assert found.effect == pytest.approx(0.12)


def test_measures_of_other_replicates_are_not_compared():
    """Barriers on one split of pairs 0-1, 2-3, …, on the other of 1-2, 3-4, …: nothing belongs together."""
    pairs = [pair(seed, seed + 1, 0.5, ("train", "test")[seed % 2]) for seed in range(10)]
    given = replace(BARRIER, than=None, beside="between/test/barrier")
    (found,) = judged(given, [], pairs=pairs)
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert found.row()["reason"] == "between/train/barrier and between/test/barrier are of other replicates"


def test_a_number_may_be_compared():
    items = [run({"rise": 0.01 * seed}, seed) for seed in range(6)]
    given = claim(
        measure="rise", runs=None, than=0.2, smallest=0.0, direction="below", compared_as="difference"
    )
    (found,) = judged(given, items)
    assert (found.verdict.outcome, found.effect) == (Outcome.REPRODUCED, pytest.approx(-0.175))
    assert (found.bound, math.copysign(1, found.bound)) == (0.0, 1.0)


def test_a_setting_may_be_one_of_several():
    items = runs_of(SMALL, [2.0 * value for value in SMALL])
    items += [
        run({"sharpness": 3.0 * value}, seed, training__batch_size=64) for seed, value in enumerate(SMALL)
    ]
    (found,) = judged(claim(runs={SIZE: [64, 256]}), items)
    assert found.effect == pytest.approx(math.sqrt(6.0))


# In words


def words(given: ClaimConfig, items: Sequence[Item], **rest: Any) -> str:
    (row,) = in_words(table(judged(given, items, **rest))).to_dict("records")
    return str(row["effect"])


def test_two_groups_are_said_beside_each_other():
    items = runs_of([1.0] * 5, [2.0] * 5)
    assert words(claim(), items) == "2 against 1: × 2 (claimed: above × 1.2)"
    given = claim(compared_as="difference", smallest=0.5, direction="same")
    assert words(given, items) == "2 against 1: 1 (claimed: within ± 0.5)"


def test_what_is_compared_with_a_number_is_said_itself():
    items = [run({"rise": 0.5}, seed) for seed in range(5)]
    given = claim(
        measure="rise", runs=None, than=0.2, smallest=0.1, direction="above", compared_as="difference"
    )
    assert words(given, items) == "0.5 (claimed: above 0.3)"
    assert words(replace(given, direction="below"), items) == "0.5 (claimed: below 0.1)"
    assert words(replace(given, direction="same"), items) == "0.5 (claimed: within ± 0.1 of 0.2)"
    ratio = replace(given, compared_as="ratio", smallest=2.0)
    assert words(ratio, items) == "0.5 (claimed: above 0.4)"
    assert words(replace(given, measure="fall"), items) == "– (claimed: above 0.3)"
    items = [run({"rise": 0.4 + 0.05 * seed}, seed) for seed in range(5)]
    low, high = scipy.stats.t.interval(0.95, 4, 0.5, 0.05 * math.sqrt(0.5))
    assert words(given, items) == f"0.5 [{low:.3g}, {high:.3g}] (claimed: above 0.3)"


def test_a_correlation_is_said_as_one():
    items = grid_of_runs(lambda size, rate, _seed: size + 3 * rate)
    assert words(RANKS, items, keys=(SIZE, RATE)).startswith("τ = ")


def test_words_are_the_same_after_the_table_was_written_and_read():
    rows = table(judged({"a": claim(), "b": claim(measure="nothing")}, runs_of([1.0] * 5, [2.0] * 5)))
    read = pd.read_csv(StringIO(rows.to_csv(index=False)))
    pd.testing.assert_frame_equal(in_words(read), in_words(rows))


# Pairs of minima


def pair(first: int, second: int, barrier: float, split: str = "train", **settings: Any) -> Item:
    ends = [{"model.name": "mlp", "seed": seed, **settings} for seed in (first, second)]
    return Item((ends[0], ends[1]), {f"between/{split}/barrier": barrier})


BARRIER = claim(
    measure="between/train/barrier",
    runs=None,
    than=0.1,
    direction="above",
    smallest=0.0,
    compared_as="difference",
)


def test_pairs_that_share_a_minimum_are_not_both_counted():
    chain = [pair(seed, seed + 1, 0.5 + 0.01 * seed) for seed in range(10)]
    (found,) = judged(BARRIER, [], pairs=chain)
    assert found.replicates == "5"  # 0-1, 2-3, …
    assert found.effect == pytest.approx(np.mean([0.5, 0.52, 0.54, 0.56, 0.58]) - 0.1)


def test_pairs_of_one_seed_are_averaged_and_splits_are_apart():
    pairs = [pair(seed, seed, 0.5 + 0.1 * which) for seed in range(5) for which in range(3)]
    pairs += [pair(seed, seed, 99.0, "test") for seed in range(5)]
    (found,) = judged(BARRIER, [], pairs=pairs)
    assert (found.replicates, found.effect) == ("5", pytest.approx(0.5))


def test_both_ends_of_a_pair_must_be_of_the_runs_that_are_meant():
    pairs = [pair(seed, seed, 0.5, **{"training.branch_at": 0}) for seed in range(5)]
    other = Item(
        ({"training.branch_at": 0, "seed": 9}, {"training.branch_at": 50, "seed": 9}),
        {"between/train/barrier": 9.0},
    )
    given = replace(BARRIER, runs={"training.branch_at": 0})
    (found,) = judged(given, [], pairs=[*pairs, other])
    assert found.effect == pytest.approx(0.4)


# Rank correlation


def grid_of_runs(order: Callable[[int, int, int], float], seeds: int = 5) -> list[Item]:
    return [
        run(
            {"norm": order(size, rate, seed), "gap": float(size + 10 * rate)},
            seed,
            training__batch_size=size,
            optimizer__learning_rate=rate,
        )
        for size, rate, seed in itertools.product(range(3), range(3), range(seeds))
    ]


RANKS = claim(
    measure="norm", runs=None, along="gap", direction="above", smallest=0.2, compared_as="difference"
)


def test_a_correlation_is_of_each_seed_over_its_configurations():
    noise = np.random.default_rng(1).normal(size=(3, 3, 5))
    items = grid_of_runs(lambda size, rate, seed: size + 3 * rate + 0.3 * noise[size, rate, seed])
    (found,) = judged(RANKS, items, keys=(SIZE, RATE))
    each = []
    for seed in range(5):
        own = [item for item in items if item.settings[0]["seed"] == seed]
        settings = [(item.settings[0][SIZE], item.settings[0][RATE]) for item in own]
        x, y = (np.array([item.values[name] for item in own]) for name in ("norm", "gap"))
        each.append(granulated_kendall(x, y, settings, [0, 1]))
    assert found.effect == pytest.approx(np.mean(each))
    assert (found.verdict.outcome, found.replicates) == (Outcome.REPRODUCED, "5")
    assert math.isnan(found.other)


def test_a_correlation_with_a_setting_is_over_that_setting():
    items = grid_of_runs(lambda size, rate, seed: 100.0 * rate - size + 0.0 * seed)
    (found,) = judged(
        replace(RANKS, along=SIZE, direction="below"),
        items,
        keys=(SIZE, RATE),
    )
    assert found.effect == pytest.approx(-1.0)


def test_eight_configurations_make_a_correlation_and_seven_do_not():
    items = [item for item in grid_of_runs(lambda size, rate, _seed: size + rate) if item.settings[0] != ()]
    few = [item for item in items if (item.settings[0][SIZE], item.settings[0][RATE]) not in {(0, 0), (2, 2)}]
    (found,) = judged(RANKS, few, keys=(SIZE, RATE))
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert found.row()["reason"] == "7 configurations of a seed, and at least 8 make a rank correlation"


# What cannot be tested


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"measure": "flatness"}, "there is no flatness"),
        ({"runs": {SIZE: 99}}, "no finished run has these settings"),
        ({"against": {SIZE: 99}}, "no finished run has the settings that it is compared with"),
    ],
)
def test_what_is_not_there_is_inconclusive_and_said(change, reason):
    (found,) = judged(claim(**change), runs_of(SMALL, SMALL))
    assert (found.verdict.outcome, found.row()["reason"]) == (Outcome.INCONCLUSIVE, reason)
    assert math.isnan(found.effect)
    assert metrics([found]) == {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("inf"), "1 of 5 values of sharpness are missing or infinite"),
        (float("nan"), "1 of 5 values of sharpness are missing or infinite"),
        (0.0, "1 of 5 values of sharpness are not above 0"),
    ],
)
def test_one_value_that_cannot_be_compared_leaves_the_claim_open(value, reason):
    (found,) = judged(claim(), runs_of(SMALL, [9.0, 9.0, value, 9.0, 9.0]))
    assert (found.verdict.outcome, found.row()["reason"]) == (Outcome.INCONCLUSIVE, reason)


def test_too_few_seeds_are_inconclusive_however_clear():
    (found,) = judged(claim(), runs_of(SMALL[:4], [1e3 * value * (1 + value) for value in SMALL[:4]]))
    assert (found.verdict.outcome, found.verdict.needed) == (Outcome.INCONCLUSIVE, FEWEST)
    (found,) = judged(claim(), runs_of(SMALL[:1], [99.0]))
    assert (found.verdict.outcome, found.row()["reason"]) == (
        Outcome.INCONCLUSIVE,
        "one replicate, of which nothing follows",
    )


def widths(flag: str, of: Sequence[float]) -> list[Item]:
    return [
        run({"plane/train/basin_width": value, f"plane/train/{flag}": given}, seed, training__batch_size=size)
        for size in (16, 256)
        for seed, (value, given) in enumerate(zip((1.0, 1.1, 0.9, 1.2, 1.3), of, strict=True))
    ]


def test_basins_that_all_reach_the_edge_are_not_compared():
    given = claim(measure="plane/train/basin_width")
    (found,) = judged(given, widths("basin_reaches_edge", [1.0] * 5))
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert found.row()["reason"] == "all 10 basins reach the edge of the grid, and are lower bounds"


def test_of_basins_that_are_not_measured_as_they_are_it_is_said_how_many():
    given = claim(measure="plane/train/basin_width")
    (found,) = judged(given, widths("basin_reaches_edge", [1.0, 0.0, 0.0, 0.0, 0.0]))
    assert "2 of 10 basins reach the edge of the grid, and are lower bounds" in found.row()["reason"]
    (found,) = judged(given, widths("basin_unresolved", [1.0] * 5))
    assert "10 of 10 basins span fewer than three coordinates, and are guesses" in found.row()["reason"]
    (found,) = judged(given, widths("basin_unresolved", [0.0] * 5))
    assert "basins" not in found.row()["reason"]


def test_configurations_that_are_infinite_are_ranked_above_all_others():
    def order(size: int, rate: int, seed: int) -> float:
        return math.inf if size == 2 else size + 3 * rate + 0.1 * seed

    (found,) = judged(RANKS, grid_of_runs(order), keys=(SIZE, RATE))
    rates = [(1 + 1 + 0) / 3, 1.0]  # of two infinite values none is above the other; sizes are all in order
    assert found.effect == pytest.approx(np.mean(rates))


def test_a_list_may_be_one_of_several_settings():
    items = [run({"sharpness": 2.0}, seed, model__widths=[8, 8]) for seed in range(5)]
    given = claim(runs={"model.widths": [[4, 4], [8, 8]]}, against=None, than=1.0)
    (found,) = judged(given, items)
    assert found.effect == pytest.approx(2.0)


# What follows exactly


def exact(**given: Any) -> ClaimConfig:
    return claim(exact=True, direction="same", smallest=1e-6, compared_as="difference", **given)


def test_what_follows_exactly_must_hold_in_every_run_and_needs_no_five():
    items = runs_of([1.0, 2.0], [1.0 + 1e-9, 2.0 - 1e-9])
    (found,) = judged(exact(), items)
    assert (found.verdict.outcome, found.row()["reason"]) == (Outcome.REPRODUCED, "exact: it holds in 2 of 2")
    assert all(map(math.isnan, (found.verdict.p, found.low, found.high)))
    (found,) = judged(exact(), runs_of([1.0, 2.0], [1.0, 2.1]))
    assert (found.verdict.outcome, found.row()["reason"]) == (
        Outcome.NOT_REPRODUCED,
        "exact: it holds in 1 of 2",
    )


def test_an_exact_claim_takes_no_share_of_the_level():
    items = runs_of(SMALL, [1.24 * value * (1 + 0.01 * seed) for seed, value in enumerate(SMALL)])
    alone = judged({"a": claim()}, items)[0]
    beside = judged({"a": claim(), "b": exact(), "c": exact()}, items)[0]
    assert beside.verdict.p == alone.verdict.p
    other = judged({"a": claim(), "b": claim(direction="below")}, items)[0]
    assert other.verdict.p == pytest.approx(2 * alone.verdict.p)


# Over thousands of made-up tables


def made_up(generator: np.random.Generator, factors: Sequence[float], paired: bool) -> list[Item]:
    """Five seeds of small and large batches: a measure for each factor, noisy among and within seeds."""
    seeds = generator.normal(size=FEWEST)
    found = []
    for size in (16, 256):
        for seed in range(FEWEST):
            shared = seeds[seed] if paired else generator.normal()
            values = {
                f"m{place}": math.exp(shared + 0.3 * generator.normal()) * (factor if size == 256 else 1.0)
                for place, factor in enumerate(factors)
            }
            found.append(run(values, seed, training__batch_size=size, model__width=1 if paired else size))
    return found


@pytest.mark.parametrize("paired", [True, False])
def test_of_studies_without_the_effect_at_most_one_in_twenty_has_a_claim_reproduced(paired):
    """Three claims at the bound of what they say, correlated as measures of one run are."""
    generator = np.random.default_rng(3 + paired)
    given = {f"c{place}": claim(measure=f"m{place}") for place in range(3)}
    wrong = 0
    for _ in range(TABLES):
        found = judged(given, made_up(generator, [1.2] * 3, paired))
        wrong += any(own.verdict.outcome is Outcome.REPRODUCED for own in found)
    assert wrong / TABLES < 0.05 + 3 * math.sqrt(0.05 * 0.95 / TABLES)


def test_of_studies_with_a_large_effect_nearly_all_have_it_reproduced():
    generator = np.random.default_rng(8)
    given = {f"c{place}": claim(measure=f"m{place}") for place in range(3)}
    found = [judged(given, made_up(generator, [6.0] * 3, True)) for _ in range(TABLES)]
    assert np.mean([own.verdict.outcome is Outcome.REPRODUCED for each in found for own in each]) > 0.95


# What is kept


def test_verdicts_are_a_table_metrics_and_tags():
    items = runs_of(SMALL, [2.0 * value * (1 + 0.01 * seed) for seed, value in enumerate(SMALL)])
    found = judged({"sharper": claim(paper_effect=166.0), "missing": claim(measure="flatness")}, items)
    kept = table(found)
    assert list(kept["claim"]) == ["sharper", "missing"]
    assert list(kept["outcome"]) == ["reproduced", "inconclusive"]
    assert kept["paper_effect"][0] == 166.0
    assert verdict_tags(kept) == {"claims/sharper": "reproduced", "claims/missing": "inconclusive"}
    assert set(metrics(found)) == {
        f"claims/sharper/{name}" for name in ("effect", "low", "high", "p", "p_opposite")
    }
    assert table([]).empty
    assert verdict_tags(table([])) == {}


# What is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"than": 1.0, "against": {SIZE: 1}},
            "must have one of against, beside, than and along, got 'against, than'",
        ),
        ({"against": None}, "must have one of against, beside, than and along, got 'none'"),
        ({"smallest": 0.9}, "smallest must be at least 1, a factor, got 0.9"),
        ({"than": 0.0}, "than must be above 0 for a ratio, got 0.0"),
        ({"paper_effect": -1.0}, "paper_effect must be above 0 for a ratio, got -1.0"),
        ({"along": "gap"}, "compared_as must be difference for a correlation, got 'ratio'"),
        (
            {"direction": "same", "smallest": 1.0},
            "smallest must leave room for what counts as the same, got 1.0",
        ),
        ({"direction": "up"}, "direction must be one of above, below, same, got 'up'"),
        ({"compared_as": "log"}, "compared_as must be one of ratio, difference, got 'log'"),
        (
            {"along": "gap", "compared_as": "difference", "smallest": 0.0, "exact": True},
            "exact must be false",
        ),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(change, words):
    with pytest.raises(ConfigError) as refusal:
        check({"sharper": claim(**change)})
    assert words in str(refusal.value)


def test_what_must_hold_in_every_run_is_not_averaged():
    items = [
        run({"change": sign * 0.9}, seed, rescale=factor)
        for seed in range(5)
        for factor, sign in ((10.0, 1), (100.0, -1))
    ]
    given = exact(measure="change", runs=None, than=0.0)
    (found,) = judged(given, items)
    assert found.row()["reason"] == "2 runs of one seed, and an exact claim compares one"
    (found,) = judged(replace(given, runs={"rescale": 10.0}), items)
    assert found.verdict.outcome is Outcome.NOT_REPRODUCED


JOBS = [
    (
        {SIZE: size, "seed": 0, "model.name": "mlp"},
        {"sharpness", "between/train/barrier"} | ({"width"} if size == 16 else set()),
    )
    for size in (16, 256)
]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"runs": {"training.batchsize": 16}},
            "claims.sharper.runs must name settings of the runs (did you mean 'training.batch_size'?)",
        ),
        (
            {"runs": {SIZE: 32}},
            "claims.sharper.runs must match some run of the sweep, got {'training.batch_size': 32}",
        ),
        ({"against": {SIZE: [1, 2]}}, "claims.sharper.against must match some run of the sweep"),
        (
            {"measure": "sharpnes"},
            "claims.sharper.measure must be a column of the sweep's tables (did you mean 'sharpness'?)",
        ),
        (
            {"measure": "width"},
            "claims.sharper.measure must be a column of every run that it is about, got 'width'",
        ),
        ({"beside": "width", "runs": None}, "claims.sharper.beside must be a column of every run"),
        (
            {"beside": "between/train/barrier"},
            "claims.sharper.beside must be of runs, or of pairs, as the measure is",
        ),
        (
            {"runs": None, "against": {SIZE: 16}},
            "claims.sharper.against must match other runs than runs does, as a run is not compared",
        ),
        (
            {"along": "model.name"},
            "claims.sharper.along must be a setting whose values are numbers, got 'mlp'",
        ),
        (
            {"along": "seeds"},
            "claims.sharper.along must be a column of the sweep's tables or a setting (did you mean 'seed'?)",
        ),
        (
            {"along": "seed", "measure": "between/train/barrier"},
            "claims.sharper.along must be null for a measure of pairs",
        ),
    ],
)
def test_a_claim_about_what_no_run_has_is_refused_before_anything_is_run(change, words):
    with pytest.raises(ConfigError) as refusal:
        check_claims({"sharper": claim(**change)}, JOBS)
    assert str(refusal.value).startswith(words)


def test_claims_that_can_be_tested_pass():
    for change in (
        {},
        {"along": "seed"},
        {"measure": "width", "runs": {SIZE: 16}, "than": 1.0},
        {"beside": "sharpness"},
    ):
        check_claims({"sharper": claim(**change)}, JOBS)
