"""MLflow as a mirror of records; the only module that imports mlflow."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from study.credentials import handed_over
from study.errors import ConfigError, in_one_line
from study.record import RUNS, Record, State, now
from study.tracking.artifacts import unsent, uploaded
from study.tracking.description import Place, description, preview_width, previews, stamp
from study.tracking.images import FOLDER, Frame, frame_files, small_files
from study.tracking.view import TAG as VIEW
from study.tracking.view import grown, page

logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)

METRICS_A_CALL, PARAMS_A_CALL, LONGEST_PARAM = 1000, 100, 6000
STATUS = {
    State.RUNNING: "RUNNING",
    State.FINISHED: "FINISHED",
    State.FAILED: "FAILED",
    State.KILLED: "KILLED",
}
ARTIFACTS = "mlartifacts"  # of output_dir's own store
KIND = {"mlflow.experimentKind": "custom_model_development"}  # its UI then opens on runs, not on traces
log = logging.getLogger(__name__)
Item = TypeVar("Item")


class MlflowTracker:
    """Mirrors records to an MLflow store.

    Args:
        uri: address of a server; None for the SQLite store of `output_dir`.
        output_dir: where that store and its artifacts lie.
        experiment: name of the MLflow experiment.
        upload_checkpoints: `ends` or `all`.
    """

    def __init__(self, uri: str | None, output_dir: str, experiment: str, upload_checkpoints: str) -> None:
        self.uri = store_uri(output_dir) if uri is None else handed_over(uri)
        self.output_dir = Path(output_dir)
        self.experiment = experiment
        self.upload_checkpoints = upload_checkpoints
        self._client: mlflow.MlflowClient | None = None
        self._experiment_id = ""
        self._view: str | None = None
        self._seen: set[str] = set()

    def address(self) -> str:
        """The store's address without credentials."""
        return self.uri

    def mirror(self, record: Record) -> bool:
        """Make the store hold what the record holds; a record that says nothing of itself is left out."""
        if not _speaks(record):
            log.warning("%s never started, or is damaged: it is not uploaded; run it again", record.path)
            return False
        client = self._open()
        progress = record.mirrored().get(self.address(), {})
        if progress and not self._has(client, progress["run_id"]):
            progress = {}
        run_id = progress["run_id"] if progress else self._run_id(client, record)
        if run_id not in self._seen:
            self._seen.add(run_id)
            self._remove_half_copied(run_id)
        progress = {"run_id": run_id, "metrics": {}, "artifacts": {}, "state": {}, **progress}
        if not progress.get("described"):
            self._describe(client, record, run_id)
            progress["described"] = True
        state = record.read_json("state.json")
        cut_short = state["state"] in {State.FAILED, State.KILLED}
        if cut_short:  # first, as there may be little time left; FINISHED is said once all of it is there
            self._send_state(client, run_id, state, progress["state"])
        metrics = self._send_metrics(client, record, run_id, progress["metrics"])
        self._send_artifacts(client, record, run_id, progress["artifacts"])
        self._send_note(client, record, run_id, progress)
        if not cut_short:
            self._send_state(client, run_id, state, progress["state"])
        if state["state"] != State.RUNNING:
            self._show_columns(client, record, metrics)
        record.set_mirrored(self.address(), {**progress, "state": state})
        return True

    def link(self, parent: Record, members: Sequence[Record]) -> bool:
        """Put the runs of records below the run of `parent`, all of them mirrored before."""
        client = self._open()
        above = parent.mirrored().get(self.address(), {}).get("run_id")
        progress = [member.mirrored().get(self.address(), {}) for member in members]
        if above is None or not all(progress) or not _speaks(parent):
            return False
        labels = parent.read_json("run.json").get("labels", {})
        for member, own in zip(members, progress, strict=True):
            if own.get("parent") == above or not _speaks(member):
                continue
            tags = [RunTag(MLFLOW_PARENT_RUN_ID, above), RunTag("sweep", parent.config_hash)]
            client.log_batch(own["run_id"], tags=tags)
            name = member.read_json("run.json")["name"]
            label = labels.get(member.config_hash)
            client.update_run(own["run_id"], name=f"{name} · {label}" if label else name)
            with member.lock(wait=False) as held:  # another process that holds it writes the same file
                if held:
                    latest = member.mirrored().get(self.address(), {})
                    if latest.get("run_id") == own["run_id"]:
                        latest["parent"] = above
                        self._send_note(client, member, own["run_id"], latest)
                        member.set_mirrored(self.address(), latest)
        return True

    def search(self, words: str) -> list[str]:
        """The hashes of the runs that MLflow finds, oldest first.

        Raises:
            ConfigError: if MLflow cannot read the search.
        """
        client = self._open()
        try:
            found = client.search_runs([self._experiment_id], words, order_by=["attributes.start_time ASC"])
        except mlflow.MlflowException as error:
            rule = f"must be a search that MLflow can read ({in_one_line(error, 200)})"
            raise ConfigError("--filter", rule, words) from error
        return [run.data.tags["config_hash"] for run in found if "config_hash" in run.data.tags]

    def _send_state(
        self, client: "mlflow.MlflowClient", run_id: str, state: dict[str, Any], before: dict[str, Any]
    ) -> None:
        if state == before:
            return
        if old := set(before.get("tags", {})) - set(state["tags"]):
            for tag in sorted(old & set(client.get_run(run_id).data.tags)):
                client.delete_tag(run_id, tag)
        for tag, value in state["tags"].items():
            client.set_tag(run_id, tag, value)
        status = STATUS[State(state["state"])]
        if status == "RUNNING":
            client.update_run(run_id, status=status)
        else:
            client.set_terminated(run_id, status=status, end_time=state["ended"])

    def _open(self) -> "mlflow.MlflowClient":
        if self._client is not None:
            return self._client
        if not self.uri.startswith("sqlite:"):
            client = mlflow.MlflowClient(tracking_uri=self.uri)
            self._experiment_id = self._find_experiment(client, None)
        else:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.output_dir / "mlflow.lock"):  # migrations of a fresh store take no lock
                _make_store(self.output_dir / "mlflow.db")
                client = mlflow.MlflowClient(tracking_uri=self.uri)
                artifacts = (self.output_dir / ARTIFACTS).resolve().as_uri()
                self._experiment_id = self._find_experiment(client, artifacts)
        self._client = client
        return client

    def _find_experiment(self, client: "mlflow.MlflowClient", artifacts: str | None) -> str:
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            self._view = found.tags.get(VIEW)
            return found.experiment_id
        try:
            return client.create_experiment(self.experiment, artifacts, tags=KIND)
        except mlflow.MlflowException:  # another process was faster
            found = client.get_experiment_by_name(self.experiment)
            if found is None:
                raise
            return found.experiment_id

    def _has(self, client: "mlflow.MlflowClient", run_id: str) -> bool:
        """Whether the store still has a run: it may have been deleted, or the store be a new one."""
        if run_id in self._seen:
            return True
        try:
            found = client.get_run(run_id)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return bool(found.info.lifecycle_stage == "active")

    def _remove_half_copied(self, run_id: str) -> None:
        """Remove what MLflow was copying into the local store when a process of ours was killed."""
        if self.uri.startswith("sqlite:"):
            for left in (self.output_dir / ARTIFACTS / run_id).rglob(".artifact.uploading.*"):
                left.unlink()

    def _run_id(self, client: "mlflow.MlflowClient", record: Record) -> str:
        """The run of this record: one with its id as a tag, or a new one."""
        about = record.read_json("run.json")

        def having_its_id() -> list[str]:
            words = f"tags.record_id = '{about['record_id']}'"
            return [run.info.run_id for run in client.search_runs([self._experiment_id], words)]

        found = having_its_id()
        if not found:
            made = client.create_run(
                self._experiment_id,
                start_time=record.read_json("state.json")["started"],
                tags={**about["tags"], "record_id": about["record_id"], MLFLOW_RUN_NOTE: about["note"]},
                run_name=about["name"],
            )
            found = having_its_id() or [made.info.run_id]
        for other in found[1:]:  # an answer was lost on its way, and the client asked for a run once more
            client.delete_run(other)
        return found[0]

    def _describe(self, client: "mlflow.MlflowClient", record: Record, run_id: str) -> None:
        about = record.read_json("run.json")
        params = [Param(name, str(value)[:LONGEST_PARAM]) for name, value in about["params"].items()]
        for part in _parts(params, PARAMS_A_CALL):
            client.log_batch(run_id, params=part)
        client.log_inputs(run_id, datasets=[_dataset(split) for split in about["data"]])

    def _send_metrics(
        self, client: "mlflow.MlflowClient", record: Record, run_id: str, sent: dict[str, int]
    ) -> set[str]:
        """Send the points not sent yet; one that is not finite becomes a tag (a chart cannot show it).

        Returns:
            The names of all metrics.
        """
        finite, others, seen = unsent(record, sent)
        metrics = [Metric(point.key, point.value, point.timestamp, point.step) for point in finite]
        for metric_part in _parts(metrics, METRICS_A_CALL):
            client.log_batch(run_id, metrics=metric_part)
        tags = [RunTag(point.key, str(point.value)) for point in others]
        for tag_part in _parts(tags, PARAMS_A_CALL):
            client.log_batch(run_id, tags=tag_part)
        sent |= {key: max(count, sent.get(key, 0)) for key, count in seen.items()}
        return set(seen)

    def _send_artifacts(
        self, client: "mlflow.MlflowClient", record: Record, run_id: str, sent: dict[str, str]
    ) -> None:
        """Send the files that the store has not got, or has got in another state."""
        files = record.files()
        wanted = [name for name in uploaded(record, self.upload_checkpoints) if sent.get(name) != files[name]]
        if any(Frame.of(name) for name in wanted):
            client.set_tag(run_id, MLFLOW_LOGGED_IMAGES, "True")  # without it the UI looks for none
        for name in wanted:
            if not record.holds(name):  # never passed on; the next start makes it again
                log.warning(
                    "%s is damaged: it is not uploaded till its run is started again", record.path / name
                )
                continue
            if (frame := Frame.of(name)) is not None:
                with frame_files(record, name, frame) as sides:
                    for side in sides:
                        client.log_artifact(run_id, str(side), FOLDER)
            else:
                client.log_artifact(run_id, str(record.path / name), name.rpartition("/")[0] or None)
            sent[name] = files[name]

    def _send_note(
        self, client: "mlflow.MlflowClient", record: Record, run_id: str, progress: dict[str, Any]
    ) -> None:
        """Send the description where what it is made of has changed."""
        parent = progress.get("parent")
        if (made_of := stamp(record, parent)) in {None, progress.get("note")}:
            return
        files, sent = record.files(), progress["artifacts"]
        small = {own: name for own, name in previews(record).items() if sent.get(own) != files[name]}
        with small_files(record, small, preview_width(record)) as made:
            for file in made:
                client.log_artifact(run_id, str(file))
        sent |= {own: files[name] for own, name in small.items()}
        places = [Place(self._experiment_id, own) for own in (run_id, parent) if own]
        client.set_tag(run_id, MLFLOW_RUN_NOTE, description(record, *places))
        progress["note"] = made_of

    def _show_columns(self, client: "mlflow.MlflowClient", record: Record, metrics: set[str]) -> None:
        """Have the runs table show what this run has beside what others have."""
        compared = record.path.parent.name != RUNS
        params = record.read_json("run.json").get("differing", []) if compared else []
        if grown(self._view, metrics, params, now()) is None:
            return
        kept = client.get_experiment(self._experiment_id).tags.get(VIEW)  # others may have been faster
        self._view = grown(kept, metrics, params, now()) or kept
        if self._view != kept:
            client.set_experiment_tag(self._experiment_id, VIEW, self._view)


def _speaks(record: Record) -> bool:
    """Whether a record says what it is, and how far it has come."""
    return record.holds("run.json") and record.holds("state.json")


def store_uri(output_dir: str | Path) -> str:
    """The address of the SQLite store of `output_dir`."""
    return f"sqlite:///{Path(output_dir).resolve() / 'mlflow.db'}"


def tables(output_dir: str | Path) -> dict[str, str]:
    """By the name of each experiment of `output_dir`, the address of its runs table within the UI.

    Those alone that have columns of their own; none where the store cannot be asked, which the UI will say.
    """
    try:
        found = mlflow.MlflowClient(tracking_uri=store_uri(output_dir)).search_experiments()
    except Exception:  # whatever a store or a client library may throw
        return {}
    return {own.name: page(own.experiment_id) for own in found if VIEW in own.tags}


def _make_store(database: Path) -> None:
    """Make the tables of a store that is not there yet, under another name: a kill among them leaves none.

    A store whose tables are half made can never be opened again.
    """
    if database.exists():
        return
    making = database.with_name(f".{database.name}.tmp")
    for left in database.parent.glob(f"{making.name}*"):  # by a process that was killed; its journal, too
        left.unlink()
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{making.resolve()}").search_experiments(max_results=1)
    making.rename(database)


def _dataset(split: dict[str, Any]) -> DatasetInput:
    dataset = Dataset(
        name=split["name"],
        digest=split["digest"],
        source_type="local",
        source=split["source"],
        profile=split["profile"],
    )
    return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", split["context"])])


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while part := list(islice(remaining, size)):
        yield part
