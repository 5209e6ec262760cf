"""Names by which runs of a sweep can be told apart, in the record and in MLflow."""

from pathlib import Path

import pytest

from study.about import LONGEST_WORDS, about, settings, told_apart
from study.prepare import prepare
from study.record import SWEEPS, Record, State
from study.tracking.mlflow_tracker import MlflowTracker, mlflow, store_uri


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([["training.batch_size=16"], ["training.batch_size=32"]], ["", ""]),
        ([["seed=0"], ["seed=1"]], ["", ""]),
        ([["training.epochs=1"], ["training.epochs=2"]], ["epochs 1", "epochs 2"]),
        (
            [["model.widths=[8]", "optimizer.learning_rate=0.1"], ["model.widths=[16]"]],
            ["widths [8] · learning_rate 0.1", "widths [16] · learning_rate 0.001"],
        ),
        ([["optimizer=sgd", "training.epochs=1"], ["training.epochs=2"]], ["epochs 1", "epochs 2"]),
    ],
)
def test_runs_differ_in_their_names_or_in_what_is_added(tiny, overrides, words):
    configs = [tiny(*own) for own in overrides]
    _keys, found = told_apart([settings(config) for config in configs])
    assert found == words
    names = [
        f"{about(prepare(config, {}))['name']} {added}" for config, added in zip(configs, found, strict=True)
    ]
    assert len(set(names)) == len(names)


def test_the_keys_are_those_of_the_parameters(tiny):
    configs = [tiny("model.widths=[8]", "seed=1"), tiny("optimizer=sgd")]
    keys, _words = told_apart([settings(config) for config in configs])
    assert set(keys) == {"optimizer.name", "seed"}  # widths are [8] in both
    assert set(keys) <= about(prepare(configs[0], {}))["params"].keys()


def test_a_long_setting_is_cut():
    _keys, words = told_apart([{"a.directions": "x" * 200}, {"a.directions": "y"}])
    assert words == [f"directions {'x' * 200}"[: LONGEST_WORDS - 1] + "…", "directions y"]


def made(output_dir: Path, name: str, folder: str = "runs", **about: object) -> Record:
    record = Record.at(output_dir, name, folder)
    record.create({"name": f"net {name}", "tags": {}, "note": "", "params": {}, "data": [], **about})
    record.set_state(State.FINISHED)
    return record


def test_below_a_sweep_a_run_is_named_by_what_it_differs_in_there(local_store: Path):
    folder = local_store.parent
    runs = [made(folder, name) for name in ("a", "b")]
    first = made(folder, "s", SWEEPS, members=["a", "b"], labels={"a": "epochs 1", "b": "epochs 2"})
    second = made(folder, "t", SWEEPS, members=["a"])
    tracker = MlflowTracker(None, str(folder), "study", "ends")
    client = mlflow.MlflowClient(store_uri(folder))

    def names() -> list[tuple[str, str]]:
        (experiment,) = [own for own in client.search_experiments() if own.name == "study"]
        found = {own.info.run_id: own for own in client.search_runs([experiment.experiment_id])}
        ids = [next(iter(Record.at(folder, own.config_hash).mirrored_run_ids())) for own in runs]
        above = [found[own].data.tags.get("mlflow.parentRunId") for own in ids]
        return [
            (found[own].info.run_name, found[up].info.run_name) for own, up in zip(ids, above, strict=True)
        ]

    for record in (first, second, *runs):
        assert tracker.mirror(record)
    assert tracker.link(first, runs)
    assert names() == [("net a · epochs 1", "net s"), ("net b · epochs 2", "net s")]
    assert tracker.link(second, runs[:1])
    assert names() == [("net a", "net t"), ("net b · epochs 2", "net s")]
    for record in runs:  # mirrored again, names and links stay
        assert tracker.mirror(record)
    assert names() == [("net a", "net t"), ("net b · epochs 2", "net s")]


def test_a_run_that_its_own_process_holds_is_linked_for_good(
    local_store: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = local_store.parent
    parent, run = made(folder, "s", SWEEPS, members=["a"], labels={}), made(folder, "a")
    tracker = MlflowTracker(None, str(folder), "study", "ends")
    with run.lock():  # as while it is run
        for record in (parent, run):
            tracker.mirror(record)
        assert tracker.link(parent, [run])
    above = parent.mirrored()[tracker.address()]["run_id"]
    assert run.mirrored()[tracker.address()]["parent"] == above
    client = tracker._open()
    monkeypatch.setattr(client, "log_batch", lambda *_asked, **_settings: pytest.fail("linked again"))
    assert tracker.link(parent, [run])
