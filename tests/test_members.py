"""Runs beside each other: in what they differ, how they are called, what their table holds."""

from collections.abc import Callable
from typing import Any

import pytest

from study.measured import measures_of
from study.members import Members, differing_keys, short
from study.run import Outcome

Start = Callable[..., Outcome]


def test_a_key_that_is_the_same_in_all_is_no_difference():
    assert differing_keys([{"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]}, {"a": 1, "b": [1, 2]}]) == ["b"]
    assert differing_keys([{"a": 1}]) == []
    assert differing_keys([]) == []


def test_a_choice_is_named_once_and_not_by_the_keys_that_it_brings():
    adam = {"optimizer.name": "adam", "optimizer.learning_rate": 0.001, "optimizer.eps": 1e-8}
    sgd = {"optimizer.name": "sgd", "optimizer.learning_rate": 0.05, "optimizer.momentum": 0.9}
    assert differing_keys([adam, sgd]) == ["optimizer.name"]
    fast = adam | {"optimizer.learning_rate": 0.01}
    assert differing_keys([adam, fast, sgd]) == ["optimizer.name", "optimizer.learning_rate"]


def test_a_key_that_only_one_choice_has_tells_its_runs_apart():
    adam = {"optimizer.name": "adam", "optimizer.eps": 1e-8}
    plain, heavy = ({"optimizer.name": "sgd", "optimizer.momentum": value} for value in (0.0, 0.9))
    assert differing_keys([adam, plain, heavy]) == ["optimizer.name", "optimizer.momentum"]


def test_one_and_true_and_one_as_a_float_are_apart():
    assert differing_keys([{"a": 1}, {"a": True}]) == ["a"]
    assert differing_keys([{"a": 1}, {"a": 1.0}]) == ["a"]


@pytest.mark.parametrize(
    ("key", "keys", "word"),
    [
        ("training.batch_size", ["training.batch_size", "seed"], "batch_size"),
        ("optimizer.name", ["optimizer.name"], "optimizer"),
        ("training.epochs", ["training.epochs", "training.schedule.epochs"], "training.epochs"),
        ("training.schedule.epochs", ["training.epochs", "training.schedule.epochs"], "schedule.epochs"),
    ],
)
def test_a_key_is_as_short_as_tells_it_apart(key: str, keys: list[str], word: str):
    assert short(key, keys) == word


@pytest.fixture
def members(start: Start, plain_pictures: None) -> Callable[..., Members]:
    """The members that overrides of a small run give, one run for each tuple."""

    def of(*jobs: tuple[str, ...], **settings: Any) -> Members:
        return Members.of([start(*job, **settings).record for job in jobs])

    return of


def test_runs_are_in_order_of_their_settings_and_grouped_over_seeds(members):
    found = members(
        ("training.batch_size=32", "seed=1"),
        ("training.batch_size=8", "seed=1"),
        ("training.batch_size=32", "seed=0"),
        ("training.batch_size=8", "seed=0"),
    )
    assert found.keys == ("training.batch_size",)
    assert found.seeds == ("seed",)
    assert [found.label(run) for run in found.runs] == [
        "batch_size 8, seed 0",
        "batch_size 8, seed 1",
        "batch_size 32, seed 0",
        "batch_size 32, seed 1",
    ]
    assert {name: len(runs) for name, runs in found.by_configuration().items()} == {
        "batch_size 8": 2,
        "batch_size 32": 2,
    }


def test_the_table_holds_settings_results_measures_and_time(members):
    found = members(("training.batch_size=32",), ("training.batch_size=8",))
    table = found.table().set_index("label")
    row, run = table.loc["batch_size 8"], found.runs[0]
    assert row["run"] == run.record.config_hash
    assert row["training.batch_size"] == 8
    assert row["test/loss"] == run.values["test/loss"]
    assert row["gap/loss"] == pytest.approx(run.values["test/loss"] - run.values["train/loss"])
    assert row["gap/accuracy"] == pytest.approx(run.values["train/accuracy"] - run.values["test/accuracy"])
    assert row["line/train/basin_width"] == run.values["line/train/basin_width"]
    assert row["seconds/training"] == run.record.read_json("training.json")["seconds"]
    assert row["seconds/landscapes"] == run.record.read_json("landscapes/line.json")["seconds"]
    assert not row["diverged"]


def test_a_run_given_twice_is_one(members):
    found = members((), ())
    assert len(found.runs) == 1
    assert found.label(found.runs[0]) == "mlp · digits · bs32 · adam · seed 0"
    assert found.configuration(found.runs[0]) == "all runs"


def test_runs_of_other_landscapes_differ_in_that(start: Start, plain_pictures: None):
    found = Members.of([start(looks=looks).record for looks in (("line",), ("contour",))])
    assert found.keys == ("landscapes",)
    assert [found.label(run) for run in found.runs] == ["landscapes line", "landscapes contour"]


def test_the_curvature_is_among_the_measures(members):
    curved = ("curvature=top", "curvature.matrices=[hessian]", "curvature.trace_repeats=2")
    found = members((*curved, "seed=0"), (*curved, "seed=1"))
    table = found.table()
    run = found.runs[0]
    assert table["curvature/top_eigenvalue"][0] == run.values["curvature/top_eigenvalue"]
    assert table["curvature/top_eigenvalue"].nunique() == 2
    assert table["seconds/curvature"][0] == run.record.read_json("curvature.json")["seconds"]
    measured = measures_of(found, table)
    assert {"curvature/top_eigenvalue", "curvature/trace"} <= set(measured)
    assert "curvature/trace_standard_error" not in measured
