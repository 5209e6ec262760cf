"""Stores that are locked, away, slow, or answer with errors: a run loses nothing, and waits not for long."""

import logging
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from study.record import Record, State
from study.run import Outcome
from study.sweep import sweep
from study.tracking.mlflow_tracker import mlflow, store_uri
from tests.faults.servers import Fate, Network, mlflow_server, network

pytestmark = pytest.mark.process

Start = Callable[..., Outcome]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def between(server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")  # what is tried is the same, and sooner
    with network(server) as own:
        yield own


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    """Of each test its own, on the one server."""
    return request.node.name


@pytest.fixture
def tracked(start: Start, plain_pictures: None, between: Network, experiment: str) -> Callable[[], Outcome]:
    """A small run that is mirrored to the server."""

    def go() -> Outcome:
        words = (f"tracking.uri={between.address}", f"tracking.experiment='{experiment}'")
        return start(*words, tracking="server", looks=("line",))

    return go


def held_against(record: Record, client: "mlflow.MlflowClient", experiment: str) -> None:
    """The store has the run of a record once, with all of it, each point once."""
    found = client.get_experiment_by_name(experiment)
    (run,) = client.search_runs([found.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["record_id"] == record.read_json("run.json")["record_id"]
    expected = Counter((own.key, own.step, own.value) for own in record.metrics() if np.isfinite(own.value))
    history = [
        (own.key, own.step, own.value)
        for key in run.data.metrics
        for own in client.get_metric_history(run.info.run_id, key)
    ]
    assert Counter(history) == expected
    assert run.data.params.keys() == record.read_json("run.json")["params"].keys()
    names = {item.path for item in client.list_artifacts(run.info.run_id, "landscapes")}
    assert {"landscapes/line.npz", "landscapes/line.csv", "landscapes/line.png"} <= names
    for name in ("landscapes/line.npz", "config.yaml"):
        path = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path=name, tracking_uri=client.tracking_uri
        )
        assert Path(path).read_bytes() == record.read(name)


def passing_after(count: int, otherwise: str) -> Fate:
    return lambda number: "passed" if number >= count else otherwise


def ending_after(count: int, otherwise: str) -> Fate:
    return lambda number: "passed" if number < count else otherwise


def at_random(share: float, otherwise: str, seed: int) -> Fate:
    return lambda number: otherwise if random.Random(f"{seed}/{number}").random() < share else "passed"


FATES = {
    "down": ending_after(0, "dropped"),
    "errors only": ending_after(0, "refused"),
    "dies after 1": ending_after(1, "dropped"),
    "dies after 3": ending_after(3, "dropped"),
    "dies after 5": ending_after(5, "dropped"),
    "dies after 9": ending_after(9, "dropped"),
    "dies after 20": ending_after(20, "dropped"),
    "errors after 3": ending_after(3, "refused"),
    "errors after 7": ending_after(7, "refused"),
    "comes up late": passing_after(12, "refused"),
    "every third an error": at_random(0.33, "refused", 0),
    "two of three an error": at_random(0.67, "refused", 1),
    "every fourth dropped": at_random(0.25, "dropped", 2),
    "every fourth answer lost": at_random(0.25, "unanswered", 3),
    "half of the answers lost": at_random(0.5, "unanswered", 4),
    "all answers lost": ending_after(0, "unanswered"),
    "late": ending_after(0, "late"),
}


@pytest.mark.parametrize("fate", FATES)
def test_a_server_that_fails_costs_nothing_that_the_next_start_does_not_bring(
    tracked: Callable[[], Outcome], between: Network, experiment: str, fate: str
):
    between.fate = FATES[fate]
    outcome = tracked()
    assert outcome.state is State.FINISHED
    assert outcome.record.holds("landscapes/line.npz")
    between.fate = lambda _number: "passed"
    again = tracked()
    assert again.reused
    assert again.tracking == between.address
    held_against(outcome.record, mlflow.MlflowClient(between.address), experiment)


def test_what_is_asked_of_a_server_that_fails_is_bounded(tracked: Callable[[], Outcome], between: Network):
    between.fate = lambda _number: "refused"
    tracked()
    assert between.asked <= 12  # at the start and at the end: one question, tried three times


def test_what_a_sweep_asks_of_a_server_that_fails_is_bounded(
    arguments: Callable[..., list[str]], output_dir: Path, plain_pictures: None, between: Network
):
    between.fate = lambda _number: "dropped"
    words = arguments(f"tracking.uri={between.address}", tracking="server", looks=())
    outcome = sweep([*words, "seed=0,1,2"])
    assert outcome.record.state is State.FINISHED
    assert between.asked <= 3 * (1 + 3 * 2 + 1)  # questions are tried three times: of the sweep, of each run
    between.fate = lambda _number: "passed"
    assert sweep([*words, "seed=0,1,2"]).tracking == between.address
    client = mlflow.MlflowClient(between.address)
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    (above,) = [run.info.run_id for run in runs if "sweep_hash" in run.data.tags]
    below = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == above]
    assert [run.info.status for run in below] == ["FINISHED"] * 3


# The SQLite store


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_store_that_another_process_locks_costs_a_warning(
    start: Start,
    plain_pictures: None,
    local_store: Path,
    caplog: pytest.LogCaptureFixture,
    lock: str,
):
    caplog.set_level(logging.WARNING, "study")
    began = time.monotonic()
    with closing(sqlite3.connect(local_store, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        outcome = start(tracking="local")
        other.execute("ROLLBACK")
    assert outcome.state is State.FINISHED
    assert time.monotonic() - began < 90
    assert "cannot be reached (" in caplog.text
    assert "`study sync` uploads them" in caplog.text
    again = start(tracking="local")
    assert again.reused
    held_against(outcome.record, mlflow.MlflowClient(store_uri(local_store.parent)), "study")


def test_a_store_that_is_no_database_costs_a_warning_and_is_left_alone(
    start: Start, plain_pictures: None, output_dir: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING, "study")
    output_dir.mkdir(parents=True)
    (output_dir / "mlflow.db").write_bytes(b"no database, and somebody's " * 100)
    outcome = start(tracking="local")
    assert outcome.state is State.FINISHED
    assert outcome.tracking is None
    assert "cannot be reached (" in caplog.text
    assert (output_dir / "mlflow.db").read_bytes() == b"no database, and somebody's " * 100
