"""Sweeps in this process, with Hydra's basic launcher: the parent, what is run, the comparison."""

import csv
import io
import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from study import comparison_report
from study import run as run_module
from study import sweep as sweep_module
from study import train as train_module
from study.errors import ConfigError, JobError
from study.figures import comparison, measures, planes, training
from study.landscape.result import Landscape
from study.record import SWEEPS, Record, State
from study.source import checkpoint_name
from study.sweep import SweepOutcome, sweep
from study.tracking import mlflow_tracker

Sweep = Callable[..., SweepOutcome]
StopAt = Callable[..., AbstractContextManager[None]]

SQUARE = ("training.batch_size=8,32", "seed=0,1")


@pytest.fixture
def drawn(arguments: Callable[..., list[str]], output_dir: Path, plain_pictures: None) -> Sweep:
    """Run a sweep over small runs; `output_dir` is where everything goes."""

    def go(*overrides: str, **settings: object) -> SweepOutcome:
        return sweep([*arguments("comparison.points=3", **settings), *overrides])

    return go


@pytest.fixture
def swept(drawn: Sweep, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """The same with figures of a few bytes, where a test is about something else."""
    for module, names in (
        (comparison, ("overlaid_lines", "between_figure")),
        (planes, ("contour_panels",)),
        (measures, ("measures_figure", "against_test_error")),
        (training, ("training_figure",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_rest, **_settings: None)
    monkeypatch.setattr(comparison_report, "render", lambda _figure, format: f"a {format}".encode())
    monkeypatch.setattr(comparison_report, "smaller", lambda picture: picture)
    return drawn


def rows(record: Record, name: str = "runs") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(record.read(f"comparison/{name}.csv").decode())))


def numbers(record: Record) -> list[dict[str, str]]:
    """The table of runs without what is never the same twice: time."""
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows(record)]


def between(record: Record) -> dict[str, bytes]:
    return {name: record.read(name) for name in record.files() if name.startswith("comparison/between/")}


# One sweep


def test_a_sweep_leaves_a_record_of_its_own_beside_those_of_its_runs(swept: Sweep, output_dir: Path):
    outcome = swept(*SQUARE)
    record = outcome.record
    assert (outcome.failed, outcome.repeated, outcome.tracking) == ({}, 4, None)
    assert record.state is State.FINISHED
    assert record.path.parent == output_dir.resolve() / SWEEPS
    assert [own.path.name for own in Record.all(output_dir, SWEEPS)] == [record.path.name]
    assert {file.name for file in record.path.parent.iterdir()} == {".locks", record.path.name}
    runs = Record.all(output_dir)
    assert record.read_json("run.json")["members"] == [row["run"] for row in rows(record)]
    assert {own.config_hash for own in runs} == set(record.read_json("run.json")["members"])
    assert all(own.state is State.FINISHED for own in runs)
    assert record.read_json("run.json")["name"] == "sweep · batch_size 8,32 · seed 0,1"
    assert record.read_json("run.json")["params"] == {"training.batch_size": "8,32", "seed": "0,1"}


def test_the_comparison_has_its_tables_figures_and_page(drawn: Sweep):
    record = drawn(*SQUARE).record
    assert {"comparison/runs.csv", "comparison/groups.csv", "comparison/between.csv"} <= set(record.files())
    for name in ("training", "line", "line.difference", "between", "measures", "test_error"):
        assert record.read(f"comparison/{name}.png").startswith(b"\x89PNG")
        assert record.read(f"comparison/{name}.pdf").startswith(b"%PDF")
    assert [row["label"] for row in rows(record)] == [
        f"batch_size {size}, seed {seed}" for size in (8, 32) for seed in (0, 1)
    ]
    groups = rows(record, "groups")
    assert [(row["configuration"], row["runs"]) for row in groups] == [
        ("batch_size 8", "2"),
        ("batch_size 32", "2"),
    ]
    losses = [float(row["test/loss"]) for row in rows(record)[:2]]
    assert float(groups[0]["test/loss mean"]) == pytest.approx(sum(losses) / 2)
    assert float(groups[0]["test/loss std"]) == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)
    assert len(rows(record, "between")) == 4  # two pairs, two splits
    page = record.read("report.html").decode()
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert markup.count('src="data:image/png;base64,') == 6
    assert "http" not in markup  # nothing is asked of any network
    assert all(row["run"] in page for row in rows(record))
    assert "Nothing: every run is in every figure." in page


def test_every_job_is_checked_before_the_first_starts(swept: Sweep, output_dir: Path, done: list[str]):
    with pytest.raises(JobError) as refusal:
        swept("training.batch_size=8,32,0")
    assert str(refusal.value).startswith("training.batch_size must be at least 1, got 0 (in the job ")
    assert "training.batch_size=0" in str(refusal.value)
    with pytest.raises(JobError, match="the size of that split"):  # which only the data can tell
        swept("data.train_examples=32,99999")
    assert done == []
    assert not (output_dir / "runs").exists()
    assert not (output_dir / SWEEPS).exists()


def test_jobs_that_are_one_run_are_run_once(swept: Sweep, done: list[str]):
    outcome = swept("seed=0,0", "training.init_seed=5", "training.order_seed=5")
    assert done == ["training", "line"]
    assert len(outcome.members.runs) == 1


def test_a_sweep_over_the_place_is_refused(swept: Sweep, tmp_path: Path):
    with pytest.raises(JobError, match="output_dir must be the same in every job"):
        swept(f"output_dir={tmp_path}/a,{tmp_path}/b")


def test_what_is_no_list_of_values_is_refused(swept: Sweep):
    with pytest.raises(ConfigError, match="must be a list of values in a sweep"):
        swept("seed=interval(0,5)")


# Nothing twice


def test_a_sweep_started_again_trains_nothing_and_draws_nothing(
    swept: Sweep, done: list[str], monkeypatch: pytest.MonkeyPatch
):
    first = swept(*SQUARE)
    before = {name: first.record.files()[name] for name in first.record.files() if name != "state.json"}
    done.clear()
    monkeypatch.setattr(sweep_module, "compare", None)
    again = swept(*SQUARE)
    assert done == []
    assert again.repeated == 0
    assert again.record.path == first.record.path
    assert {name: again.record.files()[name] for name in before} == before


def test_what_a_broken_disk_left_half_written_goes_with_the_next_start(swept: Sweep, output_dir: Path):
    swept(*SQUARE)
    run, *_others = Record.all(output_dir)
    left = run.path / ".mirror.json.abc.tmp"
    left.write_bytes(b"half")
    assert swept(*SQUARE).repeated == 0
    assert not left.exists()
    assert {own.state for own in Record.all(output_dir)} == {State.FINISHED}


def test_the_order_of_values_makes_no_other_sweep(swept: Sweep):
    first = swept("training.batch_size=8,32")
    assert swept("training.batch_size=32,8").record.path == first.record.path


def test_a_larger_sweep_runs_what_is_new_alone(swept: Sweep, done: list[str]):
    swept("training.batch_size=8,32")
    done.clear()
    outcome = swept("training.batch_size=8,32,64")
    assert done == ["training", "line"]
    assert outcome.repeated == 1
    assert len(outcome.members.runs) == 3


def test_a_sweep_over_the_look_trains_once(swept: Sweep, done: list[str]):
    outcome = swept("landscape.line.direction_seed=0,1,2")
    assert done == ["training", "line", "line", "line"]
    assert "comparison/between.csv" not in outcome.record.files()  # one minimum
    assert "comparison/line.png" in outcome.record.files()


def test_without_reuse_all_is_done_anew(swept: Sweep, done: list[str]):
    first = numbers(swept("training.batch_size=8,32").record)
    done.clear()
    outcome = swept("training.batch_size=8,32", "reuse=false")
    assert done.count("training") == 2
    assert numbers(outcome.record) == first


def test_other_settings_of_the_comparison_make_it_anew(swept: Sweep, done: list[str]):
    first = swept("training.batch_size=8,32")
    done.clear()
    again = swept("training.batch_size=8,32", "comparison.points=4", "comparison.alpha_range=[0,2]")
    assert done == []
    assert again.record.path == first.record.path
    (name,) = [name for name in between(again.record) if name.endswith("npz")]
    assert Landscape.from_bytes(between(again.record)[name]).axes["alpha"].tolist() == [
        0.0,
        pytest.approx(2 / 3),
        pytest.approx(4 / 3),
        2.0,
    ]


def test_a_damaged_figure_is_drawn_again(swept: Sweep, done: list[str]):
    first = swept("training.batch_size=8,32")
    (first.record.path / "comparison/line.png").write_bytes(b"damaged")
    done.clear()
    assert swept("training.batch_size=8,32").record.read("comparison/line.png") == b"a png"
    assert done == []


# What goes wrong


def fail_at(monkeypatch: pytest.MonkeyPatch, size: int, error: BaseException) -> None:
    """Have the training of one batch size raise."""
    train = train_module.train

    def training(*rest: object, **settings: object) -> object:
        if settings["batch_size"] == size:
            raise error
        return train(*rest, **settings)

    monkeypatch.setattr(train_module, "train", training)


def test_a_job_that_fails_leaves_the_others_running(swept: Sweep, done: list[str]):
    whole = swept("training.batch_size=8,64")
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, 32, RuntimeError("out of luck"))
        outcome = swept("training.batch_size=8,32,64")
    record = outcome.record
    assert record.state is State.FAILED
    (name,) = outcome.failed
    assert outcome.failed[name] == "failed: out of luck"
    assert record.read_json("state.json")["tags"]["failed_jobs"] == name
    assert "RuntimeError: out of luck" in Record.at(record.output_dir, name).read("error.txt").decode()
    assert numbers(record) == numbers(whole.record)  # the comparison of those that are finished
    page = record.read("report.html").decode()
    assert name in page
    assert "out of luck" in page

    done.clear()  # started again, it repeats what failed, and that alone
    again = swept("training.batch_size=8,32,64")
    assert done == ["training", "line"]
    assert again.record.path == record.path
    assert again.record.state is State.FINISHED
    assert again.record.read_json("state.json")["tags"] == {}
    assert len(rows(again.record)) == 3


def test_where_every_job_fails_there_is_no_comparison(swept: Sweep, monkeypatch: pytest.MonkeyPatch):
    fail_at(monkeypatch, 8, RuntimeError("out of luck"))
    outcome = swept("training.batch_size=8", "seed=0,1")
    assert outcome.members is None
    assert len(outcome.failed) == 2
    assert outcome.record.state is State.FAILED
    assert "report.html" not in outcome.record.files()


def test_an_interrupted_sweep_goes_on_to_the_same_numbers(
    swept: Sweep, output_dir: Path, stop_at: StopAt, done: list[str], arguments: Callable[..., list[str]]
):
    with stop_at(checkpoint_name(6), KeyboardInterrupt(), 2), pytest.raises(KeyboardInterrupt):
        swept("training.batch_size=32", "seed=0,1,2")  # in the last epoch of the second job
    (record,) = Record.all(output_dir, SWEEPS)
    assert record.state is State.KILLED
    assert sorted(str(own.state) for own in Record.all(output_dir)) == ["finished", "killed"]
    done.clear()
    outcome = swept("training.batch_size=32", "seed=0,1,2")
    assert done == ["training", "line", "training", "line"]
    assert outcome.repeated == 2
    elsewhere = swept("training.batch_size=32", "seed=0,1,2", f"output_dir={output_dir}/elsewhere")
    assert numbers(elsewhere.record) == numbers(outcome.record)
    assert between(elsewhere.record) == between(outcome.record)


def test_a_comparison_that_breaks_leaves_a_failed_sweep(swept: Sweep, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(sweep_module, "keep_comparison", None)
        with pytest.raises(TypeError):
            swept("seed=0,1")
    (record,) = Record.all(swept("seed=0,2").record.output_dir, SWEEPS)[:1]
    states = {own.state for own in Record.all(record.output_dir, SWEEPS)}
    assert states == {State.FAILED, State.FINISHED}


# In MLflow


@pytest.fixture
def client(local_store: Path, output_dir: Path) -> object:
    return mlflow_tracker.mlflow.MlflowClient(tracking_uri=mlflow_tracker.store_uri(output_dir))


def runs_of(client: object) -> dict[str, object]:
    (experiment,) = [found for found in client.search_experiments() if found.name == "study"]
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_the_parent_run_holds_the_comparison_and_its_children(swept: Sweep, client):
    outcome = swept("training.batch_size=8,32", tracking="local")
    runs = runs_of(client)
    assert len(runs) == 3
    parent = runs.pop("sweep · batch_size 8,32")
    assert parent.info.status == "FINISHED"
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs.values())
    assert {run.data.tags["sweep"] for run in runs.values()} == {outcome.record.config_hash}
    assert set(parent.data.tags["members"].split(", ")) == {
        run.data.tags["config_hash"] for run in runs.values()
    }
    assert parent.data.params == {"training.batch_size": "8,32"}
    assert parent.data.metrics == {"runs/finished": 2.0, "runs/failed": 0.0}
    names = {item.path for item in client.list_artifacts(parent.info.run_id, "comparison")}
    assert {f"comparison/{name}" for name in ("runs.csv", "line.png", "between.png")} <= names
    assert "report.html" in {item.path for item in client.list_artifacts(parent.info.run_id)}


def test_a_child_lies_below_its_parent_while_it_runs(swept: Sweep, client, monkeypatch: pytest.MonkeyPatch):
    look, seen = run_module.look, []

    def looking(*rest: object, **settings: object) -> object:
        children = [run for run in runs_of(client).values() if "config_hash" in run.data.tags]
        seen.append({(run.info.status, "mlflow.parentRunId" in run.data.tags) for run in children})
        return look(*rest, **settings)

    monkeypatch.setattr(run_module, "look", looking)
    swept("seed=0", tracking="local")
    assert seen == [{("RUNNING", True)}]


def test_the_parent_of_a_failed_job_is_failed_and_says_which(
    swept: Sweep, client, monkeypatch: pytest.MonkeyPatch
):
    fail_at(monkeypatch, 32, RuntimeError("out of luck"))
    outcome = swept("training.batch_size=8,32", tracking="local")
    runs = runs_of(client)
    parent = runs.pop("sweep · batch_size 8,32")
    assert parent.info.status == "FAILED"
    assert parent.data.tags["failed_jobs"] == next(iter(outcome.failed))
    failed = runs["mlp · digits · bs32 · adam · seed 0"]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert "error.txt" in {item.path for item in client.list_artifacts(failed.info.run_id)}


def test_a_run_of_two_sweeps_lies_below_the_later_one(swept: Sweep, client):
    swept("training.batch_size=8,32", tracking="local")
    later = swept("training.batch_size=8,32,64", tracking="local")
    runs = runs_of(client)
    parent = runs["sweep · batch_size 8,32,64"]
    children = [run for run in runs.values() if "config_hash" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.data.tags["sweep"] for run in children} == {later.record.config_hash}


def test_after_the_store_is_lost_sync_makes_the_tree_again(swept: Sweep, client, output_dir: Path):
    from study.commands import sync

    empty = (output_dir / "mlflow.db").read_bytes()
    swept("training.batch_size=8,32", tracking="local")
    (output_dir / "mlflow.db").write_bytes(empty)
    sync([f"output_dir={output_dir}"])
    runs = runs_of(client)
    parent = runs.pop("sweep · batch_size 8,32")
    assert len(runs) == 2
    assert all(run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in runs.values())


# Claims

CLAIM = """# @package _global_
# Question: Are large batches sharper?
# Source: nobody
# Cost: nothing
claims:
  worse:
    says: Large batches reach a higher loss.
    paper: none
    measure: {measure}
    runs: {{training.batch_size: 32}}
    against: {{training.batch_size: 8}}
    direction: above
    smallest: 1.01
    compared_as: ratio
  apart:
    says: There is a barrier between batch sizes.
    paper: none
    measure: between/train/barrier
    than: 0.0
    direction: above
    smallest: 0.0
    compared_as: difference
"""


@pytest.fixture
def with_claims(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Overrides that add the claims of a study about a measure."""

    def of(measure: str = "train/loss") -> tuple[str, str]:
        folder = tmp_path / "own" / "sweeps"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mine.yaml").write_text(CLAIM.format(measure=measure))
        return f"hydra.searchpath=[file://{folder.parent}]", "+sweeps=mine"

    return of


def test_a_sweep_with_claims_ends_in_verdicts(drawn: Sweep, with_claims):
    jobs = ("training.batch_size=8,32", "seed=0,1,2,3,4", "comparison.pairs=10")
    record = drawn(*with_claims(), *jobs).record
    worse, apart = rows(record, "verdicts")
    values = {(row["training.batch_size"], row["seed"]): float(row["train/loss"]) for row in rows(record)}
    logs = [math.log(values["32", str(seed)] / values["8", str(seed)]) for seed in range(5)]
    assert float(worse["effect"]) == pytest.approx(math.exp(sum(logs) / 5))
    assert (worse["replicates"], worse["outcome"]) == ("5 pairs", "reproduced")
    barriers = [float(row["barrier"]) for row in rows(record, "between") if row["split"] == "train"]
    assert float(apart["effect"]) == pytest.approx(sum(barriers) / 5)
    tags = record.read_json("state.json")["tags"]
    assert tags["claims/worse"] == "reproduced"
    assert record.latest()["claims/worse/effect"] == pytest.approx(float(worse["effect"]))
    page = record.read("report.html").decode()
    assert page.index("Verdicts") < page.index("Configurations")
    assert "Large batches reach a higher loss." in page
    assert record.read("comparison/verdicts.png").startswith(b"\x89PNG")
    again = drawn(*with_claims(), *jobs)
    assert again.repeated == 0
    assert again.record.read_json("state.json")["tags"]["claims/worse"] == "reproduced"
    assert not any(key.startswith("claims") for key in again.members.runs[0].about["params"])


def test_other_claims_are_judged_anew_over_the_same_runs(swept: Sweep, with_claims, monkeypatch):
    monkeypatch.setattr(comparison_report, "verdicts_figure", lambda *_rest, **_settings: None)
    first = swept(*with_claims("train/loss"), *SQUARE)
    second = swept(*with_claims("test/loss"), *SQUARE)
    assert second.repeated == 0
    assert second.record.path == first.record.path
    assert rows(second.record, "verdicts")[0]["reason"].startswith("2 replicates, and at least 5 decide")
    effects = [float(own["effect"]) for own in (rows(second.record, "verdicts")[0],)]
    losses = [float(row["test/loss"]) for row in rows(second.record)]
    assert effects[0] == pytest.approx(math.sqrt(losses[2] * losses[3] / (losses[0] * losses[1])))


def test_a_claim_about_no_column_stops_a_sweep_before_it_starts(swept: Sweep, with_claims, done: list[str]):
    with pytest.raises(ConfigError, match=r"claims\.worse\.measure must be .*did you mean 'test/loss'"):
        swept(*with_claims("test/los"), *SQUARE)
    assert done == []
