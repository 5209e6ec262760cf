"""The columns of the runs table, as a saved view of MLflow's UI."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from study.record import RUNS, SWEEPS, Record, State
from study.tracking.mlflow_tracker import MlflowTracker, mlflow, store_uri, tables
from study.tracking.view import MOST_METRICS, MOST_PARAMS, PARAMS, TAG, columns, grown, main_metrics

MANY = [
    f"{name}/{split}/{measure}"
    for name in "abcdefgh"
    for split in ("train", "test")
    for measure in ("barrier", "basin_width")
]


def state(view: str | None) -> dict:
    assert view is not None
    envelope = json.loads(view)
    assert envelope["name"] == "Landscapes"  # by which the UI lists it
    assert isinstance(envelope["createdAt"], int)
    return json.loads(envelope["state"])


def test_what_was_reached_comes_first_then_measures_then_settings():
    found = columns(
        [
            "train/loss",
            "contour/train/basin_width",
            "weights/norm",
            "interpolation/train/largest_rise",
            "contour/train/self_check",
            "test/loss",
            "test/accuracy",
        ],
        ["model.width", "seed"],
    )
    assert found == [
        *(
            f"metrics.`{name}`"
            for name in (
                "test/accuracy",
                "test/loss",
                "train/loss",
                "interpolation/train/largest_rise",
                "contour/train/basin_width",
            )
        ),
        *(f"params.`{name}`" for name in (*PARAMS, "model.width")),
    ]


def test_of_many_the_first_are_shown():
    assert len(main_metrics(MANY)) == MOST_METRICS
    found = columns(MANY, [f"model.{letter}" for letter in "abcdefgh"])
    assert sum(own.startswith("params.") for own in found) == MOST_PARAMS


def test_the_view_has_the_form_that_the_ui_reads():
    found = state(grown(None, {"test/loss"}, ["model.width"], now=5))
    assert found["selectedColumns"][0] == "metrics.`test/loss`"
    assert found["columnOrder"][0] == "attributes.`Run Name`"
    assert set(found["columnOrder"]) == set(found["columnWidths"])
    assert set(found["selectedColumns"]) <= set(found["columnOrder"])


def test_it_grows_to_the_same_whatever_the_order_and_then_stays():
    runs = [
        ({"test/loss", "train/loss"}, []),
        (set(MANY), ["model.width"]),
        ({"test/accuracy"}, ["training.epochs"]),
    ]
    views = []
    for order in permutations(runs):
        view = None
        for time, (metrics, params) in enumerate(order):
            view = grown(view, metrics, params, now=10 + time) or view
        assert all(grown(view, *run, now=99) is None for run in runs)
        assert json.loads(view)["createdAt"] == 10
        views.append(state(view))
    assert all(view == views[0] for view in views)


@pytest.mark.parametrize(
    "kept", ["", "nonsense", "[]", "{}", '{"state": "{}", "createdAt": 1}', '{"state": 3}']
)
def test_a_tag_that_is_none_of_ours_is_written_anew(kept: str):
    assert state(grown(kept, {"test/loss"}, [], now=5))["selectedColumns"][0] == "metrics.`test/loss`"


# In a store


def finished(
    output_dir: Path, name: str, metrics: dict[str, float], folder: str = RUNS, **about: object
) -> Record:
    record = Record.at(output_dir, name, folder)
    record.create({"name": name, "tags": {}, "note": "", "params": {}, "data": [], **about})
    record.log(metrics)
    record.set_state(State.FINISHED)
    return record


def tracker(folder: Path) -> MlflowTracker:
    return MlflowTracker(None, str(folder), "study", "ends")


def test_the_experiment_has_the_columns_of_all_its_runs(local_store: Path, monkeypatch: pytest.MonkeyPatch):
    folder = local_store.parent
    client = mlflow.MlflowClient(store_uri(folder))
    one, other = tracker(folder), tracker(folder)  # two processes, each with what it has read
    one.mirror(finished(folder, "a", {"test/loss": 1.0}))
    other.mirror(finished(folder, "b", {"wide/train/barrier": 1.0}))
    one.mirror(finished(folder, "c", {"test/accuracy": 1.0}))
    parent = finished(folder, "d", {}, folder=SWEEPS, members=["a"], differing=["model.width"])
    one.mirror(parent)
    (experiment,) = [own for own in client.search_experiments() if own.name == "study"]
    assert state(experiment.tags[TAG])["selectedColumns"] == columns(
        ["test/loss", "wide/train/barrier", "test/accuracy"], ["model.width"]
    )
    assert tables(folder) == {
        "study": f"#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
        "&viewStateShareKey=study-1"
    }
    monkeypatch.setattr(mlflow.MlflowClient, "set_experiment_tag", None)  # asked again, nothing is written
    again = tracker(folder)
    for record in (*Record.all(folder), parent):
        assert again.mirror(record)


def test_a_store_that_cannot_be_asked_has_no_tables(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    assert tables(tmp_path) == {}
