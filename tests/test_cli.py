"""The command line as processes of their own: help, show, ui, sync, signals, multirun, own code.

Most of them are forked from a process that has imported all that a run needs: each costs a second, not eight.
"""

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median

import pytest

from study import closing
from study.record import SWEEPS, Record, State
from study.run import Outcome
from study.tracking import mlflow_tracker

pytestmark = pytest.mark.process

SCRIPT = Path(sys.executable).with_name("study")
TINY = (
    "data.image_size=8",
    "data.train_examples=64",
    "data.test_examples=32",
    "model=mlp",
    "model.widths=[8]",
    "training.epochs=2",
    "training.threads=1",
    "evaluation.threads=1",
)
BLIND = (*TINY, "landscape=[]")
PATIENCE = 90
HEAVY = ("torch", "mlflow", "hydra", "omegaconf", "numpy", "pandas", "matplotlib", "scipy", "sklearn")


def become_the_command(arguments: Sequence[str], folder: str, variables: dict[str, str]) -> None:
    """In a new process: stand in `folder`, write to files there, and be `study`."""
    os.chdir(folder)
    os.environ.update(variables)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), stream)
    sys.argv = ["study", *arguments]
    from study.cli import main

    main()


@dataclass
class Started:
    """A process of the command line."""

    process: BaseProcess
    folder: Path

    def status(self) -> int:
        """Wait for its end."""
        self.process.join(PATIENCE)
        assert not self.process.is_alive(), self.err
        assert self.process.exitcode is not None
        return self.process.exitcode

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text()


Start = Callable[..., Started]


@pytest.fixture(scope="module")
def ready() -> multiprocessing.context.ForkServerContext:
    """Forks processes that have imported what a run needs, and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([
        "hydra",
        "study.cli",
        "study.resolve",
        "study.closing",
        "study.sweep",
        "study.tracking.mlflow_tracker",
        "study.figures.line",
        "sklearn.datasets",
        "sklearn.model_selection",
    ])
    return context


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory) -> Path:
    """A SQLite store without experiments: its migrations take longer than a run here."""
    folder = tmp_path_factory.mktemp("store")
    mlflow_tracker.mlflow.MlflowClient(mlflow_tracker.store_uri(folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def outputs(tmp_path, empty_store) -> Path:
    folder = tmp_path / "outputs"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def start(ready, outputs, tmp_path) -> Iterator[Start]:
    started: list[Started] = []

    def go(*arguments: str, folder: Path | None = None) -> Started:
        folder = folder or tmp_path / f"process{len(started)}"
        folder.mkdir(exist_ok=True)
        variables = {"STUDY_OUTPUT_DIR": str(outputs)}
        process = ready.Process(target=become_the_command, args=(arguments, str(folder), variables))
        process.start()
        started.append(Started(process, folder))
        return started[-1]

    yield go
    for one in started:
        if one.process.is_alive():
            one.process.kill()
            one.process.join()


def runs_in(outputs: Path) -> list:
    client = mlflow_tracker.mlflow.MlflowClient(mlflow_tracker.store_uri(outputs))
    found = client.search_experiments(filter_string="name = 'study'")
    return list(client.search_runs([one.experiment_id for one in found])) if found else []


def until(happens: Callable[[], bool], process: BaseProcess | None = None) -> None:
    ends = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < ends, "waited in vain"
        assert process is None or process.is_alive(), "the process ended"
        time.sleep(0.02)


# What needs no run


@pytest.mark.parametrize(
    "command", [[str(SCRIPT)], [sys.executable, "-m", "study"]], ids=["study", "python -m"]
)
def test_help_comes_within_a_second(command):
    seconds = []
    for flag in ("--help", "-h", "--help"):
        started = time.perf_counter()
        done = subprocess.run([*command, flag], capture_output=True, text=True, timeout=30)
        seconds.append(time.perf_counter() - started)
        assert (done.returncode, done.stderr) == (0, "")
        for word in (
            "study show",
            "study ui",
            "study sync",
            "study reproduce NAME",
            "study compare RUN",
            "cnn, custom, lenet, mlp, resnet",
            "training/schedule",
            "batch_size",
        ):
            assert word in done.stdout
    assert median(seconds) < 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["ui", "--help"],
        ["sync", "-h"],
        ["show", "--help"],
        ["reproduce", "--help"],
        ["compare", "-h"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments):
    source = (
        "import sys; from study.cli import main; sys.argv = ['study', *sys.argv[1:]]; main(); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0
    assert not set(done.stderr.split()) & set(HEAVY)
    takes = {"reproduce": "NAME", "compare": "RUN"}.get(arguments[0], "[")
    named = "study" if arguments[0].startswith("-") else f"study {arguments[0]} {takes}"
    assert done.stdout.startswith(named)


def test_an_unknown_word_is_refused_at_once():
    done = subprocess.run([SCRIPT, "shwo"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    commands = "reproduce, compare, export, figures, show, ui, sync"
    assert done.stderr == f"study: 'shwo' is no command: must be one of {commands}, or KEY=VALUE\n"
    assert done.stdout == ""


def test_show_prints_each_key_with_its_value_and_meaning(start, outputs):
    shown = start("show", *TINY, "training.checkpoint_every=7", "seed=3")
    assert shown.status() == 0, shown.err
    assert re.search(r"^  seed +3 +seed of a run: ", shown.out, re.MULTILINE)
    assert re.search(r"^  widths +\[8\] +units of each hidden layer \(at least 1\)$", shown.out, re.MULTILINE)
    assert f"output_dir {outputs}" in shown.out
    assert max(map(len, shown.out.splitlines())) <= max(80, len(f"  output_dir {outputs}"))
    assert not (outputs / "runs").exists()


# Runs


def test_sync_uploads_what_no_store_has_got_and_closes_what_was_killed(start, outputs):
    kept = start(*BLIND, "tracking=none")
    assert kept.status() == 0, kept.err
    assert "mirrored to" not in kept.out
    (record,) = Record.all(outputs)
    with record.lock():
        record.set_state(State.RUNNING)  # as a process leaves it that is killed outright
    assert runs_in(outputs) == []
    for _again in range(2):
        synced = start("sync")
        assert synced.status() == 0, synced.err
        assert synced.out == f"1 runs mirrored to sqlite:///{outputs}/mlflow.db, 0 still running\n"
        (run,) = runs_in(outputs)
        assert run.info.status == "KILLED"
        assert run.data.tags["config_hash"] == record.config_hash
        assert "train/loss" in run.data.metrics


def test_sync_leaves_a_running_run_alone(start, outputs):
    assert start(*BLIND, "tracking=none").status() == 0
    (record,) = Record.all(outputs)
    with record.lock():
        synced = start("sync")
        assert synced.status() == 0, synced.err
    assert synced.out.startswith("0 runs mirrored to ")
    assert synced.out.endswith(", 1 still running\n")
    assert runs_in(outputs) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_run_that_is_ended_is_finished_by_the_same_command(number, start, outputs):
    command = (
        *TINY,
        "landscape=[line]",
        "landscape.line.points=3",
        "training.epochs=60",
        "training.batch_size=1",
    )
    training = start(*command)
    until(
        lambda: any(record.holds("training_state.json") for record in Record.all(outputs)), training.process
    )
    os.kill(training.process.pid or 0, number)
    assert training.status() == 130
    assert training.err == "interrupted; the same command goes on where this one stopped\n"
    (record,) = Record.all(outputs)
    assert record.state is State.KILLED
    assert not record.holds("training.json")
    reached = record.read_json("training_state.json")["epoch"]
    (run,) = runs_in(outputs)
    assert run.info.status == "KILLED"
    assert run.info.end_time is not None

    again = start(*command)
    assert again.status() == 0, again.err
    assert again.err == f"going on with the training after epoch {reached}\n"
    (record,) = Record.all(outputs)
    assert record.state is State.FINISHED
    assert record.holds("landscapes/line.npz")
    assert not [name for name in record.files() if name.startswith("training_state")]
    (run,) = runs_in(outputs)
    assert run.info.status == "FINISHED"
    client = mlflow_tracker.mlflow.MlflowClient(mlflow_tracker.store_uri(outputs))
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted(point.step for point in history) == list(range(61))  # each epoch once


def test_two_of_the_same_at_once_make_one_run(start, outputs):
    both = [start(*BLIND, "training.epochs=20", "training.batch_size=8") for _ in range(2)]
    assert [one.status() for one in both] == [0, 0], "".join(one.err for one in both)
    said = sorted("nothing was repeated" in one.out for one in both)
    assert said == [False, True]
    (record,) = Record.all(outputs)
    assert record.state is State.FINISHED
    (run,) = runs_in(outputs)
    assert run.info.status == "FINISHED"


def test_a_multirun_makes_a_record_for_each_job(start, outputs):
    swept = start("-m", *BLIND, "seed=0,1")
    assert swept.status() == 0, swept.err
    records = Record.all(outputs)
    assert [record.state for record in records] == [State.FINISHED] * 2
    assert len({record.read_json("run.json")["tags"]["training_hash"] for record in records}) == 2
    names = {f"mlp · digits · bs64 · adam · seed {seed}" for seed in (0, 1)}
    mirrored = {run.info.run_name: run for run in runs_in(outputs)}
    assert set(mirrored) == names | {"sweep · seed 0,1"}
    parent = mirrored["sweep · seed 0,1"].info.run_id
    assert {mirrored[name].data.tags["mlflow.parentRunId"] for name in names} == {parent}
    (sweep,) = Record.all(outputs, SWEEPS)
    assert sweep.state is State.FINISHED
    assert sorted(sweep.read_json("run.json")["members"]) == [record.config_hash for record in records]
    assert {file.name for file in (outputs / SWEEPS).iterdir()} == {".locks", sweep.config_hash}
    assert sorted(file.name for file in swept.folder.iterdir()) == ["stderr", "stdout"]


def test_a_run_from_anywhere_is_the_same_run(start, outputs, tmp_path):
    for place in ("here", "there"):
        done = start(*BLIND, "tracking=none", folder=tmp_path / place)
        assert done.status() == 0, done.err
        assert sorted(file.name for file in (tmp_path / place).iterdir()) == ["stderr", "stdout"]
    assert "nothing was repeated" in done.out
    assert len(Record.all(outputs)) == 1


def test_own_network_and_data_from_the_working_directory(start, outputs, tmp_path):
    folder = tmp_path / "mine_is_here"
    folder.mkdir()
    (folder / "mine.py").write_text(
        "import torch\n"
        "def net(input_shape, num_classes, width=3):\n"
        "    layers = torch.nn.Linear(*input_shape, width), torch.nn.Linear(width, num_classes)\n"
        "    return torch.nn.Sequential(*layers)\n"
        "def data(size):\n"
        "    inputs = torch.linspace(-1, 1, 2 * size).reshape(size, 2)\n"
        "    return [(inputs, torch.arange(size) % 4)] * 2\n"
    )
    own = ("model=custom", "model.path=mine:net", "+model.arguments.width=5")
    own += ("data=custom", "data.path=mine:data", "+data.arguments.size=24")
    own += ("landscape=[]", "tracking=none", "training.epochs=1", "training.threads=1")
    done = start(*own, folder=folder)
    assert done.status() == 0, done.err
    (record,) = Record.all(outputs)
    about = record.read_json("run.json")
    assert about["parameters"] == 2 * 5 + 5 + 5 * 4 + 4
    assert about["name"].startswith("custom · mine:data · ")
    (folder / "mine.py").write_text((folder / "mine.py").read_text() + "# another version\n")
    again = start(*own, folder=folder)
    assert again.status() == 0, again.err
    assert len(Record.all(outputs)) == 2  # its source is part of what the run is


def test_the_closing_lines_say_where_everything_is(start, outputs):
    done = start(*TINY, "landscape=[line]", "landscape.line.points=3")
    assert done.status() == 0, done.err
    (record,) = Record.all(outputs)
    assert done.err == ""
    for said in (
        "mlp · digits · bs64 · adam · seed 0: finished",
        f"  train   {record.latest()['train/loss']:.4g} ",
        f"basin_width {record.latest()['line/train/basin_width']:.4g}",
        str(record.path / "landscapes" / "line.png"),
        f"all of it: {record.path}",
        f"mirrored to sqlite:///{outputs}/mlflow.db; look with: study ui",
    ):
        assert said in done.out


@pytest.mark.parametrize(
    ("folder", "store", "hint"),
    [
        ("here", "sqlite:///mlflow.db", "look with: study ui"),
        ("a place", "sqlite:///mlflow.db", "look with: study ui 'output_dir={}'"),
        ("there", "sqlite:///mlflow.db", "look with: study ui output_dir={}"),
        ("here", "https://server:5000", "look at it there"),
    ],
)
def test_the_last_line_says_how_to_look(folder, store, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUDY_OUTPUT_DIR", str(tmp_path / "here"))
    record = Record.at(tmp_path / folder, "aa11")
    record.create({"name": "a net"})
    record.set_state(State.FINISHED)
    closing.print_run(Outcome(record, State.FINISHED, False, store))
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"mirrored to {store}; {hint.format(tmp_path / folder)}"


# The UI


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])


def answer(address: str) -> bytes | None:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return bytes(reply.read())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def in_group(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _parent, own = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(own) == group and state != "Z":
            found.append(int(folder.name))
    return found


def test_ui_serves_the_store_and_leaves_no_process(start, outputs, tmp_path):
    assert start(*BLIND).status() == 0
    (run,) = runs_in(outputs)
    address = f"http://127.0.0.1:{(port := free_port())}"
    ui = subprocess.Popen(
        [SCRIPT, "ui", "--port", str(port), f"output_dir={outputs}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    try:
        assert ui.stdout is not None
        assert ui.stdout.readline() == f"MLflow UI of {outputs} on {address} (Ctrl-C ends it)\n"
        until(lambda: ui.poll() is not None or answer(f"{address}/health") is not None)
        assert answer(f"{address}/health") == b"OK"
        assert len(in_group(ui.pid)) <= 3  # the server and its worker, none of MLflow's job runners
        found = answer(f"{address}/api/2.0/mlflow/runs/get?run_id={run.info.run_id}")
        assert found is not None
        assert json.loads(found)["run"]["info"]["status"] == "FINISHED"
        ui.terminate()
        ui.wait(PATIENCE)
        until(lambda: not in_group(ui.pid))
        assert answer(f"{address}/health") is None
    finally:
        if in_group(ui.pid):
            os.killpg(ui.pid, signal.SIGKILL)
        ui.wait()
