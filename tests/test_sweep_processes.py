"""Sweeps as processes: Hydra's other launchers, jobs that fail or are killed, drivers that are stopped."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from study.record import SWEEPS, Record, State
from study.sweep import sweep
from study.tracking import mlflow_tracker

pytestmark = pytest.mark.process

SCRIPT = Path(sys.executable).with_name("study")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")

# A network that has an accident, once each: in a process of its own, at a forward pass that no check reaches.
NETWORK = """
import os, signal
from pathlib import Path
from torch import nn

class Net(nn.Module):
    def __init__(self, accident="none"):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
        self.accident, self.passes = accident, {True: 0, False: 0}

    def forward(self, x):
        self.passes[self.training] += 1
        flag = Path(os.environ["ACCIDENTS"]) / self.accident
        if self.accident != "none" and not flag.exists():
            if self.accident == "fails" and self.passes[True] == 5:
                flag.touch()
                raise RuntimeError("out of luck")
            if self.accident == "dies_in_training" and self.passes[True] == 5:
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.accident == "dies_in_a_grid" and self.passes[False] == 8 and self.passes[True] < 3:
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.layers(x)
"""


@pytest.fixture
def words(arguments: Callable[..., list[str]]) -> Callable[[str], list[str]]:
    """The overrides of a small run of that network, with a tracking."""

    def of(tracking: str) -> list[str]:
        own = [word for word in arguments(tracking=tracking) if not word.startswith("model")]
        return [*own, "model=custom", "model.path=mine:Net", "comparison.points=3"]

    return of


@pytest.fixture
def command(tmp_path: Path, words: Callable[[str], list[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Start a sweep over small runs of that network as a process, in a group of its own."""
    (tmp_path / "mine.py").write_text(NETWORK)

    def start(
        *overrides: str, accidents: str = "accidents", to: str = "outputs", tracking: str = "none"
    ) -> subprocess.Popen[str]:
        own = words(tracking)
        (tmp_path / accidents).mkdir(exist_ok=True)
        variables = {
            **os.environ,
            "ACCIDENTS": str(tmp_path / accidents),
            "STUDY_OUTPUT_DIR": str(tmp_path / to),
        }
        return subprocess.Popen(
            [SCRIPT, "-m", *own, *overrides],
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def numbers(output_dir: Path) -> list[dict[str, str]]:
    """The table of the only sweep, without what is never the same twice."""
    (record,) = Record.all(output_dir, SWEEPS)
    table = csv.DictReader(record.read("comparison/runs.csv").decode().splitlines())
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in table]


def results(output_dir: Path) -> dict[str, bytes]:
    """All numbers of every run and of the comparison, to the bit."""
    return {
        f"{record.config_hash}/{name}": record.read(name)
        for record in [*Record.all(output_dir), *Record.all(output_dir, SWEEPS)]
        for name in record.files()
        if name.endswith((".npz", ".safetensors", "between.csv"))
    }


def in_group(leader: int) -> list[str]:
    """Commands of the processes that are left of a process group."""
    listed = subprocess.run(["ps", "-wweo", "pgid,stat,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    return [row[2] for row in rows if row[0] == str(leader) and not row[1].startswith("Z")]


def everything() -> list[str]:
    """Commands of all processes."""
    listed = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def wait_until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


ACCIDENTS = "+model.arguments.accident=none,fails,dies_in_training,dies_in_a_grid"


def test_jobs_that_fail_or_are_killed_break_no_other_and_a_second_start_makes_it_whole(
    command: Callable[..., subprocess.Popen[str]],
    words: Callable[[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    whole = tmp_path / "whole"
    had = tmp_path / "had"
    had.mkdir()
    for name in ("fails", "dies_in_training", "dies_in_a_grid"):
        (had / name).touch()
    monkeypatch.setenv("ACCIDENTS", str(had))
    monkeypatch.syspath_prepend(tmp_path)
    undisturbed = sweep([*words("none"), ACCIDENTS, f"output_dir={whole}"])  # here, one after the other
    assert undisturbed.failed == {}

    first = command(ACCIDENTS, *JOBLIB, tracking="local")  # on a fresh store
    out, err = first.communicate(timeout=240)
    assert first.returncode == 1, err
    assert "the launcher broke down" in err
    assert in_group(first.pid) == []
    states = {
        record.read_json("run.json")["params"]["model.arguments.accident"]: record.state
        for record in Record.all(tmp_path / "outputs")
    }
    assert states == {
        "none": State.FINISHED,
        "fails": State.FAILED,
        "dies_in_training": State.FINISHED,
        "dies_in_a_grid": State.FINISHED,
    }
    (parent,) = Record.all(tmp_path / "outputs", SWEEPS)
    assert parent.state is State.FAILED
    assert len(numbers(tmp_path / "outputs")) == 3  # and they are compared all the same

    second = command(ACCIDENTS, *JOBLIB, tracking="local")
    out, err = second.communicate(timeout=240)
    assert second.returncode == 0, err
    assert out.count(": started") == 1  # the failed one
    assert "[1/1]" in out
    assert numbers(tmp_path / "outputs") == numbers(whole)
    assert results(tmp_path / "outputs") == results(whole)
    client = mlflow_tracker.mlflow.MlflowClient(mlflow_tracker.store_uri(tmp_path / "outputs"))
    runs = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 5
    (above,) = [run.info.run_id for run in runs if "sweep_hash" in run.data.tags]
    parents = [run.data.tags.get("mlflow.parentRunId") for run in runs if run.info.run_id != above]
    assert parents == [above] * 4


def test_the_jobs_run_through_submitit_and_stop_with_their_driver(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    outputs = tmp_path / "outputs"
    local = "hydra/launcher=submitit_local"
    driver = command("seed=0,1", "training.epochs=4000", local)
    wait_until(lambda: [record.holds("training_state.json") for record in Record.all(outputs)] == [True] * 2)
    driver.send_signal(signal.SIGTERM)
    _out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, err
    assert [record.state for record in Record.all(outputs)] == [State.KILLED] * 2
    wait_until(lambda: not any(str(tmp_path) in process for process in everything()), 20)
    short = command("seed=0,1", local, to="short")
    _out, err = short.communicate(timeout=240)
    assert short.returncode == 0, err
    assert [row["label"] for row in numbers(tmp_path / "short")] == ["seed 0", "seed 1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_is_stopped_leaves_no_process_behind(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: signal.Signals
):
    outputs = tmp_path / "outputs"
    longer = ("seed=0,1", "training.epochs=250", *JOBLIB)
    driver = command(*longer)
    wait_until(lambda: any(record.holds("training_state.json") for record in Record.all(outputs)))
    if number is signal.SIGINT:
        os.killpg(driver.pid, number)  # as a terminal does
    else:
        driver.send_signal(number)
    _out, err = driver.communicate(timeout=60)
    wait_until(lambda: in_group(driver.pid) == [], 20)
    assert {record.state for record in Record.all(outputs)} == {State.KILLED}
    (parent,) = Record.all(outputs, SWEEPS)
    if number is not signal.SIGKILL:
        assert driver.returncode == 130
        assert "the same command goes on" in err
        assert parent.state is State.KILLED
        return
    again = command(*longer)
    _out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    assert "going on with the training after epoch" in err
    assert [row["label"] for row in numbers(outputs)] == ["seed 0", "seed 1"]


def test_a_pool_that_waits_for_its_first_jobs_ends_with_its_driver(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
):
    driver = command("seed=0,1", *JOBLIB)
    wait_until(lambda: any("LokyProcess" in process for process in in_group(driver.pid)))
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    wait_until(lambda: in_group(driver.pid) == [], 20)
    assert Record.all(tmp_path / "outputs") == []
