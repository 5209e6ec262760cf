"""The main job, end to end: `study` as it is called, default landscapes on small grids, what it leaves."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from study.landscape.result import Landscape
from study.record import Record, State
from study.tracking import mlflow_tracker

pytestmark = pytest.mark.process

SCRIPT = Path(sys.executable).with_name("study")
SMALL = (
    "data.train_examples=64",
    "data.test_examples=32",
    "model=mlp",
    "model.widths=[8]",
    "training.epochs=2",
    "training.threads=1",
    "evaluation.threads=1",
    "landscape.interpolation.points=4",
    "landscape.contour.points=3",
    "landscape.contour.beta_points=4",
)
BY_EPOCH = ("train/loss", "train/accuracy", "test/loss", "test/accuracy")
MEASURES = {
    "interpolation/train/largest_rise",
    "interpolation/train/maximum",
    "contour/train/basin_width",
    "contour/train/basin_width_alpha",
    "contour/train/basin_width_beta",
    "contour/train/basin_reaches_edge",
    "contour/train/basin_unresolved",
}
ARTIFACTS = {
    "config.yaml",
    "report.md",
    "checkpoints/update_0000000.safetensors",
    "checkpoints/update_0000002.safetensors",
    *(
        f"landscapes/{name}.{kind}"
        for name in ("interpolation", "contour")
        for kind in ("npz", "csv", "png", "html")
    ),
}


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory) -> Path:
    """Where one run of the main job left its results."""
    folder = tmp_path_factory.mktemp("main_job")
    variables = {**os.environ, "STUDY_OUTPUT_DIR": str(folder / "outputs")}
    done = subprocess.run(
        [SCRIPT, *SMALL], capture_output=True, text=True, timeout=300, env=variables, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "mlp · digits · bs64 · adam · seed 0: finished" in done.stdout
    assert [file.name for file in folder.iterdir()] == ["outputs"]
    return folder / "outputs"


@pytest.fixture
def record(output_dir) -> Record:
    (only,) = Record.all(output_dir)
    return only


@pytest.fixture
def client(output_dir):
    return mlflow_tracker.mlflow.MlflowClient(mlflow_tracker.store_uri(output_dir))


@pytest.fixture
def run(client):
    experiment = client.get_experiment_by_name("study")
    (only,) = client.search_runs([experiment.experiment_id])
    return only


def artifacts(client, run_id: str, folder: str = "") -> set[str]:
    found = set()
    for item in client.list_artifacts(run_id, folder or None):
        found |= artifacts(client, run_id, item.path) if item.is_dir else {item.path}
    return found


def test_the_record_is_complete_and_undamaged(record):
    assert record.state is State.FINISHED
    names = set(record.files())
    assert names >= ARTIFACTS
    assert {
        "run.json",
        "state.json",
        "metrics.json",
        "training.json",
        "landscapes/contour.surface.png",
    } <= names
    assert all(record.holds(name) for name in names)
    on_disk = {str(file.relative_to(record.path)) for file in record.path.rglob("*") if file.is_file()}
    assert on_disk == names | {"manifest.json", "manifest.copy.json"}
    assert not list(record.path.rglob("*.tmp"))


def test_the_landscapes_are_those_that_were_asked_for(record):
    line = Landscape.from_bytes(record.read("landscapes/interpolation.npz"))
    assert line.axes["alpha"] == pytest.approx(np.linspace(-0.5, 1.5, 4))
    assert set(line.points) == {"initialisation", "solution"}
    plane = Landscape.from_bytes(record.read("landscapes/contour.npz"))
    assert plane.shape == (3, 4)
    assert plane.axes["alpha"].tolist() == [-1.0, 0.0, 1.0]
    assert plane.axes["beta"] == pytest.approx(np.linspace(-1, 1, 4))
    own = record.latest()["train/loss"]
    for landscape in (line, plane):
        assert landscape.points["solution"].values["train/loss"] == pytest.approx(own, rel=1e-6)
    assert line.points["initialisation"].values["train/loss"] == pytest.approx(
        record.metrics()[0].value if record.metrics()[0].key == "train/loss" else None, rel=1e-6
    )


def test_mlflow_holds_the_run_finished_with_its_tags_and_parameters(run, record):
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    about = record.read_json("run.json")
    assert run.data.tags["config_hash"] == record.config_hash
    assert run.data.tags["training_hash"] == about["tags"]["training_hash"]
    assert run.data.tags["study"] == "study"
    assert "diverged" not in run.data.tags
    assert run.data.params["training.batch_size"] == "64"
    assert run.data.params["landscape.contour.beta_points"] == "4"
    assert run.data.params["model.widths"] == "[8]"
    contexts = {tag.value for item in run.inputs.dataset_inputs for tag in item.tags}
    assert contexts == {"train", "test"}
    assert all(item.dataset.digest for item in run.inputs.dataset_inputs)


def test_mlflow_holds_the_metrics_of_the_contract(client, run, record):
    for key in BY_EPOCH:
        history = client.get_metric_history(run.info.run_id, key)
        assert [point.step for point in sorted(history, key=lambda point: point.step)] == [0, 1, 2]
    assert set(run.data.metrics) >= MEASURES
    assert run.data.metrics == pytest.approx(record.latest())


def test_the_self_checks_hold(record):
    values = record.latest()
    for name in ("interpolation", "contour"):
        assert values[f"{name}/train/self_check"] == 0.0
        assert values[f"{name}/train/self_check_training"] <= 1e-6
        assert values[f"{name}/train/self_check_repeated"] == values[f"{name}/train/self_check_model"] == 0.0


def test_mlflow_holds_the_artifacts_of_the_contract(client, run, record, tmp_path):
    names = artifacts(client, run.info.run_id)
    assert names >= ARTIFACTS
    checkpoints = {name for name in names if name.startswith("checkpoints/")}
    assert checkpoints == {name for name in ARTIFACTS if name.startswith("checkpoints/")}  # the ends alone
    for name in sorted(ARTIFACTS):
        got = Path(client.download_artifacts(run.info.run_id, name, str(tmp_path)))
        assert got.read_bytes() == record.read(name)


def test_the_report_and_the_figures_are_whole(record):
    report = record.read("report.md").decode()
    assert "Self-checks hold" in report
    assert "![contour](landscapes/contour.png)" in report
    for name in ("landscapes/interpolation.png", "landscapes/contour.png", "landscapes/contour.surface.png"):
        content = record.read(name)
        assert content.startswith(b"\x89PNG\r\n")
        assert content.rstrip().endswith(b"IEND\xaeB`\x82")
    page = record.read("landscapes/contour.html").decode()
    assert "<script" in page
    assert '<script src="http' not in page  # nothing is loaded from elsewhere
