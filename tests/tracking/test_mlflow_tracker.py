"""The contract of the MLflow mirror, on a real SQLite store."""

import json
import logging
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study import run as run_module
from study.config import StudyConfig
from study.credentials import hidden
from study.prepare import prepare
from study.record import Record, State
from study.run import Outcome, make_tracker
from study.tracking.mlflow_tracker import MlflowTracker, mlflow, store_uri
from study.tracking.tracker import PatientTracker

Compose = Callable[..., StudyConfig]
Start = Callable[..., Outcome]

LOOKS = ("interpolation", "line")


@pytest.fixture(autouse=True)
def _no_credentials_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that what a tracker sets is taken back
        monkeypatch.delenv(name)


class Store:
    """What is in a store, asked of MLflow and of its tables."""

    def __init__(self, output_dir: Path) -> None:
        self.file = output_dir / "mlflow.db"
        self.client = mlflow.MlflowClient(tracking_uri=store_uri(output_dir))

    def runs(self, experiment: str = "study") -> list[Any]:
        found = self.client.get_experiment_by_name(experiment)
        return self.client.search_runs([found.experiment_id]) if found else []

    def run(self) -> Any:
        (only,) = self.runs()
        return only

    def rows(self, query: str) -> list[tuple]:
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def points(self) -> list[tuple]:
        """Every point of every metric, as the table holds them."""
        return sorted(self.rows("SELECT run_uuid, key, step, value, timestamp FROM metrics"))

    def artifacts(self, run_id: str, folder: str | None = None) -> dict[str, int]:
        """Path to size of every artifact."""
        found = {}
        for item in self.client.list_artifacts(run_id, folder):
            found |= self.artifacts(run_id, item.path) if item.is_dir else {item.path: item.file_size}
        return found


@pytest.fixture
def store(local_store: Path) -> Store:
    return Store(local_store.parent)


@pytest.fixture
def tracked(start: Start, plain_pictures: None, store: Store) -> Start:
    """Start a small run with `tracking=local`."""

    def go(*overrides: str, **settings: object) -> Outcome:
        return start(*overrides, tracking="local", **settings)

    return go


def mirror(record: Record, **changes: Any) -> None:
    """What another process would send of a record."""
    output_dir = record.path.parent.parent
    settings = {"uri": None, "experiment": "study", "upload_checkpoints": "ends"} | changes
    tracker = MlflowTracker(settings.pop("uri"), str(output_dir), **settings)
    tracker.mirror(Record.at(output_dir, record.config_hash))


def finite_points(record: Record) -> list[tuple]:
    return sorted(
        (point.key, point.step, point.value, point.timestamp)
        for point in record.metrics()
        if np.isfinite(point.value)
    )


# What MLflow holds


def test_a_run_is_there_as_promised(tracked: Start, store: Store):
    outcome = tracked(looks=LOOKS)
    record, found = outcome.record, store.run()
    assert outcome.tracking == store_uri(record.path.parent.parent)
    assert found.info.status == "FINISHED"
    state = record.read_json("state.json")
    assert (found.info.start_time, found.info.end_time) == (state["started"], state["ended"])

    about = record.read_json("run.json")
    tags = found.data.tags
    assert tags["study"] == "study"
    assert tags["config_hash"] == record.config_hash
    assert tags["training_hash"] == about["tags"]["training_hash"]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", tags.get("git_commit", "0" * 40))
    assert record.config_hash not in found.info.run_name
    assert found.info.run_name == "mlp · digits · bs32 · adam · seed 0"

    params = found.data.params
    assert params["training.batch_size"] == "32"
    assert params["model.widths"] == "[8]"
    assert params["landscape.line.points"] == "3"
    assert params["training.schedule.name"] == "constant"
    assert set(params) == set(about["params"])

    inputs = {item.tags[0].value: item.dataset for item in found.inputs.dataset_inputs}
    assert set(inputs) == {"train", "test"}
    for name, size in (("train", 64), ("test", 32)):
        assert inputs[name].name == f"digits/{name}"
        assert len(inputs[name].digest) == 32
        assert json.loads(inputs[name].profile)["examples"] == size
        assert about["identity"]["training"]["data_digest"].startswith(inputs[name].digest)


def test_metrics_are_there_by_epoch_and_by_landscape(tracked: Start, store: Store):
    record = tracked(looks=LOOKS).record
    run_id = store.run().info.run_id
    for key in ("train/loss", "train/accuracy", "test/loss", "test/accuracy"):
        history = store.client.get_metric_history(run_id, key)
        assert [point.step for point in history] == [0, 1, 2, 3]
    assert {"interpolation/train/largest_rise", "line/train/basin_width"} <= set(store.run().data.metrics)
    assert [point[1:] for point in store.points()] == [
        (key, step, value, timestamp) for key, step, value, timestamp in finite_points(record)
    ]


@pytest.mark.parametrize("upload", ["ends", "all"])
def test_artifacts_have_their_fixed_names_and_bytes(tracked: Start, store: Store, upload: str):
    record = tracked(f"tracking.upload_checkpoints={upload}", looks=LOOKS).record
    run_id = store.run().info.run_id
    artifacts = store.artifacts(run_id)
    expected = {
        f"landscapes/{look}.{suffix}"
        for look in LOOKS
        for suffix in ("npz", "csv", "png", "html", "pdf", "json")
    }
    expected |= {"config.yaml", "report.md", "run.json", "interpolation.preview.png", "line.preview.png"}
    updates = (0, 2, 4, 6) if upload == "all" else (0, 6)
    expected |= {f"checkpoints/update_{update:07d}.safetensors" for update in updates}
    assert set(artifacts) == expected
    for name in artifacts:
        downloaded = Path(store.client.download_artifacts(run_id, name))
        assert downloaded.read_bytes() == record.read(re.sub(r"(.*)\.preview", r"landscapes/\1", name))


def test_averaged_weights_go_with_the_ends(tracked: Start, store: Store):
    tracked("training/averaging=swa", "training.averaging.start_epoch=2", looks=())
    sent = {name for name in store.artifacts(store.run().info.run_id) if name.startswith("checkpoints/")}
    ends = ("update_0000000", "update_0000006", "averaged")
    assert sent == {f"checkpoints/{name}.safetensors" for name in ends}
    assert "train/averaged_loss" in store.run().data.metrics


@pytest.mark.parametrize(("upload", "sent"), [("ends", False), ("all", True)])
def test_kept_directions_go_with_all_checkpoints_only(tracked: Start, store: Store, upload: str, sent: bool):
    record = tracked(f"tracking.upload_checkpoints={upload}", "landscape.line.directions=[gradient]").record
    kept = "landscapes/line.gradient.safetensors"
    assert record.holds(kept)
    assert (kept in store.artifacts(store.run().info.run_id)) == sent


def test_upload_checkpoints_all_later_adds_the_others(tracked: Start, store: Store):
    tracked()
    before = store.artifacts(store.run().info.run_id)
    assert tracked("tracking.upload_checkpoints=all").reused
    after = store.artifacts(store.run().info.run_id)
    assert set(after) - set(before) == {f"checkpoints/update_{at:07d}.safetensors" for at in (2, 4)}


def test_an_experiment_of_another_name_is_used(tracked: Start, store: Store):
    tracked("tracking.experiment=Paper 1")
    (only,) = store.runs("Paper 1")
    assert only.data.tags["study"] == "Paper 1"
    assert store.runs() == []


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("too\nbad"), "FAILED"), (KeyboardInterrupt(), "KILLED")], ids=str
)
def test_how_a_run_ended_is_there_and_a_restart_takes_it_back(
    tracked: Start,
    store: Store,
    stop_at: Callable[..., AbstractContextManager[None]],
    error: BaseException,
    status: str,
):
    with stop_at("metrics.json", error, time=3), pytest.raises(type(error)):
        tracked()
    ended = store.run()
    assert ended.info.status == status
    assert ended.info.end_time is not None
    assert ended.data.tags.get("message") == ("too bad" if status == "FAILED" else None)
    assert ("error.txt" in store.artifacts(ended.info.run_id)) == (status == "FAILED")
    record = tracked().record
    again = store.run()
    assert again.info.run_id == ended.info.run_id
    assert again.info.status == "FINISHED"
    assert again.info.end_time >= ended.info.end_time
    assert "message" not in again.data.tags
    assert [point[1:] for point in store.points()] == finite_points(record)


def test_the_run_is_running_while_it_runs(tracked: Start, store: Store, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[str, int]] = []
    look = run_module.look

    def looking(*arguments: object) -> object:
        seen.append((store.run().info.status, len(store.points())))
        return look(*arguments)

    monkeypatch.setattr(run_module, "look", looking)
    tracked()
    ((status, points),) = seen
    assert status == "RUNNING"
    assert points >= 4 * 4  # the epochs were sent as they came


def test_a_diverged_training_is_finished_and_tagged(tracked: Start, store: Store):
    tracked("optimizer=sgd", "optimizer.learning_rate=1e12")
    found = store.run()
    assert found.info.status == "FINISHED"
    assert "not finite" in found.data.tags["diverged"]
    values = [value for _run, _key, _step, value, _time in store.points()]
    assert np.isfinite(values).all()
    assert max(map(abs, values)) < 1e300  # MLflow would keep an infinity as 1.8e308
    assert store.rows("SELECT count(*) FROM metrics WHERE is_nan") == [(0,)]


def test_a_measure_that_is_not_finite_becomes_a_tag(tracked: Start, store: Store):
    record = tracked().record
    record.log({"line/train/odd": float("inf"), "line/train/none": float("nan")})
    mirror(record)
    found = store.run()
    assert found.data.tags["line/train/odd"] == "inf"
    assert found.data.tags["line/train/none"] == "nan"
    assert not {"line/train/odd", "line/train/none"} & set(found.data.metrics)


# Mirrored again


def test_mirroring_twice_adds_nothing(tracked: Start, store: Store):
    record = tracked(looks=LOOKS).record
    points, run_id = store.points(), store.run().info.run_id
    tables = [
        f"SELECT '{table}', count(*) FROM {table}"
        for table in ("runs", "params", "tags", "inputs", "datasets", "metrics", "latest_metrics")
    ]
    counts = store.rows(" UNION ".join(tables))
    artifacts = store.artifacts(run_id)
    files = {file: file.stat().st_mtime_ns for file in (store.file.parent / "mlartifacts").rglob("*")}
    for _time in range(2):
        mirror(record)
    assert store.points() == points
    assert store.rows(" UNION ".join(tables)) == counts
    assert store.artifacts(run_id) == artifacts
    assert {file: file.stat().st_mtime_ns for file in files} == files  # no file was sent again


@pytest.mark.parametrize("lost", ["removed", "damaged"])
def test_a_record_that_forgot_its_mirror_finds_the_same_run(tracked: Start, store: Store, lost: str):
    record = tracked().record
    before, points = store.run().info.run_id, store.points()
    if lost == "removed":
        record.remove("mirror.json")
    else:
        (record.path / "mirror.json").write_bytes(b"{}")
    mirror(record)
    assert store.run().info.run_id == before
    assert store.points() == points
    assert len(store.run().inputs.dataset_inputs) == 2
    assert max(Counter(point[:3] for point in points).values()) == 1
    assert Record.at(store.file.parent, record.config_hash).mirrored_run_ids() == {before}


def test_metrics_that_had_to_be_made_again_are_no_second_points(tracked: Start, store: Store):
    """Training again after damage gives the same values at other times: the store has them already."""
    record = tracked().record
    points = store.points()
    (record.path / "metrics.json").write_bytes(b"damaged")
    assert not tracked().reused
    assert store.points() == points


def test_a_start_that_broke_off_while_describing_the_run_is_made_whole(
    tracked: Start,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    with monkeypatch.context() as patch:

        def gone(*_arguments: object, **_settings: object) -> None:
            raise ConnectionError("the store went away")

        patch.setattr(mlflow.MlflowClient, "log_batch", gone)
        tracked()
    assert "the store went away" in caplog.text
    assert store.run().data.params == {}
    assert tracked().reused
    found = store.run()
    assert found.data.params["training.batch_size"] == "32"
    assert len(found.inputs.dataset_inputs) == 2
    assert found.info.status == "FINISHED"


def test_a_run_deleted_from_the_store_is_made_again(tracked: Start, store: Store):
    record = tracked().record
    deleted, points = store.run().info.run_id, store.points()
    store.client.delete_run(deleted)
    assert tracked().reused
    found = store.run()
    assert found.info.run_id != deleted
    assert found.info.status == "FINISHED"
    assert found.data.params["training.batch_size"] == "32"
    assert [point[1:] for point in store.points() if point[0] == found.info.run_id] == [
        point[1:] for point in points
    ]
    assert "checkpoints/update_0000006.safetensors" in store.artifacts(found.info.run_id)
    assert Record.at(store.file.parent, record.config_hash).mirrored_run_ids() == {found.info.run_id}


@pytest.mark.process
def test_after_the_store_is_lost_sync_makes_all_of_it_again(start: Start, plain_pictures: None, store: Store):
    records = [start(f"seed={seed}", tracking="local").record for seed in (0, 1)]
    points, ids = [point[1:] for point in store.points()], {run.info.run_id for run in store.runs()}
    lost = store.file.rename(store.file.with_suffix(".lost"))
    done = subprocess.run(
        [sys.executable, "-m", "study", "sync"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 runs mirrored" in done.stdout

    def query(file: Path, what: str) -> list[tuple]:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute(what).fetchall()

    runs = query(store.file, "SELECT run_uuid, status FROM runs")
    assert [status for _id, status in runs] == ["FINISHED"] * 2
    assert not ids & {run_id for run_id, _status in runs}
    columns = "SELECT key, step, value, timestamp FROM metrics"
    assert sorted(query(store.file, columns)) == sorted(query(lost, columns)) == sorted(points)
    for table in ("params", "inputs"):
        count = f"SELECT count(*) FROM {table}"
        assert query(store.file, count) == query(lost, count)
    for record in records:
        (run_id,) = Record.at(store.file.parent, record.config_hash).mirrored_run_ids()
        (uri,) = query(store.file, f"SELECT artifact_uri FROM runs WHERE run_uuid = '{run_id}'")[0]
        sent = Path(uri.removeprefix("file://")) / "landscapes" / "line.npz"
        assert sent.read_bytes() == record.read("landscapes/line.npz")


def test_a_damaged_file_is_not_sent_and_stops_nothing(
    tracked: Start, store: Store, caplog: pytest.LogCaptureFixture
):
    record = tracked().record
    record.remove("mirror.json")
    run_id = store.run().info.run_id
    store.client.delete_run(run_id)
    (record.path / "landscapes" / "line.png").write_bytes(b"damaged")
    mirror(record)
    assert "line.png is damaged: it is not uploaded" in caplog.text
    artifacts = store.artifacts(store.run().info.run_id)
    assert "landscapes/line.csv" in artifacts
    assert "landscapes/line.png" not in artifacts
    assert not tracked().reused  # it is made again, and sent
    assert "landscapes/line.png" in store.artifacts(store.run().info.run_id)


def test_a_record_that_never_started_is_left_out(store: Store, caplog: pytest.LogCaptureFixture):
    record = Record.at(store.file.parent, "abc")
    record.create({"name": "x", "tags": {}, "note": "", "params": {}, "data": []})
    mirror(record)
    assert "never started" in caplog.text
    assert store.runs() == []


# A store that cannot be reached


@pytest.fixture
def nowhere() -> str:
    """The address of a server that is not there."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_an_unreachable_server_costs_a_warning_and_no_more(
    start: Start,
    plain_pictures: None,
    output_dir: Path,
    nowhere: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.WARNING, "study")
    tries = []
    send = MlflowTracker.mirror

    def trying(tracker: MlflowTracker, record: Record) -> bool:
        tries.append(record.state)
        return send(tracker, record)

    monkeypatch.setattr(MlflowTracker, "mirror", trying)
    uri = f"http://joe:s3cr3t@{nowhere}"
    outcome = start("training.epochs=30", f"tracking.uri={uri}", tracking="server")
    assert outcome.state is State.FINISHED
    assert outcome.record.holds("landscapes/line.npz")
    own = [entry.getMessage() for entry in caplog.records if entry.name.startswith("study.tracking")]
    assert len(own) == 1
    assert f"http://{nowhere} cannot be reached" in own[0]
    assert "`study sync` uploads them" in own[0]
    assert str(outcome.record.path) in own[0]
    assert outcome.tracking is None  # nothing was mirrored
    assert tries[-1] is State.FINISHED  # the end of a run is always tried
    assert len(tries) < 15  # of 33

    assert "s3cr3t" not in caplog.text
    for file in output_dir.rglob("*"):
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes(), file
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "joe"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "s3cr3t"  # this is how the client gets to know it


def test_a_run_without_a_server_is_sent_once_there_is_a_store(
    start: Start,
    plain_pictures: None,
    store: Store,
    nowhere: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record = start(f"tracking.uri=http://{nowhere}", tracking="server").record
    assert store.runs() == []
    assert start(tracking="local").reused
    assert [point[1:] for point in store.points()] == finite_points(record)


class Flaky:
    """A tracker whose store comes and goes."""

    def __init__(self) -> None:
        self.up, self.tries = False, 0

    def mirror(self, record: Record) -> None:
        self.tries += 1
        if not self.up:
            time.sleep(0.01)
            raise ConnectionError("down")

    def address(self) -> str:
        return "http://store"


def test_patience_tries_again_after_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    record = Record.at(tmp_path, "abc")
    record.set_state(State.RUNNING)
    flaky = Flaky()
    patient = PatientTracker(flaky)
    for _time in range(5):
        patient.mirror(record)
    assert flaky.tries == 1
    assert patient.failed == "down"
    time.sleep(0.35)  # more than 20 times what the failure took
    flaky.up = True
    patient.mirror(record)
    assert (flaky.tries, patient.failed) == (2, None)
    assert caplog.text.count("cannot be reached") == 1


@pytest.mark.parametrize("state", [State.FINISHED, State.FAILED, State.KILLED])
def test_patience_never_skips_the_end(tmp_path: Path, state: State):
    record = Record.at(tmp_path, "abc")
    record.set_state(State.RUNNING)
    flaky = Flaky()
    patient = PatientTracker(flaky)
    patient.mirror(record)
    record.set_state(state)
    patient.mirror(record)
    assert flaky.tries == 2


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://joe:s3cr3t@host:5000/path", "http://host:5000/path"),
        ("https://t0ken@host", "https://host"),
        ("https://joe:p%40ss@host", "https://host"),
        ("http://host:5000", "http://host:5000"),
        ("http://joe:p@ss@[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_an_address_never_shows_credentials(tmp_path: Path, tiny: Compose, uri: str, shown: str):
    assert hidden(uri) == shown
    assert MlflowTracker(uri, str(tmp_path), "study", "ends").address() == shown
    config = tiny(f"tracking.uri='{uri}'", tracking="server")
    assert make_tracker(config.tracking, str(tmp_path)).address() == shown


def test_credentials_reach_the_client_decoded(tmp_path: Path):
    MlflowTracker("https://jo%3Ae:p%40ss@host", str(tmp_path), "study", "ends")
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "jo:e"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "p@ss"


# Many at once

ONE_OF_MANY = """
import sys
from study.record import Record, State
from study.tracking.mlflow_tracker import MlflowTracker

folder, name = sys.argv[1:]
record = Record.at(folder, name)
record.create({"name": name, "tags": {"config_hash": name}, "note": "", "params": {"a": 1}, "data": []})
record.set_state(State.RUNNING)
record.log({"train/loss": 1.0})
tracker = MlflowTracker(None, folder, "study", "ends")
sys.stdin.readline()
tracker.mirror(record)
record.set_state(State.FINISHED)
tracker.mirror(record)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_MANY, str(tmp_path), f"run{number}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.process
def test_a_fresh_store_takes_four_processes_at_once(tmp_path: Path, processes: list[subprocess.Popen[str]]):
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = Store(tmp_path)
    assert sorted(found.data.tags["config_hash"] for found in store.runs()) == [f"run{i}" for i in range(4)]
    assert {found.info.status for found in store.runs()} == {"FINISHED"}
    assert [point[1:4] for point in store.points()] == [("train/loss", 0, 1.0)] * 4


def test_preparing_touches_no_store(tiny: Compose, output_dir: Path):
    prepare(tiny(tracking="local"), {})
    assert list(output_dir.iterdir()) == []  # made, as it must be a folder that can be written to
